"""The frame: exit codes, both streams, and where options may stand."""

from __future__ import annotations

import json

import click
import pytest

from cli.advice import _TRY, advice_for
from cli.entry import run
from cli.exit_code import ExitCode, exit_code_of
from cli.failure import Failure
from cli.group import Command, Group, Lazy
from cli.main import COMMANDS, farmgate
from cli.node_main import COMMANDS as NODE_COMMANDS
from cli.node_main import ledger_node
from cli.reference import meanings
from ledger.errors import LedgerError
from tests.cli.reference_page import commands
from tests.cli.shell import Site, shell

ALL = [*commands(farmgate, "farmgate"), *commands(ledger_node, "ledger-node")]


@pytest.mark.parametrize(("path", "command"), ALL, ids=[path for path, _ in ALL])
def test_every_command_explains_itself(path: str, command: click.Command) -> None:
    """--help of each command exits 0, says what it does, and each of its options is described."""
    program, *words = path.split()
    said = shell(*words, "--help", program=program)
    assert said.code == ExitCode.OK
    assert said.out.startswith("Usage: ")
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path}: {parameter.opts} says nothing"


@pytest.mark.parametrize("path", [path for path, command in ALL if not isinstance(command, click.Group)])
def test_unknown_option_is_wrong_usage(path: str) -> None:
    """An option that no command has is refused with exit code 2 and nothing on standard output."""
    program, *words = path.split()
    said = shell(*words, "--no-such-option", program=program)
    assert said.code == ExitCode.USAGE
    assert not said.out
    assert "usage.wrong" in said.err


def test_summaries_agree() -> None:
    """The line that help shows before a command is imported is about the command that is imported then."""
    for table, program in ((COMMANDS, farmgate), (NODE_COMMANDS, ledger_node)):
        for name, lazy in table.items():
            command = program.get_command(click.Context(program), name)
            assert command is not None, name
            assert lazy.summary.endswith("."), name
            assert command.help, name


@pytest.mark.parametrize("words", [("--json", "version"), ("version", "--json")])
def test_options_stand_anywhere(words: tuple[str, ...]) -> None:
    """A global option counts before and after the name of the command."""
    said = shell(*words)
    assert said.code == ExitCode.OK
    assert said.json["program"] == "farmgate"


def test_the_last_one_wins() -> None:
    """Where a global option stands twice, the one nearest to the end counts."""
    said = shell("--node", "http://127.0.0.1:1", "item", "show", "urn:x:y", "--node", "not a url", "--json")
    assert said.code == ExitCode.USAGE
    assert said.error["code"] == "usage.wrong_value"


@pytest.mark.parametrize(
    ("words", "hint"),
    [(("demoo",), "'demo'"), (("testnet", "staus"), "'status'"), (("item", "trac", "x"), "'trace'")],
)
def test_misspelt_command(words: tuple[str, ...], hint: str) -> None:
    """A misspelt command is answered with the one that was probably meant."""
    said = shell(*words)
    assert said.code == ExitCode.USAGE
    assert hint in said.err


def test_errors_as_json() -> None:
    """With --json an error is a JSON document on standard error, and standard output stays empty."""
    said = shell("item", "show", "nothing", "--json")
    assert (said.code, said.out) == (ExitCode.REJECTED, "")
    assert said.error["code"] == "identifier.not_recognised"


def test_usage_errors_as_json() -> None:
    """--json counts even where the line cannot be read to its end."""
    said = shell("capture", "--json")
    assert said.code == ExitCode.USAGE
    assert json.loads(said.err)["error"]["code"] == "usage.wrong"


def _program(problem: BaseException) -> click.Group:
    @click.command(cls=Command)
    def fail() -> None:
        """Fail."""
        raise problem

    return Group(name="program", commands={"fail": fail}, help="Fails.")


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
        (Failure("some.problem", "words", exit_code=ExitCode.UNKNOWN), ExitCode.UNKNOWN),
        (LedgerError("key_file.permissions", "words"), ExitCode.NOT_ALLOWED),
        (LedgerError("item.unknown", "words"), ExitCode.NOT_FOUND),
        (OSError(28, "No space left on device"), ExitCode.FAILED),
        (RuntimeError("a slip"), ExitCode.FAILED),
    ],
)
def test_every_end_has_its_code(
    problem: BaseException, code: ExitCode, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a command raises becomes an exit code and a sentence, never a bare traceback."""
    assert run(_program(problem), "program", ["fail"]) == code
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    assert not shown.out


def test_a_bug_shows_its_place_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """-v shows where a bug happened; without it, one sentence says that it is one."""
    assert run(_program(RuntimeError("a slip")), "program", ["fail", "-v"]) == ExitCode.FAILED
    shown = capsys.readouterr()
    assert "this is a bug" in shown.err
    assert "Traceback" in shown.err


def test_commands_are_imported_when_they_run() -> None:
    """Help is made without importing a command: a table with targets that do not exist shows it."""
    group = Group(name="program", help="Lazy.", lazy={"later": Lazy("no.such.module:command", "Later.")})
    with click.Context(group) as context:
        assert "later" in group.get_help(context)


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("sender.revoked", 403, ExitCode.NOT_ALLOWED),
        ("sender.role", 0, ExitCode.NOT_ALLOWED),
        ("roles.not_yours", 0, ExitCode.NOT_ALLOWED),
        ("transaction.expired", 400, ExitCode.REJECTED),
        ("transaction.wrong_chain", 400, ExitCode.CONFLICT),
        ("epcis.missing_field", 0, ExitCode.REJECTED),
        ("organisation.unknown", 404, ExitCode.NOT_FOUND),
        ("key.exists", 0, ExitCode.CONFLICT),
        ("mempool.full", 429, ExitCode.FAILED),
        ("parameter.invalid", 400, ExitCode.REJECTED),
        ("readable.missing_field", 0, ExitCode.REJECTED),
        ("profile.malformed", 0, ExitCode.USAGE),
        ("profile.missing", 0, ExitCode.NOT_FOUND),
        ("http.404", 404, ExitCode.NOT_FOUND),
        ("http.418", 418, ExitCode.FAILED),
    ],
)
def test_exit_code_of_a_refusal(code: str, status: int, expected: ExitCode) -> None:
    """A refusal's stable code, and where that says nothing its HTTP status, decide the exit code."""
    assert exit_code_of(code, status) is expected


# `ledger-node key` alone shows the keys: such a group has something to say by itself.
GROUPS = [
    path
    for path, command in ALL
    if isinstance(command, click.Group) and not (command.invoke_without_command and " " in path)
]


@pytest.mark.parametrize("path", GROUPS)
def test_a_group_alone_shows_its_commands(path: str) -> None:
    """Without a command people get the help on standard error, scripts an error; the exit code is 2."""
    program, *words = path.split()
    said = shell(*words, program=program)
    assert (said.code, said.out) == (ExitCode.USAGE, "")
    assert said.err.startswith("Usage: ")
    assert "error" not in said.err.splitlines()[0]
    assert said.err.count("Usage: ") == 1
    said = shell("--json", *words, program=program)
    assert (said.code, said.error["code"]) == (ExitCode.USAGE, "usage.wrong")
    assert said.error["message"].startswith(f"{path} needs a command: " if words else "Missing command")


@pytest.mark.parametrize(
    "words", [("item", "show", "urn:x:\udcff"), ("org", "show", "caf\udce9"), ("tx", "show", "\udcff")]
)
def test_a_word_that_is_no_text(told_site: Site, words: tuple[str, ...]) -> None:
    """Bytes of the shell that are not UTF-8 are wrong usage, not a bug."""
    said = shell("--node", told_site.url, *words, "--json")
    assert said.code == ExitCode.USAGE
    assert said.error["code"] in ("usage.not_text", "usage.not_an_id")
    assert said.err.isascii()


def test_a_slip_of_ours_with_text_is_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    """Where every word is text, the same exception is no fault of the user's."""
    slip = UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed")
    assert run(_program(slip), "program", ["fail"]) == ExitCode.FAILED
    assert "this is a bug" in capsys.readouterr().err


def test_interrupted_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A script that reads errors as JSON can read this one too."""
    assert run(_program(KeyboardInterrupt()), "program", ["fail", "--json"]) == ExitCode.INTERRUPTED
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "command.interrupted"


def test_refusals_say_what_to_try(told_site: Site) -> None:
    """What a node or a contract refuses gets advice from here; in JSON too."""
    said = shell("--node", told_site.url, "item", "show", "urn:x:nobody", "--json")
    assert (said.code, said.error["code"]) == (ExitCode.NOT_FOUND, "item.unknown")
    assert "--node" in said.error["try"]
    said = shell("item", "show", "junk")
    assert said.err.splitlines()[1].startswith("try: scan the label again")
    assert advice_for("epcis.missing_field") == "farmgate explain epcis.missing_field"
    assert advice_for("http.404") == ""
    assert all(meanings(code) for code in _TRY), "advice for a code that nobody raises"
