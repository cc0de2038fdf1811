"""Overlays and tables: writes above a view, given up as a whole or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.codec import Canonical
from ledger.state import Overlay, Table, full_key
from ledger.types import STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX, Counter, TxId
from tests.ledger.chain import MemoryState
from tests.ledger.refusals import code_of

keys = st.sampled_from([b"a", b"b", b"c", b"d"])
changes = st.lists(st.tuples(keys, st.none() | st.binary(max_size=3)), max_size=8)
contents = st.dictionaries(keys, st.binary(max_size=3))


def write(overlay: Overlay, steps: list[tuple[bytes, bytes | None]]) -> None:
    for key, value in steps:
        overlay.delete(key) if value is None else overlay.put(key, value)


def merged(values: dict[bytes, bytes], steps: list[tuple[bytes, bytes | None]]) -> dict[bytes, bytes]:
    result = dict(values)
    for key, value in steps:
        if value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result


def seen(view: Overlay | MemoryState) -> dict[bytes, bytes]:
    found = {key: view.get(key) for key in (b"a", b"b", b"c", b"d")}
    return {key: value for key, value in found.items() if value is not None}


@given(contents, changes, changes, changes)
def test_overlays_read_like_a_dictionary(below: dict, first: list, kept: list, dropped: list) -> None:  # type: ignore[type-arg]
    """An overlay shows its own last writes and otherwise the view; a child counts only once absorbed."""
    state = MemoryState(below)
    block = Overlay(state)
    write(block, first)
    good, bad = Overlay(block), Overlay(block)
    write(good, kept)
    write(bad, dropped)
    assert seen(good) == merged(merged(below, first), kept)
    assert seen(bad) == merged(merged(below, first), dropped)
    assert seen(block) == merged(below, first)
    block.absorb(good)
    assert seen(block) == merged(merged(below, first), kept)
    assert seen(state) == below
    assert merged(below, list(block.writes.items())) == seen(block)


def test_a_deletion_is_a_write() -> None:
    """It hides the value below and stands in the writes as None, present before or not."""
    overlay = Overlay(MemoryState({b"a": b"1"}))
    overlay.delete(b"a")
    overlay.delete(b"never")
    assert overlay.get(b"a") is None
    assert dict(overlay.writes) == {b"a": None, b"never": None}


def test_writes_come_in_the_order_of_first_writing() -> None:
    """Every validator lists them in the same order."""
    overlay = Overlay(MemoryState({}))
    write(overlay, [(b"c", b"1"), (b"a", b"2"), (b"c", b"3")])
    assert list(overlay.writes.items()) == [(b"c", b"3"), (b"a", b"2")]


def test_recent_transactions_are_those_of_the_view() -> None:
    """An overlay holds no block of its own."""

    class Remembers(MemoryState):
        def is_recent(self, transaction_id: TxId) -> bool:
            return transaction_id == b"known"

    overlay = Overlay(Overlay(Remembers({})))
    assert overlay.is_recent(TxId(b"known"))
    assert not overlay.is_recent(TxId(b"other"))


def test_a_value_has_a_limit() -> None:
    """The limit is allowed; above it nothing is written."""
    overlay = Overlay(MemoryState({}))
    overlay.put(b"a", bytes(STATE_VALUE_BYTES_MAX))
    large = bytes(STATE_VALUE_BYTES_MAX + 1)
    assert code_of(lambda: overlay.put(b"b", large)) == "state.value_too_large"
    assert list(overlay.writes) == [b"a"]


def test_a_key_has_a_limit() -> None:
    """Namespace, zero byte and key together."""
    assert full_key("notes", b"a") == b"notes\0a"
    most = STATE_KEY_BYTES_MAX - len("notes") - 1
    assert len(full_key("notes", bytes(most))) == STATE_KEY_BYTES_MAX
    assert code_of(lambda: full_key("notes", bytes(most + 1))) == "state.key_too_long"


class Weight(Canonical):
    grams: Counter


WEIGHTS = Table("scales", b"weight", Weight)


def test_a_table_reads_back_what_it_wrote() -> None:
    """Typed records under namespace, prefix and key."""
    overlay = Overlay(MemoryState({}))
    WEIGHTS.put(overlay, b"box", Weight(500))
    assert overlay.get(b"scales\0weight/box") == b"\x91\xcd\x01\xf4"
    assert WEIGHTS.get(overlay, b"box") == Weight(500)
    assert WEIGHTS.get(overlay, b"bo") is None
    WEIGHTS.delete(overlay, b"box")
    assert WEIGHTS.get(overlay, b"box") is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Table("scales", b"weight", Weight), Table("scales", b"weigh", Weight)),
        (Table("scales", b"weight", Weight), Table("scale", b"weight", Weight)),
    ],
)
def test_tables_are_apart(one: Table[Weight], other: Table[Weight]) -> None:
    """No key of one family is a key of another."""
    assert one.key(b"t/box") != other.key(b"t/box")
    assert one.key(b"box") != other.key(b"t/box")
