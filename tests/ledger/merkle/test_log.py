"""The RFC 9162 log agrees with the RFC's own definition, and its proofs admit nothing else."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.codec import decode, encode
from ledger.errors import LedgerError
from ledger.merkle import log
from tests.ledger.merkle import definitions

ENTRIES = [b"entry %d" % number for number in range(40)]
HASHES = [log.leaf_hash(entry) for entry in ENTRIES]

# Computed once with definitions.log_root; frozen, because headers hold these roots.
GOLDEN = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "773885a613489e24ce2cf76199d6a423f042e4bbf12d7eecee912ef276c65701",
    2: "5a47662fd8a317d96049a3f9f47c55dc67ca66051baa3683dbb19b2fe09a07b0",
    3: "94fbd0dd836f50301692e6d0eade728ee19ec52bfff1606ed807c8575d5aaa19",
    7: "98c97f0ba3175cd08b031dd084b9dc4e649b64d1a28e6ea694646503173ab587",
    8: "b69732ce5c914162ca9accfaf4e95d3f9874d68805437088aaff184a4db96773",
    13: "c0c1289f00605f8d7d8780b9f4264c736ccfb84ce91708c2b27e6426bfc7d8a8",
    40: "2038f618fc3b98afa5a7f4c8e65b8647860a963100fdaa47ca36a23836a27991",
}


@pytest.mark.parametrize(("size", "expected"), GOLDEN.items())
def test_golden_roots_never_change(size: int, expected: str) -> None:
    """Roots over "entry 0", "entry 1", ... are these bytes for ever."""
    assert definitions.log_root(ENTRIES[:size]).hex() == expected
    assert log.root(ENTRIES[:size]).hex() == expected


def test_the_certificate_transparency_vectors() -> None:
    """The eight roots of the reference data of Certificate Transparency come out."""
    entries = [bytes.fromhex(text) for text in CT_ENTRIES]
    assert [log.root(entries[: n + 1]).hex() for n in range(8)] == CT_ROOTS


# The reference inputs and roots of Certificate Transparency (RFC 6962, the same tree).
CT_ENTRIES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def test_roots_paths_and_frontiers_equal_the_definition_at_every_small_size() -> None:
    """For every size to 40: root, frontier and each path of both kinds are the RFC's, and verify."""
    frontier = log.EMPTY_FRONTIER
    for size in range(len(ENTRIES) + 1):
        entries, hashes = ENTRIES[:size], HASHES[:size]
        root = definitions.log_root(entries)
        assert log.root(entries) == log.root_of_hashes(hashes) == frontier.root() == root
        for index in range(size):
            path = log.inclusion_path(hashes, index)
            assert list(path) == definitions.log_inclusion(index, entries)
            log.verify_inclusion(root, size, index, hashes[index], path)
        for old in range(size + 1):
            path = log.consistency_path(hashes, old)
            assert list(path) == (definitions.log_consistency(old, entries) if old else [])
            log.verify_consistency(old, definitions.log_root(entries[:old]), size, root, path)
        if size < len(ENTRIES):
            frontier = frontier.append(HASHES[size])


@given(st.lists(st.binary(max_size=8), max_size=300), st.data())
def test_a_frontier_is_the_same_however_entries_are_added(entries: list[bytes], data: st.DataObject) -> None:
    """One by one, all at once or in two parts: the same frontier and root, and it survives its encoding."""
    hashes = [log.leaf_hash(entry) for entry in entries]
    cut = data.draw(st.integers(0, len(hashes)))
    frontier = log.EMPTY_FRONTIER.append_all(hashes[:cut]).append_all(hashes[cut:])
    one_by_one = log.EMPTY_FRONTIER
    for value in hashes:
        one_by_one = one_by_one.append(value)
    assert frontier == one_by_one == log.EMPTY_FRONTIER.append_all(hashes)
    assert frontier.root() == log.root(entries)
    assert decode(encode(frontier), log.Frontier, 4096) == frontier


def test_a_frontier_grows_by_subtrees_as_it_does_by_entries() -> None:
    """For every two sizes to 40: the subtrees in between give the frontier that the entries give."""
    frontiers = [log.EMPTY_FRONTIER.append_all(HASHES[:size]) for size in range(len(HASHES) + 1)]
    for old, frontier in enumerate(frontiers):
        for size in range(old, len(HASHES) + 1):
            assert frontier.extend(size, log.extension(old, HASHES[old:size])) == frontiers[size]


@given(st.integers(0, log.LOG_SIZE_MAX), st.integers(0, log.LOG_SIZE_MAX))
def test_no_growth_needs_more_subtrees_than_the_limit(one: int, other: int) -> None:
    """However far apart two sizes are; the sum of the widths is the distance."""
    start, stop = sorted((one, other))
    widths = log._subtree_widths(start, stop)
    assert len(widths) <= log.EXTENSION_LENGTH_MAX
    assert sum(widths) == stop - start


@given(st.integers(0, 60), st.integers(1, 60), st.data())
def test_no_altered_extension_leads_to_the_same_root(old: int, more: int, data: st.DataObject) -> None:
    """Another hash, one too many, one too few, or another size: refused, or another root."""
    hashes = [log.leaf_hash(bytes([number])) for number in range(old + more)]
    frontier = log.EMPTY_FRONTIER.append_all(hashes[:old])
    subtrees = list(log.extension(old, hashes[old:]))
    at = data.draw(st.integers(0, len(subtrees) - 1))
    changed = [*subtrees[:at], bytes(32), *subtrees[at + 1 :]]
    assert frontier.extend(old + more, changed).root() != log.root_of_hashes(hashes)
    for wrong in (subtrees[1:], [*subtrees, bytes(32)]):
        with pytest.raises(LedgerError, match=r"^proof\.length"):
            frontier.extend(old + more, wrong)


@pytest.mark.parametrize(
    ("size", "subtrees", "code"),
    [(2, (), "proof.out_of_range"), (2**53, (), "proof.out_of_range"), (4, (b"short",), "proof.hash_size")],
)
def test_what_is_no_extension_has_a_code(size: int, subtrees: tuple[bytes, ...], code: str) -> None:
    """A frontier of three entries neither shrinks, nor grows beyond the limit, nor takes what is no hash."""
    with pytest.raises(LedgerError) as refusal:
        log.EMPTY_FRONTIER.append_all(HASHES[:3]).extend(size, subtrees)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("size", "peaks"), [(0, 1), (1, 0), (1, 2), (2, 2), (3, 1), (7, 2), (8, 4), (2**53 - 1, 52)]
)
def test_a_frontier_with_the_wrong_number_of_peaks_is_refused(size: int, peaks: int) -> None:
    """A size and its peaks must agree, in memory and from bytes."""
    with pytest.raises(LedgerError, match=r"^log\.frontier"):
        log.Frontier(size, (bytes(32),) * peaks)
    with pytest.raises(LedgerError) as refusal:
        decode(encode([size, [bytes(32)] * peaks]), log.Frontier, 4096)
    assert refusal.value.code == "log.frontier"


@pytest.mark.parametrize(
    "value",
    [[-1, []], [2**53, [bytes(32)]], [1, [bytes(31)]], [1, [bytes(33)]], [1, ["a" * 32]], [1], [1, [], 0], 7],
)
def test_malformed_frontiers_are_refused(value: object) -> None:
    """Sizes and shapes are checked before anything is made of the bytes."""
    with pytest.raises(LedgerError) as refusal:
        decode(encode(value), log.Frontier, 4096)
    assert refusal.value.code == "encoding.malformed"


@given(st.integers(1, 70), st.data())
def test_no_altered_inclusion_proof_verifies(size: int, data: st.DataObject) -> None:
    """Another leaf, place or root, or a path that is flipped, cut, extended or reordered fails."""
    hashes = [log.leaf_hash(b"%d" % number) for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    root, path = log.root_of_hashes(hashes), log.inclusion_path(hashes, index)
    log.verify_inclusion(root, size, index, hashes[index], path)
    for wrong in _altered_paths(path, data):
        _refused_inclusion(root, size, index, hashes[index], wrong)
    _refused_inclusion(flipped(root, data), size, index, hashes[index], path)
    _refused_inclusion(root, size, index, flipped(hashes[index], data), path)
    for other in set(range(size)) - {index}:
        _refused_inclusion(root, size, other, hashes[index], path)


@given(st.integers(1, 70), st.data())
def test_no_altered_consistency_proof_verifies(size: int, data: st.DataObject) -> None:
    """Another old or new root, or a path that is flipped, cut, extended or reordered fails."""
    hashes = [log.leaf_hash(b"%d" % number) for number in range(size)]
    old = data.draw(st.integers(0, size))
    old_root, root = log.root_of_hashes(hashes[:old]), log.root_of_hashes(hashes)
    path = log.consistency_path(hashes, old)
    log.verify_consistency(old, old_root, size, root, path)
    for wrong in _altered_paths(path, data):
        _refused_consistency(old, old_root, size, root, wrong)
    _refused_consistency(old, flipped(old_root, data), size, root, path)
    if old:  # an empty log is the start of every log
        _refused_consistency(old, old_root, size, flipped(root, data), path)


def test_a_rewritten_entry_has_no_consistency_proof() -> None:
    """Neither the honest path nor the one that the rewritten log gives joins the old root to the new one."""
    rewritten = [*HASHES[:3], log.leaf_hash(b"forged"), *HASHES[4:]]
    old_root, new_root = log.root_of_hashes(HASHES[:7]), log.root_of_hashes(rewritten)
    for path in (log.consistency_path(HASHES, 7), log.consistency_path(rewritten, 7)):
        _refused_consistency(7, old_root, 40, new_root, path)


@pytest.mark.parametrize(
    ("size", "index", "path_length", "code"),
    [
        (4, 4, 2, "proof.out_of_range"),
        (4, -1, 2, "proof.out_of_range"),
        (0, 0, 0, "proof.out_of_range"),
        (2**53, 0, 53, "proof.out_of_range"),
        (4, 0, 3, "proof.length"),
        (4, 0, 1, "proof.length"),
        (1, 0, 1, "proof.length"),
        (2**53 - 1, 0, 65, "proof.length"),
        (2**53 - 1, 0, 53, "proof.mismatch"),
    ],
)
def test_inclusion_codes(size: int, index: int, path_length: int, code: str) -> None:
    """Each way to be wrong has its stable code."""
    with pytest.raises(LedgerError) as refusal:
        log.verify_inclusion(bytes(32), size, index, bytes(32), (bytes(32),) * path_length)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("old", "new", "path_length", "code"),
    [
        (5, 4, 0, "proof.out_of_range"),
        (-1, 4, 0, "proof.out_of_range"),
        (1, 2**53, 0, "proof.out_of_range"),
        (0, 4, 1, "proof.length"),
        (4, 4, 1, "proof.length"),
        (3, 4, 0, "proof.length"),
        (4, 8, 2, "proof.length"),
        (4, 9, 1, "proof.length"),
        (4, 9, 65, "proof.length"),
        (0, 4, 0, "proof.mismatch"),
        (4, 8, 1, "proof.mismatch"),
    ],
)
def test_consistency_codes(old: int, new: int, path_length: int, code: str) -> None:
    """Each way to be wrong has its stable code."""
    with pytest.raises(LedgerError) as refusal:
        log.verify_consistency(old, bytes(32), new, bytes(32), (bytes(32),) * path_length)
    assert refusal.value.code == code


def test_hashes_of_another_size_are_refused() -> None:
    """No part of a proof may be anything but 32 bytes, wherever it stands."""
    good, bad = bytes(32), bytes(31)
    for call in (
        lambda: log.verify_inclusion(bad, 2, 0, good, (good,)),
        lambda: log.verify_inclusion(good, 2, 0, bad, (good,)),
        lambda: log.verify_inclusion(good, 2, 0, good, (bad,)),
        lambda: log.verify_consistency(1, bad, 2, good, (good,)),
        lambda: log.verify_consistency(1, good, 2, bad, (good,)),
        lambda: log.verify_consistency(1, good, 2, good, (bad,)),
    ):
        with pytest.raises(LedgerError) as refusal:
            call()
        assert refusal.value.code == "proof.hash_size"


def test_a_path_longer_than_any_is_refused_before_its_hashes_are_looked_at() -> None:
    """The bound comes first: 65 hashes of the wrong size are too many, not of the wrong size."""
    for call in (
        lambda: log.verify_inclusion(bytes(32), 2, 0, bytes(32), (b"",) * 65),
        lambda: log.verify_consistency(1, bytes(32), 2, bytes(32), (b"",) * 65),
    ):
        with pytest.raises(LedgerError) as refusal:
            call()
        assert refusal.value.code == "proof.length"


def test_an_inner_node_is_no_entry() -> None:
    """Entries and nodes are hashed apart, so a node's 64 bytes can't pass as an entry."""
    root = log.root(ENTRIES[:2])
    assert log.root([HASHES[0] + HASHES[1]]) != root
    assert sha256(b"\x01" + HASHES[0] + HASHES[1]).digest() == root


def flipped(value: bytes, data: st.DataObject) -> bytes:
    bit = data.draw(st.integers(0, 255))
    return (int.from_bytes(value, "big") ^ (1 << bit)).to_bytes(32, "big")


def _altered_paths(path: tuple[bytes, ...], data: st.DataObject) -> list[tuple[bytes, ...]]:
    altered = [(*path, bytes(32)), (bytes(32), *path), (*path, *path[-1:], bytes(32))]
    for place in range(len(path)):
        altered.append((*path[:place], flipped(path[place], data), *path[place + 1 :]))
        altered.append((*path[:place], *path[place + 1 :]))
    altered += [(*path[:n], path[n + 1], path[n], *path[n + 2 :]) for n in range(len(path) - 1)]
    return altered


def _refused_inclusion(root: bytes, size: int, index: int, leaf: bytes, path: tuple[bytes, ...]) -> None:
    with pytest.raises(LedgerError, match=r"^proof\."):
        log.verify_inclusion(root, size, index, leaf, path)


def _refused_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, path: tuple[bytes, ...]
) -> None:
    with pytest.raises(LedgerError, match=r"^proof\."):
        log.verify_consistency(old, old_root, new, new_root, path)
