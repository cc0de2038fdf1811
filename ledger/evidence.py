"""Evidence: signed statements of one validator that no correct validator makes together.

It proves itself: whoever knows the validator set of its epoch can check it, and nobody can make
one against a validator that kept its promises, for each statement carries that validator's own
signature. Who is punished, and how, is decided elsewhere.

Source: docs/spec/evidence.md, rules EV1-EV7; the signer's promises S1 and S2.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple, cast

from ledger.codec import Canonical, decode, encode
from ledger.crypto import Tag, hash_tagged, is_signature
from ledger.errors import LedgerError
from ledger.types import ChainId, Epoch, Hash, PublicKey, View
from ledger.validators import ValidatorSet, leader
from ledger.vote import Proposal, SignedProposal, SignedVote, Vote, VoteKind, verify_proposal, verify_vote

EVIDENCE_BYTES_MAX: Final = 512  # two signed statements are 330 bytes at most


class Offence(Enum):
    """What a validator did, as lists and pages name it. The value never changes."""

    TWO_NOTARIZE_VOTES = "two_notarize_votes"
    TWO_FINALIZE_VOTES = "two_finalize_votes"
    NULLIFY_AND_FINALIZE = "nullify_and_finalize"
    NOTARIZE_AND_FINALIZE = "notarize_and_finalize"
    TWO_PROPOSALS = "two_proposals"
    PROPOSAL_OUT_OF_TURN = "proposal_out_of_turn"


class ConflictingVotes(Canonical, tag=1):
    """Two votes of one validator in one view, the one with the lower encoded vote first."""

    first: SignedVote
    second: SignedVote


class ConflictingProposals(Canonical, tag=2):
    """Two proposals of one validator in one view, the one with the lower encoded proposal first."""

    first: SignedProposal
    second: SignedProposal


class ProposalOutOfTurn(Canonical, tag=3):
    """A proposal of a validator that does not lead its view."""

    proposal: SignedProposal


Evidence = ConflictingVotes | ConflictingProposals | ProposalOutOfTurn


class Accused(NamedTuple):
    """Whom evidence names, and where: a validator's index in the set of that epoch."""

    epoch: Epoch
    view: View
    validator: int


def evidence_of(first: SignedVote | SignedProposal, second: SignedVote | SignedProposal | None) -> Evidence:
    """The evidence that these statements make, in its one order; `second` is None for a proposal out of turn.

    It is not checked: statements that do not conflict make evidence that `check_evidence` refuses.
    """
    match first, second:
        case SignedVote(), SignedVote():
            low, high = sorted((first, second), key=lambda signed: encode(signed.vote))
            return ConflictingVotes(low, high)
        case SignedProposal(), SignedProposal():
            one, other = sorted((first, second), key=lambda signed: encode(signed.proposal))
            return ConflictingProposals(one, other)
        case SignedProposal(), None:
            return ProposalOutOfTurn(first)
        case _:
            raise AssertionError("a vote and a proposal, or one vote, prove nothing")


def accused(evidence: Evidence) -> Accused:
    """Whom the evidence names by its own words; `check_evidence` holds the words to the signatures."""
    match evidence:
        case ConflictingVotes(first=signed):
            return Accused(Epoch(signed.vote.epoch), View(signed.vote.view), signed.validator)
        case ConflictingProposals(first=proposed) | ProposalOutOfTurn(proposal=proposed):
            place = proposed.proposal
            return Accused(Epoch(place.epoch), View(place.view), proposed.validator)


def evidence_id(evidence: Evidence) -> Hash:
    """The tagged hash of who said what: one for one offence, whatever signatures prove it.

    A key can sign one statement in many ways, so signatures are no part of it.
    """
    return hash_tagged(Tag.EVIDENCE, encode((accused(evidence).validator, statements(evidence))))


def statements(evidence: Evidence) -> tuple[Vote | Proposal, ...]:
    """What the evidence says was signed, one statement or two, in its order."""
    match evidence:
        case ConflictingVotes(first=first, second=second):
            return first.vote, second.vote
        case ConflictingProposals(first=one, second=other):
            return one.proposal, other.proposal
        case ProposalOutOfTurn(proposal=signed):
            return (signed.proposal,)


def offence(evidence: Evidence) -> Offence | None:
    """What the statements amount to, or None where a correct validator may make them all.

    A single proposal is taken for one out of turn: only `check_evidence` knows who led the view.
    """
    match evidence:
        case ConflictingVotes(first=first, second=second):
            return vote_offence(first.vote, second.vote)
        case ConflictingProposals(first=one, second=other):
            return proposal_offence(one.proposal, other.proposal)
        case ProposalOutOfTurn():
            return Offence.PROPOSAL_OUT_OF_TURN


def offence_of(checked: Evidence) -> Offence:
    """What evidence that was checked is of."""
    found = offence(checked)
    assert found is not None, "checked evidence is of an offence"
    return found


def vote_offence(first: Vote, second: Vote) -> Offence | None:
    """What two votes of one key amount to: the forbidden pairs that S1 and S2 keep a signer from."""
    if (first.chain_id, first.epoch, first.view) != (second.chain_id, second.epoch, second.view):
        return None
    kinds = (first.kind, second.kind)
    if VoteKind.NULLIFY in kinds:
        return Offence.NULLIFY_AND_FINALIZE if VoteKind.FINALIZE in kinds else None
    if first.block_id == second.block_id:
        return None
    if first.kind is not second.kind:
        return Offence.NOTARIZE_AND_FINALIZE
    is_notarize = first.kind is VoteKind.NOTARIZE
    return Offence.TWO_NOTARIZE_VOTES if is_notarize else Offence.TWO_FINALIZE_VOTES


def proposal_offence(first: Proposal, second: Proposal) -> Offence | None:
    """What two proposals of one key amount to: a leader makes one a view, on one parent."""
    if (first.chain_id, first.epoch, first.view) != (second.chain_id, second.epoch, second.view):
        return None
    return None if first == second else Offence.TWO_PROPOSALS


def check_evidence(
    evidence: Evidence, chain_id: ChainId, epoch: Epoch, validators: ValidatorSet
) -> PublicKey:
    """The key that is proved guilty, by signatures over statements of this chain and epoch.

    `validators` is the set of `epoch`. Cheap checks come before signatures.

    Raises:
        LedgerError: `evidence.two_validators`, `evidence.no_conflict`, `evidence.wrong_order`,
            `evidence.in_turn`, or a `vote.*` or `proposal.*` code of the statement at fault.
    """
    if offence(evidence) is None:
        raise LedgerError("evidence.no_conflict", "a correct validator may make both statements")
    match evidence:
        case ConflictingVotes(first=first, second=second):
            _check_pair(first.validator, second.validator, encode(first.vote), encode(second.vote))
            for vote in (first, second):
                verify_vote(vote, chain_id, epoch, validators)
        case ConflictingProposals(first=one, second=other):
            _check_pair(one.validator, other.validator, encode(one.proposal), encode(other.proposal))
            for proposed in (one, other):
                verify_proposal(proposed, chain_id, epoch, validators)
        case ProposalOutOfTurn(proposal=proposed):
            verify_proposal(proposed, chain_id, epoch, validators)
            _check_out_of_turn(proposed, chain_id, epoch, validators)
    return validators.public_key(accused(evidence).validator)


def is_signed_by(evidence: Evidence, public_key: PublicKey) -> bool:
    """Whether this key signed every statement: what can be checked without the validators of the epoch."""
    match evidence:
        case ConflictingVotes(first=first, second=second):
            votes = [first, second]
            return all(is_signature(public_key, Tag.VOTE, encode(s.vote), s.signature) for s in votes)
        case ConflictingProposals(first=one, second=other):
            return _is_proposal_signed(one, public_key) and _is_proposal_signed(other, public_key)
        case ProposalOutOfTurn(proposal=proposed):
            return _is_proposal_signed(proposed, public_key)


def _is_proposal_signed(signed: SignedProposal, public_key: PublicKey) -> bool:
    return is_signature(public_key, Tag.PROPOSAL, encode(signed.proposal), signed.signature)


def _check_pair(first: int, second: int, first_said: bytes, second_said: bytes) -> None:
    if first != second:
        raise LedgerError("evidence.two_validators", f"statements of validators {first} and {second}")
    if first_said > second_said:
        raise LedgerError("evidence.wrong_order", "the statement with the lower encoding goes first")


def _check_out_of_turn(
    signed: SignedProposal, chain_id: ChainId, epoch: Epoch, validators: ValidatorSet
) -> None:
    view = View(signed.proposal.view)
    if leader(chain_id, epoch, view, validators) == signed.validator:
        raise LedgerError("evidence.in_turn", f"validator {signed.validator} leads view {view}")


def encode_evidence(evidence: Evidence) -> bytes:
    """The canonical bytes, at most EVIDENCE_BYTES_MAX."""
    return encode(evidence)


def decode_evidence(data: bytes) -> Evidence:
    """The evidence in `data`; nothing about it is checked but its form.

    Raises:
        LedgerError: an `encoding.*` code.
    """
    # The decoder takes a union as well as a class; the type system has no word for that.
    return decode(data, cast(type[Evidence], Evidence), EVIDENCE_BYTES_MAX)
