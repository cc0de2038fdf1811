"""Every signed statement that a network left behind, and the pairs that no honest validator may sign.

The list of pairs is written here once more, apart from `ledger.evidence`: a checker that shares a predicate
with what it checks shares its mistakes.

Source: docs/spec/consensus.md, S1-S3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ledger.vote import Certificate, SignedProposal, SignedVote, VoteKind

PROPOSE = "propose"


@dataclass(frozen=True, slots=True)
class Statement:
    """What a validator (by its index in the set of `epoch`) signed. `block_id` is None for no block."""

    epoch: int
    validator: int
    view: int
    kind: str
    block_id: bytes | None


@dataclass(frozen=True, slots=True)
class Conflict:
    """What a validator (by its index in the set of `epoch`) must not have signed, in words."""

    epoch: int
    validator: int
    problem: str


def of_vote(signed: SignedVote) -> Statement:
    """The statement of a vote."""
    vote = signed.vote
    return Statement(vote.epoch, signed.validator, vote.view, vote.kind.name.lower(), vote.block_id)


def of_proposal(signed: SignedProposal) -> Statement:
    """The statement of a proposal."""
    proposal = signed.proposal
    return Statement(proposal.epoch, signed.validator, proposal.view, PROPOSE, proposal.block_id)


def of_certificate(certificate: Certificate) -> Iterator[Statement]:
    """The statement of each signer."""
    vote = certificate.vote
    for validator, _ in certificate.signatures:
        yield Statement(vote.epoch, validator, vote.view, vote.kind.name.lower(), vote.block_id)


class Ledger:
    """All statements that were ever seen, by who made them and in which view."""

    def __init__(self) -> None:
        self._said: dict[tuple[int, int, int], set[tuple[str, bytes | None]]] = {}

    def add(self, statement: Statement) -> None:
        """Take note; the same statement again is nothing new."""
        place = statement.epoch, statement.view, statement.validator
        self._said.setdefault(place, set()).add((statement.kind, statement.block_id))

    @property
    def count(self) -> int:
        """How many different statements there are."""
        return sum(len(said) for said in self._said.values())

    def conflicts(self) -> Iterator[Conflict]:
        """Each view in which one validator signed what excludes each other."""
        for (epoch, view, validator), said in sorted(self._said.items()):
            named: dict[str, set[bytes]] = {}
            for kind, block_id in said:
                named.setdefault(kind, set()).add(block_id or b"")
            for problem in _problems(named):
                yield Conflict(epoch, validator, f"in epoch {epoch}, view {view}: {problem}")


def _problems(named: dict[str, set[bytes]]) -> Iterator[str]:
    notarize, nullify, finalize = (kind.name.lower() for kind in VoteKind)
    for kind in (PROPOSE, notarize, finalize):
        if len(named.get(kind, ())) > 1:
            shown = ", ".join(sorted(each.hex()[:12] for each in named[kind]))
            yield f"{kind} of {len(named[kind])} blocks ({shown})"
    if named.get(finalize) and nullify in named:
        yield f"{nullify} and {finalize}"
    final, first = named.get(finalize, set()), named.get(notarize, set())
    if len(final) == 1 and len(first) == 1 and final != first:
        yield f"{notarize} of one block, {finalize} of another"
