"""What an operator asks a home and its running node: status, peers, doctor, token, key, run and the lists."""

from __future__ import annotations

import os
import shutil
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.exit_code import ExitCode
from ledger.genesis import chain_id
from node.api.tokens import Scope, TokenKeeper
from node.failpoints import FailPoint
from node.founding import found_data
from node.genesis_file import read_genesis
from node.home import Home, HomeLock
from node.keys import KeyName, read_key
from tests.cli.node.command import LedgerNode, files_in
from tests.cli.node.fake_node import answering, away, status_of
from tests.node.test_genesis_file import genesis as genesis_of

FREE = "\n[free_space]\nadmit_percent_min = 0\nadmit_bytes_min = 0\n"


@pytest.fixture
def home(ledger_node: LedgerNode, genesis: Path, tmp_path: Path) -> Path:
    """The home of an observer that does not run; port 1 answers nobody."""
    folder = tmp_path / "late"
    made = ledger_node(
        *("join", "--home", folder, "--genesis", genesis, "--name", "late", "--organisation", "org-1"),
        *("--listen", "127.0.0.1:1"),
    )
    assert made.code == 0
    with (folder / "node.toml").open("a") as file:
        file.write(FREE)
    return folder


def at(home: Path, address: str) -> None:
    """Let the settings say that the node listens there."""
    file = home / "node.toml"
    file.write_text(file.read_text().replace("127.0.0.1:1", address))


# --- every command that needs a home ------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("peers",),
        ("key",),
        ("token", "list"),
        ("token", "new", "--label", "x"),
        ("token", "revoke", "00000000"),
        ("repair",),
    ],
)
def test_a_folder_that_is_no_home(ledger_node: LedgerNode, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Not found (3), and nothing is made there."""
    answer = ledger_node(*command, "--home", tmp_path / "nowhere")
    assert (answer.code, answer.error) == (3, "home.missing")
    assert files_in(tmp_path) == {}


# --- status and peers ---------------------------------------------------------------


def test_status_and_peers(ledger_node: LedgerNode, home: Path) -> None:
    """The node's own words as JSON; for people, why a peer is away in words."""
    said = status_of(peers=[status_of()["peers"][0], away("peer.refused")[1]])
    with answering(said) as address:
        at(home, address)
        assert ledger_node("status", "--home", home).json == said
        assert ledger_node("peers", "--home", home).json == {"peers": said["peers"]}
        shown = ledger_node.plain("peers", "--home", home).out
        assert "not a member" in shown
        assert "1 of 2 connected" in ledger_node.plain("status", "--home", home).out


@pytest.mark.parametrize("command", ["status", "peers"])
def test_a_node_that_does_not_answer(ledger_node: LedgerNode, home: Path, command: str) -> None:
    """Unreachable (7), and whether a process holds the home."""
    answer = ledger_node(command, "--home", home)
    assert (answer.code, answer.error) == (7, "node.unreachable")
    assert "does not run" in answer.err
    with HomeLock(Home(home)):
        assert f"process {os.getpid()} holds its home" in ledger_node(command, "--home", home).err
    HomeLock(Home(home)).release()


# --- doctor ---------------------------------------------------------------------------


def sentence(ledger_node: LedgerNode, home: Path, code: int = 1) -> str:
    """What the doctor says in one sentence."""
    answer = ledger_node("doctor", "--home", home)
    assert answer.code == code
    assert answer.json["healthy"] is (code == 0)
    found: str = answer.json["sentence"]
    assert "\n" not in found
    return found


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"peers": away("peer.refused")}, "peers refuse this node: it is not a member"),
        ({"peers": away("peer.unreachable")}, "no other node is connected"),
        ({"reason": "no block can become final: v1 is missing"}, "no block can become final: v1 is missing"),
        ({"time_ms": time.time_ns() // 1_000_000 + 3_600_000}, "clock is at least"),
    ],
)
def test_doctor_asks_the_node(
    ledger_node: LedgerNode, home: Path, changes: dict[str, Any], words: str
) -> None:
    """Each thing that keeps the chain from advancing here has its sentence, and the exit code is 1."""
    with answering(status_of(chain_id=chain_of(home), **changes)) as address:
        at(home, address)
        assert words in sentence(ledger_node, home)


def chain_of(home: Path) -> str:
    return chain_id(read_genesis(Home(home).genesis)).hex()


def test_doctor_finds_an_idle_chain_well(ledger_node: LedgerNode, home: Path) -> None:
    """A sound home whose node answers and is connected, and nothing to do: 0, and why it rests."""
    with answering(status_of(chain_id=chain_of(home))) as address:
        at(home, address)
        said = sentence(ledger_node, home, code=0)
    assert "nothing is wrong: no transaction waits, so the chain rests" in said


def test_doctor_tells_a_node_of_another_chain(ledger_node: LedgerNode, home: Path) -> None:
    """Another network's node on the port that the settings name."""
    with answering(status_of()) as address:
        at(home, address)
        assert f"a node of another chain answers at {address}" in sentence(ledger_node, home)


@pytest.mark.parametrize("kind", ["page", "noise"])
def test_doctor_tells_what_is_no_node(ledger_node: LedgerNode, home: Path, kind: str) -> None:
    """The port answers, by another program: whether it speaks HTTP or not, and whoever holds the home."""
    with answering({"hello": "world"}) if kind == "page" else answering_noise() as address:
        at(home, address)
        assert f"something that is no node answers at {address}, and no process holds" in sentence(
            ledger_node, home
        )


@contextmanager
def answering_noise() -> Iterator[str]:
    """A port that takes connections and says nothing that a browser would understand."""

    class Noise(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"220 mail.example ready\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Noise) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_doctor_repeats_the_last_words_of_a_node_that_stopped_itself(
    ledger_node: LedgerNode, home: Path
) -> None:
    """What it said when it disagreed with a quorum is there when it ended; else it does not run."""
    Home(home).halted.write_text("consensus.diverged: block ab is final and invalid here; block.wrong_root\n")
    assert "the node stopped itself: consensus.diverged: block ab" in sentence(ledger_node, home)
    Home(home).halted.unlink()
    assert "does not run" in sentence(ledger_node, home)


def test_doctor_of_a_copy_that_ended_is_not_that_of_the_original(ledger_node: LedgerNode, home: Path) -> None:
    """The copy stopped itself, and at the address that it shares with the original the original answers."""
    Home(home).halted.write_text("signer.second_holder: another process signs\n")
    with answering(status_of(chain_id=chain_of(home))) as address:
        at(home, address)
        assert (
            sentence(ledger_node, home)
            == "the node stopped itself: signer.second_holder: another process signs"
        )


def growing(home: Path, **changes: Any) -> Callable[[], dict[str, Any]]:
    """A node whose height grows by six from one answer to the next."""
    answers = iter(range(7, 10_000, 6))
    return lambda: status_of(chain_id=chain_of(home), height=next(answers), **changes)


def test_doctor_tells_how_far_a_node_is_behind(ledger_node: LedgerNode, home: Path) -> None:
    """Behind and catching up is no fault: how many blocks are left, how fast they come, how long it takes."""
    with answering(growing(home, lag_blocks=120)) as address:
        at(home, address)
        said = sentence(ledger_node, home, code=0)
    assert "behind and catching up: 120 blocks are left, at 2 a second that takes 60 s" in said


@pytest.mark.parametrize(
    ("age_ms", "lag", "code", "words"),
    [
        (3_600_000, 0, 1, "this host's clock is at least 36"),
        (0, 0, 0, "the chain advances"),
        (3_600_000, 9, 0, "behind and catching up"),
    ],
)
def test_doctor_tells_an_early_clock_by_blocks_that_are_made_meanwhile(
    ledger_node: LedgerNode, home: Path, age_ms: int, lag: int, code: int, words: str
) -> None:
    """New blocks of an hour ago: the clock is wrong. Of this moment: well. While it catches up: no sign."""
    time_ms = time.time_ns() // 1_000_000 - age_ms
    with answering(growing(home, time_ms=time_ms, lag_blocks=lag)) as address:
        at(home, address)
        assert words in sentence(ledger_node, home, code)


def test_doctor_notes_views_that_are_not_settled(ledger_node: LedgerNode, home: Path) -> None:
    """Missing certificates stop nothing, and whoever is asked about a fork lacks them: said, with code 0."""
    with answering(growing(home, unsettled_views=7, time_ms=time.time_ns() // 1_000_000)) as address:
        at(home, address)
        said = sentence(ledger_node, home, code=0)
    assert "7 views of the dispute period have no certificate here" in said


@pytest.mark.parametrize(("role", "is_said"), [("observer", True), ("validator", False)])
def test_doctor_notes_a_key_that_is_not_in_the_set(
    ledger_node: LedgerNode, home: Path, role: str, is_said: bool
) -> None:
    """A validator's key and the role of an observer: well, and said; with the role, nothing is said."""
    shutil.copy(home / "keys" / KeyName.NODE.value, home / "keys" / KeyName.VALIDATOR.value)
    with answering(status_of(chain_id=chain_of(home), role=role)) as address:
        at(home, address)
        said = sentence(ledger_node, home, code=0)
    assert ("its validator's key is not in the set" in said) is is_said


def test_doctor_looks_at_the_disk_of_a_node_that_is_down(ledger_node: LedgerNode, home: Path) -> None:
    """No room: that comes before the start, unless the node left a word itself."""
    file = home / "node.toml"
    file.write_text(file.read_text() + f"vote_bytes_min = {1 << 50}\n")
    said = sentence(ledger_node, home)
    assert said.startswith("the node does not run, and its disk is nearly full")
    assert f"free space at {home / 'data'}" in said
    Home(home).halted.write_text("store.failed in here: append: EIO; check the disk\n")
    assert sentence(ledger_node, home).startswith("the node stopped itself: store.failed in here")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lag_blocks": 9}, "9 final blocks are known of and do not arrive"),
        ({"pending_transactions": 3}, "transactions wait and no block became final"),
    ],
)
def test_doctor_watches_a_chain_that_should_move(
    ledger_node: LedgerNode, home: Path, changes: dict[str, Any], words: str
) -> None:
    """Something is to be done, or known of, and the height stays as it is: that is wrong."""
    with answering(status_of(chain_id=chain_of(home), **changes)) as address:
        at(home, address)
        assert words in sentence(ledger_node, home)


def test_doctor_looks_at_the_home(ledger_node: LedgerNode, home: Path) -> None:
    """What would keep the node from starting is named before what it says, one thing after the other."""
    place = Home(home)
    assert "does not run" in sentence(ledger_node, home)
    with HomeLock(place):
        assert f"process {os.getpid()} holds the home" in sentence(ledger_node, home)
    (place.keys / KeyName.GATEWAY.value).chmod(0o644)
    assert "chmod 600" in sentence(ledger_node, home)
    (place.keys / KeyName.GATEWAY.value).chmod(0o600)
    (place.tls / "node.crt").write_bytes(b"no certificate")
    assert "node.crt" in sentence(ledger_node, home)
    place.genesis.write_text("{}")
    assert "can't start" in sentence(ledger_node, home)
    with place.settings.open("a") as file:
        file.write("\nunknown_key = 1\n")
    assert "unknown_key" in sentence(ledger_node, home)


def test_doctor_sees_a_full_disk(ledger_node: LedgerNode, home: Path) -> None:
    """Free space below the limits is why the node does not vote."""
    file = home / "node.toml"
    file.write_text(file.read_text() + f"vote_bytes_min = {1 << 50}\n")
    with answering(status_of(chain_id=chain_of(home))) as address:
        at(home, address)
        assert "disk is nearly full" in sentence(ledger_node, home)


# --- token ----------------------------------------------------------------------------


def test_a_token_from_new_to_revoked(ledger_node: LedgerNode, home: Path) -> None:
    """It is shown once, works at a running node's next request, is listed without its secret, and ends."""
    made = ledger_node("token", "new", "--home", home, "--label", "line 1", "--scope", "capture").json
    keeper = TokenKeeper(home)
    header, now = f"Bearer {made['token']}", time.time_ns() // 1_000_000
    assert keeper.check(header, Scope.CAPTURE, now).label == "line 1"
    assert made["token"] not in b"".join(files_in(home).values()).decode("latin-1")
    listed = ledger_node("token", "list", "--home", home)
    assert made["token"] not in listed.out
    assert [(each["id"], each["state"], each["scopes"]) for each in listed.json["tokens"]] == [
        (made["id"], "in force", ["capture"])
    ]
    for _ in range(2):
        assert ledger_node("token", "revoke", made["id"], "--home", home).json["state"] == "revoked"
    with pytest.raises(Exception, match="revoked"):
        keeper.check(header, Scope.CAPTURE, now)


def test_a_plain_token_is_all_that_is_printed(ledger_node: LedgerNode, home: Path) -> None:
    """Standard output is the token alone, so that it can go straight into a file."""
    answer = ledger_node.plain("token", "new", "--home", home, "--label", "x", "--days", "1")
    assert answer.out.startswith("fgt_")
    assert answer.out.count("\n") == 1
    assert ledger_node("token", "list", "--home", home).json["tokens"][0]["expires"] is not None


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("new",), 2, "usage.wrong"),
        (("new", "--label", "x", "--scope", "everything"), 2, "usage.wrong"),
        (("new", "--label", "x", "--days", "0"), 2, "usage.wrong"),
        (("new", "--label", ""), 2, "token.label"),
        (("new", "--label", "a\nb"), 2, "token.label"),
        (("new", "--label", "x", "--scope", "read", "--scope", "read"), 2, "token.scopes"),
        (("revoke", "00000000"), 3, "token.unknown"),
        (("revoke",), 2, "usage.wrong"),
    ],
)
def test_token_refusals(
    ledger_node: LedgerNode, home: Path, arguments: tuple[str, ...], code: int, error: str
) -> None:
    """Each has its code, and no token is made."""
    answer = ledger_node("token", *arguments, "--home", home)
    assert (answer.code, answer.error) == (code, error)
    assert ledger_node("token", "list", "--home", home).json == {"tokens": []}


# --- key, run and the lists -----------------------------------------------------------


def test_key_shows_public_halves_alone(ledger_node: LedgerNode, home: Path) -> None:
    """The halves that the chain knows; no seed; a key that is open to others is refused (4)."""
    place = Home(home)
    answer = ledger_node("key", "--home", home)
    assert answer.json["node"] == read_key(place.keys, KeyName.NODE).public.hex()
    assert answer.json["gateway"] == read_key(place.keys, KeyName.GATEWAY).public.hex()
    assert answer.json["validator"] is None
    for name in (KeyName.NODE, KeyName.GATEWAY):
        assert (place.keys / name.value).read_bytes().hex() not in answer.out
    (place.keys / KeyName.NODE.value).chmod(0o640)
    answer = ledger_node("key", "--home", home)
    assert (answer.code, answer.error) == (4, "key_file.permissions")


@pytest.mark.parametrize(
    ("setting", "code", "error"),
    [
        ("mempool", 2, "usage.wrong"),
        ("mempool.transaction_max=5", 1, "config.unknown_key"),
        ("mempool.transactions_max=many", 1, "config.wrong_value"),
        ("api.is_read_open=yes", 1, "config.wrong_value"),
    ],
)
def test_run_refuses_a_wrong_setting(
    ledger_node: LedgerNode, home: Path, setting: str, code: int, error: str
) -> None:
    """A setting that is none, or of no such value, is named before anything is opened."""
    answer = ledger_node("run", "--home", home, "--set", setting)
    assert (answer.code, answer.error) == (code, error)
    assert setting.partition("=")[0] in answer.err


def test_run_gives_the_node_its_settings(
    ledger_node: LedgerNode, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `--set` and the flags say reaches the node by key and type; its exit code is the command's."""
    given: list[Any] = []
    monkeypatch.setattr("node.process.run_node", lambda *arguments: given.append(arguments) or 1)
    settings = (
        "--set",
        "mempool.transactions_max=5",
        "--set",
        "api.is_read_open=false",
        "--set",
        "peers=a:1,b:2",
    )
    answer = ledger_node("run", "--home", home, "--listen", "127.0.0.1:9", *settings)
    assert answer.code == 1
    wanted = {"mempool.transactions_max": 5, "api.is_read_open": False, "peers": ("a:1", "b:2")}
    assert given == [(home, wanted | {"api.listen": "127.0.0.1:9"})]


def test_run_needs_a_home(ledger_node: LedgerNode, tmp_path: Path) -> None:
    """No home: 1, which a supervisor may retry, and never 75."""
    answer = ledger_node("run", "--home", tmp_path / "nowhere")
    assert (answer.code, answer.error) == (1, "home.missing")


def flip_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "blocks": lambda data: (data / "blocks" / "CURRENT").unlink(),
    "state": lambda data: [flip_middle(file) for file in (data / "state").glob("*.log")],
    "consensus": lambda data: (data / "consensus" / "records.log").write_bytes(b"?"),
    "blocks.lost": lambda data: (data / "blocks.lost").write_bytes(b"?"),
}


@pytest.mark.parametrize("part", DAMAGES)
def test_a_damaged_store_ends_the_start_with_75(ledger_node: LedgerNode, home: Path, part: str) -> None:
    """One line says which path, what is wrong and what to do; a supervisor must not try again."""
    DAMAGES[part](home / "data")
    answer = ledger_node.plain("run", "--home", home)
    assert answer.code == ExitCode.STORE_FAILED
    assert len(answer.err.splitlines()) == 1
    assert str(home / "data" / part) in answer.err
    assert answer.err.endswith(f"look at the disk, then run `ledger-node repair --home {home}`\n")


def test_the_data_of_another_chain_is_no_damage(ledger_node: LedgerNode, home: Path) -> None:
    """A genesis.json that was exchanged: 1, and nobody is told to repair the right data."""
    other = found_data_of_another_chain(home)
    shutil.rmtree(home / "data" / "blocks")
    shutil.copytree(other / "blocks", home / "data" / "blocks")
    answer = ledger_node.plain("run", "--home", home)
    assert answer.code == ExitCode.FAILED
    assert "genesis.mismatch" in answer.err
    assert "repair" not in answer.err


def found_data_of_another_chain(home: Path) -> Path:
    other = Home(home.parent / "other")
    other.make()
    found_data(other, genesis_of("another chain"), None)
    return other.data


def test_a_home_in_use_is_not_run(ledger_node: LedgerNode, home: Path) -> None:
    """A second process on one home ends with 1 and says who holds it."""
    with HomeLock(Home(home)):
        answer = ledger_node("run", "--home", home)
    assert answer.code == 1
    assert f"in use by process {os.getpid()}" in answer.err


def test_lists(ledger_node: LedgerNode) -> None:
    """Every fail-point is listed with a description; the version says what runs."""
    listed = ledger_node("failpoints").json
    assert listed["variable"] == "FARMGATE_FAILPOINT"
    assert {each["name"] for each in listed["failpoints"]} == {point.value for point in FailPoint}
    assert all(each["description"] for each in listed["failpoints"])
    assert ledger_node("version").json["program"] == "ledger-node"


def test_every_command_has_help(ledger_node: LedgerNode) -> None:
    """Each command of the program is there and says what it does."""
    from cli.node_main import COMMANDS

    for name in COMMANDS:
        answer = ledger_node.plain(name, "--help")
        assert answer.code == 0
        assert "Usage: ledger-node " + name in answer.out
