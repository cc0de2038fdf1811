"""`farmgate event`: what can be said of events in files, without asking anybody."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from cli.commands.capture import file_name, files_argument, read_file, refuse
from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.group import Command, Group
from cli.output import printable
from cli.session import Session, with_session

if TYPE_CHECKING:
    from cli.capturing import EventFate
    from contracts.epcis.document import Document

PRE_HASH_LENGTH_MAX: Final = 64 << 20  # characters of all strings of one answer, which stands in memory


@click.group(cls=Group)
def event() -> None:
    """What can be said of the events in a file, without asking anybody."""


@event.command("hash", cls=Command)
@files_argument
@click.option("--prehash", is_flag=True, help="Print the strings that are hashed, one a line.")
@with_session
def hash_events(session: Session, files: tuple[Path, ...], prehash: bool) -> None:
    """The CBV 2.0 event hash of each event of EPCIS documents; "-" reads one from standard input.

    It depends on the event alone, so partners who hold the event in another form find the same. What a
    document names in an extension ignoreFields is left out.
    """
    from cli.capturing import problems_of, read_document
    from ledger.errors import LedgerError

    documents: list[tuple[str, Document]] = []
    problems: list[EventFate] = []
    for file in files:
        try:
            documents.append((file_name(file), read_document(read_file(file))))
        except Failure:
            raise
        except LedgerError as refused:
            problems += problems_of(file_name(file), refused)
    if problems:
        refuse(session.output, problems, "no hash was made")
    found = _hashes(documents, prehash)
    shown = [printable(each["pre_hash"] if prehash else _line(each)) for each in found]
    session.output.data({"events": found}, lambda: "\n".join(shown) or "no events")


def _hashes(documents: Sequence[tuple[str, Document]], prehash: bool) -> list[dict[str, Any]]:
    """One entry an event, in the order of the documents.

    Raises:
        Failure: `event.pre_hash_too_large`.
    """
    from contracts.epcis.captured import parse_body
    from contracts.epcis.event_hash import named_hash
    from contracts.epcis.pre_hash import pre_hash

    found: list[dict[str, Any]] = []
    length = 0
    for name, document in documents:
        for captured, pointer in zip(document.events, document.pointers, strict=True):
            text = pre_hash(parse_body(captured), captured.prefixes, document.ignored)
            entry = {"document": name, "pointer": pointer, "cbv_event_hash": named_hash(text)}
            if prehash:
                length += len(text)
                entry["pre_hash"] = text
            found.append(entry)
            if length > PRE_HASH_LENGTH_MAX:
                words = (
                    f"the strings of these documents have more than {PRE_HASH_LENGTH_MAX >> 20} Mi characters"
                )
                advice = "take fewer documents at a time, or leave out --prehash"
                raise Failure("event.pre_hash_too_large", words, pointer, advice, ExitCode.REJECTED)
    return found


def _line(entry: dict[str, Any]) -> str:
    place = f"{entry['document']}#{entry['pointer']}" if entry["pointer"] else entry["document"]
    return f"{entry['cbv_event_hash']}  {place}"
