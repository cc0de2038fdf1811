"""What a command's exit code says, and which one a refusal has."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """The codes of `farmgate` and `ledger-node`. Scripts rely on them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    REJECTED = 5  # by a contract or by validation
    UNKNOWN = 6  # sent, then timed out: it may still become final
    UNREACHABLE = 7
    UNVERIFIED = 8
    CONFLICT = 9
    FORKED = 10  # `farmgate evidence audit`: two histories conflict, and who made them is proved
    STORE_FAILED = 75  # `ledger-node` alone: the store failed and the process ended itself
    KEY_IN_USE = 78  # `ledger-node run` alone: another process signs with this validator's key
    INTERRUPTED = 130


MEANINGS: Final = {
    ExitCode.OK: "ok",
    ExitCode.FAILED: "failed",
    ExitCode.USAGE: "wrong usage",
    ExitCode.NOT_FOUND: "not found",
    ExitCode.NOT_ALLOWED: "not allowed",
    ExitCode.REJECTED: "rejected by a contract or by validation",
    ExitCode.UNKNOWN: "outcome unknown: sent, then timed out",
    ExitCode.UNREACHABLE: "no node could be reached",
    ExitCode.UNVERIFIED: "verification failed",
    ExitCode.CONFLICT: "conflict with what is there",
    ExitCode.FORKED: "a fork is proved and its culprits are named (`farmgate evidence audit`)",
    ExitCode.STORE_FAILED: "the node's store failed (`ledger-node` alone)",
    ExitCode.KEY_IN_USE: "another process signs with this validator's key (`ledger-node run` alone)",
    ExitCode.INTERRUPTED: "interrupted",
}

_BY_CODE: Final = {
    "at.in_future": ExitCode.NOT_FOUND,
    "at.not_kept": ExitCode.NOT_FOUND,
    "audit.broken_history": ExitCode.UNVERIFIED,
    "audit.not_final": ExitCode.UNVERIFIED,
    "audit.not_justified": ExitCode.UNVERIFIED,
    "audit.other_chain": ExitCode.CONFLICT,
    "audit.recovered": ExitCode.UNVERIFIED,
    "genesis.mismatch": ExitCode.CONFLICT,
    "home.exists": ExitCode.CONFLICT,
    "home.in_use": ExitCode.CONFLICT,
    "key_file.exists": ExitCode.CONFLICT,
    "key_file.owner": ExitCode.NOT_ALLOWED,
    "key_file.permissions": ExitCode.NOT_ALLOWED,
    "node.unreachable": ExitCode.UNREACHABLE,
    "profile.exists": ExitCode.CONFLICT,
    "profile.malformed": ExitCode.USAGE,
    "profile.unknown_key": ExitCode.USAGE,
    "profile.wrong_value": ExitCode.USAGE,
    "recovery.approved": ExitCode.CONFLICT,
    "recovery.begun": ExitCode.CONFLICT,
    "recovery.diverged": ExitCode.CONFLICT,
    "roles.not_yours": ExitCode.NOT_ALLOWED,
    "site.not_owned": ExitCode.NOT_ALLOWED,
    "testnet.folder_in_use": ExitCode.CONFLICT,
    "testnet.not_running": ExitCode.CONFLICT,
    "testnet.port_taken": ExitCode.CONFLICT,
    "transaction.unknown_outcome": ExitCode.UNKNOWN,
    "transaction.wrong_chain": ExitCode.CONFLICT,
}
_BY_PROBLEM: Final = {  # the last part of a code
    "unknown": ExitCode.NOT_FOUND,
    "missing": ExitCode.NOT_FOUND,
    "unknown_node": ExitCode.NOT_FOUND,
    "not_a_member": ExitCode.NOT_ALLOWED,
    "not_allowed": ExitCode.NOT_ALLOWED,
    "revoked": ExitCode.NOT_ALLOWED,
    "exists": ExitCode.CONFLICT,
}
_BY_AREA: Final = {
    "role": ExitCode.NOT_ALLOWED,
    "roles": ExitCode.REJECTED,
    "sender": ExitCode.NOT_ALLOWED,
    "token": ExitCode.NOT_ALLOWED,
}
_REJECTING: Final = frozenset(
    "arguments ballot ballots capture contract encoding epcis event event_id identifier json key method node "
    "organisation outlook parameter parameters prefix quota readable recovery registration seat seats site "
    "transaction units validator validators".split()
)


def exit_code_of(code: str, status: int = 0) -> ExitCode:
    """The exit code for a refusal's stable code; `status` is the HTTP status it came with, 0 if none."""
    area, _, problem = code.partition(".")
    found = _BY_CODE.get(code) or _BY_PROBLEM.get(problem) or _BY_AREA.get(area)
    if found is not None:
        return found
    if status in (401, 403):
        return ExitCode.NOT_ALLOWED
    if status == 404:
        return ExitCode.NOT_FOUND
    if status == 409:
        return ExitCode.CONFLICT
    if status >= 500 or status in (408, 429):
        return ExitCode.FAILED
    return ExitCode.REJECTED if area in _REJECTING else ExitCode.FAILED
