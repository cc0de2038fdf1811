"""Why the chain does not advance as seen from one node, in one sentence: a function of what the node knows.

It names the first thing that somebody has to look at, and who. It decides nothing: consensus does not
read it. An idle chain is well.

Source: docs/reference/api.md, `reason` of the status.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from contracts.staking.records import offences
from contracts.staking.standing import Status, standings
from ledger.consensus.blocks import BodyState
from ledger.consensus.state import State
from ledger.state import StateView
from ledger.types import BlockId, Height, View
from ledger.vote import VoteKind

BY_ITSELF: Final = "it will again, by itself, when the network has made a few blocks without it"
RESET: Final = "`ledger-node history reset` when no other process holds the key"
RECOVER: Final = "; if they lost their records, the operators decide: docs/how-to/recover-a-stuck-chain.md"
SLASHED: Final = "this node's key was proved to have signed against the rules: it never votes again"
NOT_SIGNING: Final = {  # why a validator with a key does not sign, and what ends that
    "signer.not_started": "it starts",
    "signer.listening": "it has just started and waits to hear where the others stand",
    "signer.no_record": f"the record of what its key signed is missing (signer.no_record); {BY_ITSELF}",
    "signer.other_chain": f"its record is of another chain (signer.other_chain); {BY_ITSELF}",
    "signer.other_key": f"its record is of another key (signer.other_key); {BY_ITSELF}",
    "signer.other_host": f"its home was copied or restored (signer.other_host); {BY_ITSELF}",
    "signer.floor_below_store": f"its record lies below its blocks (signer.floor_below_store); {BY_ITSELF}",
    "signer.old_record": f"its key has signed what its record does not hold (signer.old_record); {BY_ITSELF}",
    "signer.handed_over": "its record was exported (signer.handed_over); it signs where that was imported",
    "signer.reported": "its record was lost; it reported for a recovery and waits for it (signer.reported)",
    "signer.second_holder": f"another process signed with its key (signer.second_holder); {RESET}",
}


class Voter(NamedTuple):
    """A validator in force: whether it is here (this node, or connected), and voted in this view."""

    name: str
    stake: int
    is_here: bool
    has_voted: bool


class Looked(NamedTuple):
    """What consensus tells of the view in force.

    is_stuck: there is something to do, and the view is older than a view may be. voted: indices of who voted
    to leave it. missing: a certified block whose body is looked for. early_ms: by how much the proposed
    block lies ahead of this node's clock.
    """

    view: View
    is_stuck: bool
    voted: frozenset[int]
    missing: BlockId | None
    early_ms: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a node knows that bears on whether the chain advances. `hears_votes`: observers are sent none."""

    is_disk_full: bool
    regaining: Height | None
    refused: str  # what a peer said that refuses this node
    not_signing: str  # a `signer.*` code, or ""
    standing: str  # why this validator's key has no vote by the chain itself, or ""
    voters: tuple[Voter, ...]
    quorum: int
    total: int
    leader: str
    looked: Looked | None
    hears_votes: bool


def why(outlook: Outlook) -> str:
    """One sentence where the chain does not advance, or this node does not vote; else nothing."""
    if outlook.is_disk_full:
        return "this node does not vote: its disk is nearly full"
    if outlook.regaining is not None:
        return (
            f"this node does not take part yet: blocks up to height {outlook.regaining} were lost, "
            "it fetches them"
        )
    if outlook.refused:
        return outlook.refused  # whatever else is missing follows from that
    others = _no_quorum(outlook)
    if outlook.not_signing:
        own = f"this node does not vote: {NOT_SIGNING.get(outlook.not_signing, outlook.not_signing)}"
        return f"{own}; and {others}" if others else own
    if others:
        return others
    if outlook.standing:
        return outlook.standing
    return _stuck(outlook)


def refusal(code: str, message: str) -> str:
    """What it says of this node that nobody is connected to it; nothing where that only shows that others are
    away."""
    match code:
        case "peer.refused":
            return message
        case "handshake.wrong_chain" | "handshake.wrong_genesis":
            return (
                f"no peer is on this node's chain ({code}, {message}): compare its genesis.json with theirs"
            )
        case _:
            return ""


def _no_quorum(outlook: Outlook) -> str:
    """Who is missing where those who are here, or vote, are no quorum."""
    missing = [each for each in outlook.voters if not each.is_here]
    connected = outlook.total - _stake(missing)
    if connected < outlook.quorum:
        return (
            f"no block can become final: connected to {connected} of {outlook.total} units of stake, "
            f"{outlook.quorum} are needed; missing: {_names(missing)}"
        )
    looked = outlook.looked
    if looked is None or not looked.is_stuck or not outlook.hears_votes:
        return ""
    silent = [each for each in outlook.voters if not each.has_voted]
    voting = outlook.total - _stake(silent)
    if voting >= outlook.quorum:
        return ""
    mute = [each for each in silent if each.is_here]
    counts = f"{voting} of {outlook.total} units of stake vote, {outlook.quorum} are needed"
    said = f"no block can become final: {counts}"
    if missing:
        said += f"; missing: {_names(missing)}"
    said += f"; here and silent: {_names(mute)} (`ledger-node doctor` there says why)"
    return said + RECOVER if 3 * _stake(mute) > outlook.total else said


def _stuck(outlook: Outlook) -> str:
    looked = outlook.looked
    if looked is None:
        return ""
    if looked.early_ms > 0:
        return (
            f"the block that {outlook.leader} proposes is {looked.early_ms / 1000:.1f} s ahead of this "
            "host's clock: one of the two is wrong, set it by NTP"
        )
    if looked.missing is not None and looked.is_stuck:
        return f"block {looked.missing.hex()[:16]} is certified and nobody who is connected has its body"
    return ""


def look(state: State) -> Looked:
    """What a machine tells of its view."""
    deadline_ms = state.pacemaker.advance_timeout_at_ms(state.distance)
    voted = frozenset(index for index in range(len(state.validators)) if _has_left(state, index))
    missing = [
        known.block_id
        for known in state.blocks.all()
        if known.is_certified and known.is_waiting and known.state is BodyState.WANTED
    ]
    early_ms = 0 if state.timely_at_ms is None else max(0, state.timely_at_ms - state.now_ms)
    drift_ms = state.parameters.drift_ms if early_ms else 0
    return Looked(
        state.view,
        state.is_due(deadline_ms),
        voted,
        missing[0] if missing else None,
        early_ms + drift_ms,
    )


def _has_left(state: State, index: int) -> bool:
    """Whether a validator did its part to get out of the view in force: past its time that is a nullify or a
    finalize vote. A notarize vote alone may be from before it fell silent."""
    here = any(
        state.tally.has_voted(state.view, kind, index) for kind in (VoteKind.NULLIFY, VoteKind.FINALIZE)
    )
    return here or any(state.tally.has_voted(View(state.view + 1), kind, index) for kind in VoteKind)


def standing_of(world: StateView, node: str) -> str:
    """Why the chain itself gives the key of this validator's node no vote; nothing where it has one."""
    if any(each.node == node for each in offences(world)):
        return SLASHED
    found = next((each for each in standings(world) if each.bond.node == node), None)
    if found is None:
        return "this node's key has no stake: the consortium admits it by a ballot (farmgate validator)"
    if found.stake:
        return ""
    match found.status:
        case Status.SLASHED:
            return SLASHED
        case Status.JAILED:
            return (
                f"this node's key was absent too long and is jailed: from epoch {found.bond.jailed_until} on "
                "its organisation may ask for the way back (farmgate validator unjail)"
            )
        case Status.LEAVING:
            return (
                "this node's key has left the validator set: its organisation or the consortium took it out"
            )
        case Status.JOINING | Status.ACTIVE:
            return (
                f"this node's key has no vote yet: it gets up to {found.next_stake} units at the next turns"
            )


def _stake(voters: Sequence[Voter]) -> int:
    return sum(each.stake for each in voters)


def _names(voters: Sequence[Voter]) -> str:
    return ", ".join(f"{each.name} ({each.stake})" for each in voters)
