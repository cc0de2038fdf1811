from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.epcis.captured import read_captured
from contracts.epcis.commitment import commit, given_event_id
from ledger.crypto import Tag
from ledger.types import Hash
from tests.contracts.epcis.samples import captured_samples, fields_of, places, scalars, spoil

FARM = (("farm", "urn:farm:"),)
SAMPLES = captured_samples()


def test_the_commitment_is_written_out() -> None:
    """A frozen vector: the bytes under the hash, field by field, in MessagePack."""
    event: Any = {"type": "ObjectEvent", "farm:n": 1, "recordTime": "x"}
    data = (
        b"\x92"  # (prefixes, fields)
        b"\x91\x92\xa4farm\xa9urn:farm:"
        b"\x92"
        b"\x93\xa6farm:n\x00\xc4\x011"
        b'\x93\xa4type\x00\xc4\x0d"ObjectEvent"'
    )
    hashes = commit(FARM, event)
    assert hashes.commitment == hashlib.sha256(Tag.EVENT.value + b"\0" + data).digest()
    assert hashes.identity == hashlib.sha256(Tag.EVENT_IDENTITY.value + b"\0" + data).digest()


def test_the_record_time_is_no_part_of_it() -> None:
    """The same event captured with another recordTime, or none, is the same."""
    event: Any = {"type": "ObjectEvent"}
    assert (
        commit((), event | {"recordTime": "a"})
        == commit((), event | {"recordTime": "b"})
        == commit((), event)
    )


@pytest.mark.parametrize("name", ["eventID", "errorDeclaration", "farm:a", "@context"])
def test_everything_else_is(name: str) -> None:
    """An event with an eventID, or declared wrong, is not the event without; nor under other prefixes."""
    event: Any = {"type": "ObjectEvent"}
    assert commit((), event | {name: "a"}) != commit((), event)
    assert commit((), event | {name: "a"}) != commit((), event | {name: "b"})
    assert commit(FARM, event) != commit((), event)


@given(st.sampled_from(SAMPLES), st.data())
def test_any_change_of_any_value_is_seen(captured: Any, data: st.DataObject) -> None:
    """Replacing one value below any field changes both hashes, recordTime alone excepted."""
    fields = fields_of(captured)
    path = data.draw(st.sampled_from([path for path in places(fields) if path]))
    changed = spoil(fields, path, data.draw(scalars))
    is_same = changed == fields and str(changed) == str(fields)
    before, after = commit(captured.prefixes, fields), commit(captured.prefixes, changed)
    assert (before == after) is (is_same or path == ("recordTime",))


@given(st.binary(min_size=32, max_size=32))
def test_a_given_id_is_a_version_8_uuid(identity: bytes) -> None:
    """A well-formed urn:uuid, custom version, RFC variant, a function of the identity alone."""
    given_id = given_event_id(Hash(identity))
    uuid = UUID(given_id.removeprefix("urn:uuid:"))
    assert (uuid.version, uuid.variant) == (8, "specified in RFC 4122")
    assert given_id == f"urn:uuid:{uuid}"
    assert uuid.bytes[:6] == identity[:6]


def test_ids_are_given_only_where_there_is_none() -> None:
    """The client's eventID is kept; events without one get one each."""
    read = [read_captured(captured) for captured in SAMPLES]
    for one in read:
        assert one.event_id == (one.event.event_id or given_event_id(one.identity))
    nameless = [one for one in read if one.event.event_id is None]
    assert len(nameless) > 5
    assert len({one.event_id for one in nameless}) == len({one.identity for one in nameless})
