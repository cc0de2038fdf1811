"""The rules find the method, or say what is wrong with the call, and change nothing then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.arguments import decode_arguments, encode_arguments
from contracts.organisations import AddKey, AddNode, AddSite
from contracts.runtime import CORE_METHODS, describe
from ledger.codec import Canonical, encode
from ledger.errors import LedgerError
from ledger.members import Role
from tests.contracts.chain import Chain


@pytest.mark.parametrize(
    ("contract", "method", "code"),
    [
        ("nothing", "add_key", "contract.unknown"),
        ("organisations", "nothing", "method.unknown"),
        ("organisations", "check", "method.unknown"),
        ("organisations", "add_key", "arguments.malformed"),
    ],
)
def test_a_call_that_names_nothing_is_refused(contract: str, method: str, code: str) -> None:
    """Unknown names and empty arguments have a code of their own."""
    assert Chain().refusal("farm/admin", contract, method, b"").code == code


def test_roles_come_before_arguments() -> None:
    """Who may not call learns nothing about arguments."""
    assert Chain().refusal("farm/operator", "organisations", "add_key", b"\xff").code == "sender.role"


PROOF = bytes(64)


@pytest.mark.parametrize(
    ("data", "kind", "pointer"),
    [
        (b"", AddKey, ""),
        (b"\xc1", AddKey, ""),
        (encode(7), AddKey, ""),
        (encode([bytes(32), "label", ["operator"]]), AddKey, ""),
        (encode([bytes(31), "label", ["operator"], PROOF]), AddKey, "/public_key"),
        (encode([bytes(32), "", ["operator"], PROOF]), AddKey, "/label"),
        (encode([bytes(32), "label", [], PROOF]), AddKey, "/roles"),
        (encode([bytes(32), "label", ["operator", "king"], PROOF]), AddKey, "/roles/1"),
        (encode([bytes(32), "label", "operator", PROOF]), AddKey, "/roles"),
        (encode([bytes(32), "Bad Name", b"x", ["a:1"], PROOF]), AddNode, "/name"),
        (encode([bytes(32), "name", b"x", ["a:1", 7], PROOF]), AddNode, "/addresses/1"),
        (encode([bytes(32), "name", b"x", ["a:1", ""], PROOF]), AddNode, "/addresses/1"),
    ],
)
def test_the_pointer_names_the_field(data: bytes, kind: type[AddKey], pointer: str) -> None:
    """A malformed argument is named by its path in the record."""
    with pytest.raises(LedgerError) as refused:
        decode_arguments(data, kind)
    assert (refused.value.code, refused.value.pointer) == ("arguments.malformed", pointer)


def test_a_second_spelling_is_refused() -> None:
    """Arguments have one encoding: trailing bytes and longer forms are malformed."""
    good = encode_arguments(AddSite("https://a.example/b", "B"))
    longer = b"\xdc\x00\x02" + good[1:]  # the array header in its 16 bit form
    for data in (good + b"\x00", longer):
        with pytest.raises(LedgerError) as refused:
            decode_arguments(data, AddSite)
        assert refused.value.code == "arguments.malformed"


@given(data=st.binary(max_size=200), index=st.integers(0, len(CORE_METHODS) - 1))
def test_garbage_is_malformed_and_nothing_else(data: bytes, index: int) -> None:
    """Random bytes never raise anything but `arguments.malformed`."""
    kind = CORE_METHODS[index].arguments
    with pytest.raises(LedgerError) as refused:
        decode_arguments(b"\x00" + data, kind)
    assert refused.value.code == "arguments.malformed"
    assert decode_or_code(data, kind) == "arguments.malformed"


def decode_or_code(data: bytes, kind: type[Canonical]) -> str:
    """The code of the refusal; random bytes that happen to be a record count as refused."""
    try:
        decode_arguments(data, kind)
    except LedgerError as refused:
        return refused.code
    return "arguments.malformed"


def test_every_method_describes_itself() -> None:
    """Documentation has a sentence, roles and named fields for each method."""
    for description in describe():
        assert description.summary.endswith(".")
        assert description.roles
        assert all(field.name and field.type for field in description.arguments)
    add_key = next(each for each in describe() if each.method == "add_key")
    assert [field.name for field in add_key.arguments] == ["public_key", "label", "roles", "proof"]
    assert [field.type for field in add_key.arguments] == [
        "bytes",
        "str",
        "list of registrar | admin | operator | gateway | auditor",
        "bytes",
    ]
    assert add_key.roles == (Role.ADMIN,)
