"""Lying peer: answers who asks for bodies and blocks with wrong ones, and boasts of heights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from ledger.block import Block
from ledger.consensus.messages import StatusMessage
from ledger.vote import Certificate, Vote, VoteKind
from network.adversaries.adversary import Adversary
from network.simulator.mail import BodyReply, BodyRequest, ChainReply, ChainRequest, Mail

BOAST_VIEWS: Final = 500
ASKED_MAX: Final = 500
FORGERIES: Final = 0.3  # of the answers: the right blocks under a finalization that nobody signed


class LyingPeer(Adversary):
    """Each answer is another lie: another body under the header, the blocks of nobody, too few, too many,
    out of order, at a height that none has, under a finalization that nobody signed."""

    def answer(self, sender: int, mail: BodyRequest | ChainRequest) -> Iterable[Mail]:
        """The next lie."""
        self.lies += 1
        if isinstance(mail, BodyRequest):
            body = self.hands.chain().body(mail.block_id)
            return () if body is None else (BodyReply(self._altered(body)),)
        return self._wrong_chain(mail)

    def moment(self) -> None:
        """Claim to be far ahead."""
        view = self.hands.state().view + BOAST_VIEWS
        self.tell_all(StatusMessage(self.hands.epoch, view, view - 1, view - 1))

    def _altered(self, body: Block) -> Block:
        """The right header over another body; or the right body under another header."""
        own = (b"false" + self.hands.random.randbytes(11),)
        if self.hands.random.random() < 0.5:
            return Block(body.header, body.last_certificate, own)
        header = msgspec.structs.replace(body.header, height=body.header.height + 1)
        return Block(header, body.last_certificate, body.transactions)

    def _wrong_chain(self, mail: ChainRequest) -> Iterable[Mail]:
        random, committed = self.hands.random, self.hands.chain().disk.committed
        blocks = tuple(each.block for each in committed[mail.after_height + 1 :][:ASKED_MAX])
        if not blocks:
            return ()
        wanted = mail.finalization
        altered = (*blocks[:-1], self._altered(blocks[-1]))
        forgery = self._forged(wanted)
        if random.random() < FORGERIES:
            return (ChainReply(blocks, forgery),)
        lies: tuple[tuple[tuple[Block, ...], Certificate], ...] = (
            (altered, wanted),
            (tuple(self._altered(block) for block in blocks), wanted),
            (blocks[:-1], wanted),
            (blocks[::-1], wanted),
            (blocks[1:], wanted),
            ((*blocks, self._altered(blocks[-1])), wanted),
            (altered, forgery),
        )
        return (ChainReply(*random.choice(lies)),)

    def _forged(self, wanted: Certificate) -> Certificate:
        """A finalization of the same vote that only this node signed; the places of others are filled."""
        vote: Vote = wanted.vote
        own = self.hands.vote(vote.view, VoteKind.FINALIZE, vote.block_id).signature
        return Certificate(vote, tuple((index, own) for index in range(len(self.hands.validators))))
