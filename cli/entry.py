"""From the shell's arguments to an exit code: the frame around every command of both programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from cli.advice import advice_for
from cli.choices import Choices
from cli.exit_code import ExitCode
from cli.failure import Failure, Finished
from cli.output import Output, printable
from ledger.errors import LedgerError


def run(command: click.Group, program: str, arguments: Sequence[str] | None = None) -> int:
    """Run a command line; answers its exit code and never raises for what the user did.

    `arguments` are without the program's name; None takes them from the process.
    """
    choices = Choices()
    given = sys.argv[1:] if arguments is None else [*arguments]
    try:
        result = command.main(args=given, prog_name=program, standalone_mode=False, obj=choices)
    except click.UsageError as problem:
        return _usage(problem, _output(choices, given))
    except (click.Abort, KeyboardInterrupt):
        failure = Failure("command.interrupted", "interrupted", exit_code=ExitCode.INTERRUPTED)
        _output(choices, given).failure(failure)
        return ExitCode.INTERRUPTED
    except click.ClickException as problem:
        failure = Failure("usage.unreadable", problem.format_message(), exit_code=ExitCode.FAILED)
        _output(choices, given).failure(failure)
        return ExitCode.FAILED
    except Finished as finished:
        return finished.exit_code
    except LedgerError as problem:
        return _refusal(problem, _output(choices, given))
    except OSError as problem:
        failure = Failure("system.failed", str(problem), exit_code=ExitCode.FAILED)
        _output(choices, given).failure(failure)
        return ExitCode.FAILED
    except UnicodeEncodeError as problem:
        return _unprintable(problem, given, _output(choices, given))
    except Exception as problem:  # noqa: BLE001  # the outermost frame: a bug is told in one sentence
        return _bug(problem, _output(choices, given))
    return result if isinstance(result, int) else ExitCode.OK


def _output(choices: Choices, given: Sequence[str]) -> Output:
    """Where to complain: --json counts even where the line could not be read to its end."""
    is_json = choices.is_json if choices.is_json is not None else "--json" in given
    return Output(
        is_json=is_json,
        is_quiet=bool(choices.is_quiet),
        verbosity=choices.verbosity or sum(1 for each in given if each in ("-v", "-vv", "--verbose")),
        is_plain=bool(choices.is_plain),
    )


def _usage(problem: click.UsageError, output: Output) -> int:
    path = problem.ctx.command_path if problem.ctx else ""
    advice = f"{path} --help" if path else ""
    if isinstance(problem, click.exceptions.NoArgsIsHelpError):
        return _no_command(problem.ctx, advice, output)
    if output.is_json or problem.ctx is None:
        failure = Failure("usage.wrong", problem.format_message(), advice=advice, exit_code=ExitCode.USAGE)
        output.failure(failure)
        return ExitCode.USAGE
    if not output.is_quiet:
        output.note(problem.ctx.get_usage())
    output.failure(Failure("usage.wrong", problem.format_message(), advice=advice, exit_code=ExitCode.USAGE))
    return ExitCode.USAGE


def _no_command(context: click.Context | None, advice: str, output: Output) -> int:
    """A group alone: people get its help, which names its commands."""
    assert context is not None, "a group that was called has a context"
    assert isinstance(context.command, click.Group)
    if output.is_json or output.is_quiet:
        names = ", ".join(context.command.list_commands(context))
        message = f"{context.command_path} needs a command: {names}"
        output.failure(Failure("usage.wrong", message, advice=advice, exit_code=ExitCode.USAGE))
    else:
        output.note(context.get_help())
    return ExitCode.USAGE


def _refusal(problem: LedgerError, output: Output) -> int:
    if isinstance(problem, Failure):
        failure = problem
    else:
        failure = Failure(problem.code, problem.message, problem.pointer)
    failure.advice = failure.advice or advice_for(failure.code)
    output.failure(failure)
    return failure.exit_code


def _unprintable(problem: UnicodeEncodeError, given: Sequence[str], output: Output) -> int:
    """A word that is no text can't become part of a question; where every word is text, it is a bug."""
    words = [each for each in given if not _is_text(each)]
    if not words:
        return _bug(problem, output)
    message = f"'{printable(words[0])}' is no text: it holds bytes that are not UTF-8"
    output.failure(Failure("usage.not_text", message, exit_code=ExitCode.USAGE))
    return ExitCode.USAGE


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bug(problem: Exception, output: Output) -> int:
    message = f"this is a bug in Farmgate, not in what you did: {type(problem).__name__}: {problem}"
    advice = "" if output.verbosity else "the same command with -v shows where it happened"
    output.failure(Failure("bug", message, advice=advice, exit_code=ExitCode.FAILED))
    if output.verbosity:
        import traceback

        output.detail("".join(traceback.format_exception(problem)))
    return ExitCode.FAILED
