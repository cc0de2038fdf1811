"""The intake: transactions on their way into the mempool and on to the peers.

Clients' transactions are admitted at once and answered. Peers' come in batches, wait in one
bounded room, and are admitted in slices, one of each peer in turn; what does not fit is lost
here and comes again, since whoever holds it gossips it until it is committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from ledger.errors import LedgerError
from ledger.types import PublicKey, TxId
from node.executor import Executor, Submission
from node.shares import Shares

WAITING_MAX: Final = 20_000  # transactions of peers that were received and not looked at yet
WAITING_BYTES_MAX: Final = 64 << 20  # of these: large ones must not fill memory where small ones would not

ASKED_FOR: Final = PublicKey(bytes(32))
"""Who sent the transactions of a block in the making: nobody is to blame for what they are, for who answers
for a block did not look at them. They may be admitted like any other: the block may never become final."""

Admitted = Callable[[TxId, PublicKey | None], None]
Seen = Callable[[TxId, PublicKey], None]
Invalid = Callable[[PublicKey, str], None]


class Intake:
    """Admission for one node.

    `on_admitted(id, from_peer)` passes a new transaction on, `on_seen(id, peer)` notes that a peer
    holds one, `on_invalid(peer, code)` scores a peer that relays what it should have refused.
    """

    def __init__(self, executor: Executor, on_admitted: Admitted, on_seen: Seen, on_invalid: Invalid) -> None:
        self._executor = executor
        self._on_admitted = on_admitted
        self._on_seen = on_seen
        self._on_invalid = on_invalid
        self._waiting = Shares(WAITING_MAX, WAITING_BYTES_MAX)
        self._ready = asyncio.Event()
        self.lost = 0

    @property
    def waiting(self) -> int:
        """How many transactions of peers were not looked at yet."""
        return len(self._waiting)

    def submit(self, raw: bytes) -> tuple[TxId, Submission]:
        """Admit a client's transaction.

        Raises:
            LedgerError: why not; nothing has changed then.
        """
        transaction, outcome, is_new = self._executor.admit(raw)
        if is_new:
            self._on_admitted(transaction.id, None)
        return transaction.id, outcome

    def receive(self, peer: PublicKey, batch: Sequence[bytes]) -> None:
        """Let what a peer gossiped wait; above a limit, who has most there loses."""
        for raw in batch:
            self.lost += self._waiting.put(peer, raw)
        self._ready.set()

    async def run(self) -> None:
        """Admit what peers sent, a few milliseconds at a time; runs until cancelled."""
        pace = self._executor.pace
        while True:
            await self._ready.wait()
            pace.begin()
            while self._waiting:
                self._admit(*self._waiting.take())
                if pace.is_over():
                    break
            if not self._waiting:
                self._ready.clear()
            await pace.rest()

    def _admit(self, peer: PublicKey, raw: bytes) -> None:
        try:
            transaction, _, is_new = self._executor.admit(raw)
        except LedgerError as refusal:
            if peer != ASKED_FOR and not is_excusable(refusal.code):
                self._on_invalid(peer, refusal.code)
            return
        self._on_seen(transaction.id, peer)
        if is_new:
            self._on_admitted(transaction.id, peer)


def is_excusable(code: str) -> bool:
    """Whether a correct peer may relay what is refused here with this code.

    It may hold a later or earlier state: membership, expiry and room differ for a moment. Form
    and signature are the same everywhere.
    """
    return not code.startswith("encoding.") and code not in {
        "transaction.bad_signature",
        "transaction.wrong_chain",
        "transaction.too_large",
    }
