"""Signing history out of a home and into one: what `ledger-node history` does, on a stopped node.

Each step leaves a home that is safe to start: a home hands its record over before the file is there, and
a file that was taken in is part of the log whole or not at all.

Source: docs/spec/signer.md, rules H1-H8.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.consensus.records import (
    OwnProposal,
    OwnVote,
    Record,
    SignerFloor,
    decode_record,
    encode_record,
)
from ledger.consensus.signer import HANDED_OVER, SECOND_HOLDER, Signer, given_up
from ledger.crypto import KeyPair
from ledger.errors import LedgerError
from ledger.genesis import Genesis, chain_id
from ledger.types import Epoch, View
from node.consensus_log import RECORD
from node.founding import host_generation
from node.home import Home, HomeLock, set_aside
from node.keys import KeyName, read_key
from node.resume import finalization_of_head
from node.signing_history import (
    FILE_BYTES_MAX,
    Place,
    SigningHistory,
    history_of,
    history_text,
    merge,
    parse_history,
    records_of,
)
from node.store.disk import LocalDisk, write_new_file
from node.store.journal import Journal
from node.store.journal import Record as Entry
from node.store.stores import open_stores

DOUBTFUL: Final = b"imported history"  # a generation of no host: what is held is bound, and not trusted


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import came to. `reason`: why the signer is in quarantine still; empty where it is not."""

    history: SigningHistory
    reason: str


class _Record:
    """The log of a stopped home, open, with what its signer makes of it."""

    def __init__(self, home: Home, genesis: Genesis, key: KeyPair, store: Place) -> None:
        self.chain_id, self.key, self.store = chain_id(genesis), key, store
        self.generation = host_generation(home)
        self._journal, self._entries = Journal.open(LocalDisk(), home.consensus_log)
        self.records = [decode_record(each.payload) for each in self._entries if each.kind == RECORD]
        self.history = history_of(self.records, self.chain_id, key.public)
        self.reason = self._reason_of(self.records)

    def _reason_of(self, records: list[Record]) -> str:
        signer = Signer(self.chain_id, self.key, self.generation)
        signer.restore(records, self.store)
        return signer.quarantine_reason

    def hand_over(self) -> None:
        """Give the record up, durably."""
        record = given_up(self.chain_id, self.key.public, HANDED_OVER, *self.history.floor)
        self._journal.append(RECORD, encode_record(record))
        self._journal.sync()

    def replace(self, history: SigningHistory, generation: bytes) -> str:
        """Put a history in the place of all that a signer wrote; what the machine held stays. Answers why the
        signer will not trust it, or nothing."""
        floor = SignerFloor(self.chain_id, self.key.public, generation, *history.floor)
        kept = [each for each in self._entries if _is_machines(each)]
        made: list[Record] = [*records_of(history), floor, floor]  # two: it is no new key's record (Q7)
        self._journal.rewrite([*kept, *(Entry(RECORD, encode_record(each)) for each in made)])
        return self._reason_of(made)

    def close(self) -> None:
        """Let go of the file."""
        self._journal.close()


def export_history(home: Home, genesis: Genesis, file: Path) -> SigningHistory:
    """Hand the record of a stopped home over to a new file; the home signs no more.

    Again after that: the same file once more.

    Raises:
        LedgerError: `history.exists`, `history.doubtful`, `home.*`, `key_file.*`. StoreError, OSError
    """
    if file.exists():
        raise LedgerError("history.exists", f"{file} is there already; it is not overwritten")
    with _opened(home, genesis) as record:
        if record.reason not in ("", HANDED_OVER):
            raise LedgerError(
                "history.doubtful",
                f"this home's record is in quarantine itself ({record.reason}): what it holds would let no "
                "host sign sooner",
            )
        if not record.reason:
            record.hand_over()
        _write_new(file, history_text(record.history, record.key))
        return record.history


def import_history(home: Home, genesis: Genesis, file: Path) -> Imported:
    """Take a history into the log of a stopped home: floors rise, promises are added, none goes.

    The signer is out of quarantine where the file is no older than all that this home knows (H6).

    Raises:
        LedgerError: `history.*`, `home.*`, `key_file.*`. StoreError, OSError
    """
    data = LocalDisk().read(file, FILE_BYTES_MAX + 1)
    with _opened(home, genesis) as record:
        theirs = parse_history(data, record.chain_id, record.key.public)
        if record.reason == SECOND_HOLDER:
            raise LedgerError(
                "history.second_holder",
                "this home saw another process sign with its key; no history says what that one still signs: "
                "`ledger-node history reset` when it is stopped",
            )
        merged = merge(record.history, theirs)
        is_newest = theirs.floor >= max(record.history.floor, record.store)
        generation = record.generation if is_newest or not record.reason else DOUBTFUL
        return Imported(merged, record.replace(merged, generation))


def reset_record(home: Home, genesis: Genesis) -> Path | None:
    """Set the log of a stopped home aside and begin an empty one: the signer is in quarantine until the
    network has moved past all that it may have signed. Answers what the log is called now.

    Raises:
        LedgerError: `home.*`. OSError
    """
    with HomeLock(home):
        aside = set_aside(home.consensus_log) if home.consensus_log.exists() else None
        Journal.create(LocalDisk(), home.consensus_log)
        return aside


@contextmanager
def _opened(home: Home, genesis: Genesis) -> Iterator[_Record]:
    key = read_key(home.keys, KeyName.VALIDATOR)
    with HomeLock(home):
        record = _Record(home, genesis, key, _store_of(home, genesis))
        try:
            yield record
        finally:
            record.close()


def _store_of(home: Home, genesis: Genesis) -> Place:
    """The place of the finalization that covers the last stored block."""
    stores = open_stores(home.data, chain_id(genesis))
    try:
        final = finalization_of_head(stores)
    finally:
        stores.close()
    return (Epoch(0), View(0)) if final is None else (Epoch(final.vote.epoch), final.view)


def _is_machines(entry: Entry) -> bool:
    signers = SignerFloor | OwnVote | OwnProposal
    return entry.kind != RECORD or not isinstance(decode_record(entry.payload), signers)


def _write_new(file: Path, data: bytes) -> None:
    """A new file, durable, or none."""
    try:
        write_new_file(LocalDisk(), file, data)
    except FileExistsError:
        raise LedgerError("history.exists", f"{file} is there already; it is not overwritten") from None
