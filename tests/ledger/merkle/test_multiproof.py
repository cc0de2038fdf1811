"""One proof about many paths says what the single proofs say, in fewer bytes, and nothing else verifies."""

from __future__ import annotations

from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.codec import encode
from ledger.errors import LedgerError
from ledger.merkle.multiproof import (
    MULTIPROOF_BYTES_MAX,
    PATHS_MAX,
    SIBLINGS_MAX,
    MultiProof,
    Place,
    decode_multiproof,
    join_proofs,
    verify_all,
)
from ledger.merkle.proof import EMPTY_HASH, StateLeaf, leaf_hash, node_hash, path_of, value_hash_of
from ledger.merkle.tree import StateTree
from tests.ledger.merkle import definitions
from tests.ledger.merkle.stored_pages import depths, leaf_sets, paths, tree_of

Part = TypeVar("Part")

LEAVES: dict[bytes, bytes] = {path_of(b"%d" % n): value_hash_of(b"value %d" % n) for n in range(200)}
ROOT = definitions.state_root(LEAVES)
TREE, _ = tree_of(LEAVES, 6)
ASKED = [*list(LEAVES)[:4], *(path_of(b"absent %d" % n) for n in range(4))]
CLAIMS = {path: LEAVES.get(path) for path in ASKED}


def proof_of(tree: StateTree, asked: list[bytes]) -> MultiProof:
    return join_proofs({path: tree.prove(path) for path in asked})


PROOF = proof_of(TREE, ASKED)


@given(leaf_sets, st.lists(paths, max_size=6), st.data(), depths)
@settings(max_examples=300)
def test_any_set_of_paths_is_proved_at_once(
    leaves: dict[bytes, bytes], strangers: list[bytes], data: st.DataObject, depth: int
) -> None:
    """Members and absent paths together, hostile prefixes too, verify; one claim turned false does not."""
    asked = (
        data.draw(st.lists(st.sampled_from([*leaves, *strangers]), unique=True))
        if leaves or strangers
        else []
    )
    if not asked:
        asked = [bytes(32)]
    tree, _ = tree_of(leaves, depth)
    proof = decode_multiproof(encode(proof_of(tree, asked)))
    claims = {path: leaves.get(path) for path in asked}
    verify_all(definitions.state_root(leaves), claims, proof)
    assert len(proof.siblings) <= sum(place.depth for place in proof.places)
    for path in asked:
        _code(tree.root, {**claims, path: b"\x77" * 32}, proof)
        if claims[path] is not None:
            _code(tree.root, {**claims, path: None}, proof)


def test_shared_siblings_are_sent_once() -> None:
    """All leaves at once need only the empty siblings; one leaf needs those of its single proof."""
    everything = proof_of(TREE, list(LEAVES))
    verify_all(ROOT, LEAVES, everything)
    assert all(sibling == EMPTY_HASH for sibling in everything.siblings)
    one = next(iter(LEAVES))
    assert sorted(proof_of(TREE, [one]).siblings) == sorted(TREE.prove(one).siblings)
    singles = sum(len(encode(TREE.prove(path))) for path in ASKED)
    assert len(encode(PROOF)) < singles * 3 // 4


def test_every_bit_matters() -> None:
    """Each single bit turned over in the encoded proof, each cut and each added byte is refused."""
    data = encode(PROOF)
    flips = [
        data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
        for place in range(len(data))
        for bit in range(8)
    ]
    for mutant in (*flips, *(data[:length] for length in range(len(data))), data + b"\x00"):
        with pytest.raises(LedgerError):
            verify_all(ROOT, CLAIMS, decode_multiproof(mutant))


def test_parts_that_are_swapped_dropped_or_doubled_are_refused() -> None:
    """Number and order of places and siblings are part of the proof."""
    places, siblings = PROOF.places, PROOF.siblings
    for row in _rearranged(siblings):
        _code(ROOT, CLAIMS, MultiProof(places, row))
    for row in _rearranged(places):
        _code(ROOT, CLAIMS, MultiProof(row, siblings))


def test_claims_left_out_or_added_are_refused() -> None:
    """A proof is about its own set of paths, no part of it and no more."""
    for path in ASKED:
        assert (
            _code(ROOT, {other: CLAIMS[other] for other in ASKED if other != path}, PROOF) == "proof.length"
        )
    assert _code(ROOT, {**CLAIMS, bytes(32): None}, PROOF) == "proof.length"
    assert _code(ROOT, {}, PROOF) == "proof.length"
    assert _code(ROOT, {}, MultiProof((), ())) == "proof.length"
    assert _code(EMPTY_HASH, {}, MultiProof((), ())) == "proof.length"
    assert _code(ROOT, {}, MultiProof((), (ROOT,))) == "proof.length"


A, B = b"\x00" * 32, b"\x40" + bytes(31)  # 00..., 01...
VALUE = b"\x05" * 32
LEAF_A = leaf_hash(A, VALUE)


@pytest.mark.parametrize(
    ("claims", "proof", "code"),
    [
        ({A: VALUE, B: None}, MultiProof((Place(0, None), Place(0, None)), ()), "proof.place"),
        ({A: VALUE, B: None}, MultiProof((Place(0, None), Place(1, None)), ()), "proof.place"),
        ({A: VALUE, B: None}, MultiProof((Place(2, None), Place(1, None)), ()), "proof.place"),
        ({A: None, B: None}, MultiProof((Place(0, None), Place(1, None)), ()), "proof.place"),
        ({A: VALUE}, MultiProof((Place(-1, None),), ()), "proof.place"),
        ({A: VALUE}, MultiProof((Place(257, None),), (VALUE,) * 257), "proof.place"),
        ({A: VALUE}, MultiProof((Place(1, None),), (EMPTY_HASH,)), "proof.not_canonical"),
        ({A: VALUE, B: None}, MultiProof((Place(2, None), Place(2, None)), (VALUE,)), "proof.not_canonical"),
        ({A: None}, MultiProof((Place(1, None),), (EMPTY_HASH,)), "proof.not_canonical"),
        ({A: VALUE}, MultiProof((Place(0, StateLeaf(B, VALUE)),), ()), "proof.other_leaf"),
        ({A: None}, MultiProof((Place(0, StateLeaf(A, VALUE)),), ()), "proof.other_leaf"),
        ({A: None}, MultiProof((Place(2, StateLeaf(B, VALUE)),), (VALUE, VALUE)), "proof.other_leaf"),
        ({A: VALUE}, MultiProof((Place(1, None),), ()), "proof.length"),
        ({A: VALUE}, MultiProof((Place(0, None),), (VALUE,)), "proof.length"),
        ({A: VALUE}, MultiProof((Place(0, None),), (b"5",) * (SIBLINGS_MAX + 1)), "proof.length"),
        ({A: b"5"}, MultiProof((Place(0, None),), ()), "proof.hash_size"),
        ({b"a": VALUE}, MultiProof((Place(0, None),), ()), "proof.hash_size"),
        ({A: VALUE}, MultiProof((Place(1, None),), (b"5",)), "proof.hash_size"),
        ({A: None}, MultiProof((Place(0, StateLeaf(B, b"5")),), ()), "proof.hash_size"),
        ({A: VALUE}, MultiProof((Place(1, None),), (VALUE,)), "proof.mismatch"),
    ],
)
def test_codes(claims: dict[bytes, bytes | None], proof: MultiProof, code: str) -> None:
    """Each way to be wrong has its stable code."""
    assert _code(LEAF_A, claims, proof) == code


def test_a_root_of_another_size_is_refused() -> None:
    """A root that is no hash is said to be none, not merely another root."""
    assert _code(LEAF_A[:31], {A: VALUE}, MultiProof((Place(0, None),), ())) == "proof.hash_size"


def test_more_paths_than_the_limit_are_refused() -> None:
    """4,096 claims are looked at, 4,097 are not."""
    claims = {number.to_bytes(32, "big"): None for number in range(PATHS_MAX + 1)}
    assert _code(LEAF_A, claims, MultiProof((Place(0, None),) * len(claims), ())) == "proof.length"
    del claims[bytes(32)]
    verify_all(EMPTY_HASH, claims, MultiProof((Place(0, None),) * len(claims), ()))


def test_a_member_and_an_absent_path_beside_it_share_their_place() -> None:
    """An absent path may end at a leaf that is proved as well: the two agree on it."""
    claims = {A: VALUE, B: None}
    verify_all(LEAF_A, claims, MultiProof((Place(0, None), Place(0, StateLeaf(A, VALUE))), ()))


def test_the_deepest_proof_verifies() -> None:
    """Two leaves that part at the last bit, proved together, need the empty siblings of 255 levels only."""
    leaves = {A: VALUE, bytes(31) + b"\x01": VALUE}
    tree, _ = tree_of(leaves, 3)
    proof = proof_of(tree, list(leaves))
    assert proof.siblings == (EMPTY_HASH,) * 255
    verify_all(tree.root, leaves, proof)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        [[]],
        [[], [], []],
        [[[0]], []],
        [[[257, None]], []],
        [[[-1, None]], []],
        [[[0, [A]]], []],
        [[], [b"5"]],
    ],
)
def test_malformed_bytes_are_refused(value: object) -> None:
    """Nothing but places and 32-byte siblings is a proof."""
    with pytest.raises(LedgerError) as refusal:
        decode_multiproof(encode(value))
    assert refusal.value.code == "encoding.malformed"


def test_oversized_bytes_are_refused_unparsed() -> None:
    """The size limit comes before any parsing."""
    with pytest.raises(LedgerError) as refusal:
        decode_multiproof(bytes(MULTIPROOF_BYTES_MAX + 1))
    assert refusal.value.code == "encoding.too_large"


def test_the_golden_multiproof() -> None:
    """The bytes of this proof never change: auditors keep them."""
    leaf_b = leaf_hash(B, VALUE)
    tree, _ = tree_of({A: VALUE, B: VALUE, b"\xff" * 32: VALUE}, 4)
    proof = proof_of(tree, [A, b"\xfe" * 32])
    assert tree.root == node_hash(node_hash(LEAF_A, leaf_b), leaf_hash(b"\xff" * 32, VALUE))
    assert proof == MultiProof((Place(2, None), Place(1, StateLeaf(b"\xff" * 32, VALUE))), (leaf_b,))
    expected = "92929202c0920192c420" + "ff" * 32 + "c420" + "05" * 32 + "91c420" + leaf_b.hex()
    assert encode(proof).hex() == expected


def _rearranged(parts: tuple[Part, ...]) -> list[tuple[Part, ...]]:
    rows = [(*parts, parts[-1]), (parts[0], *parts)]
    rows += [(*parts[:n], *parts[n + 1 :]) for n in range(len(parts))]
    rows += [(*parts[:n], parts[n + 1], parts[n], *parts[n + 2 :]) for n in range(len(parts) - 1)]
    return [row for row in rows if row != parts]


def _code(root: bytes, claims: dict[bytes, bytes | None], proof: MultiProof) -> str:
    with pytest.raises(LedgerError, match=r"^proof\.") as refusal:
        verify_all(root, claims, proof)
    return refusal.value.code
