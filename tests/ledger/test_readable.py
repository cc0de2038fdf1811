"""The readable form: there and back by type, strict, and every refusal points at its place."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from ledger.codec import Canonical
from ledger.consensus.records import OwnVote, Record, SignerFloor
from ledger.crypto import key_pair
from ledger.errors import LedgerError
from ledger.genesis import Genesis, Parameters
from ledger.members import Key, Node, NodeRole, Organisation, Role
from ledger.merkle.log import Frontier
from ledger.readable import from_readable, to_readable
from ledger.validators import Validator
from ledger.vote import SignedVote, Vote, VoteKind

KEY = key_pair(bytes(32)).public


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Inner(Canonical):
    data: Annotated[bytes, Meta(max_length=8)]
    colour: Colour
    number: Annotated[int, Meta(ge=0, le=1000)]


class Outer(Canonical):
    text: str
    flag: bool
    inners: tuple[Inner, ...]
    pair: tuple[int, bytes]
    maybe: Inner | None
    names: dict[str, int]
    word_or_number: int | str


INNERS = st.builds(
    Inner, data=st.binary(max_size=8), colour=st.sampled_from(Colour), number=st.integers(0, 1000)
)
OUTERS = st.builds(
    Outer,
    text=st.text(),
    flag=st.booleans(),
    inners=st.lists(INNERS, max_size=4).map(tuple),
    pair=st.tuples(st.integers(-(2**40), 2**40), st.binary(max_size=40)),
    maybe=st.none() | INNERS,
    names=st.dictionaries(st.text(max_size=5), st.integers(0, 9), max_size=3),
    word_or_number=st.integers(0, 9) | st.text(),
)
GENESIS = Genesis(
    1, "test", "Test", True, 0, Parameters(), (Organisation("farm", "Farm", ("9521321",)),),
    (Key(KEY, "farm", "office", (Role.ADMIN,), 0, 0),), (),
    (Node(KEY, "farm", "node-0", NodeRole.VALIDATOR, b"x", ()),), (Validator(KEY, 1, "node-0"),),
)  # fmt: skip


@given(OUTERS)
def test_readable_form_comes_back_as_the_same_value(value: Outer) -> None:
    """Whatever a record holds, its readable form goes through JSON and back unchanged."""
    assert from_readable(json.loads(json.dumps(to_readable(value))), Outer) == value


def test_a_genesis_reads_as_names_and_hex() -> None:
    """Records are objects by field name, bytes lowercase hex, enums values, tuples lists."""
    readable = to_readable(GENESIS)
    assert readable["keys"][0] == {
        "public_key": KEY.hex(), "organisation": "farm", "label": "office", "roles": ["admin"],
        "added_height": 0, "revoked_height": 0,
    }  # fmt: skip
    assert from_readable(readable, Genesis) == GENESIS


def test_tagged_records_name_their_type() -> None:
    """A union of tagged records is told apart by "type", both ways."""
    vote = OwnVote(SignedVote(Vote(bytes(32), 1, 2, VoteKind.NULLIFY, None), 3, bytes(64)))
    floor = SignerFloor(bytes(32), KEY, bytes(16), 1, 2)
    assert to_readable(floor)["type"] == 1
    for record in (vote, floor):
        assert from_readable(to_readable(record), Record) == record  # type: ignore[arg-type]  # a union is a type too
    assert len(get_args(Record)) > 1


BAD: tuple[tuple[Callable[[Any], object], str, str], ...] = (
    (lambda d: d["keys"][0].update(public_key="00"), "readable.wrong_value", "/keys/0/public_key"),
    (lambda d: d["keys"][0].update(public_key="0" * 63), "readable.wrong_type", "/keys/0/public_key"),
    (
        lambda d: d["keys"][0].update(public_key=KEY.hex().upper()),
        "readable.wrong_type",
        "/keys/0/public_key",
    ),
    (
        lambda d: d["keys"][0].update(public_key=KEY.hex()[:62] + " 0"),
        "readable.wrong_type",
        "/keys/0/public_key",
    ),
    (lambda d: d["keys"][0].update(public_key=7), "readable.wrong_type", "/keys/0/public_key"),
    (lambda d: d["keys"][0].update(roles=["admin", "king"]), "readable.wrong_value", "/keys/0/roles/1"),
    (lambda d: d["keys"][0].update(roles=[1]), "readable.wrong_type", "/keys/0/roles/0"),
    (lambda d: d["keys"][0].update(added_height=-1), "readable.wrong_value", "/keys/0/added_height"),
    (lambda d: d["keys"][0].update(added_height=2**53), "readable.wrong_value", "/keys/0/added_height"),
    (lambda d: d["keys"][0].update(added_height=True), "readable.wrong_type", "/keys/0/added_height"),
    (lambda d: d["keys"][0].update(added_height=1.0), "readable.wrong_type", "/keys/0/added_height"),
    (lambda d: d["keys"][0].update(added_height=None), "readable.wrong_type", "/keys/0/added_height"),
    (lambda d: d["keys"].append([]), "readable.wrong_type", "/keys/1"),
    (lambda d: d.update(is_test_network=1), "readable.wrong_type", "/is_test_network"),
    (lambda d: d.update(keys={}), "readable.wrong_type", "/keys"),
    (lambda d: d.update(validators=[]), "readable.wrong_value", "/validators"),
    (lambda d: d.pop("title"), "readable.missing_field", "/title"),
    (lambda d: d.update({"ti/t~le": 1}), "readable.unknown_field", "/ti~1t~0le"),
    (
        lambda d: d["parameters"]["consensus"].update(retry_ms=0),
        "readable.wrong_value",
        "/parameters/consensus/retry_ms",
    ),
    (lambda d: d["parameters"].pop("consensus"), "readable.missing_field", "/parameters/consensus"),
)


@pytest.mark.parametrize(("spoil", "code", "pointer"), BAD)
def test_bad_input_is_refused_and_its_place_named(
    spoil: Callable[[Any], object], code: str, pointer: str
) -> None:
    """Each kind of wrong input has its code and a JSON pointer to the very field."""
    data = copy.deepcopy(to_readable(GENESIS))
    spoil(data)
    with pytest.raises(LedgerError) as caught:
        from_readable(data, Genesis)
    assert (caught.value.code, caught.value.pointer) == (code, pointer)


@pytest.mark.parametrize("data", [None, 1, "x", [], [1], {}, True, 1.5])
def test_what_is_no_record_at_all_is_refused(data: object) -> None:
    """A whole document of another kind is refused, not crashed on."""
    with pytest.raises(LedgerError):
        from_readable(data, Genesis)


def test_places_inside_unions_and_tuples_are_named() -> None:
    """A value out of range is found below an optional record, a tagged record and a fixed tuple."""
    outer = to_readable(Outer("", True, (), (1, b""), Inner(b"", Colour.RED, 1), {}, 1))
    outer["maybe"]["number"] = 1001
    with pytest.raises(LedgerError) as caught:
        from_readable(outer, Outer)
    assert caught.value.pointer == "/maybe/number"
    floor = to_readable(SignerFloor(bytes(32), KEY, bytes(16), 1, 2)) | {"view": -1}
    with pytest.raises(LedgerError) as caught:
        from_readable(floor, Record)  # type: ignore[arg-type]  # a union is a type too
    assert caught.value.pointer == "/view"
    for pair, pointer in (([1], "/pair"), ([1, "0g"], "/pair/1"), (["1", ""], "/pair/0")):
        with pytest.raises(LedgerError) as caught:
            from_readable(outer | {"pair": pair, "maybe": None}, Outer)
        assert caught.value.pointer == pointer


@pytest.mark.parametrize("tag", [None, 0, 99, "1", True, [], {}])
def test_unknown_tags_are_refused(tag: object) -> None:
    """A tagged record says which it is, with exactly the tag's type and value."""
    data = to_readable(SignerFloor(bytes(32), KEY, bytes(16), 1, 2)) | {"type": tag}
    with pytest.raises(LedgerError) as caught:
        from_readable(data, Record)  # type: ignore[arg-type]  # a union is a type too
    assert caught.value.pointer == "/type"


def test_a_rule_of_the_record_itself_comes_through() -> None:
    """A record that refuses its own fields does so here as in the codec."""
    with pytest.raises(LedgerError) as caught:
        from_readable({"size": 3, "peaks": []}, Frontier)
    assert caught.value.code == "log.frontier"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.sampled_from(sorted(to_readable(GENESIS))))
def test_any_json_in_any_field_is_read_or_refused(data: object, field: str) -> None:
    """Hostile input gives a value or a LedgerError, nothing else; and what is read reads back the same."""
    document = to_readable(GENESIS) | {field: data}
    try:
        value = from_readable(document, Genesis)
    except LedgerError:
        return
    assert to_readable(value) == document


def test_msgspec_still_words_places_as_we_read_them() -> None:
    """The place in a msgspec message is ours to translate; another wording would lose pointers."""
    with pytest.raises(msgspec.ValidationError, match=r" - at `\$\[0\]"):
        msgspec.convert((b"123456789", "red", 1), Inner, builtin_types=(bytes,))
