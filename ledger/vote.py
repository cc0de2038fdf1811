"""Votes, certificates and proposals: everything that consensus signs.

Each signature covers chain, epoch, view, kind and block under a tag of its own, so that
none can be replayed in another place. A certificate is a vote that more than two thirds
of the stake signed.

Source: docs/spec/consensus.md, rules W1-W6.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from itertools import pairwise
from typing import Annotated

from msgspec import Meta

from ledger.codec import Canonical, encode
from ledger.crypto import KeyPair, Tag, is_signature, sign
from ledger.errors import LedgerError
from ledger.types import (
    VALIDATORS_MAX,
    BlockId,
    Bytes32,
    Bytes64,
    ChainId,
    Counter,
    Epoch,
    PublicKey,
    Signature,
    View,
)
from ledger.validators import ValidatorSet

ValidatorIndex = Annotated[int, Meta(ge=0, lt=VALIDATORS_MAX)]


class VoteKind(Enum):
    """What a vote says of a view: "I saw this block", "let us leave it", "it may be final"."""

    NOTARIZE = 1
    NULLIFY = 2
    FINALIZE = 3


class Vote(Canonical):
    """The signed content of a vote; `block_id` is None for NULLIFY and for nothing else."""

    chain_id: Bytes32
    epoch: Counter
    view: Counter
    kind: VoteKind
    block_id: Bytes32 | None


class SignedVote(Canonical):
    """A vote with the index and the signature of the validator that cast it."""

    vote: Vote
    validator: ValidatorIndex
    signature: Bytes64


class Certificate(Canonical):
    """A vote and the signatures of a quorum: (validator index, signature), indices strictly ascending."""

    vote: Vote
    signatures: Annotated[tuple[tuple[ValidatorIndex, Bytes64], ...], Meta(max_length=VALIDATORS_MAX)]

    @property
    def kind(self) -> VoteKind:
        """A notarization, nullification or finalization, by the votes in it."""
        return self.vote.kind

    @property
    def view(self) -> View:
        """The view that the votes are of."""
        return View(self.vote.view)

    @property
    def block_id(self) -> BlockId | None:
        """The block that the votes name; None in a nullification."""
        return None if self.vote.block_id is None else BlockId(self.vote.block_id)


class Proposal(Canonical):
    """The signed content of a proposal: this block in this view, on the parent notarized in `parent_view`."""

    chain_id: Bytes32
    epoch: Counter
    view: Counter
    parent_view: Counter
    block_id: Bytes32


class SignedProposal(Canonical):
    """A proposal with the index and the signature of the validator that made it."""

    proposal: Proposal
    validator: ValidatorIndex
    signature: Bytes64


VoteCheck = Callable[[PublicKey, bytes, Signature], bool]
"""Whether a signature over a vote's bytes is valid; consensus puts a cache in this place."""


def is_vote_signature(public_key: PublicKey, vote_bytes: bytes, signature: Signature) -> bool:
    """Whether `signature` is valid over the encoded vote."""
    return is_signature(public_key, Tag.VOTE, vote_bytes, signature)


def sign_vote(key: KeyPair, vote: Vote) -> Signature:
    """The signature over a vote. Only a signer that keeps a record calls this (`ledger.consensus.signer`)."""
    return sign(key, Tag.VOTE, encode(vote))


def sign_proposal(key: KeyPair, proposal: Proposal) -> Signature:
    """The signature over a proposal. Only a signer that keeps a record calls this."""
    return sign(key, Tag.PROPOSAL, encode(proposal))


def check_vote_form(vote: Vote, chain_id: ChainId, epoch: Epoch) -> None:
    """Refuse a vote of another chain or epoch, of view 0, or with a block where none belongs.

    Raises:
        LedgerError: `vote.wrong_chain`, `vote.wrong_epoch`, `vote.wrong_view`, `vote.wrong_block`.
    """
    if vote.chain_id != chain_id:
        raise LedgerError("vote.wrong_chain", f"chain {vote.chain_id.hex()}, expected {chain_id.hex()}")
    if vote.epoch != epoch:
        raise LedgerError("vote.wrong_epoch", f"epoch {vote.epoch}, expected {epoch}")
    if vote.view == 0:
        raise LedgerError(
            "vote.wrong_view", "view 0 is the finalized end of the epoch before; nobody votes in it"
        )
    if (vote.block_id is None) != (vote.kind is VoteKind.NULLIFY):
        raise LedgerError(
            "vote.wrong_block", f"a {vote.kind.name} vote with{'out' * (not vote.block_id)} a block"
        )


def verify_vote(
    signed: SignedVote,
    chain_id: ChainId,
    epoch: Epoch,
    validators: ValidatorSet,
    is_valid: VoteCheck = is_vote_signature,
) -> None:
    """Refuse a vote that is not of this chain and epoch, or not by the validator that it names.

    Raises:
        LedgerError: `vote.wrong_chain`, `vote.wrong_epoch`, `vote.wrong_view`, `vote.wrong_block`,
            `vote.unknown_validator`, `vote.wrong_signature`.
    """
    check_vote_form(signed.vote, chain_id, epoch)
    if signed.validator >= len(validators):
        raise LedgerError(
            "vote.unknown_validator", f"index {signed.validator}, the set has {len(validators)}"
        )
    if not is_valid(
        validators.public_key(signed.validator), encode(signed.vote), Signature(signed.signature)
    ):
        raise LedgerError("vote.wrong_signature", f"not signed by validator {signed.validator}")


def verify_proposal(
    signed: SignedProposal, chain_id: ChainId, epoch: Epoch, validators: ValidatorSet
) -> None:
    """Refuse a proposal that is not of this chain and epoch, or not by the validator that it names.

    Whether that validator leads the view is for the caller to ask: out of turn, it is evidence.

    Raises:
        LedgerError: `proposal.wrong_chain`, `proposal.wrong_epoch`, `proposal.wrong_view`,
            `proposal.unknown_validator`, `proposal.wrong_signature`.
    """
    proposal = signed.proposal
    if proposal.chain_id != chain_id:
        raise LedgerError(
            "proposal.wrong_chain", f"chain {proposal.chain_id.hex()}, expected {chain_id.hex()}"
        )
    if proposal.epoch != epoch:
        raise LedgerError("proposal.wrong_epoch", f"epoch {proposal.epoch}, expected {epoch}")
    if proposal.parent_view >= proposal.view:
        raise LedgerError(
            "proposal.wrong_view", f"parent of view {proposal.parent_view} in view {proposal.view}"
        )
    if signed.validator >= len(validators):
        raise LedgerError(
            "proposal.unknown_validator", f"index {signed.validator}, the set has {len(validators)}"
        )
    public_key = validators.public_key(signed.validator)
    if not is_signature(public_key, Tag.PROPOSAL, encode(proposal), signed.signature):
        raise LedgerError("proposal.wrong_signature", f"not signed by validator {signed.validator}")


def verify_certificate(
    certificate: Certificate,
    chain_id: ChainId,
    epoch: Epoch,
    validators: ValidatorSet,
    is_valid: VoteCheck = is_vote_signature,
) -> None:
    """Refuse a certificate unless more than two thirds of this epoch's stake signed exactly this vote.

    Cheap checks come first: no signature is verified for a certificate that could not pass.

    Raises:
        LedgerError: `certificate.wrong_chain`, `certificate.wrong_epoch`, `certificate.wrong_view`,
            `certificate.wrong_block`, `certificate.signers_not_ascending`, `certificate.unknown_signer`,
            `certificate.too_little_stake`, `certificate.wrong_signature`.
    """
    try:
        check_vote_form(certificate.vote, chain_id, epoch)
    except LedgerError as refusal:
        raise LedgerError(refusal.code.replace("vote.", "certificate."), refusal.message) from None
    indices = [index for index, _ in certificate.signatures]
    if any(left >= right for left, right in pairwise(indices)):
        raise LedgerError("certificate.signers_not_ascending", "a signer is repeated or out of order")
    if indices and indices[-1] >= len(validators):
        raise LedgerError("certificate.unknown_signer", f"index {indices[-1]}, the set has {len(validators)}")
    stake = sum(validators.stake(index) for index in indices)
    if not validators.is_quorum(stake):
        raise LedgerError(
            "certificate.too_little_stake",
            f"{stake} of {validators.total_stake}, more than two thirds are needed",
        )
    vote_bytes = encode(certificate.vote)
    for index, signature in certificate.signatures:
        if not is_valid(validators.public_key(index), vote_bytes, Signature(signature)):
            raise LedgerError("certificate.wrong_signature", f"not signed by validator {index}")
