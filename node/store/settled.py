"""What settled each view, and who voted in each epoch: kept beside the blocks for the dispute period.

Under epoch and view lies one certificate: a nullification, or a notarization or finalization of a
final block. With one for every view, two conflicting histories name who forked
(`ledger.accountability`). The records of epochs are few and are kept for ever.

Source: docs/spec/accountability.md, rules AC1, AC4, AC7 and AC8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta

from ledger.codec import Canonical, decode, encode
from ledger.errors import LedgerError
from ledger.types import HEIGHT_MAX, VALIDATORS_MAX, Counter, Epoch, View
from ledger.validators import Validator, ValidatorSet
from ledger.vote import Certificate, VoteKind
from node.store.database import Database
from node.store.failure import StoreCorrupted

SWEPT_VIEWS_MAX: Final = 256  # certificates removed with one new block
_RECORD_BYTES_MAX: Final = 32 << 10  # VALIDATORS_MAX validators take less than 17 KiB

# First byte of a key; epoch and view follow as 8 bytes each, big-endian.
_SETTLED, _EPOCH = b"C", b"V"


class EpochRecord(Canonical):
    """An epoch, as the last block of the one before it left it: its base, and who votes."""

    base_height: Counter
    base_time_ms: Counter
    validators: Annotated[tuple[Validator, ...], Meta(min_length=1, max_length=VALIDATORS_MAX)]


@dataclass(frozen=True, slots=True)
class Retention:
    """How long certificates are kept: for so many epochs after theirs, and for so many milliseconds of block
    time. Both must be over: epochs may be short."""

    epochs: int
    duration_ms: int


class SettledViews:
    """The records of one node, in the block database. Writing goes by the batches of its owners."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- certificates by view ---------------------------------------------------

    def certificate(self, epoch: int, view: int) -> bytes | None:
        """The encoded certificate that settled a view, or None."""
        return self._database.get(_key(epoch, view))

    def page(self, epoch: int, after: int, until: int, count_max: int) -> list[tuple[View, bytes]]:
        """What is held of the views above `after` up to `until`, ascending: each view and its certificate."""
        return list(self._scan(epoch, after + 1, until + 1, count_max))

    def missing(self, epoch: int, after: int, until: int, count_max: int) -> list[View]:
        """The first views above `after` up to `until` of which nothing is held."""
        missing: list[View] = []
        wanted = after + 1
        for view, _ in self._scan(epoch, after + 1, until + 1, None):
            missing += [View(each) for each in range(wanted, min(view, wanted + count_max))]
            if len(missing) >= count_max:
                return missing[:count_max]
            wanted = view + 1
        missing += [View(each) for each in range(wanted, min(until + 1, wanted + count_max))]
        return missing[:count_max]

    def last_view(self, epoch: int) -> View:
        """The highest view of an epoch of which something is held; 0 where nothing is."""
        start, stop = _key(epoch, 0), _key(epoch + 1, 0)
        for key, _ in self._database.scan(start, stop, limit=1, reverse=True):
            return _view_of(key)
        return View(0)

    def all_of(self, epoch: int) -> Iterator[bytes]:
        """Every certificate of an epoch, by view."""
        return (certificate for _, certificate in self._scan(epoch, 0, HEIGHT_MAX, None))

    def write(self, certificates: Iterable[Certificate]) -> None:
        """Keep what was found later, in one synced batch; another thread may wait for it."""
        batch = settled_entries(certificates)
        if batch:
            self._database.write(batch)

    def outdated(self, epoch: int, time_ms: int, retention: Retention) -> list[bytes]:
        """Keys of certificates that nobody can ask for any more, at a block of this epoch and time."""
        last = epoch - retention.epochs - 1
        while last >= 0:
            following = self.epoch(last + 1)
            if following is not None and following.base_time_ms + retention.duration_ms < time_ms:
                break
            last -= 1
        if last < 0:
            return []
        stop = _key(last + 1, 0)
        return [key for key, _ in self._database.scan(_SETTLED, stop, limit=SWEPT_VIEWS_MAX)]

    def _scan(self, epoch: int, first: int, stop: int, limit: int | None) -> Iterator[tuple[View, bytes]]:
        found = self._database.scan(_key(epoch, first), _key(epoch, stop), limit=limit)
        return ((_view_of(key), certificate) for key, certificate in found)

    # --- epochs -------------------------------------------------------------------

    def epoch(self, epoch: int) -> EpochRecord | None:
        """What governs an epoch from 1 on, once it has begun; epoch 0 stands in the genesis.

        Raises:
            StoreCorrupted
        """
        data = self._database.get(_EPOCH + epoch.to_bytes(8, "big"))
        if data is None:
            return None
        try:
            return decode(data, EpochRecord, _RECORD_BYTES_MAX)
        except LedgerError as refusal:
            raise StoreCorrupted(self._database.path, f"epoch {epoch}", str(refusal)) from None

    def validators(self, epoch: int) -> ValidatorSet | None:
        """Who votes in an epoch from 1 on, once it has begun.

        Raises:
            StoreCorrupted
        """
        record = self.epoch(epoch)
        return None if record is None else ValidatorSet(record.validators)


def settled_entries(certificates: Iterable[Certificate]) -> dict[bytes, bytes | None]:
    """What a batch holds for these certificates; of two of one view a finalization stands."""
    entries: dict[bytes, bytes | None] = {}
    finals: dict[bytes, bytes | None] = {}
    for certificate in certificates:
        chosen = finals if certificate.kind is VoteKind.FINALIZE else entries
        chosen[_key(certificate.vote.epoch, certificate.view)] = encode(certificate)
    return entries | finals


def epoch_entry(epoch: Epoch, record: EpochRecord) -> dict[bytes, bytes | None]:
    """What the batch of a last block holds of the epoch that it begins."""
    return {_EPOCH + epoch.to_bytes(8, "big"): encode(record)}


def ranges(views: Sequence[View]) -> Iterator[tuple[View, View]]:
    """Ascending views as ranges (after, until], for requests."""
    start = 0
    for index in range(1, len(views) + 1):
        if index == len(views) or views[index] != views[index - 1] + 1:
            yield View(views[start] - 1), views[index - 1]
            start = index


def _key(epoch: int, view: int) -> bytes:
    return _SETTLED + epoch.to_bytes(8, "big") + view.to_bytes(8, "big")


def _view_of(key: bytes) -> View:
    return View(int.from_bytes(key[9:], "big"))
