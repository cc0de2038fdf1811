"""`farmgate capture`: record the events of EPCIS documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from cli.exit_code import ExitCode
from cli.failure import Failure, Finished
from cli.group import Command
from cli.output import Output, printable
from cli.session import Session, with_session
from cli.wording import counted

if TYPE_CHECKING:
    from cli.capturing import EventFate, FoundEvent

STANDARD_INPUT = "-"


def files_argument(command: Any) -> Any:
    """The argument FILES... of commands that read documents."""
    kind = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
    return click.argument("files", nargs=-1, required=True, type=kind)(command)


@click.command(cls=Command)
@files_argument
@with_session
def capture(session: Session, files: tuple[Path, ...]) -> None:
    """Record the events of EPCIS documents in JSON or XML (2.0, or 1.2); "-" reads one from standard input.

    Every file is checked before anything is sent: one mistake, and nothing is recorded. An event that
    was recorded before is answered with its first recording, so capturing a file twice is harmless.
    """
    from cli.capturing import read_events

    events: list[FoundEvent] = []
    problems: list[EventFate] = []
    for file in files:
        found, wrong = read_events(file_name(file), read_file(file))
        events += found
        problems += wrong
    if problems:
        refuse(session.output, problems)
    if session.is_dry_run:
        words = f"{counted(len(events), 'event')} checked and sound; nothing was sent"
        session.output.data({"events": [], "checked": len(events)}, lambda: words)
        return
    tell(session.output, record_events(session, events))


def record_events(session: Session, events: Sequence[FoundEvent]) -> list[EventFate]:
    """Send the events, in order, and answer what became of each.

    Raises:
        Failure: as `Sender.send`; what was recorded until then has been told.
    """
    from cli.capturing import batches, capture_batch
    from cli.sending import Sender

    told: list[EventFate] = []
    if not events:
        return told
    sender = Sender(session)
    with session.output.progress("recording events", len(events)) as step:
        try:
            for batch in batches(events):
                told += capture_batch(sender, batch)
                step(len(batch))
        except BaseException:  # Ctrl-C too: what is recorded is recorded
            if told:
                show(session.output, told)
                left = len(events) - len(told)
                session.output.note(f"{left} of {len(events)} events were not recorded; capture them again")
            raise
    return told


def tell(output: Output, fates: Sequence[EventFate]) -> None:
    """Say what became of each event.

    Raises:
        Finished: where any was refused.
    """
    show(output, fates)
    counts = Counter(fate.status for fate in fates)
    if counts:
        words = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        output.note(f"{counted(len(fates), 'event')}: {words}")
    if counts["pending"]:
        output.note("farmgate outbox send tells what became of them")
    if counts["refused"]:
        raise Finished(ExitCode.REJECTED)


def refuse(output: Output, problems: Sequence[EventFate], outcome: str = "nothing was sent") -> NoReturn:
    """Say what is wrong with documents of which nothing came, and what to try.

    Raises:
        Finished: always.
    """
    from cli.advice import advice_for
    from contracts.epcis.problems import PROBLEMS_MAX

    show(output, problems)
    by_file = Counter(problem.origin.document for problem in problems)
    words = f"{outcome}: {counted(len(problems), 'problem')}"
    if len(by_file) > 1:
        words += f" in {len(by_file)} files"
    if max(by_file.values()) >= PROBLEMS_MAX:
        words += f" (of each file the first {PROBLEMS_MAX})"
    output.note(words)
    for advice in dict.fromkeys(advice_for(problem.code) for problem in problems):
        if advice and not output.is_quiet:
            output.advise(advice)
    raise Finished(ExitCode.REJECTED)


def show(output: Output, fates: Sequence[EventFate]) -> None:
    """Print one line an event, or all as JSON."""
    output.data(
        {"events": [fate.readable for fate in fates]},
        lambda: "\n".join(_line(output, fate) for fate in fates) or "no events",
    )


def _line(output: Output, fate: EventFate) -> str:
    origin = fate.origin
    place = printable(f"{origin.document}#{origin.pointer}" if origin.pointer else origin.document)
    head = f"{output.status(fate.status, 9)}  {place}"
    if fate.status == "refused":
        return f"{head}  {printable(fate.message)}  [{fate.code}]"
    if fate.status == "pending":
        return f"{head}  in transaction {fate.transaction_id}"
    words = f"{head}  {printable(fate.event_id)}  height {fate.height}"
    if fate.status == "duplicate":
        words += f"  first recorded in {fate.first_transaction_id}"
    for code, subject in fate.flags:
        words += f"\n           {output.styled(code, 'yellow')}  {printable(subject)}"
    return words


def file_name(file: Path) -> str:
    """What a file is called in answers."""
    return "<stdin>" if str(file) == STANDARD_INPUT else str(file)


def read_file(file: Path) -> bytes:
    """What is in a file or comes on standard input: at most a byte more than a document may have.

    Raises:
        Failure: `usage.unreadable`.
    """
    from contracts.epcis.document import DOCUMENT_BYTES_MAX

    try:
        with click.open_file(str(file), "rb") as stream:
            data: bytes = stream.read(DOCUMENT_BYTES_MAX + 1)
    except OSError as problem:
        words = f"{file_name(file)} can't be read: {problem.strerror or problem}"
        raise Failure("usage.unreadable", words, exit_code=ExitCode.FAILED) from None
    return data
