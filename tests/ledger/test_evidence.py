"""Evidence: every forbidden pair convicts, and nothing convicts who kept its promises."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings as sodium

from ledger.codec import encode
from ledger.consensus.records import OwnProposal, OwnVote, Record
from ledger.consensus.signer import Signer, first_record
from ledger.crypto import KeyPair, Tag, key_pair, sign
from ledger.errors import LedgerError
from ledger.evidence import (
    EVIDENCE_BYTES_MAX,
    Accused,
    ConflictingProposals,
    ConflictingVotes,
    Evidence,
    Offence,
    ProposalOutOfTurn,
    accused,
    check_evidence,
    decode_evidence,
    encode_evidence,
    evidence_id,
    evidence_of,
    is_signed_by,
    offence,
)
from ledger.types import HEIGHT_MAX, VALIDATORS_MAX, BlockId, ChainId, Epoch, PublicKey, Signature, View
from ledger.validators import Validator, ValidatorSet, leader
from ledger.vote import (
    Certificate,
    Proposal,
    SignedProposal,
    SignedVote,
    Vote,
    VoteKind,
    is_vote_signature,
    sign_proposal,
    sign_vote,
)

CHAIN, OTHER_CHAIN = ChainId(b"c" * 32), ChainId(b"d" * 32)
EPOCH = Epoch(3)
KEYS = [key_pair(bytes([index + 1]) * 32) for index in range(4)]
VALIDATORS = ValidatorSet(tuple(Validator(key.public, 1, f"node{i}") for i, key in enumerate(KEYS)))
A, B = b"a" * 32, b"b" * 32
N, X, F = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE
LED = leader(CHAIN, EPOCH, View(5), VALIDATORS)
USURPER = (LED + 1) % 4


def vote(
    kind: VoteKind,
    block: bytes = A,
    *,
    by: int = LED,
    view: int = 5,
    epoch: int = EPOCH,
    chain: bytes = CHAIN,
) -> SignedVote:
    content = Vote(chain, epoch, view, kind, None if kind is X else block)
    return SignedVote(content, by, sign_vote(KEYS[by], content))


def proposal(
    block: bytes = A,
    parent_view: int = 4,
    *,
    by: int = LED,
    view: int = 5,
    epoch: int = EPOCH,
    chain: bytes = CHAIN,
) -> SignedProposal:
    content = Proposal(chain, epoch, view, parent_view, block)
    return SignedProposal(content, by, sign_proposal(KEYS[by], content))


def check(evidence: Evidence) -> PublicKey:
    return check_evidence(evidence, CHAIN, EPOCH, VALIDATORS)


def refusal_of(action: Callable[[], object]) -> str:
    with pytest.raises(LedgerError) as refusal:
        action()
    return refusal.value.code


def signed_anew(key: KeyPair, signed: SignedVote) -> SignedVote:
    """The same vote under another valid signature, which only the key's owner can make."""
    data = Tag.VOTE.value + b"\0" + encode(signed.vote)
    digest = bytearray(sodium.crypto_hash_sha512(key.secret[:32])[:32])
    digest[0] &= 248
    digest[31] = (digest[31] & 127) | 64
    nonce = b"\7" + bytes(31)
    point = sodium.crypto_scalarmult_ed25519_base_noclamp(nonce)
    challenge = sodium.crypto_core_ed25519_scalar_reduce(sodium.crypto_hash_sha512(point + key.public + data))
    secret = sodium.crypto_core_ed25519_scalar_reduce(bytes(digest) + bytes(32))
    product = sodium.crypto_core_ed25519_scalar_mul(challenge, secret)
    return SignedVote(
        signed.vote, signed.validator, point + sodium.crypto_core_ed25519_scalar_add(product, nonce)
    )


PAIRS: list[tuple[SignedVote | SignedProposal, SignedVote | SignedProposal, Offence]] = [
    (vote(N), vote(N, B), Offence.TWO_NOTARIZE_VOTES),
    (vote(F), vote(F, B), Offence.TWO_FINALIZE_VOTES),
    (vote(X), vote(F), Offence.NULLIFY_AND_FINALIZE),
    (vote(N), vote(F, B), Offence.NOTARIZE_AND_FINALIZE),
    (vote(N, B), vote(F), Offence.NOTARIZE_AND_FINALIZE),
    (proposal(), proposal(B), Offence.TWO_PROPOSALS),
    (proposal(), proposal(parent_view=3), Offence.TWO_PROPOSALS),
]


@pytest.mark.parametrize(("first", "second", "kind"), PAIRS)
def test_every_forbidden_pair_convicts(
    first: SignedVote | SignedProposal, second: SignedVote | SignedProposal, kind: Offence
) -> None:
    """EV1: each pair of the list names its signer, whichever statement came first."""
    for evidence in (evidence_of(first, second), evidence_of(second, first)):
        assert check(evidence) == KEYS[LED].public
        assert offence(evidence) is kind
        assert accused(evidence) == Accused(EPOCH, View(5), LED)


def test_a_proposal_out_of_turn_convicts() -> None:
    """EV4: one proposal is enough from a validator that does not lead the view, and none from the leader."""
    evidence = evidence_of(proposal(by=USURPER), None)
    assert check(evidence) == KEYS[USURPER].public
    assert offence(evidence) is Offence.PROPOSAL_OUT_OF_TURN
    assert accused(evidence) == Accused(EPOCH, View(5), USURPER)
    assert refusal_of(lambda: check(evidence_of(proposal(), None))) == "evidence.in_turn"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (vote(N), vote(N)),
        (vote(X), vote(X)),
        (vote(F), vote(F)),
        (vote(N), vote(F)),
        (vote(N), vote(X)),
        (vote(N), vote(N, B, view=6)),
        (vote(F), vote(F, B, view=6)),
        (vote(X), vote(F, view=6)),
        (vote(N), vote(N, B, epoch=EPOCH + 1)),
        (vote(N), vote(N, B, chain=OTHER_CHAIN)),
        (proposal(), proposal()),
        (proposal(), proposal(B, view=9)),
        (proposal(), proposal(B, epoch=EPOCH + 1)),
    ],
)
def test_what_a_correct_validator_may_say_is_no_evidence(
    first: SignedVote | SignedProposal, second: SignedVote | SignedProposal
) -> None:
    """EV1, EV2: other views, epochs and chains, a block notarized and then given up, the same words twice."""
    assert offence(evidence_of(first, second)) is None
    assert refusal_of(lambda: check(evidence_of(first, second))) == "evidence.no_conflict"


def test_one_vote_signed_in_two_ways_is_no_evidence() -> None:
    """EV1, EV6: a second valid signature over the same vote is the same statement, and no second offence."""
    once, again = vote(N), signed_anew(KEYS[LED], vote(N))
    assert once.signature != again.signature
    assert is_vote_signature(KEYS[LED].public, encode(again.vote), Signature(again.signature))
    assert refusal_of(lambda: check(ConflictingVotes(once, again))) == "evidence.no_conflict"
    both = [evidence_of(signed, vote(N, B)) for signed in (once, again)]
    assert [check(evidence) for evidence in both] == [KEYS[LED].public] * 2
    assert evidence_id(both[0]) == evidence_id(both[1])


def test_another_encoding_is_not_read() -> None:
    """EV1, EV7: a second spelling of a vote never reaches the check."""
    data = encode_evidence(evidence_of(vote(N), vote(N, B)))
    assert decode_evidence(data) == evidence_of(vote(N), vote(N, B))
    longer = data.replace(b"\xc4\x20" + CHAIN + b"\x03", b"\xc4\x20" + CHAIN + b"\xcc\x03", 1)
    assert longer != data
    assert refusal_of(lambda: decode_evidence(longer)) == "encoding.non_canonical"
    assert refusal_of(lambda: decode_evidence(data + b"\0")) == "encoding.malformed"
    assert refusal_of(lambda: decode_evidence(bytes(EVIDENCE_BYTES_MAX + 1))) == "encoding.too_large"
    unknown = data.replace(b"\x93\x01", b"\x93\x04", 1)
    assert refusal_of(lambda: decode_evidence(unknown)) == "encoding.malformed"


def test_the_pair_has_one_order() -> None:
    """EV5: the other order is refused, so one pair has one encoding."""
    for first, second, _ in PAIRS:
        evidence = evidence_of(first, second)
        assert encode_evidence(evidence) == encode_evidence(evidence_of(second, first))
        turned = (
            ConflictingVotes(evidence.second, evidence.first)
            if isinstance(evidence, ConflictingVotes)
            else ConflictingProposals(evidence.second, evidence.first)  # type: ignore[union-attr] # no single here
        )
        assert refusal_of(lambda turned=turned: check(turned)) == "evidence.wrong_order"


def test_each_offence_has_its_own_id() -> None:
    """EV6: what differs in validator, view, kind or block differs in id."""
    made = [evidence_of(first, second) for first, second, _ in PAIRS]
    made += [
        evidence_of(vote(N, by=USURPER), vote(N, B, by=USURPER)),
        evidence_of(vote(N, view=6), vote(N, B, view=6)),
        evidence_of(vote(N), vote(N, b"x" * 32)),
        evidence_of(proposal(), None),
        evidence_of(proposal(by=USURPER), None),
    ]
    assert len({evidence_id(evidence) for evidence in made}) == len(made)


def test_signatures_alone_can_be_checked() -> None:
    """Without the set of the epoch the key's signatures are verified, of every statement of every kind."""
    pair, proposals = evidence_of(vote(N), vote(N, B)), evidence_of(proposal(), proposal(B))
    for evidence in (pair, proposals, evidence_of(proposal(), None)):
        assert is_signed_by(evidence, KEYS[LED].public)
        assert not is_signed_by(evidence, KEYS[USURPER].public)
    forged = evidence_of(vote(N), msgspec.structs.replace(vote(N, B), signature=bytes(64)))
    assert not is_signed_by(forged, KEYS[LED].public)


HOSTILE: list[tuple[str, Evidence, str]] = [
    ("bogus first", evidence_of(msgspec.structs.replace(vote(N), signature=bytes(64)), vote(N, B)), "vote"),
    ("bogus second", evidence_of(vote(N), msgspec.structs.replace(vote(N, B), signature=bytes(64))), "vote"),
    (
        "signatures exchanged",
        evidence_of(
            msgspec.structs.replace(vote(N), signature=vote(N, B).signature),
            msgspec.structs.replace(vote(N, B), signature=vote(N).signature),
        ),
        "vote",
    ),
    (
        "signed by another, index claimed",
        evidence_of(vote(N), msgspec.structs.replace(vote(N, B, by=USURPER), validator=LED)),
        "vote",
    ),
    (
        "both moved to another index",
        evidence_of(
            msgspec.structs.replace(vote(N), validator=USURPER),
            msgspec.structs.replace(vote(N, B), validator=USURPER),
        ),
        "vote",
    ),
    (
        "a proposal's signature on a vote",
        evidence_of(
            vote(N),
            SignedVote(vote(N, B).vote, LED, sign(KEYS[LED], Tag.PROPOSAL, encode(vote(N, B).vote))),
        ),
        "vote",
    ),
    (
        "proposal moved to another index",
        evidence_of(msgspec.structs.replace(proposal(), validator=USURPER), None),
        "proposal",
    ),
    (
        "bogus proposal",
        evidence_of(proposal(), msgspec.structs.replace(proposal(B), signature=proposal().signature)),
        "proposal",
    ),
]


@pytest.mark.parametrize(
    ("evidence", "area"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE]
)
def test_a_forged_statement_accuses_nobody(evidence: Evidence, area: str) -> None:
    """EV3: each signature is verified under the key that is accused; one forged half is enough to refuse."""
    assert refusal_of(lambda: check(evidence)) == f"{area}.wrong_signature"


def test_statements_of_two_validators_are_no_pair() -> None:
    """EV2: two honest votes for two blocks by two validators accuse neither."""
    votes = evidence_of(vote(N), vote(N, B, by=USURPER))
    proposals = evidence_of(proposal(), proposal(B, by=USURPER))
    assert refusal_of(lambda: check(votes)) == "evidence.two_validators"
    assert refusal_of(lambda: check(proposals)) == "evidence.two_validators"


def test_of_another_chain_epoch_or_set_is_refused() -> None:
    """EV2: valid evidence convicts on its own chain, in its own epoch and by its own set only."""
    pair, single = evidence_of(vote(N), vote(N, B)), evidence_of(proposal(by=USURPER), None)
    for evidence, area in ((pair, "vote"), (single, "proposal")):
        elsewhere = {
            f"{area}.wrong_chain": (OTHER_CHAIN, EPOCH, VALIDATORS),
            f"{area}.wrong_epoch": (CHAIN, Epoch(EPOCH + 1), VALIDATORS),
            f"{area}.wrong_signature": (CHAIN, EPOCH, ValidatorSet(VALIDATORS.validators[::-1])),
            f"{area}.unknown_validator": (CHAIN, EPOCH, ValidatorSet(VALIDATORS.validators[:1])),
        }
        for code, (chain_id, epoch, validators) in elsewhere.items():
            if code.endswith("unknown_validator") and accused(evidence).validator == 0:
                continue
            with pytest.raises(LedgerError) as refusal:
                check_evidence(evidence, chain_id, epoch, validators)
            assert refusal.value.code == code


def test_malformed_statements_are_refused() -> None:
    """EV2: view 0, a nullification with a block, and a parent above its child are no statements at all."""
    zero = evidence_of(vote(N, view=0), vote(N, B, view=0))
    assert refusal_of(lambda: check(zero)) == "vote.wrong_view"
    content = Vote(CHAIN, EPOCH, 5, X, A)
    nullify = SignedVote(content, LED, sign_vote(KEYS[LED], content))
    assert refusal_of(lambda: check(evidence_of(nullify, vote(F)))) == "vote.wrong_block"
    assert refusal_of(lambda: check(evidence_of(nullify, vote(X)))) == "evidence.no_conflict"
    backwards = evidence_of(proposal(parent_view=5, by=USURPER), None)
    assert refusal_of(lambda: check(backwards)) == "proposal.wrong_view"


def test_the_largest_evidence_fits() -> None:
    """EV7: the widest counters and index still fit the limit, which leaves little room."""
    content = Proposal(CHAIN, HEIGHT_MAX, HEIGHT_MAX, HEIGHT_MAX - 1, A)
    signed = SignedProposal(content, VALIDATORS_MAX - 1, bytes(64))
    size = len(encode_evidence(ConflictingProposals(signed, signed)))
    assert size == 330
    assert size <= EVIDENCE_BYTES_MAX < 2 * size


# --- the property that matters most: the innocent are safe ---------------------

HONEST = 0
VIEWS = st.integers(1, 4)
BLOCKS = st.sampled_from([A, B])
REQUESTS = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(list(VoteKind)), st.sampled_from(["propose", "floor", "restart"])),
        VIEWS,
        BLOCKS,
        st.integers(0, 3),
    ),
    max_size=40,
)


def said_by_an_honest_signer(
    requests: list[tuple[VoteKind | str, int, bytes, int]],
) -> list[SignedVote | SignedProposal]:
    """All that ever left the signer of validator 0, asked for anything, restarts between."""
    log: list[Record] = [first_record(CHAIN, KEYS[HONEST].public, b"g" * 16, EPOCH)]

    def start() -> Signer:
        made = Signer(CHAIN, KEYS[HONEST], b"g" * 16)
        made.begin_epoch(EPOCH, VALIDATORS, is_vote_signature)
        made.restore(log, (EPOCH, View(0)))
        return made

    mine = start()
    for what, view, block, parent_view in requests:
        try:
            match what:
                case VoteKind():
                    content = Vote(CHAIN, EPOCH, view, N, block)
                    quorum = tuple((index, sign_vote(KEYS[index], content)) for index in (1, 2, 3))
                    asked = Vote(CHAIN, EPOCH, view, what, None if what is X else block)
                    log.append(mine.sign_vote(asked, Certificate(content, quorum)))
                case "propose":
                    log.append(mine.sign_proposal(Proposal(CHAIN, EPOCH, view, parent_view, block)))
                case "floor":
                    floor = mine.raise_floor(EPOCH, View(view))
                    log += [] if floor is None else [floor]
                case _:
                    mine = start()
        except LedgerError:
            continue
    return [record.signed for record in log if isinstance(record, OwnVote | OwnProposal)]


def convicted(evidence: Evidence) -> PublicKey | None:
    try:
        return check(evidence)
    except LedgerError:
        return None


@given(REQUESTS)
def test_nothing_that_an_honest_signer_signs_accuses_it(
    requests: list[tuple[VoteKind | str, int, bytes, int]],
) -> None:
    """Whatever an honest signer is asked, no statement and no pair of its statements is evidence."""
    said = said_by_an_honest_signer(requests)
    votes = [signed for signed in said if isinstance(signed, SignedVote)]
    proposals = [signed for signed in said if isinstance(signed, SignedProposal)]
    made: list[Evidence] = [ProposalOutOfTurn(signed) for signed in proposals]
    made += [evidence_of(*pair) for pair in combinations(votes, 2)]
    made += [evidence_of(*pair) for pair in combinations(proposals, 2)]
    assert all(convicted(evidence) is None for evidence in made)


FORGERIES = st.lists(
    st.tuples(st.sampled_from(list(VoteKind)), VIEWS, BLOCKS, st.integers(1, 3), st.integers(0, 3)),
    min_size=1,
    max_size=4,
)


@given(REQUESTS, FORGERIES)
def test_liars_cannot_add_what_accuses_an_honest_signer(
    requests: list[tuple[VoteKind | str, int, bytes, int]],
    forgeries: list[tuple[VoteKind, int, bytes, int, int]],
) -> None:
    """Three liars sign anything, claim any index and borrow any signature: validator 0 is never named."""
    pool = said_by_an_honest_signer(requests)
    votes = [signed for signed in pool if isinstance(signed, SignedVote)]
    proposals = [signed for signed in pool if isinstance(signed, SignedProposal)]
    borrowed = [Signature(signed.signature) for signed in pool]
    for kind, view, block, liar, claimed in forgeries:
        content = Vote(CHAIN, EPOCH, view, kind, None if kind is X else block)
        proposed = Proposal(CHAIN, EPOCH, view, view - 1, block)
        votes += [
            SignedVote(content, claimed, signature)
            for signature in (sign_vote(KEYS[liar], content), *borrowed[:3])
        ]
        proposals += [
            SignedProposal(proposed, claimed, signature)
            for signature in (sign_proposal(KEYS[liar], proposed), *borrowed[:3])
        ]
    made: list[Evidence] = [ProposalOutOfTurn(signed) for signed in proposals]
    made += [evidence_of(*pair) for pair in combinations(votes, 2)]
    made += [evidence_of(*pair) for pair in combinations(proposals, 2)]
    assert all(convicted(evidence) != KEYS[HONEST].public for evidence in made)


def test_block_ids_are_any_bytes() -> None:
    """A proposal for a block that was never seen accuses as well: only the signed words count."""
    unseen = BlockId(bytes(32))
    assert check(evidence_of(proposal(unseen), proposal(A))) == KEYS[LED].public
