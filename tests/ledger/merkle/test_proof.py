"""Proofs of the state tree: true ones verify, and nothing else does."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.codec import encode
from ledger.errors import LedgerError
from ledger.merkle.proof import (
    EMPTY_HASH,
    SIBLINGS_MAX,
    STATE_PROOF_BYTES_MAX,
    StateLeaf,
    StateProof,
    decode_state_proof,
    leaf_hash,
    node_hash,
    path_bit,
    path_of,
    shared_bits,
    value_hash_of,
    verify_absence,
    verify_membership,
)
from tests.ledger.merkle import definitions
from tests.ledger.merkle.stored_pages import after, depths, hashes, leaf_sets, paths, tree_of

LEAVES = {path_of(b"%d" % n): value_hash_of(b"value %d" % n) for n in range(200)}
ROOT = definitions.state_root(LEAVES)
TREE, _ = tree_of(LEAVES, 6)
MEMBER = path_of(b"7")
ABSENT = [path_of(b"absent %d" % n) for n in range(60)]


@given(leaf_sets, st.lists(paths, max_size=4), depths)
@settings(max_examples=300)
def test_every_path_has_the_one_proof_that_is_true(
    leaves: dict[bytes, bytes], strangers: list[bytes], depth: int
) -> None:
    """Members prove membership and never absence, all others the reverse; any depth gives the same proof."""
    tree, _ = tree_of(leaves, depth)
    other_depth, _ = tree_of(leaves, 13 - depth)
    root = definitions.state_root(leaves)
    for path in [*leaves, *strangers]:
        proof = tree.prove(path)
        assert proof == other_depth.prove(path)
        if path in leaves:
            verify_membership(root, path, leaves[path], proof)
            _refused_absence(root, path, proof)
        else:
            verify_absence(root, path, proof)
            _refused_membership(root, path, bytes(32), proof)
        assert decode_state_proof(encode(proof)) == proof


@given(leaf_sets, st.lists(st.dictionaries(paths, st.none() | hashes, max_size=5), max_size=3), depths)
def test_proofs_on_uncommitted_parents(
    leaves: dict[bytes, bytes], batches: list[dict[bytes, bytes | None]], depth: int
) -> None:
    """A proof over blocks that are not final verifies against the youngest one's root."""
    tree, _ = tree_of(leaves, depth)
    parents = []
    for batch in batches:
        parents.append(tree.preview(batch, parents))
        leaves = after(leaves, batch)
        for path in [*leaves, *batch]:
            proof = tree.prove(path, parents)
            if path in leaves:
                verify_membership(parents[-1].root, path, leaves[path], proof)
            else:
                verify_absence(parents[-1].root, path, proof)


@given(leaf_sets, st.data(), depths)
def test_a_proof_holds_for_its_own_path_value_and_root_only(
    leaves: dict[bytes, bytes], data: st.DataObject, depth: int
) -> None:
    """With one bit of root, path or value turned over, the same proof is refused."""
    tree, _ = tree_of(leaves, depth)
    for path, value in leaves.items():
        proof = tree.prove(path)
        _refused_membership(_flip(tree.root, data), path, value, proof)
        _refused_membership(tree.root, _flip(path, data), value, proof)
        _refused_membership(tree.root, path, _flip(value, data), proof)
    stranger = data.draw(paths)
    if stranger not in leaves:
        _refused_absence(_flip(tree.root, data), stranger, tree.prove(stranger))


def test_every_bit_of_a_membership_proof_matters() -> None:
    """Each single bit turned over in the encoded proof, each cut and each added byte is refused."""
    data = encode(TREE.prove(MEMBER))
    for mutant in _mutants(data):
        with pytest.raises(LedgerError):
            verify_membership(ROOT, MEMBER, LEAVES[MEMBER], decode_state_proof(mutant))


@pytest.mark.parametrize("beside_a_leaf", [True, False])
def test_every_bit_of_an_absence_proof_matters(beside_a_leaf: bool) -> None:
    """The same for absence, of both kinds: nothing in the place, or another leaf in it."""
    path = next(path for path in ABSENT if (TREE.prove(path).other is not None) == beside_a_leaf)
    for mutant in _mutants(encode(TREE.prove(path))):
        with pytest.raises(LedgerError):
            verify_absence(ROOT, path, decode_state_proof(mutant))


def test_siblings_swapped_doubled_dropped_or_added_are_refused() -> None:
    """The order and the number of siblings are part of the proof."""
    for path in (MEMBER, *ABSENT[:20]):
        proof = TREE.prove(path)
        many = proof.siblings
        altered = [
            many[:-1],
            many[1:],
            (*many, bytes(32)),
            (*many, many[-1]),
            (bytes(32), *many),
            (many[0], *many),
        ]
        altered += [(*many[:n], many[n + 1], many[n], *many[n + 2 :]) for n in range(len(many) - 1)]
        for siblings in altered:
            if siblings == many:
                continue  # two empty siblings changed places
            mutant = StateProof(siblings, proof.other)
            _refused_membership(ROOT, path, LEAVES.get(path, bytes(32)), mutant)
            _refused_absence(ROOT, path, mutant)


def test_a_proof_of_one_path_proves_no_other() -> None:
    """Taken from one path and shown for another member, a proof is refused."""
    members = list(LEAVES)[:30]
    for path in members:
        for other in members:
            if other != path:
                _refused_membership(ROOT, other, LEAVES[other], TREE.prove(path))
                _refused_absence(ROOT, other, TREE.prove(path))


def test_an_inner_node_can_not_pass_as_a_leaf_or_as_nothing() -> None:
    """A shorter way that stops at an inner node proves nothing, with or without a made-up leaf."""
    proof = TREE.prove(MEMBER)
    for cut in range(1, len(proof.siblings)):
        short = proof.siblings[cut:]
        _refused_absence(ROOT, MEMBER, StateProof(short, None))
        _refused_absence(ROOT, MEMBER, StateProof(short, StateLeaf(b"\x00" * 32, bytes(32))))
        _refused_membership(ROOT, MEMBER, LEAVES[MEMBER], StateProof(short, None))


@pytest.mark.parametrize(
    ("proof", "code"),
    [
        (StateProof((b"\x01" * 32,) * 257, None), "proof.length"),
        (StateProof((b"\x01" * 31,), None), "proof.hash_size"),
        (StateProof((EMPTY_HASH,), None), "proof.not_canonical"),
        (StateProof((b"\x01" * 32,), None), "proof.mismatch"),
        (StateProof((), None), "proof.mismatch"),
        (StateProof((), StateLeaf(MEMBER, bytes(32))), "proof.other_leaf"),
    ],
)
def test_codes_that_both_verifiers_share(proof: StateProof, code: str) -> None:
    """Each bound has its stable code, for membership and for absence."""
    with pytest.raises(LedgerError) as refusal:
        verify_membership(ROOT, MEMBER, LEAVES[MEMBER], proof)
    assert refusal.value.code == code
    with pytest.raises(LedgerError) as refusal:
        verify_absence(ROOT, MEMBER, proof)
    assert refusal.value.code == code


def test_the_other_leaf_must_share_exactly_the_way_down() -> None:
    """Another leaf is admitted only where the absent path leads: same first bits, right sizes."""
    path = next(path for path in ABSENT if TREE.prove(path).other)
    proof = TREE.prove(path)
    assert proof.other is not None
    depth = len(proof.siblings)
    strays = [leaf for leaf in LEAVES if shared_bits(leaf, path) < depth]
    assert strays
    for stray in strays:
        assert (
            _absence_code(path, StateProof(proof.siblings, StateLeaf(stray, LEAVES[stray])))
            == "proof.other_leaf"
        )
    for bad in (StateLeaf(b"", bytes(32)), StateLeaf(bytes(33), bytes(32)), StateLeaf(proof.other.path, b"")):
        assert _absence_code(path, StateProof(proof.siblings, bad)) == "proof.hash_size"
    swapped = StateLeaf(proof.other.value_hash, proof.other.path)
    assert _absence_code(path, StateProof(proof.siblings, swapped)).startswith("proof.")


def test_arguments_of_another_size_are_refused() -> None:
    """Root, path and value hash are 32 bytes each, even where hashing would join other cuts alike."""
    leaf = StateProof((), None)
    root = leaf_hash(b"p" * 32, b"v" * 32)
    verify_membership(root, b"p" * 32, b"v" * 32, leaf)
    for wrong in (
        (root[:-1], b"p" * 32, b"v" * 32),
        (root, b"p" * 32, b"v" * 31),
        (root, b"p" * 31, b"pv" + b"v" * 31),
        (root, b"p" * 32 + b"v", b"v" * 31),
    ):
        with pytest.raises(LedgerError) as refusal:
            verify_membership(*wrong, leaf)
        assert refusal.value.code == "proof.hash_size"
    with pytest.raises(LedgerError) as refusal:
        verify_absence(EMPTY_HASH, b"p" * 31, leaf)
    assert refusal.value.code == "proof.hash_size"


def test_the_smallest_trees() -> None:
    """No leaf: every path is absent. One leaf: it is the root, and every other path is absent beside it."""
    nothing = StateProof((), None)
    verify_absence(EMPTY_HASH, MEMBER, nothing)
    _refused_membership(EMPTY_HASH, MEMBER, bytes(32), nothing)
    tree, _ = tree_of({MEMBER: bytes(32)}, 12)
    assert tree.root == leaf_hash(MEMBER, bytes(32))
    assert tree.prove(MEMBER) == nothing
    assert tree.prove(ABSENT[0]) == StateProof((), StateLeaf(MEMBER, bytes(32)))


def test_the_deepest_proof_fits_the_limit_exactly() -> None:
    """Two leaves that part at the last bit stand 256 deep; that proof is admitted and none larger."""
    leaves = {bytes(32): b"\x01" * 32, bytes(31) + b"\x01": b"\x02" * 32}
    tree, _ = tree_of(leaves, 3)
    for path, value in leaves.items():
        proof = tree.prove(path)
        assert len(proof.siblings) == SIBLINGS_MAX
        verify_membership(tree.root, path, value, decode_state_proof(encode(proof)))
    largest = encode(StateProof((bytes(32),) * 256, StateLeaf(bytes(32), bytes(32))))
    assert len(largest) == STATE_PROOF_BYTES_MAX
    decode_state_proof(largest)
    with pytest.raises(LedgerError) as refusal:
        decode_state_proof(largest + b"\x00")
    assert refusal.value.code == "encoding.too_large"


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        [[]],
        [[], None, None],
        [[bytes(31)], None],
        [["0" * 32], None],
        [[bytes(32)] * 257, None],
        [[], [bytes(32)]],
        [[], [bytes(32), bytes(33)]],
        [[], [bytes(32), bytes(32), 0]],
        {"siblings": [], "other": None},
    ],
)
def test_malformed_bytes_are_refused(value: object) -> None:
    """Nothing but an array of 32-byte siblings and a leaf or nil is a proof."""
    with pytest.raises(LedgerError) as refusal:
        decode_state_proof(encode(value))
    assert refusal.value.code == "encoding.malformed"


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_with_a_code(data: bytes) -> None:
    """Whatever arrives, the answer is a refusal, never another exception."""
    with pytest.raises(LedgerError):
        verify_absence(ROOT, MEMBER, decode_state_proof(data))


def test_a_second_spelling_of_a_proof_is_refused() -> None:
    """The same proof with a longer array head has other bytes, so it is none."""
    data = encode(StateProof((), None))
    assert data == b"\x92\x90\xc0"
    with pytest.raises(LedgerError) as refusal:
        decode_state_proof(b"\x92\xdc\x00\x00\xc0")
    assert refusal.value.code == "encoding.non_canonical"


def test_bits_are_counted_from_the_top() -> None:
    """Bit 0 is the first byte's top bit, bit 255 the last byte's lowest."""
    assert [path_bit(b"\x80" + bytes(31), bit) for bit in (0, 1, 255)] == [1, 0, 0]
    assert path_bit(bytes(31) + b"\x01", 255) == 1
    assert shared_bits(bytes(32), b"\x01" + bytes(31)) == 7
    assert shared_bits(bytes(32), bytes(32)) == 256


def test_golden_proofs() -> None:
    """The bytes of these proofs never change: auditors keep them."""
    three = {path_of(b"%d" % n): value_hash_of(b"value %d" % n) for n in range(3)}
    zero, one, two = (StateLeaf(path, value_hash) for path, value_hash in three.items())
    tree, _ = tree_of(three, 4)
    # The paths start with 0101, 0110 and 1101, that of "absent" with 0101: "00" is empty.
    beside = (leaf_hash(one.path, one.value_hash), EMPTY_HASH, leaf_hash(two.path, two.value_hash))
    assert tree.prove(zero.path) == StateProof(beside, None)
    assert tree.prove(path_of(b"absent")) == StateProof(beside, zero)
    assert tree.root.hex() == GOLDEN_ROOT
    assert encode(tree.prove(zero.path)).hex() == GOLDEN_MEMBER
    assert encode(tree.prove(path_of(b"absent"))).hex() == GOLDEN_ABSENT


GOLDEN_ROOT = "9628424bc0227714454ea7fb0824be296f5c6839bd3422f2c46769f84dd97a5c"
GOLDEN_MEMBER = (
    "9293c420c511448dd9a10d2f584e7c37f6066b520d8eae736e7343092c548b2e6a5b1e8dc42000000000000000000000"
    "00000000000000000000000000000000000000000000c420404c893376b61a82bf40c404f4e4ce6697f4a881fd5307f7"
    "2f1da06083a6448cc0"
)
GOLDEN_ABSENT = (
    "9293c420c511448dd9a10d2f584e7c37f6066b520d8eae736e7343092c548b2e6a5b1e8dc42000000000000000000000"
    "00000000000000000000000000000000000000000000c420404c893376b61a82bf40c404f4e4ce6697f4a881fd5307f7"
    "2f1da06083a6448c92c4205feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9c420f2a697"
    "22b820ceb39ae47f76059ccbfb57584ae46c37304c6ed77f5f500b81cd"
)


def test_hashes_are_the_ones_written_in_the_specification() -> None:
    """Tags, order and sizes of what is hashed."""
    assert path_of(b"item\x00key") == sha256(b"item\x00key").digest()
    assert value_hash_of(b"value") == sha256(b"value").digest()
    assert leaf_hash(b"p" * 32, b"v" * 32) == sha256(b"\x00" + b"p" * 32 + b"v" * 32).digest()
    assert node_hash(b"l" * 32, b"r" * 32) == sha256(b"\x01" + b"l" * 32 + b"r" * 32).digest()
    assert bytes(32) == EMPTY_HASH


def _mutants(data: bytes) -> list[bytes]:
    flips = [
        data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
        for place in range(len(data))
        for bit in range(8)
    ]
    cuts = [data[:length] for length in range(len(data))]
    return [*flips, *cuts, data + b"\x00", b"\x00" + data, data + data]


def _flip(value: bytes, data: st.DataObject) -> bytes:
    bit = data.draw(st.integers(0, 255))
    return (int.from_bytes(value, "big") ^ (1 << bit)).to_bytes(32, "big")


def _refused_membership(root: bytes, path: bytes, value_hash: bytes, proof: StateProof) -> None:
    with pytest.raises(LedgerError, match=r"^proof\."):
        verify_membership(root, path, value_hash, proof)


def _refused_absence(root: bytes, path: bytes, proof: StateProof) -> None:
    with pytest.raises(LedgerError, match=r"^proof\."):
        verify_absence(root, path, proof)


def _absence_code(path: bytes, proof: StateProof) -> str:
    with pytest.raises(LedgerError) as refusal:
        verify_absence(ROOT, path, proof)
    return refusal.value.code
