"""One small record in a file: replaced whole, or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.store.disk import LocalDisk
from node.store.failure import StoreCorrupted, StoreError, StoreFailed
from node.store.memory_disk import MemoryDisk
from node.store.record_file import PAYLOAD_BYTES_MAX, RecordFile

PATH = Path("/data/signer/record")
STEPS = ["create", "write", "sync", "rename", "sync_folder"]


def record_file(disk: MemoryDisk, told: list[StoreFailed] | None = None) -> RecordFile:
    return RecordFile(disk, PATH, on_failure=[].append if told is None else told.append)


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=4))
def test_the_last_record_survives_a_crash(payloads: list[bytes]) -> None:
    """Each write is durable when it returns; the last one is what a start reads."""
    disk = MemoryDisk()
    for payload in payloads:
        record_file(disk).write(payload)
        disk.crash()
        assert record_file(disk).read() == payload


def test_no_file_is_no_record() -> None:
    """Absence is told apart from damage: the owner decides what it means."""
    assert record_file(MemoryDisk()).read() is None


@pytest.mark.parametrize("step", STEPS)
def test_a_failure_at_any_step_leaves_the_old_record_or_the_new(step: str) -> None:
    """Any step may fail and the power be cut: the record is whole, and the handle promises nothing more."""
    disk, told = MemoryDisk(), list[StoreFailed]()
    file = record_file(disk, told)
    file.write(b"old")

    def fault(asked: str, path: Path, data: bytes) -> None:
        if asked == step:
            raise OSError(errno.EIO, "planted")

    disk.fault = fault
    with pytest.raises(StoreFailed, match="EIO"):
        file.write(b"new")
    disk.fault = None
    for call in (lambda: file.write(b"newer"), file.read):
        with pytest.raises(StoreFailed):
            call()
    assert len(told) == 1
    disk.crash()
    assert record_file(disk).read() in (b"old", b"new")


def test_the_folder_is_synced_before_the_write_returns() -> None:
    """Without it a power cut brings back the old record after the new one was relied on."""
    disk, steps = MemoryDisk(), list[str]()
    disk.fault = lambda asked, path, data: steps.append(asked)
    record_file(disk).write(b"x")
    assert steps == STEPS


@given(payload=st.binary(max_size=40), data=st.data())
def test_damage_is_never_read(payload: bytes, data: st.DataObject) -> None:
    """A flipped bit, a cut or a longer file is refused at every place."""
    disk = MemoryDisk()
    record_file(disk).write(payload)
    whole = bytearray(disk.read(PATH, 1000))
    match data.draw(st.sampled_from(["flip", "cut", "grow"])):
        case "flip":
            whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        case "cut":
            del whole[data.draw(st.integers(0, len(whole) - 1)) :]
        case _:
            whole += data.draw(st.binary(min_size=1, max_size=9))
    disk.create(PATH).write(bytes(whole))
    with pytest.raises(StoreCorrupted):
        record_file(disk).read()


def test_an_error_while_reading_is_no_absence() -> None:
    """A disk that can't answer does not make the record disappear."""
    disk = MemoryDisk()
    record_file(disk).write(b"x")

    def fault(asked: str, path: Path, data: bytes) -> None:
        raise OSError(errno.EIO, "planted")

    disk.fault = fault
    with pytest.raises(StoreError) as caught:
        record_file(disk).read()
    assert caught.value.code == "store.unreadable"


def test_a_larger_file_is_refused_unread(tmp_path: Path) -> None:
    """What is larger than any record is refused after a bounded read."""
    (tmp_path / "record").write_bytes(bytes(PAYLOAD_BYTES_MAX + 1000))
    with pytest.raises(StoreCorrupted):
        RecordFile(LocalDisk(), tmp_path / "record").read()


def test_the_real_file_is_private_and_alone(tmp_path: Path) -> None:
    """On a real disk: mode 0600, and no temporary file stays behind."""
    file = RecordFile(LocalDisk(), tmp_path / "record")
    file.write(b"one")
    file.write(b"two")
    assert file.read() == b"two"
    assert (tmp_path / "record").stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["record"]
