"""Replacing a file: the order of its steps, a failure or a power cut at any of them, and what is left."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from node.store.disk import FILE_MODE, LocalDisk, replace_file
from node.store.memory_disk import MemoryDisk

PATH = Path("/home/file")
STEPS = ["create", "write", "sync", "rename", "sync_folder"]


def test_a_replaced_file_is_durable_before_the_call_returns() -> None:
    """Contents first, then the name: in another order a power cut brings back the old file or none."""
    disk, steps = MemoryDisk(), list[str]()
    disk.fault = lambda asked, path, data: steps.append(asked)
    replace_file(disk, PATH, b"x")
    assert steps == STEPS
    disk.fault = None
    disk.crash()
    assert disk.read(PATH, 10) == b"x"


@pytest.mark.parametrize("step", STEPS)
def test_a_failure_at_any_step_leaves_the_old_file_or_the_new(step: str) -> None:
    """The caller hears of it, and after a power cut the file is whole."""
    disk = MemoryDisk()
    replace_file(disk, PATH, b"old")

    def fault(asked: str, path: Path, data: bytes) -> None:
        if asked == step:
            raise OSError(errno.EIO, "planted")

    disk.fault = fault
    with pytest.raises(OSError, match="planted"):
        replace_file(disk, PATH, b"new")
    disk.fault = None
    disk.crash()
    assert disk.read(PATH, 10) in (b"old", b"new")


def test_the_real_file_is_private_and_alone(tmp_path: Path) -> None:
    """On a real disk: mode 0600, and no temporary file stays behind."""
    path = tmp_path / "file"
    for data in (b"one", b"two"):
        replace_file(LocalDisk(), path, data)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == FILE_MODE == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_larger_file_shows_after_a_bounded_read(tmp_path: Path) -> None:
    """One byte more than allowed is read and no other, so that the caller can refuse it."""
    path = tmp_path / "file"
    path.write_bytes(bytes(1000))
    assert len(LocalDisk().read(path, 10)) == 11
