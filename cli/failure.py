"""A command that can't be done: what, why, and what to try, with the exit code that scripts see."""

from __future__ import annotations

from cli.exit_code import ExitCode, exit_code_of
from ledger.errors import LedgerError


class Failure(LedgerError):
    """A refusal to show.

    Args:
        code, message, pointer: as `LedgerError`.
        advice: what to try, or "".
        exit_code: for the shell; None: what the code says.
    """

    def __init__(
        self, code: str, message: str, pointer: str = "", advice: str = "", exit_code: ExitCode | None = None
    ) -> None:
        super().__init__(code, message, pointer)
        self.advice = advice
        self.exit_code = exit_code_of(code) if exit_code is None else exit_code


class Finished(Exception):
    """Everything is said and the exit code is not zero: the last step of a command with mixed results."""

    def __init__(self, exit_code: ExitCode) -> None:
        super().__init__(exit_code.name)
        self.exit_code = exit_code
