"""The state tree: its root is the definition's whatever the storage, and previews stack as blocks do."""

from __future__ import annotations

from copy import deepcopy
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.merkle.pages import DEPTH_MAX, DEPTH_MIN, PageError, encode_page
from ledger.merkle.proof import EMPTY_HASH, path_of, value_hash_of
from ledger.merkle.tree import StateTree, TreeUpdate, suggest_depth
from tests.ledger.merkle import definitions
from tests.ledger.merkle.stored_pages import StoredPages, after, depths, hashes, leaf_sets, paths, tree_of

KEYS = [b"item\x00%d" % number for number in range(1000)]
LEAVES = {path_of(key): value_hash_of(b"value of " + key) for key in KEYS}


@given(leaf_sets, depths)
@settings(max_examples=300)
def test_the_root_is_the_definitions_at_every_depth(leaves: dict[bytes, bytes], depth: int) -> None:
    """A scan of any leaves, hostile shared prefixes among them, gives the root of the naive definition."""
    tree, _ = tree_of(leaves, depth)
    assert tree.root == definitions.state_root(leaves)
    assert tree.leaf_count == len(leaves)


@given(
    st.lists(st.dictionaries(paths, st.none() | hashes, max_size=8), max_size=6), leaf_sets, depths, st.data()
)
@settings(max_examples=300)
def test_batches_on_uncommitted_parents_equal_a_rebuild(
    batches: list[dict[bytes, bytes | None]], leaves: dict[bytes, bytes], depth: int, data: st.DataObject
) -> None:
    """Any batches stacked on uncommitted ancestors, committed at any pace, equal a fresh scan."""
    tree, store = tree_of(leaves, depth)
    pending: list[TreeUpdate] = []
    known = sorted(leaves)
    for batch in batches:
        touched = dict(batch)
        if known:  # not only new paths: change and remove some that exist
            for path in data.draw(st.lists(st.sampled_from(known), max_size=4)):
                touched[path] = data.draw(st.none() | hashes)
        leaves = after(leaves, touched)
        known = sorted({*known, *touched})
        update = tree.preview(touched, pending)
        assert update.root == definitions.state_root(leaves)
        pending.append(update)
        for path in known:
            assert tree.value_hash(path, pending) == leaves.get(path)
        for _ in range(data.draw(st.integers(0, len(pending)))):
            oldest = pending.pop(0)
            tree.commit(oldest)
            store.write(oldest)
    for update in pending:
        tree.commit(update)
        store.write(update)
    rebuilt, expected = tree_of(leaves, depth)
    assert tree.root == rebuilt.root == definitions.state_root(leaves)
    assert tree.leaf_count == len(leaves)
    assert store.pages == expected.pages
    assert (tree._counts, tree._hashes) == (rebuilt._counts, rebuilt._hashes)


@pytest.mark.parametrize("depth", [1, 8, 12])
def test_removing_everything_gives_the_empty_tree(depth: int) -> None:
    """A thousand leaves in, then out in two batches: 32 zero bytes, no page, nothing in the array."""
    tree, store = tree_of({}, depth)
    assert tree.root == EMPTY_HASH
    steps: list[dict[bytes, bytes | None]] = [
        dict(LEAVES),
        dict.fromkeys([*LEAVES][:999]),
        dict.fromkeys(LEAVES),
    ]
    for changes in steps:
        update = tree.preview(changes)
        tree.commit(update)
        store.write(update)
    assert tree.root == EMPTY_HASH
    assert store.pages == {}
    assert not any(tree._counts)
    assert not any(tree._hashes)
    assert tree.leaf_count == 0


def test_preview_changes_nothing() -> None:
    """Neither tree, store, arguments nor the updates it stands on are touched, and it repeats itself."""
    tree, store = tree_of(LEAVES, 8)
    changes: dict[bytes, bytes | None] = {path_of(KEYS[0]): None, path_of(b"new"): value_hash_of(b"new")}
    parent = tree.preview({path_of(KEYS[1]): value_hash_of(b"other")})
    before = deepcopy((tree.root, tree._counts, tree._hashes, tree.leaf_count, store.pages, parent, changes))
    first = tree.preview(changes, [parent])
    assert tree.preview(changes, [parent]) == first
    assert (tree.root, tree._counts, tree._hashes, tree.leaf_count, store.pages, parent, changes) == before


def test_two_children_of_one_block_do_not_see_each_other() -> None:
    """Rival blocks on one parent are worked on side by side; each root is that of its own branch."""
    tree, store = tree_of(LEAVES, 8)
    parent_changes: dict[bytes, bytes | None] = {path_of(b"p"): value_hash_of(b"p")}
    left_changes: dict[bytes, bytes | None] = {path_of(b"l"): value_hash_of(b"l"), path_of(b"p"): None}
    right_changes: dict[bytes, bytes | None] = {path_of(b"r"): value_hash_of(b"r")}
    parent = tree.preview(parent_changes)
    left, right = tree.preview(left_changes, [parent]), tree.preview(right_changes, [parent])
    assert left.root == definitions.state_root(after(after(LEAVES, parent_changes), left_changes))
    assert right.root == definitions.state_root(after(after(LEAVES, parent_changes), right_changes))
    for update in (parent, right):
        tree.commit(update)
        store.write(update)
    assert tree.root == right.root
    with pytest.raises(AssertionError):
        tree.commit(left)


def test_updates_out_of_order_are_our_own_bug() -> None:
    """An update is used only on the state that it was made for, in commit, preview, reads and proofs."""
    tree, _ = tree_of(LEAVES, 8)
    first = tree.preview({path_of(b"a"): value_hash_of(b"a")})
    second = tree.preview({path_of(b"b"): value_hash_of(b"b")}, [first])
    with pytest.raises(AssertionError):
        tree.commit(second)
    for parents in ([second], [second, first]):
        with pytest.raises(AssertionError):
            tree.preview({}, parents)
        with pytest.raises(AssertionError):
            tree.prove(path_of(b"a"), parents)
        with pytest.raises(AssertionError):
            tree.value_hash(path_of(b"a"), parents)


def test_a_batch_that_changes_nothing_is_an_empty_update() -> None:
    """No changes, values written again and removals of what is not there write no page and keep the root."""
    tree, _ = tree_of(LEAVES, 8)
    path = path_of(KEYS[5])
    for changes in ({}, {path: LEAVES[path]}, {path_of(b"not there"): None}):
        assert tree.preview(changes) == TreeUpdate(tree.root, tree.root, {}, {}, 0)


def test_only_touched_buckets_and_their_ancestors_are_read_or_hashed() -> None:
    """One key costs one page and one node a level; keys that share ancestors share their hashing."""
    tree, store = tree_of(LEAVES, 8)
    store.reads = 0
    one = tree.preview({path_of(b"a"): value_hash_of(b"a")})
    assert store.reads == 1
    assert sorted(index.bit_length() for index in one.top) == list(range(1, 10))
    everything = tree.preview({path: value_hash_of(b"new") for path in LEAVES})
    assert len(everything.top) <= 2**9 - 1


def test_each_node_is_hashed_once_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many keys share an ancestor, a block pays for it once."""
    tree, _ = tree_of(LEAVES, 8)
    hashed: list[bytes] = []

    def counting(data: bytes) -> object:
        hashed.append(data)
        return sha256(data)

    monkeypatch.setattr("ledger.merkle.tree.sha256", counting)
    update = tree.preview({path: value_hash_of(b"new") for path in LEAVES})
    above_the_buckets = [index for index, (count, _) in update.top.items() if index < 2**8 and count == 2]
    assert len(hashed) == len(above_the_buckets) == 2**8 - 1


@pytest.mark.parametrize("depth", [DEPTH_MIN, 3, 9, 15])
def test_the_golden_root(depth: int) -> None:
    """The roots of these sets are these bytes for ever: headers hold them."""
    few = dict(list(LEAVES.items())[:3])
    one = dict(list(LEAVES.items())[:1])
    assert tree_of(LEAVES, depth)[0].root.hex() == GOLDEN_THOUSAND
    assert tree_of(few, depth)[0].root.hex() == GOLDEN_THREE
    assert tree_of(one, depth)[0].root.hex() == GOLDEN_ONE
    assert tree_of(HOSTILE, depth)[0].root.hex() == GOLDEN_HOSTILE


# Frozen from definitions.state_root. The hostile set: two leaves that part at their last bit, and a third.
GOLDEN_THOUSAND = "1c309873bb10ce2ce3ecb135413f536e277145eec5c8ac5858207d2d2d2c304c"
GOLDEN_THREE = "06a99b496e373bd3f7c0b9bf1e987fe637c45c24b2e91eaad0d1471c2b55880d"
GOLDEN_ONE = "da912ec34e903cf3861867ff7edd14e89a80350d567b3fa9e2eac45c9b12c554"
GOLDEN_HOSTILE = "1c70b5cb257ad87790db5058056e19cd1b3b45edbd37f192f43b5c4223374da1"
HOSTILE = {bytes(32): b"\x01" * 32, bytes(31) + b"\x01": b"\x02" * 32, b"\xff" * 32: b"\x03" * 32}


def test_the_golden_roots_are_the_definitions() -> None:
    """The frozen bytes come from the definition, not from the code under test."""
    assert definitions.state_root(LEAVES).hex() == GOLDEN_THOUSAND
    assert definitions.state_root(dict(list(LEAVES.items())[:3])).hex() == GOLDEN_THREE
    path, value = next(iter(LEAVES.items()))
    assert sha256(b"\x00" + path + value).hexdigest() == GOLDEN_ONE
    assert definitions.state_root(HOSTILE).hex() == GOLDEN_HOSTILE


def test_a_bucket_full_of_hostile_paths_is_still_right() -> None:
    """Every length of shared prefix at once (257 leaves, one chain 256 deep): the definition's root."""
    leaves = {(1 << bit).to_bytes(32, "big"): sha256(b"%d" % bit).digest() for bit in range(256)}
    leaves[bytes(32)] = bytes(32)
    for depth in (1, 7, 12):
        tree, _ = tree_of(leaves, depth)
        assert tree.root == definitions.state_root(leaves)
        assert tree.preview(dict.fromkeys(leaves)).root == EMPTY_HASH


def test_a_bucket_beyond_the_depth_is_refused_at_start() -> None:
    """A store of another depth is noticed, whichever of the two is deeper."""
    _, store = tree_of(LEAVES, 8)
    for depth in (7, 9):
        with pytest.raises(PageError, match=f"at depth {depth}"):
            StateTree(depth, store, store.pages.items())


@pytest.mark.parametrize(
    "page",
    [
        b"",
        encode_page([(b"\x00" * 32, b"a" * 32)])[:-1],
        encode_page([(b"\x00" * 32, b"a" * 32)]) + b"\x00",
        encode_page([(b"\x01" * 32, b"a" * 32), (b"\x00" * 32, b"a" * 32)]),
        encode_page([(b"\x01" * 32, b"a" * 32), (b"\x01" * 32, b"b" * 32)]),
        encode_page([(b"\x80" * 32, b"a" * 32)]),
        encode_page([(b"\x01" * 32, b"a" * 32), (b"\x80" * 32, b"a" * 32)]),
    ],
    ids=["empty", "cut", "too long", "out of order", "twice", "wrong bucket", "one in a wrong bucket"],
)
def test_a_page_that_no_tree_wrote_is_refused_at_start(page: bytes) -> None:
    """A torn, disordered or misplaced page never becomes part of a root."""
    with pytest.raises(PageError, match="bucket 0"):
        StateTree(4, StoredPages(), [(0, page)])


def test_a_damaged_page_is_never_read_as_a_value_or_proved() -> None:
    """A flipped bit, a cut, a lost or a foreign page is noticed by every read of that bucket."""
    tree, store = tree_of(LEAVES, 6)
    path = path_of(KEYS[0])
    bucket = path[0] >> 2
    good = store.pages[bucket]
    wrong_value = good[:-1] + bytes([good[-1] ^ 1])
    for damaged in (wrong_value, good[:-1], good[:-64], good[64:], b"", None, store.pages[bucket ^ 1]):
        if damaged is None:
            del store.pages[bucket]
        else:
            store.pages[bucket] = damaged
        with pytest.raises(PageError, match=f"bucket {bucket}"):
            tree.value_hash(path)
        with pytest.raises(PageError, match=f"bucket {bucket}"):
            tree.prove(path)
    store.pages[bucket] = good[:-1]
    with pytest.raises(PageError, match=f"bucket {bucket}"):
        tree.preview({path: None})


def test_sizes_of_paths_and_hashes_are_our_own_bug() -> None:
    """Only 32 bytes ever reach a page."""
    tree, _ = tree_of({}, 4)
    for changes in ({b"short": bytes(32)}, {bytes(32): b"short"}, {bytes(33): None}):
        with pytest.raises(AssertionError):
            tree.preview(changes)


@pytest.mark.parametrize(
    ("leaves", "depth"),
    [
        (0, 16),
        (1, 16),
        (100_000, 16),
        (1_000_000, 19),
        (10_000_000, 20),
        (16 << 20, 20),
        ((16 << 20) + 1, 21),
        (100_000_000, 23),
        (10**12, 24),
    ],
)
def test_suggested_depths(leaves: int, depth: int) -> None:
    """Small chains stay small, and pages stay at 16 leaves or fewer as long as the array can grow."""
    assert suggest_depth(leaves) == depth
    assert leaves <= 16 << depth or depth == DEPTH_MAX


@given(st.integers(0, 2**40))
def test_suggested_depths_hold_16_leaves_a_page(leaves: int) -> None:
    """The average page holds at most 16 leaves unless the deepest array is in use."""
    depth = suggest_depth(leaves)
    assert DEPTH_MIN <= depth <= DEPTH_MAX
    assert leaves <= 16 << depth or depth == DEPTH_MAX
    assert suggest_depth(leaves + 1) >= depth
