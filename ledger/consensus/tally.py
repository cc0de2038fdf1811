"""Counting verified votes by stake, once a validator, and noticing who votes twice.

The first vote of a validator in a view and kind counts; a second one for another block is
evidence and counts for nothing. The caller bounds the views, so memory is bounded by
views in the window, times kinds, times validators.

Source: docs/spec/consensus.md, rules T1-T4.
"""

from __future__ import annotations

from typing import Final

from ledger.evidence import vote_offence
from ledger.types import BlockId, Signature, Stake, View
from ledger.validators import ValidatorSet
from ledger.vote import Certificate, SignedVote, Vote, VoteKind

_Key = tuple[VoteKind, bytes | None]


class _ViewTally:
    """The votes of one view."""

    __slots__ = ("accused", "stakes", "votes")

    def __init__(self) -> None:
        self.votes: dict[VoteKind, dict[int, SignedVote]] = {kind: {} for kind in VoteKind}
        self.stakes: dict[_Key, int] = {}
        self.accused: dict[int, None] = {}


_NOBODY: Final = _ViewTally()  # a view of which no vote is counted; never written to


class Tally:
    """The votes from the last finalized view up. Every vote in it was verified."""

    def __init__(self, validators: ValidatorSet) -> None:
        self._validators = validators
        self._views: dict[View, _ViewTally] = {}

    def holds(self, signed: SignedVote) -> bool:
        """Whether exactly this vote is counted already: then there is nothing left to verify."""
        tally = self._views.get(View(signed.vote.view))
        return tally is not None and tally.votes[signed.vote.kind].get(signed.validator) == signed

    def add(
        self, signed: SignedVote, certified: SignedVote | None = None
    ) -> tuple[SignedVote, SignedVote] | None:
        """Count a verified vote; answers a forbidden pair, as `suspect`."""
        pair = self.suspect(signed, certified)
        tally = self._views.setdefault(View(signed.vote.view), _ViewTally())
        votes = tally.votes[signed.vote.kind]
        if signed.validator not in votes:
            votes[signed.validator] = signed
            key = (signed.vote.kind, signed.vote.block_id)
            tally.stakes[key] = tally.stakes.get(key, 0) + self._validators.stake(signed.validator)
        return pair

    def suspect(
        self, signed: SignedVote, certified: SignedVote | None
    ) -> tuple[SignedVote, SignedVote] | None:
        """A forbidden pair that a verified vote makes, the first of its validator in this view. Not counted.

        `certified` is a vote in a certificate that conflicts with it: who tells each half of the others
        something else is heard by one half directly, and through the certificate of the other.
        """
        tally = self._views.get(View(signed.vote.view), _NOBODY)
        conflicting = self._conflicting(tally, signed) or certified
        if conflicting is None or signed.validator in tally.accused:
            return None
        self._views.setdefault(View(signed.vote.view), _ViewTally()).accused[signed.validator] = None
        return conflicting, signed

    @staticmethod
    def _conflicting(tally: _ViewTally, signed: SignedVote) -> SignedVote | None:
        """A vote of the same validator that no correct validator casts besides this one."""
        for kind in VoteKind:
            held = tally.votes[kind].get(signed.validator)
            if held is not None and vote_offence(held.vote, signed.vote) is not None:
                return held
        return None

    def certificate(self, vote: Vote) -> Certificate | None:
        """The quorum certificate of this vote, if more than two thirds of the stake cast it."""
        tally = self._views.get(View(vote.view))
        if tally is None or not self._validators.is_quorum(tally.stakes.get((vote.kind, vote.block_id), 0)):
            return None
        votes = tally.votes[vote.kind]
        signers = sorted(index for index, signed in votes.items() if signed.vote == vote)
        return Certificate(vote, tuple((index, votes[index].signature) for index in signers))

    def signatures(self, vote: Vote) -> dict[int, Signature]:
        """Who cast exactly this vote, with their signatures."""
        tally = self._views.get(View(vote.view))
        held = {} if tally is None else tally.votes[vote.kind]
        return {index: Signature(signed.signature) for index, signed in held.items() if signed.vote == vote}

    def stake(self, view: View, kind: VoteKind, block_id: BlockId | None) -> Stake:
        """The stake that cast this vote."""
        tally = self._views.get(view)
        return Stake(0 if tally is None else tally.stakes.get((kind, block_id), 0))

    def stake_moved(self, view: View) -> Stake:
        """The stake that voted to notarize or to nullify in this view, each validator once."""
        tally = self._views.get(view)
        if tally is None:
            return Stake(0)
        moved = {**tally.votes[VoteKind.NOTARIZE], **tally.votes[VoteKind.NULLIFY]}
        return Stake(sum(self._validators.stake(index) for index in moved))

    def has_voted(self, view: View, kind: VoteKind, validator: int) -> bool:
        """Whether this validator's vote of this kind is counted."""
        tally = self._views.get(view)
        return tally is not None and validator in tally.votes[kind]

    def prune(self, view: View) -> None:
        """Forget the votes below a finalized view; those of the view itself fill its certificate."""
        for old in [held for held in self._views if held < view]:
            del self._views[old]

    def __len__(self) -> int:
        return sum(len(votes) for tally in self._views.values() for votes in tally.votes.values())
