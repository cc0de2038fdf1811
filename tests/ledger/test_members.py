"""Members as the ledger reads them: keys in force, nodes in force, and records of exact form."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ledger.codec import decode, encode
from ledger.crypto import key_pair
from ledger.members import (
    ADDRESSES_MAX,
    KEYS,
    NODE_LIST,
    NODES,
    PREFIXES_MAX,
    TITLE_LENGTH_MAX,
    TLS_CERTIFICATE_BYTES_MAX,
    Key,
    Node,
    NodeList,
    NodeRole,
    Organisation,
    Role,
    Site,
    key_in_force,
    nodes_in_force,
)
from ledger.state import Overlay
from tests.ledger.chain import MemoryState
from tests.ledger.refusals import code_of

ONE, TWO, THREE = (key_pair(bytes([number]) * 32).public for number in (1, 2, 3))
KEY = Key(ONE, "farm", "scanner", (Role.OPERATOR,), 3, 0)
NODE = Node(ONE, "farm", "node-0", NodeRole.VALIDATOR, b"certificate", ("farm.example:26602",))
FARM = Organisation("farm", "Farm", ("952000",))
FIELD = Site("https://id.gs1.org/414/9520000000011", "farm", "Field")


def changed(record: Any, **fields: object) -> Any:
    return msgspec.structs.replace(record, **fields)


def test_only_a_registered_key_that_was_not_revoked_may_send() -> None:
    """By its public key; a revoked key is told so, with the height."""
    state = Overlay(MemoryState({}))
    KEYS.put(state, ONE, KEY)
    KEYS.put(state, TWO, changed(KEY, public_key=TWO, revoked_height=7))
    assert key_in_force(state, ONE) == KEY
    assert code_of(lambda: key_in_force(state, TWO)) == "sender.revoked"
    assert code_of(lambda: key_in_force(state, THREE)) == "sender.not_a_member"
    assert code_of(lambda: key_in_force(state, b"")) == "sender.not_a_member"


def test_the_nodes_in_force_are_those_of_the_list() -> None:
    """In its order; a record that is not listed may not connect, and an empty state lists none."""
    state = Overlay(MemoryState({}))
    assert nodes_in_force(state) == ()
    for public_key in (ONE, TWO, THREE):
        NODES.put(state, public_key, changed(NODE, public_key=public_key))
    NODE_LIST.put(state, b"", NodeList((TWO, ONE)))
    assert [node.public_key for node in nodes_in_force(state)] == [TWO, ONE]
    NODES.delete(state, TWO)
    assert [node.public_key for node in nodes_in_force(state)] == [ONE]


@pytest.mark.parametrize("record", [KEY, NODE, FARM, FIELD])
def test_records_are_read_back(record: Any) -> None:
    """The good ones that the next test spoils."""
    assert decode(encode(record), type(record), 10_000) == record


@pytest.mark.parametrize(
    "record",
    [
        changed(KEY, public_key=b"short"),
        changed(KEY, organisation="Not A Name"),
        changed(KEY, label=""),
        changed(KEY, label="x" * (TITLE_LENGTH_MAX + 1)),
        changed(KEY, roles=()),
        changed(KEY, roles=(Role.OPERATOR,) * 9),
        changed(KEY, roles=("king",)),
        changed(KEY, added_height=-1),
        changed(NODE, name="node 0"),
        changed(NODE, role="king"),
        changed(NODE, certificate=b""),
        changed(NODE, certificate=bytes(TLS_CERTIFICATE_BYTES_MAX + 1)),
        changed(NODE, addresses=("a:1",) * (ADDRESSES_MAX + 1)),
        changed(NODE, addresses=("",)),
        changed(FARM, gs1_prefixes=("123",)),
        changed(FARM, gs1_prefixes=("1234567890123",)),
        changed(FARM, gs1_prefixes=("95200a",)),
        changed(FARM, gs1_prefixes=("952000\n",)),
        changed(FARM, gs1_prefixes=("٩٥٢٠",)),  # digits, of another script
        changed(FARM, gs1_prefixes=("952000",) * (PREFIXES_MAX + 1)),
        changed(FIELD, id=""),
        changed(FIELD, id="x" * 513),
    ],
)
def test_records_out_of_form_are_refused(record: Any) -> None:
    """Names, sizes, roles and prefixes are checked whenever a record is read."""
    assert code_of(lambda: decode(encode(record), type(record), 1 << 20)) == "encoding.malformed"
