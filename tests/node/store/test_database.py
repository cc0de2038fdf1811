"""The database interface: both implementations keep the same promises, and LevelDB is held to them hard."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.types import ChainId
from node.store.database import Database, check_identity, identity_entry
from node.store.failure import (
    EXIT_STORE_FAILED,
    FailStop,
    StoreCorrupted,
    StoreError,
    StoreFailed,
    StoreLost,
    StoreMismatch,
)
from node.store.leveldb import LevelDatabase, repair
from node.store.memory import MemoryDatabase

CHAIN, OTHER = ChainId(bytes(32)), ChainId(bytes([1]) * 32)
SETTLE = 3  # enough writes for LevelDB to hold data in more than one file


def level(path: Path, *, create: bool) -> LevelDatabase:
    return LevelDatabase(path, create=create, on_failure=lambda failure: None)


@pytest.fixture(params=["level", "memory"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    made: Database = (
        level(tmp_path / "db", create=True) if request.param == "level" else MemoryDatabase(on_failure=print)
    )
    yield made
    made.close()


BATCHES = st.lists(
    st.dictionaries(st.binary(min_size=1, max_size=3), st.none() | st.binary(max_size=8), max_size=6),
    max_size=8,
)


@given(batches=BATCHES, start=st.binary(max_size=3), stop=st.binary(max_size=3))
@settings(max_examples=60)
def test_both_databases_equal_a_sorted_dictionary(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[dict[bytes, bytes | None]],
    start: bytes,
    stop: bytes,
) -> None:
    """After any batches get and scan answer what a dictionary holds, in key order, both ways, bounded."""
    expected: dict[bytes, bytes] = {}
    stores: list[Database] = [level(tmp_path_factory.mktemp("db") / "db", create=True), MemoryDatabase()]
    for batch in batches:
        for key, value in batch.items():
            if value is None:
                expected.pop(key, None)
            else:
                expected[key] = value
        for store in stores:
            store.write(batch)
    inside = sorted(item for item in expected.items() if start <= item[0] < stop)
    for store in stores:
        assert list(store.scan(start, stop)) == inside
        assert list(store.scan(start, stop, limit=2)) == inside[:2]
        assert list(store.scan(start, stop, limit=2, reverse=True)) == inside[::-1][:2]
        assert all(store.get(key) == value for key, value in expected.items())
        assert store.get(b"never") is None
        store.close()


def test_a_snapshot_does_not_see_later_writes(database: Database) -> None:
    """What was there when the snapshot was taken is what it answers, whatever is written meanwhile."""
    database.write({b"a": b"1", b"b": b"1"})
    snapshot = database.snapshot()
    database.write({b"a": b"2", b"b": None, b"c": b"2"})
    assert (snapshot.get(b"a"), snapshot.get(b"b"), snapshot.get(b"c")) == (b"1", b"1", None)
    assert list(snapshot.scan(b"a", b"z")) == [(b"a", b"1"), (b"b", b"1")]
    snapshot.close()
    assert database.get(b"a") == b"2"


def test_a_scan_that_is_left_early_lets_go(database: Database) -> None:
    """A reader may stop in the middle of a scan, and the database still closes and writes."""
    database.write({bytes([each]): b"x" for each in range(1, 100)})
    scan = database.scan(b"\0", b"\xff")
    assert len(list(islice(scan, 3))) == 3
    scan.close()  # type: ignore[attr-defined]  # a generator
    database.write({b"z": b"y"})


# --- identity -------------------------------------------------------------------


def test_identity_is_asked_for(database: Database) -> None:
    """A database of another kind or chain is refused by name; its own passes."""
    database.write(identity_entry("blocks", CHAIN))
    check_identity(database, "blocks", CHAIN)
    for kind, chain, code in (("state", CHAIN, "store.kind"), ("blocks", OTHER, "genesis.mismatch")):
        with pytest.raises(StoreMismatch) as caught:
            check_identity(database, kind, chain)
        assert caught.value.code == code


def test_an_empty_database_is_a_lost_one(database: Database) -> None:
    """A store that opens empty has lost its files: it is never taken for a new one."""
    with pytest.raises(StoreLost, match="never created here"):
        check_identity(database, "blocks", CHAIN)


def test_a_damaged_identity_is_named(database: Database) -> None:
    """Bytes that are no identity are damage, not another release."""
    database.write({b"\x00identity": b"garbage"})
    with pytest.raises(StoreCorrupted, match="identity"):
        check_identity(database, "blocks", CHAIN)


# --- failed writes --------------------------------------------------------------


def test_the_first_failed_write_is_reported_once_and_poisons_the_handle() -> None:
    """After one failed batch nothing can be read or written through the handle, and nobody is told twice."""
    told: list[StoreFailed] = []
    failing = False

    def before_write(batch: object) -> None:
        if failing:
            raise OSError(errno.ENOSPC, "No space left on device")

    database = MemoryDatabase("data/blocks", before_write=before_write, on_failure=told.append)
    database.write({b"a": b"1"})
    failing = True
    with pytest.raises(StoreFailed, match=r"data/blocks: write: ENOSPC .*free space"):
        database.write({b"a": b"2", b"b": b"2"})
    failing = False
    calls: tuple[Callable[[], object], ...] = (
        lambda: database.write({b"a": b"3"}),
        lambda: database.get(b"a"),
        lambda: list(database.scan(b"", b"z")),
        database.snapshot,
    )
    for call in calls:
        with pytest.raises(StoreFailed):
            call()
    assert len(told) == 1
    assert database.entries == {b"a": b"1"}, "a failed batch leaves nothing behind"


LIMITED = """
import resource, sys
from pathlib import Path
from node.store.leveldb import LevelDatabase
database = LevelDatabase(Path(sys.argv[1]), create=True)
database.write({b"first": b"kept"})
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
for number in range(1_000):
    database.write({number.to_bytes(4, "big"): bytes(10_000)})
    print(number, flush=True)
"""


def test_a_failed_write_on_a_real_disk_ends_the_process_with_75(tmp_path: Path) -> None:
    """Where a file can't grow the process ends: exit code 75, one line, and every answered write is there."""
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "db")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == EXIT_STORE_FAILED
    assert run.stderr.count("\n") == 1
    assert "store_failed" in run.stderr
    assert str(tmp_path / "db") in run.stderr
    assert "EFBIG" in run.stderr
    assert "ulimit -f" in run.stderr, "the next step is named"
    acknowledged = [int(line) for line in run.stdout.split()]
    database = level(tmp_path / "db", create=False)
    assert database.get(b"first") == b"kept"
    assert acknowledged
    assert all(database.get(number.to_bytes(4, "big")) == bytes(10_000) for number in acknowledged)
    database.close()


OPENED_WITHOUT_ROOM = """
import resource, sys
from pathlib import Path
from node.store.failure import StoreError
from node.store.leveldb import LevelDatabase, repair
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
for touch in (lambda path: LevelDatabase(path, create=False), repair):
    try:
        touch(Path(sys.argv[1]))
    except StoreError as problem:
        print(problem)
"""


def test_a_start_without_room_is_no_damage(tmp_path: Path) -> None:
    """A database that can't open because nothing can be written says so, and what to do, in one line."""
    level(tmp_path / "db", create=True).close()
    run = subprocess.run(
        [sys.executable, "-c", OPENED_WITHOUT_ROOM, str(tmp_path / "db")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = run.stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith(f"store.failed in {tmp_path / 'db'}: open: EFBIG (IO error: ")
        assert "ulimit -f" in line
    level(tmp_path / "db", create=False).close()


@pytest.mark.parametrize(
    ("problem", "shown"),
    [
        (OSError(errno.EIO, "Input/output error"), "EIO"),
        (OSError(errno.EROFS, "Read-only file system"), "EROFS"),
        (RuntimeError("IO error: x.log: No space left on device"), "ENOSPC"),
        (RuntimeError("something new"), "errno unknown"),
        (RuntimeError(b"Corruption: block checksum mismatch"), "run `ledger-node repair`"),
    ],
)
def test_failures_name_errno_and_next_step(problem: Exception, shown: str) -> None:
    """One line says where, which error, and what to do, also where a library gives only words."""
    told: list[StoreFailed] = []
    stop = FailStop("here", told.append)
    stop.check()
    line = str(stop.fail("write", problem))
    assert "here" in line
    assert shown in line
    assert "start the node again" in line
    with pytest.raises(StoreFailed):
        stop.check()


# --- damage on a real disk --------------------------------------------------------


def filled(path: Path) -> dict[bytes, bytes]:
    """A closed LevelDB with a table file and a log."""
    entries: dict[bytes, bytes] = {}
    for turn in range(SETTLE):
        database = level(
            path, create=turn == 0
        )  # each open turns the log of the one before into a table file
        batch = {b"key %d %d" % (turn, each): bytes([each]) * 200 for each in range(50)}
        database.write(batch)
        entries |= batch
        database.close()
    return entries


def test_nothing_is_created_where_something_should_be(tmp_path: Path) -> None:
    """Opening does not create, creating does not open."""
    with pytest.raises(StoreLost):
        level(tmp_path / "db", create=False)
    assert not (tmp_path / "db").exists()
    filled(tmp_path / "db")
    with pytest.raises(StoreError) as caught:
        level(tmp_path / "db", create=True)
    assert caught.value.code == "store.exists"


def test_a_missing_current_or_manifest_is_a_lost_store(tmp_path: Path) -> None:
    """LevelDB would open such a folder empty; here it is refused and stays as it is."""
    for name in ("CURRENT", "MANIFEST"):
        path = tmp_path / name
        filled(path)
        for file in path.glob(f"{name}*"):
            file.unlink()
        before = sorted(path.iterdir())
        with pytest.raises(StoreLost, match="never created here"):
            level(path, create=False)
        assert sorted(path.iterdir()) == before


@pytest.mark.parametrize("content", [b"", b"garbage\n", b"MANIFEST-../x\n", b"\xff\xfe"])
def test_a_damaged_current_is_refused(tmp_path: Path, content: bytes) -> None:
    """CURRENT that names no manifest is damage."""
    filled(tmp_path / "db")
    (tmp_path / "db" / "CURRENT").write_bytes(content)
    with pytest.raises(StoreCorrupted, match="CURRENT"):
        level(tmp_path / "db", create=False)


def test_a_cut_manifest_never_passes_for_a_store(tmp_path: Path) -> None:
    """However much of the manifest is missing, the store is refused: at open, or for want of its identity."""
    whole = tmp_path / "whole"
    database = level(whole, create=True)
    database.write(identity_entry("blocks", CHAIN))
    database.close()
    for turn in range(2):
        database = level(whole, create=False)
        database.write({b"later %d" % turn: b"x"})
        database.close()
    manifest = whole / (whole / "CURRENT").read_text().strip()
    data = manifest.read_bytes()
    for size in range(0, len(data), 7):
        path = tmp_path / f"cut-{size}"
        path.mkdir()
        for file in whole.iterdir():
            (path / file.name).write_bytes(data[:size] if file == manifest else file.read_bytes())
        try:
            database = level(path, create=False)
        except StoreError:
            continue
        with pytest.raises(StoreLost):
            check_identity(database, "blocks", CHAIN)
        database.close()


def test_flipped_bits_never_come_back_as_values(tmp_path: Path) -> None:
    """Every byte of a table file may rot: a read answers the right value or says that it can't."""
    entries = filled(tmp_path / "db")
    table = max((tmp_path / "db").glob("*.ldb"), key=lambda file: file.stat().st_size)
    whole = table.read_bytes()
    refused = 0
    for offset in range(0, len(whole), max(1, len(whole) // 150)):
        table.write_bytes(whole[:offset] + bytes([whole[offset] ^ 0x10]) + whole[offset + 1 :])
        try:
            database = level(tmp_path / "db", create=False)
        except StoreError:
            refused += 1
            continue
        wrong: list[StoreCorrupted] = []
        for key, value in entries.items():
            try:
                assert database.get(key) == value
            except StoreCorrupted as problem:
                wrong.append(problem)
        assert all(problem.path == str(tmp_path / "db") for problem in wrong)
        assert all(b"key".hex() in problem.place for problem in wrong)
        try:
            assert dict(database.scan(b"key", b"kez")) == entries
        except StoreCorrupted as problem:
            wrong.append(problem)
        refused += bool(wrong)
        database.close()
    assert refused > 100


def test_repair_brings_back_what_a_lost_manifest_named(tmp_path: Path) -> None:
    """The operator's step after a lost manifest: LevelDB finds its tables again."""
    entries = filled(tmp_path / "db")
    for file in (tmp_path / "db").glob("MANIFEST*"):
        file.unlink()
    repair(tmp_path / "db")
    database = level(tmp_path / "db", create=False)
    assert dict(database.scan(b"key", b"kez")) == entries
    assert database.size_bytes() > 0
    database.close()
