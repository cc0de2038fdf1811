"""What a lie may do, and the hands it has.

An adversary runs a puppet: an honest machine that keeps it in step with the others. The lie
stands between the puppet and the wire. It may swallow what the puppet says, say something else,
say more, and sign whatever it likes: its signing keeps no record and no promise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from random import Random

from ledger.block import Block
from ledger.consensus.messages import Message
from ledger.consensus.state import State
from ledger.crypto import KeyPair
from ledger.types import BlockId, ChainId, Epoch, View
from ledger.validators import ValidatorSet, leader
from ledger.vote import (
    Certificate,
    Proposal,
    SignedProposal,
    SignedVote,
    Vote,
    VoteKind,
    sign_proposal,
    sign_vote,
)
from network.simulator.chain import Chain, block_on
from network.simulator.mail import BodyRequest, ChainRequest, Mail


@dataclass(frozen=True, slots=True)
class Hands:
    """What an adversary has: a key, a place in the set, a wire, and all that its puppet knows.

    `say` sends a message to one peer, past the lie, `post` any mail. `archive` are certificates that
    the same keys signed on another chain and in another epoch. `keys_held` are those that it signs with, its
    own and those of who conspires with it. Peers and validators have their numbers of the puppet's epoch.
    """

    chain_id: ChainId
    random: Random
    state: Callable[[], State]
    chain: Callable[[], Chain]
    wall_ms: Callable[[], int]
    say: Callable[[int, Message], None]
    post: Callable[[int, Mail], None]
    archive: tuple[Certificate, ...]
    keys_held: tuple[KeyPair, ...]

    @property
    def epoch(self) -> Epoch:
        """The epoch that the puppet is in."""
        return self.state().epoch

    @property
    def validators(self) -> ValidatorSet:
        """The set of that epoch."""
        return self.state().validators

    @property
    def index(self) -> int:
        """Its own index in the set."""
        me = self.state().me
        assert me is not None, "liars keep their stake"
        return me

    @property
    def keys(self) -> Mapping[int, KeyPair]:
        """The keys by index in the set."""
        found = ((self.validators.index_of(key.public), key) for key in self.keys_held)
        return {index: key for index, key in found if index is not None}

    @property
    def others(self) -> Iterator[int]:
        """All other validators."""
        return (index for index in range(len(self.validators)) if index != self.index)

    def leader(self, view: View) -> int:
        """Who leads a view."""
        return leader(self.chain_id, self.epoch, view, self.validators)

    def vote(self, view: int, kind: VoteKind, block: bytes | None, signer: int | None = None) -> SignedVote:
        """A vote of its own or of an ally, whatever was voted before."""
        index = self.index if signer is None else signer
        vote = Vote(self.chain_id, self.epoch, view, kind, block)
        return SignedVote(vote, index, sign_vote(self.keys[index], vote))

    def proposal(
        self, view: int, parent_view: int, block: bytes, signer: int | None = None
    ) -> SignedProposal:
        """A proposal of its own or of an ally, whatever was proposed before."""
        index = self.index if signer is None else signer
        proposal = Proposal(self.chain_id, self.epoch, view, parent_view, block)
        return SignedProposal(proposal, index, sign_proposal(self.keys[index], proposal))

    def block_on(self, parent: BlockId) -> Block | None:
        """A valid block on a parent that the puppet holds, unlike any that others build."""
        chain = self.chain()
        below = chain.body(parent)
        if below is None:
            return None
        own = b"liar" + self.random.randbytes(8)
        time_ms = max(below.header.time_ms + 1, self.wall_ms())
        block = block_on(below.header, time_ms, b"", (own,))
        chain.keep(block)
        return block


class Adversary:
    """The honest puppet's mouth: passes everything on. Each lie overrides what it needs."""

    def __init__(self, hands: Hands) -> None:
        self.hands = hands
        self.lies = 0
        self.is_serving = hands.random.random() < 0.5  # whether it gives out bodies and blocks

    def outgoing(self, receiver: int, message: Message) -> Iterable[Message]:
        """What this peer gets in place of what the puppet says."""
        return (message,)

    def heard(self, sender: int, message: Message) -> None:
        """A message came to the puppet."""

    def moment(self) -> None:
        """Some time has passed: the chance to speak unasked."""

    def answer(self, sender: int, mail: BodyRequest | ChainRequest) -> Iterable[Mail] | None:
        """What a peer gets that asks for a body or for blocks; None: what the puppet would give."""
        return None if self.is_serving else ()

    def epoch_ended(self) -> None:
        """Views are counted anew."""

    def is_welcome(self, transaction: bytes) -> bool:
        """Whether a transaction may get into this node's blocks and gossip."""
        return True

    def tell(self, receiver: int, message: Message) -> None:
        """Say something that the puppet never would."""
        self.lies += 1
        self.hands.say(receiver, message)

    def tell_all(self, message: Message) -> None:
        """Tell everyone the same."""
        for receiver in self.hands.others:
            self.tell(receiver, message)
