"""The only place that prints: data to standard output, progress and hints to standard error.

With `--json` the data is one JSON document; errors are one too, on standard error. Nothing here is
imported before it is used: the progress bar's library takes longer to load than most commands run.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol, TextIO

from cli.failure import Failure

PROGRESS_AFTER_SECONDS: Final = 2.0
CELL_LENGTH_MAX: Final = 200
_STYLES: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_STATUS_STYLES: Final = {
    "accepted": "green",
    "running": "green",
    "flagged": "yellow",
    "duplicate": "yellow",
    "pending": "yellow",
    "paused": "yellow",
    "refused": "red",
    "stopped": "red",
}


class Step(Protocol):
    """Tells the progress bar that some more is done."""

    def __call__(self, done: int = 1) -> None:
        """`done` more of the total."""


class Output:
    """Where a command's words go."""

    def __init__(
        self,
        *,
        is_json: bool = False,
        is_quiet: bool = False,
        verbosity: int = 0,
        is_plain: bool = False,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
    ) -> None:
        self.is_json = is_json
        self.is_quiet = is_quiet
        self.verbosity = verbosity
        self._is_plain = is_plain or bool(os.environ.get("NO_COLOR"))
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr

    # --- data -------------------------------------------------------------------

    def data(self, value: Any, text: Callable[[], str]) -> None:
        """The answer of a command: `value` as JSON, or what `text` makes of it for people."""
        self._write(self._stdout, self._json(self._stdout, value, indent=2) if self.is_json else text())

    def line(self, text: str) -> None:
        """One line of data for people; nothing with --json."""
        if not self.is_json:
            self._write(self._stdout, text)

    def raw(self, text: str) -> None:
        """Text that is data whatever the format, such as a completion script."""
        self._write(self._stdout, text)

    # --- about the data ------------------------------------------------------------

    def note(self, text: str) -> None:
        """Progress and hints; nothing with --quiet."""
        if not self.is_quiet:
            self._write(self._stderr, text)

    def detail(self, text: str) -> None:
        """What only --verbose tells."""
        if self.verbosity:
            self._write(self._stderr, text)

    def failure(self, failure: Failure) -> None:
        """Say what could not be done, why, and what to try."""
        if self.is_json:
            said = {"code": failure.code, "message": failure.message}
            said |= {"pointer": failure.pointer} if failure.pointer else {}
            said |= {"try": failure.advice} if failure.advice else {}
            self._write(self._stderr, self._json(self._stderr, {"error": said}))
            return
        place = f" at {failure.pointer}" if failure.pointer else ""
        head = self.styled("error", "red", on=self._stderr)
        self._write(self._stderr, f"{head}: {failure.message}{place}  [{failure.code}]")
        if failure.advice:
            self.advise(failure.advice)

    def advise(self, advice: str) -> None:
        """What to try after an error."""
        self._write(self._stderr, f"{self.styled('try', 'bold', on=self._stderr)}: {advice}")

    # --- looks -------------------------------------------------------------------

    def styled(self, text: str, style: str, on: TextIO | None = None) -> str:
        """The text in a style, where the stream is a terminal that wants colours."""
        stream = on or self._stdout
        if self._is_plain or not stream.isatty() or style not in _STYLES:
            return text
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"

    def status(self, word: str, width: int = 0) -> str:
        """A result word in its colour, padded to a width."""
        return self.styled(word.ljust(width), _STATUS_STYLES.get(word, ""))

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
        """Rows under headings, each column as wide as its widest cell."""
        cells = [[_cell(value) for value in row] for row in rows]
        widths = [
            max(len(heading), *(len(row[index]) for row in cells)) if cells else len(heading)
            for index, heading in enumerate(headings)
        ]
        lines = [self.styled(_aligned(headings, widths), "dim")]
        for row in cells:
            line = _aligned(row, widths)
            for word in _STATUS_STYLES:
                if word in row:
                    line = line.replace(word, self.status(word), 1)
            lines.append(line)
        return "\n".join(lines)

    def fields(self, pairs: Sequence[tuple[str, object]]) -> str:
        """One field a line, its name first."""
        width = max((len(name) for name, _ in pairs), default=0)
        return "\n".join(f"{self.styled(name.ljust(width), 'dim')}  {_shown(value)}" for name, value in pairs)

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Step]:
        """A bar on standard error, if that is a terminal and the work takes more than two seconds."""
        bar = _Bar(what, total, is_shown=not self.is_quiet and self._stderr.isatty(), stream=self._stderr)
        try:
            yield bar.step
        finally:
            bar.end()

    def _json(self, stream: TextIO, value: Any, indent: int | None = None) -> str:
        """JSON in letters as they are, or escaped where the stream or no stream at all can hold them."""
        shown = json.dumps(value, indent=indent, ensure_ascii=False)
        return shown if _fits(stream, shown) else json.dumps(value, indent=indent)

    def _write(self, stream: TextIO, text: str) -> None:
        """Write a text; what the stream's encoding does not have is escaped, so that no name can break it."""
        if not _fits(stream, text):
            encoding = stream.encoding or "utf-8"
            text = text.encode(encoding, "backslashreplace").decode(encoding)
        stream.write(text if text.endswith("\n") else text + "\n")
        stream.flush()


def _fits(stream: TextIO, text: str) -> bool:
    """Whether the stream's encoding has every character of the text. A file name may hold any bytes."""
    try:
        text.encode(stream.encoding or "utf-8", stream.errors or "strict")
    except UnicodeEncodeError:
        return False
    return True


class _Bar:
    """A progress bar that comes to be only when it is worth it."""

    def __init__(self, what: str, total: int, *, is_shown: bool, stream: TextIO) -> None:
        self._what, self._total, self._is_shown, self._stream = what, total, is_shown, stream
        self._began = time.monotonic()
        self._done = 0
        self._progress: Any = None
        self._task: Any = None

    def step(self, done: int = 1) -> None:
        self._done += done
        if self._progress is not None:
            self._progress.update(self._task, completed=self._done)
        elif self._is_shown and time.monotonic() - self._began > PROGRESS_AFTER_SECONDS:
            self._show()

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self._progress = Progress(console=Console(file=self._stream), transient=True)
        self._progress.start()
        self._task = self._progress.add_task(self._what, total=self._total, completed=self._done)

    def end(self) -> None:
        if self._progress is not None:
            self._progress.stop()


def _cell(value: object) -> str:
    text = _shown(value)
    return text if len(text) <= CELL_LENGTH_MAX else text[: CELL_LENGTH_MAX - 1] + "…"


def _shown(value: object) -> str:
    """A value for people. Foreign text can't send control codes to the terminal."""
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(_shown(each) for each in value) or "-"
        case _:
            return printable(str(value))


def printable(text: str) -> str:
    """The text with every character that could steer a terminal written as its escape."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    return "  ".join(padded).rstrip()
