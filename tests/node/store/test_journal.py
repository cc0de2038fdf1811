"""The log: what was synced is there, or the log is refused; the rest may be cut off, never misread."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.store.disk import LocalDisk
from node.store.failure import StoreCorrupted, StoreFailed, StoreLost
from node.store.journal import RECORD_BYTES_MAX, Journal, Record, read_journal
from node.store.memory_disk import MemoryDisk

PATH = Path("/data/consensus/records.log")
HEADER_BYTES = 28

RECORDS = st.builds(Record, st.integers(0, 255), st.binary(max_size=40))
BATCHES = st.lists(st.lists(RECORDS, min_size=1, max_size=3), max_size=5)


def ignore(failure: StoreFailed) -> None:
    """Let the failure be raised."""


def opened(disk: MemoryDisk) -> tuple[Journal, list[Record]]:
    return Journal.open(disk, PATH, on_failure=ignore)


def written(batches: list[list[Record]]) -> tuple[MemoryDisk, list[int]]:
    """A log of these batches, each synced, and the size of the file after each sync."""
    disk = MemoryDisk()
    Journal.create(disk, PATH)
    journal, _ = opened(disk)
    sizes = [journal.size_bytes]
    for batch in batches:
        for record in batch:
            journal.append(*record)
        journal.sync()
        sizes.append(journal.size_bytes)
    return disk, sizes


def content(disk: MemoryDisk) -> bytes:
    return disk.read(PATH, 1 << 30)


def flat(batches: list[list[Record]]) -> list[Record]:
    return [record for batch in batches for record in batch]


@given(BATCHES)
def test_what_was_synced_survives_a_crash(batches: list[list[Record]]) -> None:
    """After a power cut every synced record is read back, in order, with its kind."""
    disk, _ = written(batches)
    disk.crash()
    assert opened(disk)[1] == flat(batches)


@given(batches=BATCHES, lost=st.lists(RECORDS, min_size=1, max_size=4), data=st.data())
def test_an_unsynced_tail_is_cut_off_and_the_log_goes_on(
    batches: list[list[Record]], lost: list[Record], data: st.DataObject
) -> None:
    """Whatever part of an unsynced write reached the disk, synced records are read and appending goes on."""
    disk, _ = written(batches)
    journal, _ = opened(disk)
    disk.fault = fail_on("sync")
    for record in lost:
        journal.append(*record)
    with pytest.raises(StoreFailed):
        journal.sync()
    disk.fault = None
    disk.crash(keep=lambda size: data.draw(st.integers(0, size)))
    journal, records = opened(disk)
    found = len(records) - len(flat(batches))
    assert records == flat(batches) + lost[:found]
    journal.append(7, b"afterwards")
    journal.sync()
    disk.crash()
    assert opened(disk)[1] == [*records, Record(7, b"afterwards")]


@given(batches=BATCHES, data=st.data())
def test_a_log_that_is_cut_anywhere_keeps_whole_records(
    batches: list[list[Record]], data: st.DataObject
) -> None:
    """A truncated file gives the records that are whole; below the header it is refused."""
    disk, _ = written(batches)
    whole = content(disk)
    size = data.draw(st.integers(0, len(whole)))
    if size < HEADER_BYTES:
        with pytest.raises(StoreCorrupted, match="offset 0"):
            read_journal(PATH, whole[:size])
        return
    _, records, end = read_journal(PATH, whole[:size])
    assert records == flat(batches)[: len(records)]
    assert end <= size
    if size == len(whole):
        assert records == flat(batches)


@given(batches=BATCHES, data=st.data())
def test_a_flipped_bit_is_never_read_and_never_hides_a_synced_batch(
    batches: list[list[Record]], data: st.DataObject
) -> None:
    """One wrong bit anywhere: the log is refused, or at most the last batch is cut off."""
    disk, sizes = written(batches)
    whole = bytearray(content(disk))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        _, records, end = read_journal(PATH, bytes(whole))
    except StoreCorrupted:
        return
    assert records == flat(batches)[: len(records)]
    assert end <= at, "the bad byte is not part of what was read"
    assert at >= sizes[-2], "only the last batch can be taken for a torn tail"


def test_damage_before_a_later_batch_is_refused_at_every_byte() -> None:
    """Each single byte of every batch but the last: damage is refused, with the damaged record's offset."""
    batches = [[Record(1, b"first")], [Record(2, b"second"), Record(3, b"third")], [Record(4, b"last")]]
    disk, sizes = written(batches)
    whole = content(disk)
    for at in range(sizes[-2]):
        bad = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
        with pytest.raises(StoreCorrupted) as caught:
            read_journal(PATH, bad)
        offset = int(caught.value.place.removeprefix("offset "))
        assert offset <= at


def test_zeros_in_the_middle_are_refused() -> None:
    """A page of zeros where a synced record was is damage, whichever record it starts in."""
    disk, sizes = written([[Record(1, bytes([9]) * 30)] for _ in range(4)])
    whole = content(disk)
    with pytest.raises(StoreCorrupted, match=f"offset {sizes[1]}:"):
        read_journal(PATH, whole[: sizes[1]] + bytes(sizes[2] - sizes[1]) + whole[sizes[2] :])


def test_zeros_at_the_end_are_a_torn_tail() -> None:
    """A file that grew and was not filled before the power went ends at its last record."""
    disk, sizes = written([[Record(1, b"x")]])
    _, records, end = read_journal(PATH, content(disk) + bytes(5_000))
    assert (records, end) == ([Record(1, b"x")], sizes[-1])


def test_an_unsynced_batch_may_arrive_without_its_beginning() -> None:
    """Parts of an unsynced write reach the disk in any order: its end without its beginning is torn."""
    disk, sizes = written([[Record(1, b"synced")]])
    journal, _ = opened(disk)
    journal.append(2, b"lost" * 10)
    journal.append(3, b"arrived")
    journal.sync()
    whole = content(disk)
    start = sizes[-1]
    torn = whole[:start] + bytes(45) + whole[start + 45 :]
    _, records, end = read_journal(PATH, torn)
    assert (records, end) == ([Record(1, b"synced")], start)


def test_a_record_inside_a_payload_is_not_taken_for_one() -> None:
    """What a peer sent may look like a record of ours: without the file's salt it is not one."""
    disk, _ = written([[Record(1, b"a")], [Record(2, b"b")]])
    other = content(disk)[HEADER_BYTES:]
    victim, sizes = written([[Record(3, b"c")]])
    journal, _ = opened(victim)
    journal.append(4, other * 3)
    journal.sync()
    whole = content(victim)
    bad = whole[: sizes[-1]] + b"\xff" + whole[sizes[-1] + 1 :]
    assert read_journal(PATH, bad)[1] == [Record(3, b"c")], "the last batch is torn, nothing in it speaks"


def test_a_moved_record_is_not_read() -> None:
    """A record is bound to its offset: a piece of the file in another place is never a record."""
    disk, sizes = written([[Record(1, b"one!")], [Record(2, b"two!")]])
    whole = content(disk)
    first, second = whole[sizes[0] : sizes[1]], whole[sizes[1] : sizes[2]]
    assert read_journal(PATH, whole[: sizes[0]] + second + first)[1] == []


# --- rewriting --------------------------------------------------------------------


@given(batches=BATCHES, kept=st.lists(RECORDS, max_size=5), more=st.lists(RECORDS, max_size=2))
def test_rewriting_keeps_what_is_named(
    batches: list[list[Record]], kept: list[Record], more: list[Record]
) -> None:
    """After a rewrite the log holds exactly those records, takes more, and survives a crash."""
    disk, _ = written(batches)
    journal, _ = opened(disk)
    journal.append(1, b"not synced, not named")
    journal.rewrite(kept)
    for record in more:
        journal.append(*record)
    journal.sync()
    disk.crash()
    assert opened(disk)[1] == kept + more


@pytest.mark.parametrize("operation", ["create", "write", "sync", "rename", "sync_folder", "extend"])
def test_a_rewrite_that_fails_anywhere_leaves_the_old_or_the_new_log(operation: str) -> None:
    """Each step of a rewrite may fail and the power be cut: the log is whole afterwards."""
    disk, _ = written([[Record(1, b"old")]])
    journal, _ = opened(disk)
    disk.fault = fail_on(operation)
    with pytest.raises(StoreFailed, match="rewrite"):
        journal.rewrite([Record(2, b"new")])
    with pytest.raises(StoreFailed):
        journal.append(3, b"never")
    disk.fault = None
    disk.crash()
    assert opened(disk)[1] in ([Record(1, b"old")], [Record(2, b"new")])


def test_a_rewritten_log_is_refused_when_any_of_it_rots() -> None:
    """A rewritten file appeared in one step, so all but its last record is known to have been synced."""
    disk, _ = written([])
    journal, _ = opened(disk)
    journal.rewrite([Record(1, b"first"), Record(2, b"second")])
    whole = bytearray(content(disk))
    whole[HEADER_BYTES + 25] ^= 1
    with pytest.raises(StoreCorrupted):
        read_journal(PATH, bytes(whole))


def test_what_a_start_read_is_durable_from_then_on() -> None:
    """A process killed between write and sync leaves records in the cache. Read back they are promises."""
    disk, _ = written([[Record(1, b"synced")]])
    dying, _ = opened(disk)
    disk.fault = fail_on("sync")
    dying.append(2, b"in the cache")
    with pytest.raises(StoreFailed):
        dying.sync()
    disk.fault = None
    assert opened(disk)[1] == [Record(1, b"synced"), Record(2, b"in the cache")]
    disk.crash()
    assert opened(disk)[1] == [Record(1, b"synced"), Record(2, b"in the cache")]


def test_records_appended_while_the_disk_is_awaited_are_kept_for_the_next_sync() -> None:
    """What is appended during a sync is not part of it, and not lost by it."""
    disk, _ = written([])
    journal, _ = opened(disk)
    journal.append(1, b"before")

    def append_meanwhile(asked: str, path: Path, data: bytes) -> None:
        if asked == "sync":
            disk.fault = None
            journal.append(2, b"meanwhile")

    disk.fault = append_meanwhile
    journal.sync()
    journal.append(3, b"after")
    journal.sync()
    disk.crash()
    assert opened(disk)[1] == [Record(1, b"before"), Record(2, b"meanwhile"), Record(3, b"after")]


# --- failed writes ------------------------------------------------------------------


def fail_on(operation: str, number: int = errno.EIO):  # type: ignore[no-untyped-def]  # a fault of one operation
    def fault(asked: str, path: Path, data: bytes) -> None:
        if asked == operation:
            raise OSError(number, "planted")

    return fault


@pytest.mark.parametrize(
    ("operation", "number"), [("write", errno.ENOSPC), ("write", errno.EIO), ("sync", errno.EIO)]
)
def test_the_first_failed_append_ends_the_log(operation: str, number: int) -> None:
    """A failed write or sync is told once, with path and errno; the handle promises nothing more."""
    disk, _ = written([[Record(1, b"a")]])
    told: list[StoreFailed] = []
    journal, _ = Journal.open(disk, PATH, on_failure=told.append)
    disk.fault = fail_on(operation, number)
    journal.append(2, b"b")
    with pytest.raises(StoreFailed, match=errno.errorcode[number]):
        journal.sync()
    disk.fault = None
    for call in (lambda: journal.append(3, b"c"), journal.sync, lambda: journal.rewrite([])):
        with pytest.raises(StoreFailed):
            call()
    assert len(told) == 1
    assert told[0].path == str(PATH)
    disk.crash()
    assert opened(disk)[1][:1] == [Record(1, b"a")]


def test_a_short_write_leaves_a_tail_that_is_cut_off() -> None:
    """The disk fills up in the middle of a record: what was synced stays, the half record goes."""
    disk, _ = written([[Record(1, b"a")]])
    journal, _ = opened(disk)

    def half_then_full(asked: str, path: Path, data: bytes) -> int | None:
        if asked == "short":
            raise OSError(errno.ENOSPC, "No space left on device")
        return len(data) // 2 if asked == "write" else None

    disk.fault = half_then_full
    journal.append(2, b"b" * 50)
    with pytest.raises(StoreFailed, match=r"ENOSPC"):
        journal.sync()
    disk.fault = None
    disk.crash(keep=lambda size: size)
    assert opened(disk)[1] == [Record(1, b"a")]


# --- opening ----------------------------------------------------------------------


def test_a_missing_log_is_lost_not_new() -> None:
    """The log was deleted: that is said, and no empty one takes its place."""
    with pytest.raises(StoreLost, match="never created here"):
        opened(MemoryDisk())


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    """A file that is no log of ours is refused, never a crash."""
    with pytest.raises(StoreCorrupted):
        read_journal(PATH, data)


def test_an_unreadable_log_is_no_missing_log() -> None:
    """An error of the disk while reading is told as such, with what to do: no damage to be repaired."""
    disk, _ = written([])
    disk.fault = fail_on("read")
    with pytest.raises(StoreFailed, match=r"EIO .*check the disk"):
        opened(disk)
    for operation in ("extend", "sync"):
        disk.fault = fail_on(operation, errno.ENOSPC)
        with pytest.raises(StoreFailed, match=r"ENOSPC .*free space"):
            opened(disk)


def test_records_have_a_largest_size() -> None:
    """A record above the limit is our own bug."""
    disk, _ = written([])
    journal, _ = opened(disk)
    with pytest.raises(AssertionError):
        journal.append(1, bytes(RECORD_BYTES_MAX + 1))


def test_the_real_file_system_keeps_the_log(tmp_path: Path) -> None:
    """The same on a real disk: append, sync, torn tail, rewrite, private to the node's user."""
    path, disk = tmp_path / "records.log", LocalDisk()
    Journal.create(disk, path, [Record(0, b"zero")])
    journal, records = Journal.open(disk, path, on_failure=ignore)
    assert records == [Record(0, b"zero")]
    journal.append(1, b"one")
    journal.sync()
    journal.close()
    with path.open("ab") as file:
        file.write(b"torn")
    journal, records = Journal.open(disk, path, on_failure=ignore)
    assert records == [Record(0, b"zero"), Record(1, b"one")]
    assert path.stat().st_size == journal.size_bytes, "the tail is gone from the disk"
    journal.rewrite([Record(2, b"two")])
    journal.append(3, b"three")
    journal.sync()
    journal.close()
    assert Journal.open(disk, path, on_failure=ignore)[1] == [Record(2, b"two"), Record(3, b"three")]
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == ["records.log"]
