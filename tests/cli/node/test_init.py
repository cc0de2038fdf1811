"""`ledger-node init`: founders make keys, agree on a genesis and complete their homes; or nothing is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.members import Role
from node.config import load_config
from node.genesis_file import read_genesis
from node.home import Home, HomeLock
from node.keys import KeyName, create_key, read_key
from tests.cli.node.command import LedgerNode, files_in

BEGIN = ("--name", "v9", "--organisation", "org-9", "--address", "v9.example:26602")


def test_founders_make_one_network(ledger_node: LedgerNode, genesis: Path, tmp_path: Path) -> None:
    """Both homes are complete for one chain, each node listed with its key, stake, address and gateway."""
    found = read_genesis(genesis)
    assert [(each.node, each.stake) for each in found.validators] == [("v0", 100), ("v1", 50)]
    assert not found.is_test_network
    roles = {(each.organisation, each.label): each.roles for each in found.keys}
    assert Role.REGISTRAR in roles["org-0", "founding admin"]
    assert Role.REGISTRAR not in roles["org-1", "founding admin"]
    assert roles["org-1", "gateway of v1"] == (Role.GATEWAY,)
    for number in range(2):
        home = Home(tmp_path / f"n{number}")
        answer = ledger_node("init", "--home", home.root, "--genesis", genesis)
        assert (answer.code, answer.json["is_new"]) == (0, True)
        assert answer.json["chain_id"] == json.loads(genesis.read_text())["chain_id"]
        listed = found.nodes[number]
        assert listed.public_key == read_key(home.keys, KeyName.NODE).public
        assert listed.addresses == (f"v{number}.example:26602",)
        assert load_config(home.settings, {}).name == f"v{number}"
        HomeLock(home).release()


def test_each_step_can_be_repeated(
    ledger_node: LedgerNode, genesis: Path, plan: Path, tmp_path: Path
) -> None:
    """Every step again changes no key, no setting and no genesis, and says that it was there."""
    ledger_node("init", "--home", tmp_path / "n0", "--genesis", genesis)
    before = files_in(tmp_path)
    again = ledger_node("init", "--new-network", plan, "-o", genesis)
    assert (again.code, again.json["is_new"]) == (0, False)
    again = ledger_node("init", "--home", tmp_path / "n0", "--genesis", genesis)
    assert (again.code, again.json["is_new"]) == (0, False)
    again = ledger_node(
        *("init", "--home", tmp_path / "n1", "--name", "v1", "--organisation", "org-1"),
        *("--address", "v1.example:26602", "--registration", tmp_path / "v1.json"),
    )
    assert (again.code, again.json["is_new"]) == (0, False)
    assert files_in(tmp_path) == before


def test_the_registration_holds_no_secret(ledger_node: LedgerNode, tmp_path: Path) -> None:
    """No seed of the home stands in node.json or in what the command prints."""
    answer = ledger_node("init", "--home", tmp_path / "home", *BEGIN)
    assert answer.code == 0
    shown = answer.out + answer.err + (tmp_path / "home" / "node.json").read_text()
    seeds = [(tmp_path / "home" / "keys" / name.value).read_bytes() for name in KeyName]
    assert len(set(seeds)) == 3
    assert not any(seed.hex() in shown for seed in seeds)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), "usage.wrong"),
        (("--name", "v9"), "usage.wrong"),
        (("--name", "V9", *BEGIN[2:]), "usage.wrong"),
        (("--name", "x" * 65, *BEGIN[2:]), "usage.wrong"),
        ((*BEGIN[:2], "--organisation", "a b", *BEGIN[4:]), "usage.wrong"),
        ((*BEGIN[:4], "--p2p", "0.0.0.0:26602"), "usage.wrong"),
        ((*BEGIN[:4], "--address", "nowhere"), "usage.wrong"),
        ((*BEGIN, "--listen", "127.0.0.1:99999"), "usage.wrong"),
        ((*BEGIN, "-o", "genesis.json"), "usage.wrong"),
        ((*BEGIN, "--registration", "missing/node.json"), "usage.wrong"),
        ((*BEGIN, *(["--address", "a:1", "--address", "b:1", "--address", "c:1"] * 3)), "usage.wrong"),
    ],
)
def test_bad_input_makes_nothing(
    ledger_node: LedgerNode, tmp_path: Path, arguments: tuple[str, ...], code: str
) -> None:
    """A wrong or missing flag is usage (2), and no folder is made."""
    answer = ledger_node("init", "--home", tmp_path / "home", *arguments)
    assert (answer.code, answer.error) == (2, code)
    assert not (tmp_path / "home").exists()


def test_a_folder_of_something_else_is_left_alone(ledger_node: LedgerNode, tmp_path: Path) -> None:
    """A folder with other files is no home: conflict (9), and it stays as it was."""
    (tmp_path / "letter.txt").write_text("Dear all")
    answer = ledger_node("init", "--home", tmp_path, *BEGIN)
    assert (answer.code, answer.error) == (9, "home.foreign")
    assert files_in(tmp_path) == {"letter.txt": b"Dear all"}


def test_another_name_is_refused(ledger_node: LedgerNode, plan: Path, tmp_path: Path) -> None:
    """A home has one name: conflict (9), and nothing is written."""
    before = files_in(tmp_path)
    answer = ledger_node("init", "--home", tmp_path / "n0", *BEGIN)
    assert (answer.code, answer.error) == (9, "home.exists")
    assert files_in(tmp_path) == before


def test_a_genesis_that_lists_another_key(ledger_node: LedgerNode, genesis: Path, tmp_path: Path) -> None:
    """A home whose keys are not those of the genesis is refused and gets no data."""
    home = Home(tmp_path / "n0")
    for name, wanted in (
        (KeyName.VALIDATOR, "init.not_in_genesis"),
        (KeyName.NODE, "identity.wrong_certificate"),
    ):
        (home.keys / name.value).unlink()
        create_key(home.keys, name)
        answer = ledger_node("init", "--home", home.root, "--genesis", genesis)
        assert (answer.code, answer.error) == (1, wanted)
        assert not home.data.exists()
        assert not home.genesis.exists()


def test_a_home_without_keys_is_not_completed(ledger_node: LedgerNode, genesis: Path, tmp_path: Path) -> None:
    """The genesis can't list keys that were never made: none are made then either."""
    answer = ledger_node("init", "--home", tmp_path / "new", "--genesis", genesis)
    assert (answer.code, answer.error) == (1, "init.no_keys")
    assert not (tmp_path / "new").exists()


def test_another_chain_is_refused(ledger_node: LedgerNode, genesis: Path, plan: Path, tmp_path: Path) -> None:
    """A home and a genesis.json belong to one chain: those of another are a conflict, and stay."""
    ledger_node("init", "--home", tmp_path / "n0", "--genesis", genesis)
    plan.write_text(plan.read_text().replace("stake = 50", "stake = 60"))
    before = files_in(tmp_path)
    answer = ledger_node("init", "--new-network", plan, "-o", genesis)
    assert (answer.code, answer.error) == (9, "genesis.mismatch")
    assert files_in(tmp_path) == before
    other = tmp_path / "other.json"
    assert ledger_node("init", "--new-network", plan, "-o", other).code == 0
    answer = ledger_node("init", "--home", tmp_path / "n0", "--genesis", other)
    assert (answer.code, answer.error) == (9, "genesis.mismatch")


def _text(old: str, new: str) -> Callable[[Path], None]:
    return lambda plan: _put(plan, plan.read_text().replace(old, new))


def _field(name: str, value: Any) -> Callable[[Path], None]:
    def change(plan: Path) -> None:
        path = plan.with_name("v1.json")
        _put(path, json.dumps(json.loads(path.read_text()) | {name: value}))

    return change


def _put(path: Path, text: str) -> None:
    assert text != path.read_text(), "the case changes something"
    path.write_text(text)


BAD_PLANS = {
    "no TOML": (_text('network = "produce"', "network = "), "plan.malformed"),
    "unknown key": (_text("title =", "tittle ="), "plan.malformed"),
    "wrong type": (_text("stake = 50", 'stake = "50"'), "plan.malformed"),
    "no stake": (_text("stake = 50", "stake = 0"), "plan.malformed"),
    "bad name": (_text('"produce"', '"Produce!"'), "plan.malformed"),
    "bad prefix": (_text("9521001", "95x1001"), "plan.malformed"),
    "nobody admits": (_text("is_registrar = true", ""), "plan.no_registrar"),
    "no such file": (_text('"v1.json"', '"v7.json"'), "registration.missing"),
    "twice": (_text('"v1.json"', '"v0.json"'), "genesis.duplicate"),
    "unknown member": (_text('id = "org-1"', 'id = "org-2"'), "genesis.unknown_organisation"),
    "an observer": (_field("role", "observer"), "registration.wrong_role"),
    "no vote": (_field("validator_key", None), "registration.wrong_role"),
    "of a chain": (_field("chain_id", "00" * 32), "registration.of_a_chain"),
    "bad certificate": (_field("certificate", "00"), "identity.bad_certificate"),
    "other key": (_field("public_key", "00" * 31 + "01"), "identity.wrong_certificate"),
    "no hex": (_field("validator_key", "zz"), "readable.wrong_type"),
    "unknown field": (_field("stake", 1), "readable.unknown_field"),
}


@pytest.mark.parametrize("name", BAD_PLANS)
def test_bad_plans_make_no_genesis(ledger_node: LedgerNode, plan: Path, name: str) -> None:
    """Each mistake in a plan or registration has its code, and no genesis is written."""
    change, code = BAD_PLANS[name]
    change(plan)
    answer = ledger_node("init", "--new-network", plan, "-o", plan.with_name("genesis.json"))
    assert answer.error == code
    assert answer.code != 0
    assert not plan.with_name("genesis.json").exists()
