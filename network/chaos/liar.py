"""A real process whose node tells one chosen lie with its own key, on test networks only.

    python -m network.chaos.liar --home HOME --lie two_proposals [--apart]

The node is the ordinary one, with its disk, sockets and signer, which refuses to sign twice; so the lie
stands on its wire, and signs with the key itself. A liar reports nobody: accusations do not get to its node.
Each lie is named after the offence that it is, and told in every view that gives occasion to it: to everyone,
or apart, so that each half of the others hears one of two statements only.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from ledger.block import block_id
from ledger.consensus.messages import (
    ProposalMessage,
    VotesMessage,
    decode_message,
    encode_message,
)
from ledger.crypto import KeyPair
from ledger.errors import LedgerError
from ledger.evidence import Offence
from ledger.vote import Proposal, SignedProposal, SignedVote, Vote, VoteKind, sign_proposal, sign_vote
from network.adversaries.lying_wire import Lie, LyingTransport
from node.genesis_file import read_genesis
from node.home import Home
from node.keys import KeyName, read_key
from node.logging import log, logger
from node.p2p.messages import Accusations, CompactProposal, Consensus, Message
from node.p2p.transport import Transport
from node.process import run_node

LOG: Final = logger("liar")

Alter = Callable[[Vote], Sequence[Vote]]


class ConsensusLie(Lie):
    """A lie about votes or proposals. It keeps its first place in the log, and every later one."""

    def __init__(self, key: KeyPair, offence: Offence, *, is_apart: bool = False) -> None:
        super().__init__()
        self._key = key
        self._offence = offence
        self._is_apart = is_apart
        self._peers: list[bytes] = []  # in the order in which they were first lied to
        self._place = (0, 0)

    def is_heard(self, message: Message) -> bool:
        """All but what accuses it."""
        return not isinstance(message, Accusations)

    def shown(self, pair: Sequence[Message], receiver: bytes) -> Sequence[Message]:
        """Both statements of a pair, or the one that this half of the others is to hear."""
        if receiver not in self._peers:
            self._peers.append(receiver)
        return (pair[self._peers.index(receiver) % 2],) if self._is_apart else pair

    def tell(self, of: Vote | Proposal) -> None:
        """Take note of a lie, each view once."""
        if (of.epoch, of.view) != self._place:
            self._place = (of.epoch, of.view)
            self.told += 1
            log(LOG, logging.WARNING, "lie", offence=self._offence.value, epoch=of.epoch, view=of.view)


class VoteLie(ConsensusLie):
    """Says other votes in the place of one kind of its own; what `alter` answers is signed as it is."""

    def __init__(self, key: KeyPair, offence: Offence, *, is_apart: bool = False) -> None:
        super().__init__(key, offence, is_apart=is_apart)
        kind, alter = _VOTES[offence]
        self._kind = kind
        self._alter = alter

    def outgoing(self, message: Message, receiver: bytes) -> Iterable[Message]:
        """Votes that no correct validator casts together."""
        if not isinstance(message, Consensus):
            return (message,)
        said = decode_message(message.payload)
        if not isinstance(said, VotesMessage):
            return (message,)
        return [each for signed in said.votes for each in self._told(signed, receiver)]

    def _told(self, signed: SignedVote, receiver: bytes) -> Sequence[Message]:
        if signed.vote.kind is not self._kind:
            return (_message(signed),)
        self.tell(signed.vote)
        votes = self._alter(signed.vote)
        signatures = [sign_vote(self._key, vote) for vote in votes]
        pair = [
            _message(SignedVote(vote, signed.validator, signature))
            for vote, signature in zip(votes, signatures, strict=True)
        ]
        return self.shown(pair, receiver)


class TwoProposals(ConsensusLie):
    """Leading, it proposes the same transactions a millisecond later too."""

    def outgoing(self, message: Message, receiver: bytes) -> Iterable[Message]:
        """Its own proposal, and the twin."""
        said = _proposal_in(message)
        if said is None:
            return (message,)
        self.tell(said.signed.proposal)
        header = msgspec.structs.replace(said.header, time_ms=said.header.time_ms + 1)
        twin = msgspec.structs.replace(said.signed.proposal, block_id=block_id(header))
        signed = SignedProposal(twin, said.signed.validator, sign_proposal(self._key, twin))
        other = _with(message, msgspec.structs.replace(said, signed=signed, header=header))
        return self.shown((message, other), receiver)


class OutOfTurn(ConsensusLie):
    """Proposes what the leader has proposed as its own, together with its vote for it."""

    def __init__(self, key: KeyPair, offence: Offence) -> None:
        super().__init__(key, offence)  # one statement is all that it takes
        self._heard: tuple[Message, ProposalMessage] | None = None

    def is_heard(self, message: Message) -> bool:
        """Remember the last proposal."""
        said = _proposal_in(message)
        if said is not None:
            self._heard = message, said
        return super().is_heard(message)

    def outgoing(self, message: Message, receiver: bytes) -> Iterable[Message]:
        """A vote, and before it the proposal that it is for under the wrong name."""
        vote = _notarize_vote_in(message)
        if vote is None or self._heard is None:
            return (message,)
        heard, said = self._heard
        proposal = said.signed.proposal
        if said.signed.validator == vote.validator or proposal.block_id != vote.vote.block_id:
            return (message,)
        self.tell(proposal)
        signed = SignedProposal(proposal, vote.validator, sign_proposal(self._key, proposal))
        return (_with(heard, msgspec.structs.replace(said, signed=signed)), message)


def lie_of(offence: Offence, key: KeyPair, *, is_apart: bool = False) -> ConsensusLie:
    """The lie that is this offence."""
    match offence:
        case Offence.TWO_PROPOSALS:
            return TwoProposals(key, offence, is_apart=is_apart)
        case Offence.PROPOSAL_OUT_OF_TURN:
            return OutOfTurn(key, offence)
        case _:
            return VoteLie(key, offence, is_apart=is_apart)


def _another(vote: Vote, kind: VoteKind) -> Vote:
    """A vote in the same view for a block that nobody has."""
    other = sha256(b"another block" + (vote.block_id or b"")).digest()
    return msgspec.structs.replace(vote, kind=kind, block_id=other)


# Of two votes of one kind the first counts: the made-up one goes where it can't lend a quorum its weight, so
# that the honest signer inside never meets its own key in a certificate over what it did not sign.
_VOTES: Final[dict[Offence, tuple[VoteKind, Alter]]] = {
    Offence.TWO_NOTARIZE_VOTES: (
        VoteKind.NOTARIZE,
        lambda vote: (vote, _another(vote, VoteKind.NOTARIZE)),
    ),
    Offence.TWO_FINALIZE_VOTES: (  # the notarize vote stays away, or another pair would be found first
        VoteKind.NOTARIZE,
        lambda vote: (
            _another(vote, VoteKind.FINALIZE),
            msgspec.structs.replace(vote, kind=VoteKind.FINALIZE),
        ),
    ),
    Offence.NULLIFY_AND_FINALIZE: (
        VoteKind.FINALIZE,
        lambda vote: (vote, msgspec.structs.replace(vote, kind=VoteKind.NULLIFY, block_id=None)),
    ),
    Offence.NOTARIZE_AND_FINALIZE: (
        VoteKind.NOTARIZE,
        lambda vote: (vote, _another(vote, VoteKind.FINALIZE)),
    ),
}


def _message(signed: SignedVote) -> Message:
    return Consensus(encode_message(VotesMessage((signed,))))


def _proposal_in(message: Message) -> ProposalMessage | None:
    if not isinstance(message, CompactProposal | Consensus):
        return None
    said = decode_message(message.payload)
    return said if isinstance(said, ProposalMessage) else None


def _notarize_vote_in(message: Message) -> SignedVote | None:
    said = decode_message(message.payload) if isinstance(message, Consensus) else None
    if not isinstance(said, VotesMessage):
        return None
    return next((signed for signed in said.votes if signed.vote.kind is VoteKind.NOTARIZE), None)


def _with(message: Message, proposal: ProposalMessage) -> Message:
    """The message with another proposal in it."""
    assert isinstance(message, CompactProposal | Consensus)
    return msgspec.structs.replace(message, payload=encode_message(proposal))


def run_liar(home: Path, offence: Offence, *, is_apart: bool) -> int:
    """Run the node of a home as a liar until it is told to stop; answers the process's exit code.

    Raises:
        LedgerError: `chaos.real_network`; or the home can't be read.
    """
    place = Home(home)
    if not read_genesis(place.genesis).is_test_network:
        raise LedgerError("chaos.real_network", "a liar runs on test networks only")
    lie = lie_of(offence, read_key(place.keys, KeyName.VALIDATOR), is_apart=is_apart)

    def through(transport: Transport) -> Transport:
        return LyingTransport(transport, lie)

    return run_node(home, {}, through)


def main(words: Sequence[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="network.chaos.liar", description="Run a validator that lies.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--lie", type=Offence, choices=list(Offence), required=True)
    parser.add_argument("--apart", action="store_true")
    chosen = parser.parse_args(words)
    try:
        return run_liar(chosen.home, chosen.lie, is_apart=chosen.apart)
    except LedgerError as refusal:
        sys.stderr.write(f"liar: {refusal}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
