"""The file of a signing history: what it says, what merging keeps, and every way in which it may lie."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.consensus.records import OwnProposal, OwnVote, Record, SignerFloor
from ledger.crypto import KeyPair, key_pair
from ledger.errors import LedgerError
from ledger.types import ChainId
from ledger.vote import Proposal, SignedProposal, SignedVote, Vote, VoteKind, sign_proposal, sign_vote
from node.signing_history import (
    FILE_BYTES_MAX,
    PROMISES_MAX,
    SigningHistory,
    history_of,
    history_text,
    merge,
    parse_history,
)

CHAIN, OTHER_CHAIN = ChainId(b"c" * 32), ChainId(b"d" * 32)
KEY, OTHER_KEY = key_pair(b"k" * 32), key_pair(b"o" * 32)
A, B = b"a" * 32, b"b" * 32
NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


def floor(view: int, epoch: int = 1, chain: bytes = CHAIN, key: KeyPair = KEY) -> SignerFloor:
    return SignerFloor(chain, key.public, b"g" * 16, epoch, view)


def vote(
    kind: VoteKind, view: int, block: bytes | None = A, chain: bytes = CHAIN, by: KeyPair = KEY
) -> OwnVote:
    content = Vote(chain, 1, view, kind, None if kind is NULLIFY else block)
    return OwnVote(SignedVote(content, 2, sign_vote(by, content)))


def proposal(view: int, block: bytes = A, chain: bytes = CHAIN, by: KeyPair = KEY) -> OwnProposal:
    content = Proposal(chain, 1, view, view - 1, block)
    return OwnProposal(SignedProposal(content, 2, sign_proposal(by, content)))


def history(*records: Record) -> SigningHistory:
    return history_of(records, CHAIN, KEY.public)


FULL = history(
    floor(4), vote(NOTARIZE, 5), vote(FINALIZE, 5), proposal(6), vote(NOTARIZE, 6), vote(NULLIFY, 7)
)
FILE = history_text(FULL, KEY)


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(LedgerError) as refusal:
        action()
    return refusal.value.code


def parsed(data: bytes) -> SigningHistory:
    return parse_history(data, CHAIN, KEY.public)


def changed(**fields: Any) -> bytes:
    """The file of FULL with other fields, written as a history is."""
    document = json.loads(FILE) | fields
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def test_a_file_is_read_back_as_it_was_written() -> None:
    """H1: chain, key, floor and every promise above it, byte for byte; what lies below is not there."""
    assert parsed(FILE) == FULL
    assert FULL.floor == (1, 4)
    assert [(each.vote.view, each.vote.kind) for each in FULL.votes] == [
        (5, NOTARIZE), (5, FINALIZE), (6, NOTARIZE), (7, NULLIFY),
    ]  # fmt: skip
    assert history(floor(4), vote(NOTARIZE, 4), vote(NOTARIZE, 3)).votes == ()


def test_the_highest_own_floor_counts() -> None:
    """H1: floors of another key or chain are nobody's business here."""
    records = [floor(3), floor(9, key=OTHER_KEY), floor(8, chain=OTHER_CHAIN), floor(2)]
    assert history(*records).floor == (1, 3)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "history.malformed"),
        (b"[]\n", "history.malformed"),
        (b"\xff\xfe", "history.malformed"),
        (b"[" * 100_000, "history.malformed"),
        (b" " * (FILE_BYTES_MAX + 1), "history.too_large"),
        (FILE[:-1], "history.malformed"),
        (b" " + FILE, "history.malformed"),
        (
            FILE.replace(b'"floor_view":4', b'"floor_view":4,"floor_view":4'),
            "history.malformed",
        ),
        (FILE.replace(b'"floor_view":4', b'"floor_view":4.0'), "readable.wrong_type"),
        (changed(format="eip-3076"), "history.malformed"),
        (changed(version=2), "history.version"),
        (changed(version="1"), "history.version"),
        (changed(version=True), "readable.wrong_type"),
        (changed(more=1), "readable.unknown_field"),
        (changed(floor_view=-1), "readable.wrong_value"),
        (changed(chain_id=OTHER_CHAIN.hex()), "history.other_chain"),
        (changed(public_key=OTHER_KEY.public.hex()), "history.other_key"),
        (changed(floor_view=3), "history.wrong_signature"),
        (changed(votes=[]), "history.wrong_signature"),
        (history_text(FULL, OTHER_KEY), "history.wrong_signature"),
        (changed(signature="00" * 63), "readable.wrong_value"),
        (changed(signature=None), "readable.wrong_type"),
        (changed(votes=[None]), "readable.wrong_type"),
    ],
)
def test_a_wrong_file_is_refused(data: bytes, code: str) -> None:
    """H2: form, version, chain and key are checked before anything is believed."""
    found = code_of(lambda: parsed(data))
    assert found.split(".")[0] == code.split(".", maxsplit=1)[0]
    if code.startswith("history"):
        assert found == code


def with_promises(votes: Sequence[OwnVote] = (), proposals: Sequence[OwnProposal] = ()) -> bytes:
    """A file that holds exactly these, whatever they are."""
    lie = SigningHistory(
        FULL.format, 1, CHAIN, KEY.public, 1, 4,
        tuple(each.signed for each in votes), tuple(each.signed for each in proposals),
    )  # fmt: skip
    return history_text(lie, KEY)


@pytest.mark.parametrize(
    "data",
    [
        with_promises([vote(NOTARIZE, 5, by=OTHER_KEY)]),
        with_promises([vote(NOTARIZE, 5, chain=OTHER_CHAIN)]),
        with_promises([vote(NOTARIZE, 5), vote(NOTARIZE, 5)]),
        with_promises([vote(NOTARIZE, 6), vote(NOTARIZE, 5)]),
        with_promises([vote(NOTARIZE, 5, block=None)]),
        with_promises([vote(NOTARIZE, 4)]),
        with_promises(proposals=[proposal(6, by=OTHER_KEY)]),
        with_promises(proposals=[proposal(4)]),
        with_promises(proposals=[proposal(6), proposal(6)]),
    ],
)
def test_a_promise_that_the_key_never_made_is_refused(data: bytes) -> None:
    """H3: forged, of another chain, below the floor, twice, out of order or without its block."""
    assert code_of(lambda: parsed(data)) == "history.wrong_promise"


CONTRADICTIONS: list[tuple[list[Record], list[Record]]] = [
    ([vote(NOTARIZE, 5)], [vote(NOTARIZE, 5, B)]),
    ([vote(FINALIZE, 5)], [vote(FINALIZE, 5, B)]),
    ([vote(NULLIFY, 5)], [vote(FINALIZE, 5)]),
    ([vote(NOTARIZE, 5)], [vote(FINALIZE, 5, B)]),
    ([proposal(5)], [proposal(5, B)]),
]


@pytest.mark.parametrize(("ours", "theirs"), CONTRADICTIONS)
@pytest.mark.parametrize("swap", [False, True])
def test_contradicting_histories_are_not_merged(ours: list[Record], theirs: list[Record], swap: bool) -> None:
    """H5: two records that promised what one signer never does both: the key has signed in two places."""
    one, other = history(floor(4), *ours), history(floor(3), *theirs)
    pair = (other, one) if swap else (one, other)
    assert code_of(lambda: merge(*pair)) == "history.contradicts"


def test_a_history_that_contradicts_itself_is_refused() -> None:
    """H3: it is evidence, not a history."""
    data = with_promises([vote(NULLIFY, 5), vote(FINALIZE, 5)])
    assert code_of(lambda: parsed(data)) == "history.contradicts"


def test_a_nullification_after_a_notarization_is_one_signers_history() -> None:
    """H5: what S2 allows merges."""
    both = merge(history(floor(4), vote(NOTARIZE, 5)), history(floor(4), vote(NULLIFY, 5)))
    assert len(both.votes) == 2


HISTORIES = st.builds(
    lambda at, views: history(floor(at), *(vote(NOTARIZE, view) for view in views)),
    st.integers(0, 9),
    st.sets(st.integers(1, 9)),
)


@given(HISTORIES, HISTORIES)
def test_merging_only_adds(one: SigningHistory, other: SigningHistory) -> None:
    """H5: the higher floor, and above it every promise of either; the order makes no difference."""
    both = merge(one, other)
    assert both == merge(other, one)
    assert both.floor == max(one.floor, other.floor)
    wanted = {each.vote.view: each for each in (*one.votes, *other.votes) if (1, each.vote.view) > both.floor}
    assert {each.vote.view: each for each in both.votes} == wanted
    assert merge(both, one) == both


@given(st.data())
def test_no_byte_of_a_file_can_change_unnoticed(data: st.DataObject) -> None:
    """H2: whatever byte is changed, by chance or by somebody, the file is refused."""
    raw = bytearray(FILE)
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(LedgerError):
        parsed(bytes(raw))


def test_promises_are_limited() -> None:
    """H2: more than any record holds is no history."""
    many = with_promises([vote(NULLIFY, 5)])
    document = json.loads(many)
    document["votes"] *= PROMISES_MAX + 1
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert code_of(lambda: parsed(data)).startswith(("readable.", "history.too_large"))
