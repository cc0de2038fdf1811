"""Votes and certificates: only the exact statement, by the exact stake, counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.codec import decode, encode
from ledger.crypto import Tag, key_pair, sign
from ledger.errors import LedgerError
from ledger.types import QUORUM_CERTIFICATE_BYTES_MAX, VALIDATORS_MAX, ChainId, Epoch, PublicKey, Signature
from ledger.validators import Validator, ValidatorSet
from ledger.vote import (
    Certificate,
    Proposal,
    SignedProposal,
    SignedVote,
    Vote,
    VoteKind,
    sign_proposal,
    sign_vote,
    verify_certificate,
    verify_proposal,
    verify_vote,
)

CHAIN, OTHER_CHAIN = ChainId(b"c" * 32), ChainId(b"d" * 32)
EPOCH = Epoch(7)
BLOCK, OTHER_BLOCK = b"b" * 32, b"x" * 32
KEYS = [key_pair(bytes([index + 1]) * 32) for index in range(7)]


def validators(*stakes: int) -> ValidatorSet:
    return ValidatorSet(
        tuple(Validator(KEYS[index].public, stake, f"node{index}") for index, stake in enumerate(stakes))
    )


def vote(
    kind: VoteKind = VoteKind.FINALIZE,
    view: int = 5,
    block: bytes | None = BLOCK,
    epoch: int = EPOCH,
    chain: bytes = CHAIN,
) -> Vote:
    return Vote(chain, epoch, view, kind, None if kind is VoteKind.NULLIFY else block)


def certificate(content: Vote, *signers: int) -> Certificate:
    return Certificate(content, tuple((index, sign_vote(KEYS[index], content)) for index in signers))


def code_of(action: Callable[[], None]) -> str:
    with pytest.raises(LedgerError) as refusal:
        action()
    return refusal.value.code


def refusal_of(held: Certificate, members: ValidatorSet) -> str:
    return code_of(lambda: verify_certificate(held, CHAIN, EPOCH, members))


def read(data: bytes) -> None:
    held = decode(data, Certificate, QUORUM_CERTIFICATE_BYTES_MAX)
    verify_certificate(held, CHAIN, EPOCH, validators(1, 1, 1))


@pytest.mark.parametrize("kind", list(VoteKind))
def test_a_quorum_is_accepted(kind: VoteKind) -> None:
    """More than two thirds of the stake make each kind of certificate."""
    verify_certificate(certificate(vote(kind), 0, 1, 3), CHAIN, EPOCH, validators(1, 1, 1, 1))


def test_exactly_two_thirds_is_too_little() -> None:
    """Two of three equal stakes are no quorum, and neither are four of six units in unequal parts."""
    assert refusal_of(certificate(vote(), 0, 1), validators(1, 1, 1)) == "certificate.too_little_stake"
    assert refusal_of(certificate(vote(), 0, 1), validators(3, 1, 2)) == "certificate.too_little_stake"
    verify_certificate(certificate(vote(), 0, 1), CHAIN, EPOCH, validators(4, 1, 2))


def test_nobody_is_no_quorum() -> None:
    """A certificate without signers is refused."""
    assert refusal_of(certificate(vote()), validators(1)) == "certificate.too_little_stake"


def test_a_signer_counts_once() -> None:
    """A repeated signer, or signers out of order, are refused: stake is counted once."""
    members = validators(1, 1, 1, 1)
    assert refusal_of(certificate(vote(), 0, 1, 1), members) == "certificate.signers_not_ascending"
    assert refusal_of(certificate(vote(), 2, 1, 0), members) == "certificate.signers_not_ascending"


def test_an_unknown_signer_is_refused() -> None:
    """An index outside of the set is no signer, whatever else is signed."""
    assert refusal_of(certificate(vote(), 0, 1, 2, 5), validators(1, 1, 1, 1)) == "certificate.unknown_signer"


def test_every_listed_signature_must_be_valid() -> None:
    """One bad signature spoils a certificate, even when the others are a quorum."""
    members = validators(1, 1, 1, 1)
    good = certificate(vote(), 0, 1, 2, 3)
    bad = Certificate(good.vote, (*good.signatures[:3], (3, good.signatures[2][1])))
    assert refusal_of(bad, members) == "certificate.wrong_signature"


@pytest.mark.parametrize(
    "signed",
    [
        vote(view=4),
        vote(kind=VoteKind.NOTARIZE),
        vote(block=OTHER_BLOCK),
        vote(epoch=EPOCH + 1),
        vote(chain=OTHER_CHAIN),
    ],
    ids=["view", "kind", "value", "epoch", "chain"],
)
def test_signatures_do_not_move(signed: Vote) -> None:
    """Signatures made for another view, kind, value, epoch or chain do not make this certificate."""
    moved = Certificate(vote(), certificate(signed, 0, 1, 2).signatures)
    assert refusal_of(moved, validators(1, 1, 1)) == "certificate.wrong_signature"


def test_another_chain_or_epoch_is_named() -> None:
    """A certificate that is valid elsewhere is refused here before any signature is looked at."""
    members = validators(1)
    assert refusal_of(certificate(vote(chain=OTHER_CHAIN), 0), members) == "certificate.wrong_chain"
    assert refusal_of(certificate(vote(epoch=EPOCH + 1), 0), members) == "certificate.wrong_epoch"


def test_a_proposal_signature_is_no_vote() -> None:
    """The same bytes signed under another tag are no vote."""
    content = vote()
    forged = SignedVote(content, 0, sign(KEYS[0], Tag.PROPOSAL, encode(content)))
    assert code_of(lambda: verify_vote(forged, CHAIN, EPOCH, validators(1))) == "vote.wrong_signature"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (Vote(CHAIN, EPOCH, 1, VoteKind.NULLIFY, BLOCK), "wrong_block"),
        (Vote(CHAIN, EPOCH, 1, VoteKind.NOTARIZE, None), "wrong_block"),
        (Vote(CHAIN, EPOCH, 1, VoteKind.FINALIZE, None), "wrong_block"),
        (Vote(CHAIN, EPOCH, 0, VoteKind.FINALIZE, BLOCK), "wrong_view"),
    ],
)
def test_a_vote_without_sense_is_refused(content: Vote, code: str) -> None:
    """A nullification names no block, the others do, and nobody votes in view 0."""
    signed = SignedVote(content, 0, sign_vote(KEYS[0], content))
    assert code_of(lambda: verify_vote(signed, CHAIN, EPOCH, validators(1))) == f"vote.{code}"
    assert refusal_of(certificate(content, 0), validators(1)) == f"certificate.{code}"


def test_a_vote_is_its_validators_own() -> None:
    """A vote under another's index, or an index outside of the set, is refused."""
    content = vote()
    members = validators(1, 1)
    for index, code in ((1, "vote.wrong_signature"), (2, "vote.unknown_validator")):
        signed = SignedVote(content, index, sign_vote(KEYS[0], content))
        assert code_of(lambda signed=signed: verify_vote(signed, CHAIN, EPOCH, members)) == code


def test_cheap_checks_come_first() -> None:
    """A certificate that can't pass costs no signature check."""

    def refuse(public_key: PublicKey, vote_bytes: bytes, signature: Signature) -> bool:
        raise AssertionError("a signature was verified")

    members = validators(1, 1, 1)
    for held in (
        certificate(vote(), 0, 1),
        certificate(vote(epoch=1), 0, 1, 2),
        certificate(vote(), 2, 1, 0),
    ):
        with pytest.raises(LedgerError):
            verify_certificate(held, CHAIN, EPOCH, members, refuse)


@pytest.mark.parametrize(
    ("content", "validator", "code"),
    [
        (Proposal(OTHER_CHAIN, EPOCH, 2, 1, BLOCK), 0, "proposal.wrong_chain"),
        (Proposal(CHAIN, EPOCH + 1, 2, 1, BLOCK), 0, "proposal.wrong_epoch"),
        (Proposal(CHAIN, EPOCH, 2, 2, BLOCK), 0, "proposal.wrong_view"),
        (Proposal(CHAIN, EPOCH, 2, 1, BLOCK), 1, "proposal.wrong_signature"),
        (Proposal(CHAIN, EPOCH, 2, 1, BLOCK), 2, "proposal.unknown_validator"),
    ],
)
def test_a_wrong_proposal_is_refused(content: Proposal, validator: int, code: str) -> None:
    """Chain, epoch, the parent's view and the signature bind a proposal."""
    signed = SignedProposal(content, validator, sign_proposal(KEYS[0], content))
    assert code_of(lambda: verify_proposal(signed, CHAIN, EPOCH, validators(1, 1))) == code


def test_the_largest_certificate_fits() -> None:
    """A certificate of a full set stays inside its limit and survives its encoding."""
    full = Certificate(
        Vote(CHAIN, 2**53 - 1, 2**53 - 1, VoteKind.FINALIZE, BLOCK),
        tuple((index, bytes(64)) for index in range(VALIDATORS_MAX)),
    )
    data = encode(full)
    assert len(data) <= QUORUM_CERTIFICATE_BYTES_MAX
    assert decode(data, Certificate, QUORUM_CERTIFICATE_BYTES_MAX) == full


@given(st.binary(max_size=300))
def test_garbage_is_refused_by_name(data: bytes) -> None:
    """Random bytes are refused with a stable code."""
    assert code_of(lambda: read(data)).startswith("encoding.")


@given(st.data())
def test_a_mutated_certificate_never_verifies(data: st.DataObject) -> None:
    """No single changed byte leaves a certificate both readable and valid for the same vote."""
    good = certificate(vote(), 0, 1, 2)
    encoded = bytearray(encode(good))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(LedgerError):
        read(bytes(encoded))
