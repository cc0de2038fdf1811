"""The state store: equal to a dictionary after any commits, and its root to a tree built anew."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.merkle.pages import DEPTH_MAX
from ledger.merkle.proof import verify_membership
from ledger.merkle.tree import StateTree
from ledger.transition import REPLAYS, Tip
from ledger.types import BlockId, Height
from node.store.database import IDENTITY_KEY
from node.store.failure import StoreCorrupted, StoreLost
from node.store.memory import MemoryDatabase
from node.store.state import StateHead, StateStore, genesis_head, genesis_root
from node.store.stores import FinalizedBlock
from tests.node.store.chain import (
    CHAIN,
    DEPTH,
    GENESIS_WRITES,
    GOVERNING,
    WINDOW,
    genesis_block,
    header,
    next_execution,
    transaction_id,
)  # fmt: skip

Writes = dict[bytes, bytes | None]


def new_state(cache_bytes: int = 1 << 20, tree_depth: int = DEPTH) -> tuple[StateStore, MemoryDatabase]:
    database = MemoryDatabase("data/state")
    StateStore.create(database, CHAIN, genesis_block().header, GENESIS_WRITES, tree_depth=tree_depth)
    return StateStore(database, CHAIN, tree_depth=tree_depth, cache_bytes=cache_bytes), database


def tip(state: StateStore) -> Tip:
    head = state.head
    return Tip(head.header, BlockId(head.block_id), state, head.history, *GOVERNING)


def commit(
    state: StateStore, writes: dict[bytes, bytes | None], index: dict[bytes, bytes | None] | None = None
) -> None:
    execution = next_execution(tip(state), writes)
    state.commit(FinalizedBlock(execution, b"", b"").head, execution.layer, index)


class NoPages:
    def page(self, bucket: int) -> bytes | None:
        return None


def root_of(values: dict[bytes, bytes]) -> bytes:
    """The root over these values, in a tree that never saw a store."""
    tree = StateTree(1, NoPages(), ())
    return tree.preview({sha256(key).digest(): sha256(value).digest() for key, value in values.items()}).root


KEYS = st.binary(min_size=1, max_size=2)
COMMITS = st.lists(st.dictionaries(KEYS, st.none() | st.binary(max_size=4), max_size=5), max_size=8)


@given(commits=COMMITS, cache_bytes=st.sampled_from([0, 900, 1 << 20]), depth=st.integers(1, 8))
@settings(max_examples=60)
def test_the_store_equals_a_dictionary_and_its_root_a_rebuild(
    commits: list[dict[bytes, bytes | None]], cache_bytes: int, depth: int
) -> None:
    """After any commits, with any cache and depth, before and after opening again: same values, same root."""
    state, database = new_state(cache_bytes, depth)
    expected = dict(GENESIS_WRITES)
    for writes in commits:
        commit(state, writes)
        for key, value in next_execution(tip(state), writes).layer.writes.items():
            if not key.startswith(REPLAYS.key(b"")):
                expected.pop(key, None) if value is None else expected.__setitem__(key, value)
        assert all(state.get(key) == expected.get(key) for key in [*expected, *writes, b"never"])
    ring = {key: value for key, value in state.scan(b"", b"\xff", 1_000) if key.startswith(REPLAYS.key(b""))}
    for store in (state, StateStore(database.reopened(), CHAIN, tree_depth=depth), reopened_at(database, 9)):
        assert dict(store.scan(b"", b"\xff", 1_000)) == expected | ring
        assert store.tree.root == root_of(expected | ring) == store.head.header.state_root
        assert store.head.height == len(commits)
        assert store.tree.leaf_count == len(expected | ring)
        assert len(list(store.audit())) == len(expected | ring)


def reopened_at(database: MemoryDatabase, depth: int) -> StateStore:
    return StateStore(MemoryDatabase("copy", dict(database.entries)), CHAIN, tree_depth=depth)


def test_proofs_of_the_committed_tree_hold() -> None:
    """What the store's tree proves is what the head's root covers."""
    state, _ = new_state()
    commit(state, {b"items\0a": b"here"})
    path = sha256(b"items\0a").digest()
    proof = state.tree.prove(path)
    verify_membership(state.head.header.state_root, path, sha256(b"here").digest(), proof)


def test_a_layer_must_stand_on_the_head() -> None:
    """A layer of another height, parent or base is our own bug, and changes nothing."""
    state, database = new_state()
    first = next_execution(tip(state), {b"a": b"1"})
    second = next_execution(first.tip, {b"a": b"2"})
    other = next_execution(tip(state), {b"a": b"3"})
    before = dict(database.entries)
    with pytest.raises(AssertionError):
        state.commit(FinalizedBlock(second, b"", b"").head, second.layer)
    assert database.entries == before
    state.commit(FinalizedBlock(first, b"", b"").head, first.layer)
    with pytest.raises(AssertionError):
        state.commit(FinalizedBlock(other, b"", b"").head, other.layer)
    second.layer.rebase(state)
    state.commit(FinalizedBlock(second, b"", b"").head, second.layer)
    assert state.get(b"a") == b"2"


# --- the replay window ------------------------------------------------------------


def test_recent_transactions_are_those_of_the_window() -> None:
    """Exactly the ids of the last `replay_window_blocks` blocks are recent, after opening again too."""
    state, database = new_state()
    for height in range(1, 3 * WINDOW):
        commit(state, {})
        again = StateStore(database.reopened(), CHAIN, tree_depth=DEPTH)
        for store in (state, again):
            recent = [each for each in range(1, height + 1) if store.is_recent(transaction_id(each, 0))]
            assert recent == list(range(max(1, height - WINDOW + 1), height + 1))
        assert not state.is_recent(transaction_id(height + 1, 0))


# --- index ------------------------------------------------------------------------


def test_index_entries_come_with_their_block() -> None:
    """Local entries are written and removed with a block's batch, scanned in order, and are no state."""
    state, database = new_state()
    commit(state, {}, {b"by-time/%d" % each: b"%d" % each for each in range(5)})
    root_before = state.tree.root
    commit(state, {}, {b"by-time/3": None, b"other": b"x"})
    assert state.tree.root != root_before, "only the ring's record changed it"
    for store in (state, StateStore(database.reopened(), CHAIN, tree_depth=DEPTH)):
        assert store.index_get(b"by-time/2") == b"2"
        assert store.index_get(b"by-time/3") is None
        found = [key for key, _ in store.index_scan(b"by-time/", b"by-time0", 10)]
        assert found == [b"by-time/0", b"by-time/1", b"by-time/2", b"by-time/4"]
        assert [key for key, _ in store.index_scan(b"", b"\xff", 2, reverse=True)] == [b"other", b"by-time/4"]
        assert store.get(b"by-time/2") is None


# --- readers while a batch is under way ---------------------------------------------


def test_readers_see_the_old_state_until_the_batch_is_settled() -> None:
    """While the disk takes the next state, values, proofs and index are those of the head."""
    state, _ = new_state(cache_bytes=0)
    commit(state, {b"a": b"1", b"b": b"1"}, {b"index": b"1"})
    execution = next_execution(tip(state), {b"a": b"2", b"b": None, b"c": b"2"})
    staged = state.stage(FinalizedBlock(execution, b"", b"").head, execution.layer, {b"index": b"2"})
    with state.frozen():
        state.write(staged)
        assert [state.get(key) for key in (b"a", b"b", b"c")] == [b"1", b"1", None]
        assert state.index_get(b"index") == b"1"
        assert state.head.height == 1
        for key, value in ((b"a", b"1"), (b"b", b"1")):
            path = sha256(key).digest()
            verify_membership(state.tree.root, path, sha256(value).digest(), state.tree.prove(path))
        sibling = next_execution(tip(state), {b"d": b"1"})
        assert sibling.layer.update.base == state.tree.root
    state.settle(staged)
    assert [state.get(key) for key in (b"a", b"b", b"c")] == [b"2", None, b"2"]
    assert state.index_get(b"index") == b"2"


# --- opening ----------------------------------------------------------------------


def test_the_cut_of_the_pages_may_change_and_a_crash_in_between_harms_nothing() -> None:
    """Pages are cut again at another depth; whichever write of it fails, the state opens as it was."""
    state, database = new_state()
    for each in range(20):
        commit(state, {b"key %d" % (each * 31 % 17): b"value %d" % each})
    root, values = state.tree.root, dict(state.scan(b"", b"\xff", 1_000))
    for writes_that_succeed in range(4):
        entries = dict(database.entries)
        left = [writes_that_succeed]

        def run_out(batch: object, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(5, "planted")

        crashing = MemoryDatabase("crashing", entries, before_write=run_out, on_failure=lambda failure: None)
        try:
            StateStore(crashing, CHAIN, tree_depth=7)
        except Exception as problem:  # noqa: BLE001  # whatever it is, the next start must get over it
            assert "planted" in str(problem)  # noqa: PT017  # and it is the planted one
        for depth in (DEPTH, 7):
            again = StateStore(MemoryDatabase("again", entries), CHAIN, tree_depth=depth)
            assert (again.tree.root, dict(again.scan(b"", b"\xff", 1_000))) == (root, values)
            assert {key[1] for key in entries if key[:1] == b"p"} == {depth}, (
                "no page of another depth is left"
            )


def test_a_store_that_grew_is_cut_deeper_at_the_next_start() -> None:
    """The depth follows the number of leaves without being asked for."""
    database = MemoryDatabase("data/state")
    StateStore.create(database, CHAIN, genesis_block().header, GENESIS_WRITES, tree_depth=2)
    assert StateStore(database, CHAIN).tree.depth == 16
    assert StateStore(database.reopened(), CHAIN).tree.depth == 16
    assert DEPTH_MAX >= 16


@given(data=st.data())
@settings(max_examples=80)
def test_a_changed_page_is_noticed_at_open(data: st.DataObject) -> None:
    """Any changed, missing or additional page gives another root or no tree at all: the store is refused."""
    state, database = new_state()
    for each in range(6):
        commit(state, {b"key %d" % each: b"value"})
    entries = dict(database.entries)
    pages = sorted(key for key in entries if key[:1] == b"p")
    key = data.draw(st.sampled_from(pages))
    match data.draw(st.sampled_from(["flip", "remove", "cut", "add"])):
        case "flip":
            page = bytearray(entries[key])
            page[data.draw(st.integers(0, len(page) - 1))] ^= data.draw(st.integers(1, 255))
            entries[key] = bytes(page)
        case "remove":
            del entries[key]
        case "cut":
            entries[key] = entries[key][: data.draw(st.integers(0, len(entries[key]) - 1))]
        case _:
            bucket = data.draw(st.integers(0, 15).filter(lambda each: page_key(each) not in entries))
            entries[page_key(bucket)] = bytes([bucket << 4]) + bytes(63)
    with pytest.raises(StoreCorrupted, match="state tree"):
        StateStore(MemoryDatabase("damaged", entries), CHAIN, tree_depth=DEPTH)


def page_key(bucket: int) -> bytes:
    return b"p" + bytes([DEPTH]) + bucket.to_bytes(3, "big")


@given(data=st.data())
def test_the_audit_finds_every_changed_value(data: st.DataObject) -> None:
    """A value that somebody changed, removed or added behind the node's back does not pass the audit."""
    state, database = new_state()
    commit(state, {b"key %d" % each: b"value" for each in range(5)})
    entries = dict(database.entries)
    key = data.draw(st.sampled_from(sorted(key for key in entries if key[:1] == b"v")))
    match data.draw(st.sampled_from(["change", "remove", "add"])):
        case "change":
            entries[key] = data.draw(st.binary(max_size=5).filter(lambda value: value != entries[key]))
        case "remove":
            del entries[key]
        case _:
            entries[b"vnever written"] = b"x"
    try:
        tampered = StateStore(MemoryDatabase("tampered", entries), CHAIN, tree_depth=DEPTH)
    except StoreCorrupted:
        return  # a replay record that can't be read
    with pytest.raises(StoreCorrupted):
        list(tampered.audit())


def test_a_lost_or_damaged_head_is_refused() -> None:
    """Without its head a state store is lost; with another block's head it is damaged."""
    _, database = new_state()
    for changed, problem in (
        ({b"h": None}, StoreLost),
        ({b"h": b"garbage"}, StoreCorrupted),
        ({b"h": database.entries[b"h"].replace(b"\x00" * 32, b"\x01" * 32, 1)}, StoreCorrupted),
        ({IDENTITY_KEY: None}, StoreLost),
    ):
        copy = MemoryDatabase("copy", dict(database.entries))
        copy.write(changed)
        with pytest.raises(problem):
            StateStore(copy, CHAIN, tree_depth=DEPTH)


def test_genesis_must_name_its_state() -> None:
    """Block 0 commits to the values it begins with; any other header is our own bug."""
    wrong = header(0, bytes(32), bytes(32), bytes(32))
    with pytest.raises(AssertionError):
        StateStore.create(MemoryDatabase(), CHAIN, wrong, GENESIS_WRITES, tree_depth=DEPTH)
    assert genesis_root(GENESIS_WRITES) == root_of(GENESIS_WRITES)
    head = genesis_head(genesis_block().header)
    assert isinstance(head, StateHead)
    assert (head.height, head.history.size) == (Height(0), 1)
