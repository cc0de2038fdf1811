"""The commands on the chain: items, transactions, members, keys, and what each answers to a bad word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.exit_code import ExitCode
from ledger.members import NodeRole
from node.home import Home
from node.new_home import make_keys
from node.registration import NodeRegistration, node_registration, read_registration, write_registration
from tests.cli.shell import Site, shell
from tests.contracts.chain import key_of
from tests.contracts.provenance import story

ABSENT = "https://id.gs1.org/01/09521001001106/10/none"


# --- items --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def traced(told_site: Site) -> str:
    """An item of the story that has ancestors."""
    for name in ("CASE", "CASES", "PALLET", "LOT"):
        found = getattr(story, name, None)
        if isinstance(found, str):
            return found
        if isinstance(found, list | tuple) and found:
            return str(found[0])
    raise AssertionError("the story names no item")


@pytest.mark.parametrize(
    "words", [("show",), ("history",), ("trace",), ("trace", "--up"), ("trace", "--down")]
)
def test_item(told_site: Site, traced: str, words: tuple[str, ...]) -> None:
    """An item is shown as text and as JSON, and both name it."""
    command = ("--node", told_site.url, "item", words[0], traced, *words[1:])
    said = shell(*command)
    assert said.code == ExitCode.OK, said.err
    assert said.out.strip()
    assert shell(*command, "--json").json["id"]


def test_trace_with_events(told_site: Site, traced: str) -> None:
    """--events lists every event of the goods once, in chain order, with who signed it."""
    said = shell("--node", told_site.url, "item", "trace", traced, "--both", "--events", "--json")
    places = [tuple(line["place"].values()) for line in said.json["journey"]]
    assert len(places) > 3
    assert places == sorted(set(places))
    assert all(line["organisation"] for line in said.json["journey"])
    text = shell("--node", told_site.url, "item", "trace", traced, "--both", "--events").out
    assert "signed by" in text


@pytest.mark.parametrize("verb", ["show", "history", "trace"])
@pytest.mark.parametrize(
    ("identifier", "exit_code", "code"),
    [
        (ABSENT, ExitCode.NOT_FOUND, "item.unknown"),
        ("nothing", ExitCode.REJECTED, "identifier.not_recognised"),
        ("(01)09521001001107(10)N", ExitCode.REJECTED, "identifier.invalid"),
        ("", ExitCode.REJECTED, "identifier.not_recognised"),
    ],
)
def test_bad_item(told_site: Site, verb: str, identifier: str, exit_code: ExitCode, code: str) -> None:
    """An unknown item is exit code 3, and what is no identifier is exit code 5."""
    said = shell("--node", told_site.url, "item", verb, identifier, "--json")
    assert (said.code, said.error["code"]) == (exit_code, code)


def test_height_that_is_not_kept(told_site: Site, traced: str) -> None:
    """--at another height than the last one is refused with the node's own words."""
    said = shell("--node", told_site.url, "item", "show", traced, "--at", "1", "--json")
    assert said.code == ExitCode.NOT_FOUND
    assert said.error["code"] == "at.not_kept"


# --- transactions -------------------------------------------------------------------


def test_transactions(told_site: Site) -> None:
    """The newest transactions are listed from the newest down, and each can be shown."""
    said = shell("--node", told_site.url, "tx", "list", "--json", "-n", "3")
    heights = [each["height"] for each in said.json["transactions"]]
    assert len(heights) == 3
    assert heights == sorted(heights, reverse=True)
    identifier = said.json["transactions"][0]["id"]
    shown = shell("--node", told_site.url, "tx", "show", identifier, "--json")
    assert (shown.json["id"], shown.json["height"]) == (identifier, heights[0])
    assert shell("--node", told_site.url, "tx", "wait", identifier).code == ExitCode.OK
    assert identifier in shell("--node", told_site.url, "tx", "show", identifier).out


@pytest.mark.parametrize("verb", ["show", "wait"])
@pytest.mark.parametrize("identifier", ["x", "AB" * 32, "ab" * 31, ""])
def test_no_transaction_id(verb: str, identifier: str) -> None:
    """What is no id is wrong usage, and nobody is asked."""
    said = shell("tx", verb, identifier, "--json")
    assert (said.code, said.error["code"]) == (ExitCode.USAGE, "usage.not_an_id")


def test_unknown_transaction(told_site: Site) -> None:
    """An unknown transaction is exit code 3; waiting for one in vain is exit code 6."""
    assert shell("--node", told_site.url, "tx", "show", "ab" * 32).code == ExitCode.NOT_FOUND
    said = shell("--node", told_site.url, "tx", "wait", "ab" * 32, "--timeout", "0.2", "--json")
    assert (said.code, said.error["code"]) == (ExitCode.UNKNOWN, "transaction.unknown_outcome")


def test_no_node() -> None:
    """Where no node listens, every reading command ends with exit code 7."""
    from tests.cli.test_client import closed_port

    url = closed_port()
    for words in (("item", "show", ABSENT), ("tx", "list"), ("org", "list"), ("tx", "show", "ab" * 32)):
        said = shell("--node", url, *words, "--json")
        assert (said.code, said.error["code"]) == (ExitCode.UNREACHABLE, "node.unreachable"), words


# --- members ------------------------------------------------------------------------


def test_organisations(told_site: Site) -> None:
    """Members are listed; one is shown with its keys, sites and nodes."""
    listed = shell("--node", told_site.url, "org", "list", "--json").json["organisations"]
    assert [each["id"] for each in listed][:2] == ["farm", "packer"]
    shown = shell("--node", told_site.url, "org", "show", "farm", "--json").json
    assert {key["label"] for key in shown["keys"]} >= {"admin", "operator"}
    assert shown["sites"][0]["id"] == "https://id.gs1.org/414/9520000000011"
    assert [node["name"] for node in shown["nodes"]] == ["node-0"]
    assert "node-0" in shell("--node", told_site.url, "org", "show", "farm").out
    assert shell("--node", told_site.url, "org", "show", "nobody").code == ExitCode.NOT_FOUND
    assert shell("--node", told_site.url, "org", "show", "../status").code != ExitCode.OK


def test_own_organisation_is_the_default(told_site: Site) -> None:
    """Without a name, the organisation of the profile is shown; without a profile, that is said."""
    profile = told_site.profile("packer")
    assert shell("--profile", profile, "org", "show", "--json").json["id"] == "packer"
    said = shell("--node", told_site.url, "org", "show", "--json")
    assert said.error["code"] == "profile.incomplete"


def test_key_from_birth_to_end(site: Site, tmp_path: Path) -> None:
    """A key is made, asked for, added, used and revoked; then it is refused."""
    admin = site.profile("farm", "farm/admin")
    made = shell("--profile", admin, "key", "new", str(tmp_path / "scanner.key"), "--json").json
    assert (tmp_path / "scanner.key").stat().st_mode & 0o777 == 0o600
    added = shell("--profile", admin, "key", "add", made["request"], "--yes", "--json")
    assert added.code == ExitCode.OK, added.err
    shown = shell("--node", site.url, "key", "show", str(tmp_path / "scanner.key"), "--json").json
    assert (shown["label"], shown["roles"]) == ("scanner", ["operator"])
    profile = site.folder / "scanner.toml"
    profile.write_text(Path(admin).read_text().replace("keys/farm-admin.key", "unused").replace(
        f'key_file = "{site.folder}/unused"', f'key_file = "{tmp_path}/scanner.key"'))  # fmt: skip
    words = (
        "--profile",
        str(profile),
        "record",
        "observe",
        "urn:x:1",
        "--time",
        "2025-12-01T08:00:00Z",
        "--json",
    )
    assert shell(*words).code == ExitCode.OK
    revoked = shell("--profile", admin, "key", "revoke", "scanner", "--yes", "--json")
    assert revoked.code == ExitCode.OK
    said = shell(*words)
    assert (said.code, said.error["code"]) == (ExitCode.NOT_ALLOWED, "sender.revoked")
    assert shell("--profile", admin, "key", "revoke", "scanner", "--yes").code == ExitCode.NOT_FOUND


def test_key_is_never_overwritten(told_site: Site, tmp_path: Path) -> None:
    """`key new` refuses a name that is taken, and leaves the key as it was."""
    path = tmp_path / "own.key"
    words = ("--profile", told_site.profile("farm"), "key", "new", str(path), "--json")
    assert shell(*words).code == ExitCode.OK
    before = path.read_bytes()
    said = shell(*words)
    assert (said.code, said.error["code"]) == (ExitCode.CONFLICT, "key_file.exists")
    assert path.read_bytes() == before


def test_key_without_a_profile(tmp_path: Path) -> None:
    """Without chain and organisation a key is made, and no request that nobody could add."""
    said = shell("key", "new", str(tmp_path / "own.key"), "--json")
    assert said.code == ExitCode.OK
    assert "request" not in said.json
    assert not (tmp_path / "own.json").exists()


@pytest.mark.parametrize("name", ["../x", "x y", "", "A", ".hidden"])
def test_key_names_do_not_leave_their_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that could become another path is refused."""
    monkeypatch.chdir(tmp_path)
    said = shell("key", "new", name, "--organisation", "Not A Name", "--chain-id", "ab" * 32, "--json")
    assert said.code == ExitCode.USAGE
    assert not list(tmp_path.rglob("*.key"))


def test_last_admin_stays(site: Site) -> None:
    """The contract's refusal is shown with its code and exit code 5."""
    admin = site.profile("farm", "farm/admin")
    said = shell("--profile", admin, "key", "revoke", key_of("farm/admin").public.hex(), "--yes", "--json")
    assert (said.code, said.error["code"]) == (ExitCode.REJECTED, "key.last_admin")


def test_role_that_may_not(site: Site) -> None:
    """An operator may not change the members: exit code 4."""
    operator = site.profile("farm")
    said = shell("--profile", operator, "org", "site", "add", "9520000000028", "--title", "Barn", "--json")
    assert (said.code, said.error["code"]) == (ExitCode.NOT_ALLOWED, "sender.role")


def test_ambiguous_label(site: Site, tmp_path: Path) -> None:
    """Two keys of one label are told apart by their public halves."""
    admin = site.profile("farm", "farm/admin")
    for number in (1, 2):
        made = shell(
            "--profile", admin, "key", "new", str(tmp_path / f"k{number}.key"), "--label", "twin", "--json"
        )
        shell("--profile", admin, "key", "add", made.json["request"], "--yes")
    said = shell("--profile", admin, "key", "revoke", "twin", "--yes", "--json")
    assert (said.code, said.error["code"]) == (ExitCode.CONFLICT, "key.ambiguous")


def test_site(site: Site) -> None:
    """A place is registered under its canonical identifier, and is listed."""
    admin = site.profile("farm", "farm/admin")
    said = shell("--profile", admin, "org", "site", "add", "9520000000028", "--title", "Barn", "--json")
    assert (said.code, said.json["status"]) == (ExitCode.OK, "accepted")
    listed = shell("--profile", admin, "org", "site", "list", "--json").json["sites"]
    assert {"id": "https://id.gs1.org/414/9520000000028", "organisation": "farm", "title": "Barn"} in listed


def test_dry_run_sends_nothing(site: Site) -> None:
    """--dry-run shows the call and leaves chain and outbox as they were."""
    admin = site.profile("farm", "farm/admin")
    words = ("org", "site", "add", "9520000000028", "--title", "Barn", "--dry-run", "--json")
    said = shell("--profile", admin, *words)
    assert said.json["method"] == "add_site"
    assert site.node.head()[0] == 0
    assert shell("--profile", admin, "outbox", "list", "--json").json["transactions"] == []


def registration(site: Site, folder: Path, organisation: str = "farm", *, is_bound: bool = True) -> Path:
    keys = make_keys(Home(folder), NodeRole.OBSERVER)
    made = node_registration(
        keys.identity,
        name="observer-1",
        organisation=organisation,
        role=NodeRole.OBSERVER,
        addresses=("127.0.0.1:27000",),
        validator_key=None,
        gateway_key=None,
        chain_id=site.node.chain_id if is_bound else None,
    )
    write_registration(folder / "node.json", made)
    return folder / "node.json"


def test_node(site: Site, tmp_path: Path) -> None:
    """A node is registered from its own request, listed, and taken off again by its name."""
    admin = site.profile("farm", "farm/admin")
    request = registration(site, tmp_path / "home")
    assert shell("--profile", admin, "org", "node", "add", str(request), "--yes").code == ExitCode.OK
    names = [
        each["name"] for each in shell("--profile", admin, "org", "node", "list", "--json").json["nodes"]
    ]
    assert sorted(names) == ["node-0", "observer-1"]
    assert shell("--profile", admin, "org", "node", "remove", "observer-1", "--yes").code == ExitCode.OK
    again = shell("--profile", admin, "org", "node", "remove", "observer-1", "--yes", "--json")
    assert (again.code, again.error["code"]) == (ExitCode.NOT_FOUND, "node.unknown")


@pytest.mark.parametrize(
    ("organisation", "is_bound", "code"),
    [("packer", True, "registration.wrong_organisation"), ("farm", False, "registration.wrong_chain")],
)
def test_node_of_another(site: Site, tmp_path: Path, organisation: str, is_bound: bool, code: str) -> None:
    """A request for another organisation or for no chain is refused before anything is sent."""
    request = registration(site, tmp_path / "home", organisation, is_bound=is_bound)
    said = shell(
        "--profile", site.profile("farm", "farm/admin"), "org", "node", "add", str(request), "--json"
    )
    assert (said.code, said.error["code"]) == (ExitCode.CONFLICT, code)
    assert site.node.head()[0] == 0


def _broken(document: dict[str, Any], change: str) -> str:
    match change:
        case "extra":
            return json.dumps(document | {"note": "x"})
        case "missing":
            return json.dumps({name: value for name, value in document.items() if name != "proof"})
        case "proof":
            return json.dumps(document | {"proof": "00" * 64})
        case _:
            return change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("", "registration.malformed"),
        ("[]", "readable.wrong_type"),
        ("extra", "readable.unknown_field"),
        ("missing", "readable.missing_field"),
        ("proof", "key.no_proof"),
    ],
)
def test_hostile_registration(site: Site, tmp_path: Path, change: str, code: str) -> None:
    """A registration that was tampered with is refused, with the code of what is wrong."""
    request = registration(site, tmp_path / "home")
    assert read_registration(request, NodeRegistration).name == "observer-1"
    request.write_text(_broken(json.loads(request.read_text()), change))
    said = shell(
        "--profile", site.profile("farm", "farm/admin"), "org", "node", "add", str(request), "--yes", "--json"
    )
    assert said.code != ExitCode.OK
    assert said.error["code"] == code


def test_admit_an_organisation(site: Site, tmp_path: Path) -> None:
    """A registrar admits a member with the key that it asked for, and gives it a prefix."""
    registrar = site.profile("farm", "farm/admin")
    chain = site.node.chain_id.hex()
    made = shell(
        "key", "new", str(tmp_path / "a.key"), "--organisation", "newcomer", "--chain-id", chain,
        "--role", "admin", "--json",
    )  # fmt: skip
    request = made.json["request"]
    words = ("org", "add", "newcomer", "--title", "New", "--key", request, "--yes", "--json")
    assert shell("--profile", registrar, *words).code == ExitCode.OK
    assert shell("--profile", registrar, "org", "prefix", "add", "newcomer", "9529999", "--json").code == 0
    shown = shell("--node", site.url, "org", "show", "newcomer", "--json").json
    assert shown["gs1_prefixes"] == ["9529999"]
    said = shell("--profile", registrar, "org", "prefix", "add", "newcomer", "12", "--json")
    assert (said.code, said.error["code"]) == (ExitCode.REJECTED, "readable.wrong_value")


# --- the person's own things ------------------------------------------------------------


def test_doctor(told_site: Site) -> None:
    """All well is exit code 0; a dead node among the profile's is exit code 1, and named."""
    profile = told_site.profile("farm")
    said = shell("--profile", profile, "doctor", "--json")
    assert said.code == ExitCode.OK, said.out
    from tests.cli.test_client import closed_port

    down = closed_port()
    said = shell("--profile", profile, "--node", told_site.url, "--node", down, "doctor", "--json")
    assert said.code == ExitCode.FAILED
    assert [each["what"] for each in said.json["findings"] if each["well"] is False] == [down]
    assert shell("--profile", "nowhere", "doctor", "--json").json["healthy"] is False


def test_profiles(told_site: Site, own_folder: Path) -> None:
    """A profile is added, used from then on, and listed; a second one of its name is refused."""
    key = str(told_site.folder / "keys" / "farm-operator.key")
    told_site.profile("farm")
    words = (
        "profile",
        "add",
        "mine",
        "--node",
        told_site.url,
        "--organisation",
        "farm",
        "--key",
        key,
        "--json",
    )
    made = shell(*words)
    assert made.code == ExitCode.OK, made.err
    assert made.json["chain_id"] == told_site.node.chain_id.hex()
    assert shell(*words).code == ExitCode.CONFLICT
    assert shell("profile", "use", "mine").code == ExitCode.OK
    assert shell("org", "show", "--json").json["id"] == "farm"
    (listed,) = shell("profile", "list", "--json").json["profiles"]
    assert (listed["name"], listed["in_use"]) == ("mine", True)
    assert shell("profile", "use", "no-such").code == ExitCode.NOT_FOUND
    (own_folder / "profiles" / "bad.toml").write_text("nodse = []")
    problems = [each["problem"] for each in shell("profile", "list", "--json").json["profiles"]]
    assert "did you mean 'nodes'" in problems[0]


@pytest.mark.parametrize(
    "words",
    [
        ("--node", "ftp://x"),
        ("--node", "http://127.0.0.1:1/path"),
        ("--node", "http://127.0.0.1:1", "--organisation", "Not A Name", "--chain-id", "ab" * 32),
        ("--node", "http://127.0.0.1:1", "--chain-id", "xyz"),
        ("--node", "http://127.0.0.1:1", "--chain-id", "ab" * 32, "--key", "no-such-key"),
    ],
)
def test_bad_profile_is_not_written(words: tuple[str, ...], own_folder: Path) -> None:
    """A profile that could not be read again is not written."""
    assert shell("profile", "add", "mine", *words).code != ExitCode.OK
    assert not (own_folder / "profiles" / "mine.toml").exists()


def test_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value is set, shown with its origin, and overruled by the environment."""
    assert shell("config", "get", "timeout", "--json").json == {"timeout": 30}
    assert shell("config", "set", "timeout", "5").code == ExitCode.OK
    assert shell("config", "show", "--origin", "--json").json["timeout"] == {
        "value": 5,
        "origin": "config.toml",
    }
    monkeypatch.setenv("FARMGATE_TIMEOUT", "7")
    assert shell("config", "get", "timeout").out == "7\n"
    assert "FARMGATE_TIMEOUT" in shell("config", "set", "timeout", "6").err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("get", "timeuot"), "'timeout'"),
        (("set", "timeout", "long"), "whole number"),
        (("set", "timeout", "0"), "whole number"),
        (("set", "wait", "yes"), "true or false"),
    ],
)
def test_bad_config(words: tuple[str, ...], hint: str, own_folder: Path) -> None:
    """An unknown key or a wrong value is wrong usage, and nothing is written."""
    said = shell("config", *words)
    assert said.code == ExitCode.USAGE
    assert hint in said.err
    assert not (own_folder / "config.toml").exists()


@pytest.mark.parametrize("content", ["timeout = 'x'", "nonsense", "timeuot = 5", "\x00"])
def test_damaged_config(content: str, own_folder: Path) -> None:
    """A damaged config.toml is named, not passed over."""
    own_folder.mkdir()
    (own_folder / "config.toml").write_text(content)
    said = shell("org", "list")
    assert said.code != ExitCode.OK
    assert "config.toml" in said.err


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_completion(shell_name: str) -> None:
    """Each shell gets its script; another one is wrong usage."""
    assert "_FARMGATE_COMPLETE" in shell("completion", shell_name).out
    assert shell("completion", "csh").code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("subject", "word"),
    [
        ("header", "state_root"),
        ("header.state_root", "bytes"),
        ("organisations.add_key", "roles"),
        ("provenance.capture", "events"),
        ("profile.key_file", "str"),
        ("custody.not_holder", "flags"),
        ("key.last_admin", "errors"),
        ("exit-codes", "unknown"),
    ],
)
def test_explain(subject: str, word: str) -> None:
    """Records, fields, calls, codes and exit codes are explained."""
    said = shell("explain", subject)
    assert said.code == ExitCode.OK
    assert word in said.out
    assert shell("explain", subject, "--json").json


def test_explain_nothing_known() -> None:
    """An unknown subject is exit code 3 with the nearest one; none at all lists them."""
    said = shell("explain", "haeder", "--json")
    assert (said.code, said.error["try"]) == (ExitCode.NOT_FOUND, "farmgate explain header")
    assert "header" in shell("explain", "--json").json["records"]
