"""`ledger-node join`: the home of a node that follows, with what its admin needs; or nothing at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contracts.possession import check_possession
from ledger.genesis import chain_id
from ledger.members import NodeRole, Role
from node.config import load_config
from node.genesis_file import read_genesis
from node.home import Home, HomeLock
from node.keys import KeyName, read_key
from node.registration import KeyRegistration, NodeRegistration, read_registration
from tests.cli.node.command import Answer, LedgerNode, files_in

WHO = ("--name", "late", "--organisation", "org-1")


def join(ledger_node: LedgerNode, home: Path, genesis: Path, *arguments: str) -> Answer:
    """Join with what every join needs."""
    return ledger_node("join", "--home", home, "--genesis", genesis, *arguments)


def test_the_home_follows_the_chain(ledger_node: LedgerNode, genesis: Path, tmp_path: Path) -> None:
    """The home is complete and has no key that votes; its two requests prove their keys for this chain."""
    home = Home(tmp_path / "late")
    peers = ("--peer", "v0.example:26602", "--peer", "v1.example:26602")
    answer = join(ledger_node, home.root, genesis, *WHO, *peers, "--listen", "127.0.0.1:30000")
    assert (answer.code, answer.json["is_new"]) == (0, True)
    config = load_config(home.settings, {})
    assert (config.name, config.peers) == ("late", ("v0.example:26602", "v1.example:26602"))
    assert config.api.listen == "127.0.0.1:30000"
    assert not (home.keys / KeyName.VALIDATOR.value).exists()
    HomeLock(home).release()
    chain = chain_id(read_genesis(genesis))
    files = [Path(each) for each in answer.json["registrations"]]
    node = read_registration(files[0], NodeRegistration)
    assert (node.name, node.organisation, node.role) == ("late", "org-1", NodeRole.OBSERVER)
    assert (node.chain_id, node.addresses, node.validator_key) == (chain, (), None)
    check_possession(read_key(home.keys, KeyName.NODE).public, chain, "org-1", node.proof or b"")
    gateway = read_registration(files[1], KeyRegistration)
    assert (gateway.public_key, gateway.roles) == (node.gateway_key, (Role.GATEWAY,))
    check_possession(gateway.public_key, chain, "org-1", gateway.proof)


@pytest.mark.parametrize(
    ("arguments", "addresses"),
    [
        ((), ()),
        (("--p2p", "0.0.0.0:26602"), ()),
        (("--p2p", "[::]:26602"), ()),
        (("--p2p", "192.0.2.7:26602"), ("192.0.2.7:26602",)),
        (("--p2p", "late.example:26602"), ("late.example:26602",)),
        (
            ("--p2p", "0.0.0.0:26602", "--address", "a:1", "--address", "a:1", "--address", "b:2"),
            ("a:1", "b:2"),
        ),
    ],
)
def test_only_addresses_that_others_reach(
    ledger_node: LedgerNode,
    genesis: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    addresses: tuple[str, ...],
) -> None:
    """A wildcard or loopback is nobody's way in: it is not handed to the others."""
    answer = join(ledger_node, tmp_path / "late", genesis, *WHO, *arguments)
    assert tuple(answer.json["addresses"]) == addresses


def test_joining_twice_changes_nothing(ledger_node: LedgerNode, genesis: Path, tmp_path: Path) -> None:
    """The second time says so and leaves every byte; an edited node.toml stays, a new address is written."""
    home = tmp_path / "late"
    join(ledger_node, home, genesis, *WHO)
    with (home / "node.toml").open("a") as file:
        file.write('\n[log]\nlevel = "debug"\n')
    before = files_in(home)
    answer = join(ledger_node, home, genesis, *WHO)
    assert (answer.code, answer.json["is_new"]) == (0, False)
    assert files_in(home) == before
    answer = join(ledger_node, home, genesis, *WHO, "--address", "late.example:26602")
    assert answer.json["addresses"] == ["late.example:26602"]
    after = files_in(home)
    assert {name for name in before if before[name] != after[name]} == {"node.json"}


def test_an_interrupted_join_is_completed(
    ledger_node: LedgerNode, genesis: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails in the middle leaves no data; the next try ends with the same keys."""
    home = Home(tmp_path / "late")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("node.new_home.found_data", fail)
        answer = join(ledger_node, home.root, genesis, *WHO)
        assert (answer.code, answer.error) == (1, "system.failed")
    assert not home.data.exists()
    assert not (home.root / "node.json").exists()
    key = read_key(home.keys, KeyName.NODE)
    assert join(ledger_node, home.root, genesis, *WHO).json["is_new"]
    assert read_key(home.keys, KeyName.NODE) == key


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        WHO[:2],
        WHO[2:],
        ("--name", "Late", *WHO[2:]),
        ("--name", "", *WHO[2:]),
        (*WHO[:2], "--organisation", "org 1"),
        (*WHO, "--peer", "nowhere"),
        (*WHO, "--peer", ""),
        (*WHO, "--address", "::1:26602"),
        (*WHO, "--admin", "127.0.0.1:x"),
    ],
)
def test_bad_flags_make_nothing(
    ledger_node: LedgerNode, genesis: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """A wrong or missing flag is usage (2), and no folder is made."""
    answer = join(ledger_node, tmp_path / "late", genesis, *arguments)
    assert (answer.code, answer.error) == (2, "usage.wrong")
    assert not (tmp_path / "late").exists()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "genesis.malformed"),
        (b"[]", "genesis.malformed"),
        (b"\xff\xfe", "genesis.malformed"),
        (b"[" * 100_000, "genesis.malformed"),
        (b'{"network": "produce"}', "readable.missing_field"),
        (None, "genesis.mismatch"),
    ],
)
def test_a_bad_genesis_makes_nothing(
    ledger_node: LedgerNode, genesis: Path, tmp_path: Path, content: bytes | None, code: str
) -> None:
    """What is no genesis, or says another id than its own, is refused by code before a folder is made."""
    if content is None:
        content = json.dumps(json.loads(genesis.read_text()) | {"title": "Another"}).encode()
    genesis.write_bytes(content)
    answer = join(ledger_node, tmp_path / "late", genesis, *WHO)
    assert answer.error == code
    assert str(genesis) in answer.json["error"]["message"]
    assert not (tmp_path / "late").exists()


def test_what_is_there_is_respected(ledger_node: LedgerNode, genesis: Path, tmp_path: Path) -> None:
    """A taken name, a validator's home and another node's home are conflicts (9); nothing changes."""
    join(ledger_node, tmp_path / "late", genesis, *WHO)
    before = files_in(tmp_path)
    taken = join(ledger_node, tmp_path / "other", genesis, "--name", "v0", *WHO[2:])
    assert (taken.code, taken.error) == (9, "node.exists")
    voter = join(ledger_node, tmp_path / "n0", genesis, "--name", "v0", *WHO[2:])
    assert (voter.code, voter.error) == (9, "home.exists")
    renamed = join(ledger_node, tmp_path / "late", genesis, "--name", "later", *WHO[2:])
    assert (renamed.code, renamed.error) == (9, "home.exists")
    assert files_in(tmp_path) == before


def test_a_member_that_came_later(ledger_node: LedgerNode, genesis: Path, tmp_path: Path) -> None:
    """An organisation that the genesis does not know may have been admitted since: it is a hint, no error."""
    command = ("join", "--home", tmp_path / "late", "--genesis", genesis, "--name", "late")
    answer = ledger_node.plain(*command, "--organisation", "org-7")
    assert answer.code == 0
    assert "the genesis knows no org-7" in answer.err
    assert "farmgate org node add" in answer.err
