"""Forger: votes and certificates that look right and are not."""

from __future__ import annotations

from ledger.block import block_id
from ledger.consensus.messages import CertificatesMessage, VotesMessage
from ledger.types import BlockId
from ledger.vote import Certificate, SignedVote, Vote, VoteKind
from network.adversaries.adversary import Adversary, Hands


class Forger(Adversary):
    """Each time it makes another forgery, of the view in force or for a block of its own on the final one:
    forged, repeated, unknown, too few or borrowed signatures, and votes in the name of others."""

    def __init__(self, hands: Hands) -> None:
        super().__init__(hands)
        self._turn = hands.random.randrange(6)

    def moment(self) -> None:
        """Send one forgery to everyone."""
        self._turn += 1
        vote = self._target()
        match self._turn % 6:
            case 0:
                everyone = range(len(self.hands.validators))
                self._certificate(vote, tuple((index, self.hands.random.randbytes(64)) for index in everyone))
            case 1:
                mine = (self.hands.index, self._own(vote))
                self._certificate(vote, (mine,) * len(self.hands.validators))
            case 2:
                first = len(self.hands.validators)
                unknown = tuple((index, self._own(vote)) for index in range(first, first + 3 * first))
                self._certificate(vote, unknown)
            case 3:
                self._certificate(vote, ((self.hands.index, self._own(vote)),))
            case 4:
                everyone = range(len(self.hands.validators))
                self._certificate(vote, tuple((index, self._own(vote)) for index in everyone))
            case _:
                for victim in self.hands.others:
                    self.tell_all(VotesMessage((SignedVote(vote, victim, self._own(vote)),)))

    def _target(self) -> Vote:
        """What it would like to be believed: a nullified view, or a block of its own notarized or final."""
        hands, state = self.hands, self.hands.state()
        kind = hands.random.choice(list(VoteKind))
        if kind is VoteKind.NULLIFY:
            return Vote(hands.chain_id, state.epoch, state.view, kind, None)
        block = hands.block_on(BlockId(state.certificates.final_id))
        identifier = state.certificates.final_id if block is None else block_id(block.header)
        return Vote(hands.chain_id, state.epoch, state.view, kind, identifier)

    def _own(self, vote: Vote) -> bytes:
        return self.hands.vote(vote.view, vote.kind, vote.block_id).signature

    def _certificate(self, vote: Vote, signatures: tuple[tuple[int, bytes], ...]) -> None:
        self.tell_all(CertificatesMessage((Certificate(vote, signatures),)))
