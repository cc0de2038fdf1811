"""The readable log of a run: one line a step, with time, node, what came and what it led to."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.consensus.events import (
    Broadcast,
    Build,
    Built,
    Check,
    Checked,
    Commit,
    Effect,
    Entered,
    EpochBegun,
    EpochEnded,
    Fetch,
    Input,
    Persist,
    Received,
    Send,
    TransactionsPending,
    WakeAt,
)
from ledger.consensus.messages import (
    CertificateRequest,
    CertificatesMessage,
    Message,
    ProposalMessage,
    StatusMessage,
    VotesMessage,
)
from ledger.consensus.records import (
    HeldCertificate,
    HeldProposal,
    OwnProposal,
    OwnVote,
    Record,
)
from ledger.errors import LedgerError
from ledger.vote import Certificate, Proposal, Vote, VoteKind

SHOWN_MAX: Final = 3  # of a page; the rest is counted
HEAD_BYTES_MAX: Final = 4_096
CERTIFICATE_NAMES: Final = {
    VoteKind.NOTARIZE: "notarization",
    VoteKind.NULLIFY: "nullification",
    VoteKind.FINALIZE: "finalization",
}

Watch = Callable[[int, int | None, Input | str, Sequence[Effect | str]], None]
"""Told of each step of a run: its number, its place (None: all of them), what came in and what it led to.
Whatever no machine hears or does, a death or an incident, is in words already."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first line: which run this is."""

    seed: int
    nodes: int
    scenario: str

    def line(self) -> str:
        """As JSON."""
        return json.dumps({"seed": self.seed, "nodes": self.nodes, "scenario": self.scenario})


def line_of(
    number: int, now_ms: int, place: int | None, event: Input | str, effects: Sequence[Effect | str]
) -> str:
    """One step."""
    where = "all" if place is None else f"n{place}"
    led_to = "; ".join(_effect(each) for each in effects) or "nothing"
    came = event if isinstance(event, str) and not effects else f"{_input(event)} -> {led_to}"
    return f"{number:>6} {now_ms / 1000:>10.3f} {where} {came}"


def tail_line(trace_hash: str) -> str:
    """The last line: the hash of everything that was done."""
    return f"trace {trace_hash}"


def read_head(first: str) -> Head:
    """Which run a log is of.

    Raises:
        LedgerError: `sim.log_malformed`.
    """
    try:
        said = json.loads(first[:HEAD_BYTES_MAX])
        head = Head(said["seed"], said["nodes"], said["scenario"])
    except (ValueError, KeyError, TypeError):
        raise LedgerError("sim.log_malformed", "the first line is not that of a log of a run") from None
    if not all(type(each) is int for each in (head.seed, head.nodes)) or type(head.scenario) is not str:
        raise LedgerError("sim.log_malformed", "seed and nodes are numbers, the scenario is a name")
    return head


def read_trace(last: str) -> str | None:
    """The hash on the last line, None where the log ends early."""
    found = re.fullmatch(r"trace ([0-9a-f]{64})\n?", last)
    return None if found is None else found[1]


# --- words ------------------------------------------------------------------------------


def _input(event: Input | str) -> str:
    match event:
        case str():
            return event
        case Received(peer, message):
            return f"from {peer}: {_message(message)}"
        case Built(view=view, header=header):
            return f"built for v{view}" if header is not None else f"cannot build for v{view}"
        case Checked(block_id, verdict):
            return f"checked {_short(block_id)}: {verdict.value}"
        case EpochBegun(epoch, validators):
            return f"epoch {epoch} begins with {len(validators)} validators"
        case TransactionsPending(pending):
            return "transactions wait" if pending else "no transactions wait"
        case _:
            return type(event).__name__.lower()


def _effect(effect: Effect | str) -> str:
    match effect:
        case str():
            return effect
        case Persist(records, bodies):
            return f"persist {_page([_record(each) for each in records])}" + " +body" * len(bodies)
        case Send(peer, message):
            return f"to {peer}: {_message(message)}"
        case Broadcast(message):
            return f"to all: {_message(message)}"
        case WakeAt(at_ms):
            return f"wake at {at_ms / 1000:.3f}"
        case Build(view=view, parent=parent):
            return f"build v{view} on {_short(parent.block_id)}"
        case Check(block_id) | Fetch(block_id):
            return f"{type(effect).__name__.lower()} {_short(block_id)}"
        case Commit(block_id, height):
            return f"COMMIT {height} {_short(block_id)}"
        case EpochEnded(epoch, base_id):
            return f"EPOCH {epoch} ENDED with {_short(base_id)}"
        case Entered(epoch=epoch, view=view, leader=leader):
            return f"ENTER e{epoch} v{view} led by {leader}"
        case _:
            return f"{type(effect).__name__.upper()} {_shown(effect)}".rstrip()


def _shown(effect: Effect) -> str:
    return " ".join(
        str(getattr(effect, name, "")) for name in ("code", "validator", "view", "reason")
    ).strip()


def _message(message: Message) -> str:
    match message:
        case ProposalMessage(signed=signed):
            return f"{_proposal(signed.proposal)} by {signed.validator}"
        case VotesMessage(votes=votes):
            return _page([f"{_vote(each.vote)} of {each.validator}" for each in votes])
        case CertificatesMessage(certificates=certificates):
            return _page([_certificate(each) for each in certificates])
        case CertificateRequest(wants=wants):
            return "wants " + _page([f"{CERTIFICATE_NAMES[each.kind]} v{each.view}" for each in wants])
        case StatusMessage(epoch=epoch, view=view, final_view=final_view):
            return f"at e{epoch} v{view}, final v{final_view}"


def _record(record: Record) -> str:
    match record:
        case OwnVote(signed=vote):
            return f"own {_vote(vote.vote)}"
        case OwnProposal(signed=proposal):
            return f"own {_proposal(proposal.proposal)}"
        case HeldCertificate(certificate=certificate):
            return _certificate(certificate)
        case HeldProposal(message=message):
            return f"held {_proposal(message.signed.proposal)}"
        case _:
            return f"{type(record).__name__} v{getattr(record, 'view', '?')}"


def _proposal(proposal: Proposal) -> str:
    return f"proposal v{proposal.view} {_short(proposal.block_id)} on v{proposal.parent_view}"


def _vote(vote: Vote) -> str:
    return f"{vote.kind.name.lower()} v{vote.view}" + (f" {_short(vote.block_id)}" if vote.block_id else "")


def _certificate(certificate: Certificate) -> str:
    block = f" {_short(certificate.block_id)}" if certificate.block_id else ""
    return f"{CERTIFICATE_NAMES[certificate.kind]} v{certificate.view}{block}"


def _short(identifier: bytes) -> str:
    return identifier[:4].hex()


def _page(items: Sequence[str]) -> str:
    def parts() -> Iterator[str]:
        yield from items[:SHOWN_MAX]
        if len(items) > SHOWN_MAX:
            yield f"{len(items) - SHOWN_MAX} more"

    return ", ".join(parts())
