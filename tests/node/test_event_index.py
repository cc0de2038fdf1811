"""The event index: recording order, one entry an event that was recorded, none for any other."""

from __future__ import annotations

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from contracts.epcis.instant import parse_time
from contracts.runtime import CoreRules
from ledger.types import Height
from node.event_index import PLACE_FIRST, PLACE_LAST, EventIndex, Place, _key, index_entries, is_whole
from node.resume import recover
from tests.contracts.chain import START_MS, key_of
from tests.contracts.provenance.events import objects, unit
from tests.node.api.fakes import FakeNode

PLACES = st.builds(Place, st.integers(0, 2**53 - 1).map(Height), st.integers(0, 65535), st.integers(0, 65534))


def index_over(entries: dict[bytes, bytes | None]) -> EventIndex:
    keys = sorted(entries)

    def scan(start: bytes, stop: bytes, limit: int, *, reverse: bool = False) -> list[tuple[bytes, bytes]]:
        found = keys[bisect_left(keys, start) : bisect_left(keys, stop)]
        return [(key, entries[key] or b"") for key in (found[::-1] if reverse else found)[:limit]]

    return EventIndex(scan, lambda start, stop, limit: [])


@given(PLACES, PLACES)
def test_keys_sort_as_places_do(first: Place, second: Place) -> None:
    """Byte order is recording order, and nothing stands between a place and its next."""
    assert (_key(first) < _key(second)) == (first < second)
    assert _key(first) < _key(first.next())
    assert not first < second < first.next()
    assert PLACE_FIRST <= first < PLACE_LAST


async def test_only_recorded_events_have_entries() -> None:
    """Accepted and flagged events are listed where they stand; repeated and refused ones are not."""
    node = FakeNode()
    one = objects("ADD", 1, unit("farm", "A"), bizStep="commissioning")
    two = objects("OBSERVE", 2, unit("farm", "B"), bizStep="inspecting", eventID="urn:x:two")
    bad = node.sign("farm/operator", "provenance", "capture", b"\x91\x91\x92\x90\xc4\x02{}")
    revoke = node.sign(
        "farm/admin", "organisations", "revoke_key", b"\x91\xc4\x20" + key_of("shop/operator").public
    )
    first = node.capture("farm/operator", one)
    record = await node.seal([bad, revoke, first, node.capture("farm/operator", one, two)])
    entries = index_entries(record)
    found = index_over(entries).page(PLACE_FIRST, PLACE_LAST, 100)
    assert [place for place, _ in found] == [Place(Height(1), 2, 0), Place(Height(1), 3, 1)]
    commissioned, inspected = (entry for _, entry in found)
    assert (commissioned.kind, commissioned.biz_step) == ("ObjectEvent", "commissioning")
    assert commissioned.event_time_ms == parse_time(one["eventTime"])
    assert commissioned.record_time_ms == START_MS + 1000
    assert commissioned.transaction_id == first.id
    assert commissioned.sender == key_of("farm/operator").public
    assert inspected.event_id == "urn:x:two"


async def test_pages_are_bounded() -> None:
    """A page begins at its start, ends before its stop and holds no more than was asked for."""
    node = FakeNode()
    events = [objects("OBSERVE", number, unit("farm", f"S{number}")) for number in range(5)]
    index = index_over(index_entries(await node.seal([node.capture("farm/operator", *events)])))
    places = [Place(Height(1), 0, number) for number in range(5)]
    assert [place for place, _ in index.page(places[1], places[4], 100)] == places[1:4]
    assert [place for place, _ in index.page(PLACE_FIRST, PLACE_LAST, 2)] == places[:2]
    assert index.at(places[3]) is not None
    assert index.at(Place(Height(1), 0, 5)) is None


async def test_block_without_events_writes_nothing() -> None:
    """An empty block costs no index entry."""
    assert index_entries(await FakeNode().seal([])) == {}


async def test_an_older_index_is_made_again() -> None:
    """A home whose index has one entry an event gets the others at its start, and again after a crash."""
    node = FakeNode()
    await node.tell()
    state = node.stores.state
    whole = state.index_scan(b"", b"\xff", 10_000)
    assert is_whole(state.index_scan)
    for left_from in (b"event/", b"when/"):  # as an earlier release left it, and with some made already
        lost = [key for key, _ in whole if not key.startswith((b"event/", left_from))]
        first = min(key for key, _ in whole if key.startswith(b"when/"))
        state.write_index(dict.fromkeys([*lost, first]))
        assert not is_whole(state.index_scan)
        recover(node.stores, CoreRules())
        assert state.index_scan(b"", b"\xff", 10_000) == whole
