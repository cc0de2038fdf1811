"""Small file systems put in the place of a node's folder, so that its disk can be full or read-only.

They are mounted in this program's own mount namespace (`network.chaos.sandbox`) and hold what the folder
held. The node must be stopped when one is put in or taken away.
"""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from ledger.errors import LedgerError

BALLAST: Final = "ballast"
BALLAST_PIECES_BYTES: Final = (1 << 20, 1 << 12)  # coarse, then fine
COMMAND_SECONDS: Final = 60.0
FOLDER_MODE: Final = 0o700
_IMAGE_BYTES: Final = 32 << 20


class Volume(Protocol):
    """A file system under one folder."""

    def close(self) -> None:
        """Take it away and leave its content in the folder. Does nothing the second time."""


class MemoryVolume:
    """A tmpfs of a given size."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        """Put it in.

        Raises:
            LedgerError: `chaos.command`.
        """
        self.folder = folder
        self._is_open = True
        kept = _set_aside(folder)
        _run("mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=0700", "none", str(folder))
        _fill_in(kept, folder)

    def fill(self, free_bytes: int = 0) -> None:
        """Leave no more than so much free."""
        ballast = self.folder / BALLAST
        for piece in BALLAST_PIECES_BYTES:
            with suppress(OSError), ballast.open("ab", buffering=0) as file:  # no space left: what is wanted
                while shutil.disk_usage(self.folder).free >= free_bytes + piece:
                    file.write(b"\0" * piece)

    def free(self) -> None:
        """Give the space back."""
        (self.folder / BALLAST).unlink(missing_ok=True)

    def close(self) -> None:
        """Take it away and leave its content in the folder."""
        if self._is_open:
            self._is_open = False
            self.free()
            _take_away(self.folder)


class ImageVolume:
    """An ext4 on a loop device over a file beside the folder."""

    def __init__(self, folder: Path) -> None:
        """Put it in.

        Raises:
            LedgerError: `chaos.command`.
        """
        self.folder = folder
        self._image = folder.with_name(f"{folder.name}.image")
        self._is_open = True
        kept = _set_aside(folder)
        with self._image.open("wb") as file:
            file.truncate(_IMAGE_BYTES)
        _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(self._image))
        _run("mount", "-o", "loop", str(self._image), str(folder))
        _fill_in(kept, folder)

    def turn_read_only(self) -> None:
        """What ext4 does when its journal fails: from now on every write is refused."""
        _run("mount", "-o", "remount,abort", str(self.folder))

    def mend(self) -> None:
        """Check the file system and mount it for writing again, as an operator would."""
        _run("umount", str(self.folder))
        subprocess.run(  # noqa: S603  # it answers 1 where it had something to mend
            ("e2fsck", "-fy", str(self._image)),  # noqa: S607
            capture_output=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        _run("mount", "-o", "loop", str(self._image), str(self.folder))

    def close(self) -> None:
        """Take it away and leave its content in the folder."""
        if self._is_open:
            self._is_open = False
            shutil.rmtree(self.folder / "lost+found", ignore_errors=True)
            _take_away(self.folder)
            self._image.unlink()


def _set_aside(folder: Path) -> Path:
    """Copy a folder's content to a place beside it."""
    kept = folder.with_name(f"{folder.name}.kept")
    shutil.copytree(folder, kept)
    return kept


def _fill_in(kept: Path, folder: Path) -> None:
    """Copy the content back, now onto the file system that was mounted, and let go of the place beside it."""
    folder.chmod(FOLDER_MODE)
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    shutil.rmtree(kept)


def _take_away(folder: Path) -> None:
    kept = _set_aside(folder)
    _run("umount", str(folder))
    for old in folder.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    shutil.rmtree(kept)


def _run(*words: str) -> None:
    done = subprocess.run(  # noqa: S603  # our words
        words, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS
    )
    if done.returncode:
        raise LedgerError("chaos.command", f"{' '.join(words)}: {done.stderr.strip()[-300:]}")
