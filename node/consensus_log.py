"""The consensus log: records and unfinalized bodies in one journal, one sync for both.

What is dropped stays in the file until the file is mostly dead; then it is rewritten.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from ledger.block import Block, block_id, decode_block
from ledger.codec import encode
from ledger.consensus.records import (
    HeldProposal,
    OwnProposal,
    OwnVote,
    Record,
    SignerFloor,
    decode_record,
    encode_record,
    record_position,
)
from ledger.errors import LedgerError
from ledger.types import BlockId, Epoch, View
from node.failpoints import FailPoint, hit
from node.store.failure import StoreCorrupted
from node.store.journal import Journal
from node.store.journal import Record as Entry

RECORD, BODY = 1, 2
REWRITE_BYTES: Final = 32 << 20  # a file above this that is mostly dead is rewritten

Offload = Callable[[Callable[[], None]], Awaitable[None]]


def read_entries(path: Path, entries: Sequence[Entry]) -> tuple[list[Record], list[Block]]:
    """The records and the bodies that a log holds, in the order they were written.

    Raises:
        StoreCorrupted: an entry is sound and says nothing that this release writes; its number is named.
    """
    records: list[Record] = []
    blocks: list[Block] = []
    for number, entry in enumerate(entries, 1):
        try:
            if entry.kind == RECORD:
                records.append(decode_record(entry.payload))
            else:
                blocks.append(decode_block(entry.payload))
        except LedgerError as refusal:
            raise StoreCorrupted(path, f"entry {number}", str(refusal)) from None
    return records, blocks


class ConsensusLog:
    """The log of one node; `offload` waits for the disk elsewhere than in the event loop."""

    def __init__(self, journal: Journal, entries: Sequence[Entry], offload: Offload) -> None:
        """Read the entries.

        Raises:
            StoreCorrupted: as `read_entries`.
        """
        self._journal = journal
        self._offload = offload
        records, blocks = read_entries(journal.path, entries)
        self._records = [
            (record, len(encode_record(record))) for record in records
        ]  # with their size in bytes
        self._bodies = {block_id(block.header): block for block in blocks}
        self._keep_named_bodies()

    @property
    def records(self) -> tuple[Record, ...]:
        """All live records in the order they were written."""
        return tuple(record for record, _ in self._records)

    @property
    def bodies(self) -> tuple[Block, ...]:
        """The bodies that live proposals and votes name."""
        return tuple(self._bodies.values())

    async def append(self, records: Iterable[Record], bodies: Iterable[Block]) -> None:
        """Make records and bodies durable together."""
        records = tuple(records)
        is_promise = any(isinstance(record, SignerFloor | OwnVote | OwnProposal) for record in records)
        hit(FailPoint.BEFORE_JOURNAL_APPEND)
        if is_promise:
            hit(FailPoint.BEFORE_SIGNER_RECORD)
        for block in bodies:
            identifier = block_id(block.header)
            if identifier not in self._bodies:
                self._bodies[identifier] = block
                self._journal.append(BODY, encode(block))
        for record in records:
            data = encode_record(record)
            self._records.append((record, len(data)))
            self._journal.append(RECORD, data)
        await self._offload(self._journal.sync)
        hit(FailPoint.AFTER_JOURNAL_APPEND)
        if is_promise:
            hit(FailPoint.AFTER_SIGNER_RECORD)
        if any(isinstance(record, OwnVote) for record in records):
            hit(FailPoint.AFTER_VOTE_SIGNED)

    async def drop(self, epoch: Epoch, view: View) -> None:
        """Forget records below (epoch, view), but for the signer's last floor; shrink a mostly dead file."""
        floors = [record for record, _ in self._records if isinstance(record, SignerFloor)]
        last = floors[-1] if floors else None
        self._records = [
            (record, size)
            for record, size in self._records
            if record is last or record_position(record) >= (epoch, view)
        ]
        self._keep_named_bodies()
        if self._journal.size_bytes > REWRITE_BYTES and self._live_bytes() * 4 < self._journal.size_bytes:
            entries = [Entry(BODY, encode(block)) for block in self._bodies.values()]
            entries += [Entry(RECORD, encode_record(record)) for record, _ in self._records]
            await self._offload(partial(self._journal.rewrite, entries))

    def _keep_named_bodies(self) -> None:
        """Forget other bodies: who voted for a block holds it until it is history (D6)."""
        named = {_named_by(record): None for record, _ in self._records}
        self._bodies = {
            identifier: block for identifier, block in self._bodies.items() if identifier in named
        }

    def _live_bytes(self) -> int:
        bodies = sum(len(raw) for block in self._bodies.values() for raw in block.transactions)
        return bodies + sum(size for _, size in self._records)

    def close(self) -> None:
        """Let go of the file."""
        self._journal.close()


def _named_by(record: Record) -> BlockId | None:
    match record:
        case HeldProposal(message=message):
            return BlockId(message.signed.proposal.block_id)
        case OwnVote(signed=signed) if signed.vote.block_id is not None:
            return BlockId(signed.vote.block_id)
        case _:
            return None
