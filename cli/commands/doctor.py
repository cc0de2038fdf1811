"""`farmgate doctor`: what is wrong between here and the network."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from cli.exit_code import ExitCode
from cli.failure import Failure, Finished
from cli.group import Command
from cli.session import Session, with_session

if TYPE_CHECKING:
    from cli.answers import Status
    from network.profile import Profile

CLOCK_SLACK_MS: Final = 60_000
WAIT_SECONDS_MAX: Final = 5.0


class Finding(NamedTuple):
    """One thing that was looked at; `is_well` None: it does not apply."""

    what: str
    is_well: bool | None
    said: str


@click.command(cls=Command)
@with_session
def doctor(session: Session) -> None:
    """Look at the profile, its key, its nodes and its outbox; 0 if all is well."""
    findings = list(_examine(session))
    words = {True: "well", False: "wrong", None: "-"}
    rows = [(finding.what, words[finding.is_well], finding.said) for finding in findings]
    is_well = all(finding.is_well is not False for finding in findings)
    session.output.data(
        {
            "healthy": is_well,
            "findings": [{"what": each.what, "well": each.is_well, "said": each.said} for each in findings],
        },
        lambda: session.output.table(("looked at", "is", "found"), rows),
    )
    if not is_well:
        raise Finished(ExitCode.FAILED)


def _examine(session: Session) -> Iterator[Finding]:
    from ledger.errors import LedgerError

    try:
        profile = session.profile
    except LedgerError as problem:
        yield Finding("profile", False, problem.message)
        return
    yield Finding(
        "profile",
        True if profile.path else None,
        str(profile.path) if profile.path else "none is in use: reading works, signing does not",
    )
    statuses = []
    for node in profile.nodes:
        finding, status = _node(session, node)
        yield finding
        if status is not None:
            statuses.append(status)
    if not statuses:
        return
    yield _chain(profile, statuses)
    yield _agreement(statuses)
    yield _clock(statuses)
    if profile.key_file:
        yield _key(session, profile)
    if profile.path is not None:
        waiting = sum(1 for _ in session.outbox().all())
        said = f"{waiting} transactions wait: farmgate outbox send" if waiting else "empty"
        yield Finding("outbox", True if not waiting else None, said)


def _node(session: Session, node: str) -> tuple[Finding, Status | None]:
    from cli.answers import Status
    from cli.client import Client

    try:
        status = Client([node], min(session.timeout_seconds, WAIT_SECONDS_MAX)).get("/v1/status", Status)
    except Failure as problem:
        return Finding(node, False, problem.message), None
    said = f"{status.node} ({status.role}) at height {status.height}"
    if status.lag_blocks:
        return Finding(node, None, f"{said}, {status.lag_blocks} blocks behind"), status
    return Finding(node, not status.reason, f"{said}; {status.reason}" if status.reason else said), status


def _chain(profile: Profile, statuses: list[Status]) -> Finding:
    chains = sorted({status.chain_id for status in statuses} | ({profile.chain_id} - {""}))
    if len(chains) > 1:
        return Finding("chain", False, f"profile and nodes are of different chains: {', '.join(chains)}")
    return Finding("chain", True, chains[0])


def _agreement(statuses: list[Status]) -> Finding:
    """Two nodes at one height must hold the same block and state."""
    at: dict[int, set[tuple[str, str]]] = {}
    for status in statuses:
        at.setdefault(status.height, set()).add((status.block_id, status.state_root))
    split = [height for height, found in at.items() if len(found) > 1]
    if split:
        return Finding("agreement", False, f"nodes hold different blocks or states at height {split[0]}")
    return Finding("agreement", True, f"heights {min(at)} to {max(at)}, one block at each")


def _clock(statuses: list[Status]) -> Finding:
    ahead_ms = max(status.time_ms for status in statuses) - time.time_ns() // 1_000_000
    if ahead_ms > CLOCK_SLACK_MS:
        return Finding("clock", False, f"this machine's clock is {ahead_ms // 1000} s behind the chain's")
    return Finding("clock", True, "not behind the chain's")


def _key(session: Session, profile: Profile) -> Finding:
    from cli.answers import Key
    from ledger.errors import LedgerError

    try:
        public = session.key().public.hex()
        found = session.client.get(f"/v1/keys/{public}", Key)
    except LedgerError as problem:
        return Finding("key", False, f"{profile.key_file}: {problem.message}")
    if found.revoked_height:
        return Finding("key", False, f"{found.label} was revoked at height {found.revoked_height}")
    if profile.organisation and found.organisation != profile.organisation:
        return Finding("key", False, f"it is a key of {found.organisation}, not of {profile.organisation}")
    return Finding("key", True, f"{found.label} of {found.organisation}: {', '.join(found.roles)}")
