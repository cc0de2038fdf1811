"""genesis.json: there and back, strict, and never another chain's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto import key_pair
from ledger.errors import LedgerError
from ledger.genesis import Genesis, Parameters, chain_id
from ledger.members import Key, Node, NodeRole, Organisation, Role
from ledger.types import ChainId
from ledger.validators import Validator
from node.genesis_file import (
    FILE_BYTES_MAX,
    check_same_chain,
    genesis_text,
    parse_genesis,
    read_genesis,
    write_genesis,
)

KEY = key_pair(bytes(32)).public


def genesis(title: str = "Farm to shelf – prüfbar") -> Genesis:
    return Genesis(
        version=1,
        network="test",
        title=title,
        is_test_network=True,
        time_ms=1_700_000_000_000,
        parameters=Parameters(),
        organisations=(Organisation("farm", "Farm", ("9521321",)),),
        keys=(Key(KEY, "farm", "office", (Role.ADMIN,), 0, 0),),
        sites=(),
        nodes=(Node(KEY, "farm", "node-0", NodeRole.VALIDATOR, b"certificate", ("127.0.0.1:1",)),),
        validators=(Validator(KEY, 5, "node-0"),),
    )


def refusal(data: bytes) -> LedgerError:
    with pytest.raises(LedgerError) as caught:
        parse_genesis(data)
    return caught.value


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """The file gives the same genesis and the same chain id, and shows that id to people."""
    path = tmp_path / "genesis.json"
    write_genesis(path, genesis())
    assert read_genesis(path) == genesis()
    document = json.loads(path.read_text("utf-8"))
    assert next(iter(document.items())) == ("chain_id", chain_id(genesis()).hex())
    assert "prüfbar" in path.read_text("utf-8"), "people read it"
    assert [each.name for each in tmp_path.iterdir()] == ["genesis.json"]


def test_layout_does_not_matter() -> None:
    """Order of fields, blanks and an absent id change nothing: the value is what counts."""
    document = json.loads(genesis_text(genesis()))
    del document["chain_id"]
    shuffled = json.dumps(dict(sorted(document.items(), reverse=True)), indent=None)
    assert parse_genesis(shuffled.encode()) == genesis()


def test_writing_again_keeps_the_file_and_another_chain_is_refused(tmp_path: Path) -> None:
    """The same genesis may be written twice; another one never replaces it."""
    path = tmp_path / "genesis.json"
    write_genesis(path, genesis())
    before = path.stat()
    write_genesis(path, genesis())
    assert path.stat().st_ino == before.st_ino
    with pytest.raises(LedgerError) as caught:
        write_genesis(path, genesis("other"))
    assert caught.value.code == "genesis.mismatch"
    assert read_genesis(path) == genesis()


SPOILED: tuple[tuple[Callable[[dict[str, Any]], object], str, str], ...] = (
    (lambda d: d.update(title="changed"), "genesis.mismatch", "/chain_id"),
    (lambda d: d.update(chain_id="00" * 32), "genesis.mismatch", "/chain_id"),
    (lambda d: d.update(chain_id=5), "genesis.mismatch", "/chain_id"),
    (lambda d: d.pop("title"), "readable.missing_field", "/title"),
    (lambda d: d.update(tilte="x"), "readable.unknown_field", "/tilte"),
    (lambda d: d.update(time_ms=1.5), "readable.wrong_type", "/time_ms"),
    (lambda d: d.update(version=2), "genesis.version", ""),
    (lambda d: d["keys"].append(d["keys"][0]), "genesis.duplicate", "/keys/1"),
    (lambda d: d["keys"][0].update(organisation="shop"), "genesis.unknown_organisation", "/keys/0"),
    (lambda d: d["validators"][0].update(node="node-9"), "genesis.no_validator_node", "/validators/0"),
    (lambda d: d["keys"][0].update(public_key="00" * 32), "key.invalid", ""),
    (
        lambda d: d["parameters"].update(replay_window_blocks=9),
        "readable.wrong_value",
        "/parameters/replay_window_blocks",
    ),
)


@pytest.mark.parametrize(("spoil", "code", "pointer"), SPOILED)
def test_a_changed_genesis_is_refused(
    spoil: Callable[[dict[str, Any]], object], code: str, pointer: str
) -> None:
    """Any change is noticed: by the id in the file, by its type, or by the rules of a genesis."""
    document = json.loads(genesis_text(genesis()))
    spoil(document)
    problem = refusal(json.dumps(document).encode())
    assert problem.code == code
    assert problem.pointer.startswith(pointer)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"version": NaN}',
        b'{"title": "a", "title": "b"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"time_ms": ' + b"9" * 10_000 + b"}",
    ],
)
def test_what_is_no_json_object_is_malformed(data: bytes) -> None:
    """Broken, doubled, deep and foreign text is refused by name, at once."""
    assert refusal(data).code == "genesis.malformed"


def test_a_large_file_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    """The size is bounded, however it is read."""
    assert refusal(b" " * (FILE_BYTES_MAX + 1)).code == "genesis.too_large"
    (tmp_path / "genesis.json").write_bytes(b" " * (FILE_BYTES_MAX + 1000))
    with pytest.raises(LedgerError) as caught:
        read_genesis(tmp_path / "genesis.json")
    assert caught.value.code == "genesis.too_large"


def test_doubled_names_are_found_quickly() -> None:
    """A hundred thousand names with one twice cost one pass, not their square."""
    names = ", ".join(f'"n{each}": 0' for each in range(100_000))
    assert "stands twice" in refusal(f'{{{names}, "n99999": 1}}'.encode()).message


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """A home without its chain, or with a folder in its place, says so."""
    for path, code in ((tmp_path / "genesis.json", "genesis.missing"), (tmp_path, "genesis.unreadable")):
        with pytest.raises(LedgerError) as caught:
            read_genesis(path)
        assert caught.value.code == code


@given(st.data())
def test_any_single_character_changed_is_noticed_or_changes_nothing(data: st.DataObject) -> None:
    """Whichever character of the file is replaced: it is refused, or it was layout."""
    text = genesis_text(genesis())
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.sampled_from('0a"{}[],: \n-Z')) + text[at + 1 :]
    try:
        found = parse_genesis(changed.encode())
    except LedgerError:
        return
    assert found == genesis()


def test_two_chains_are_told_apart() -> None:
    """The mismatch names both ids and the place."""
    one, two = ChainId(bytes(32)), ChainId(bytes([1]) * 32)
    check_same_chain("data", one, one)
    with pytest.raises(LedgerError, match=r"data is of chain 00.*expected 01") as caught:
        check_same_chain("data", one, two)
    assert caught.value.code == "genesis.mismatch"
