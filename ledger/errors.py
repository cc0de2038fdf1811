"""What went wrong, said once: a stable code, a sentence, and where.

A `LedgerError` is always somebody else's doing (a peer, a client, a contract
caller). Our own bugs are assertions, and the world's failures (disk, socket)
are handled at the edge of the node; neither is a `LedgerError`.
"""

from __future__ import annotations


class LedgerError(Exception):
    """A refusal that the sender can act on.

    Args:
        code: stable dotted name, `area.problem`; clients and tests rely on it.
        message: one sentence: what was found and what was expected.
        pointer: JSON pointer (RFC 6901) to the offending field, or "" for the whole.
    """

    def __init__(self, code: str, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.pointer = pointer

    def __str__(self) -> str:
        place = f" at {self.pointer}" if self.pointer else ""
        return f"{self.code}{place}: {self.message}"
