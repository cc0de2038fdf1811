"""Counts where twins contradict each other: two honest nodes with one key, judged by nobody.

Each keeps its own promises; together they break them, and that is the adversary of a Twins run.
"""

from __future__ import annotations

from typing import Final

from ledger.codec import encode
from ledger.consensus.messages import Message, ProposalMessage, VotesMessage
from ledger.vote import VoteKind
from network.simulator.oracle import Deaf

EXCLUDED: Final = {
    VoteKind.NULLIFY.name: VoteKind.FINALIZE.name,
    VoteKind.FINALIZE.name: VoteKind.NULLIFY.name,
}


class TwinWatch(Deaf):
    """Hears what all twins say; `contradictions` are second statements in a validator's view that an honest
    validator makes only one of, or not beside the other."""

    def __init__(self) -> None:
        self.contradictions = 0
        self._said: dict[tuple[int, tuple[int, int]], dict[str, dict[bytes, None]]] = {}

    def said(self, index: int, message: Message, now_ms: int) -> None:
        """Compare with what either twin said before."""
        match message:
            case ProposalMessage(signed=signed) if signed.validator == index:
                self._note(
                    index, (signed.proposal.epoch, signed.proposal.view), "propose", encode(signed.proposal)
                )
            case VotesMessage(votes=votes):
                for signed_vote in votes:
                    vote = signed_vote.vote
                    if signed_vote.validator == index:
                        self._note(index, (vote.epoch, vote.view), vote.kind.name, vote.block_id or b"")
            case _:
                pass

    def _note(self, index: int, view: tuple[int, int], kind: str, value: bytes) -> None:
        said = self._said.setdefault((index, view), {})
        values = said.setdefault(kind, {})
        if value in values:
            return
        is_first_of_kind = not values
        values[value] = None
        self.contradictions += not is_first_of_kind or EXCLUDED.get(kind, "") in said
