"""Everything that is wrong with a document, not only the first thing."""

from __future__ import annotations

from typing import Final, NamedTuple

from ledger.errors import LedgerError

PROBLEMS_MAX: Final = 100  # reported a document: enough to repair by, and an answer of bounded size
FOUND_LENGTH_MAX: Final = 80  # characters of a foreign value that a message repeats


class Problem(NamedTuple):
    """One broken rule: stable code, one sentence, and the JSON pointer of the field."""

    code: str
    message: str
    pointer: str


class EpcisError(LedgerError):
    """A refused event or document. Its own code, message and pointer are those of the first problem.

    Args:
        problems: every problem found, in document order, at most PROBLEMS_MAX.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        first = problems[0]
        super().__init__(first.code, first.message, first.pointer)
        self.problems = problems


class Problems:
    """A bounded list that checks add to. What comes after PROBLEMS_MAX is dropped."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, code: str, pointer: str, message: str) -> None:
        """Note one problem: what was found and what was expected, at `pointer`."""
        if len(self.found) < PROBLEMS_MAX:
            self.found.append(Problem(code, message, pointer))

    def add_error(self, error: LedgerError, pointer: str) -> None:
        """Note a refusal that came from below, its pointer being relative to `pointer`."""
        self.add(error.code, pointer + error.pointer, error.message)

    def raise_any(self) -> None:
        """Raise what was found, if anything was.

        Raises:
            EpcisError: with every problem noted so far.
        """
        if self.found:
            raise EpcisError(tuple(self.found))


def shown(value: object) -> str:
    """A foreign value for a message, cut to a bounded length."""
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            cut = value if len(value) <= FOUND_LENGTH_MAX else value[: FOUND_LENGTH_MAX - 3] + "..."
            return repr(cut)
        case _:
            return str(value)
