"""Key files: private, whole, never overwritten, refused once somebody else could have touched them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.crypto import key_pair
from ledger.errors import LedgerError
from node import keys as module
from node.keys import SEED_BYTES, KeyName, create_key, read_key, read_seed, write_seed

SEED = bytes(range(32))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    made.mkdir(mode=0o700)
    return made


def refusal(call: Callable[[], object]) -> LedgerError:
    with pytest.raises(LedgerError) as caught:
        call()
    assert SEED.hex() not in str(caught.value)
    return caught.value


def test_a_key_is_read_back(folder: Path) -> None:
    """What was created is what is read; each name is a file of its own, private, with nothing beside it."""
    made = {name: create_key(folder, name) for name in KeyName}
    assert {name: read_key(folder, name) for name in KeyName} == made
    assert len({key.public for key in made.values()}) == len(KeyName)
    assert sorted(each.name for each in folder.iterdir()) == sorted(name.value for name in KeyName)
    assert all(each.stat().st_mode & 0o777 == 0o600 for each in folder.iterdir())


def test_a_given_seed_makes_its_key(folder: Path) -> None:
    """A seed that comes from elsewhere stands for the same key here."""
    assert create_key(folder, KeyName.NODE, SEED) == key_pair(SEED)
    assert (folder / "node.key").read_bytes() == SEED


def test_a_missing_folder_is_made_private(tmp_path: Path) -> None:
    """The first key makes its folder, for the node's user alone."""
    create_key(tmp_path / "keys", KeyName.NODE)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


def test_a_key_is_never_overwritten(folder: Path) -> None:
    """A second key under one name is refused, the first one stays, and nothing is left over."""
    create_key(folder, KeyName.VALIDATOR, SEED)
    assert refusal(lambda: create_key(folder, KeyName.VALIDATOR)).code == "key_file.exists"
    assert read_seed(folder / "validator.key") == SEED
    assert [each.name for each in folder.iterdir()] == ["validator.key"]


def test_a_dangling_link_is_not_written_through(folder: Path, tmp_path: Path) -> None:
    """A link in a key's place does not lead the new key to another folder."""
    (folder / "node.key").symlink_to(tmp_path / "stolen")
    assert refusal(lambda: create_key(folder, KeyName.NODE, SEED)).code == "key_file.exists"
    assert not (tmp_path / "stolen").exists()


def test_a_failed_write_leaves_no_half_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk fails while a key is written there is no key, not a shorter one."""

    class FullDisk(module.LocalDisk):
        def sync_folder(self, folder: Path) -> None:
            raise OSError(28, "No space left on device")

        def create(self, path: Path):  # type: ignore[no-untyped-def]  # as in the class above it
            file = super().create(path)

            class Full:
                def write(self, data: bytes) -> None:
                    file.write(data[:5])
                    raise OSError(28, "No space left on device")

                sync, close = file.sync, file.close

            return Full()

    monkeypatch.setattr(module, "LocalDisk", FullDisk)
    with pytest.raises(OSError, match="No space"):
        create_key(folder, KeyName.NODE, SEED)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666])
def test_any_bit_for_others_on_a_key_is_refused(folder: Path, mode: int) -> None:
    """Whoever else may read, write or execute: the key is refused, and the fix is named."""
    create_key(folder, KeyName.NODE)
    (folder / "node.key").chmod(mode)
    problem = refusal(lambda: read_key(folder, KeyName.NODE))
    assert problem.code == "key_file.permissions"
    assert "chmod 600" in problem.message


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o710, 0o701, 0o777])
def test_a_folder_open_to_others_is_refused(folder: Path, mode: int) -> None:
    """A folder that others may enter or change is refused for reading and for writing."""
    create_key(folder, KeyName.NODE)
    folder.chmod(mode)
    for call in (lambda: read_key(folder, KeyName.NODE), lambda: create_key(folder, KeyName.GATEWAY)):
        problem = refusal(call)
        assert problem.code == "key_file.permissions"
        assert "chmod 700" in problem.message


def test_another_users_key_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file or folder of somebody else is refused, whatever its mode."""
    create_key(folder, KeyName.NODE)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert refusal(lambda: read_key(folder, KeyName.NODE)).code == "key_file.owner"


def test_links_folders_and_pipes_are_no_keys(folder: Path, tmp_path: Path) -> None:
    """Only a regular file in a real folder is a key; nothing else is followed, listed or waited for."""
    write_seed(tmp_path / "other" / "node.key", SEED)
    (folder / "node.key").symlink_to(tmp_path / "other" / "node.key")
    (folder / "validator.key").mkdir()
    os.mkfifo(folder / "gateway.key", 0o600)
    for name in KeyName:
        assert refusal(lambda name=name: read_key(folder, name)).code == "key_file.not_a_file"  # type: ignore[misc]  # a default binds it
    (tmp_path / "linked").symlink_to(folder)
    assert refusal(lambda: read_key(tmp_path / "linked", KeyName.NODE)).code == "key_file.not_a_file"


@pytest.mark.parametrize("size", [0, 1, SEED_BYTES - 1, SEED_BYTES + 1, 64, 1 << 20])
def test_a_file_of_another_size_is_no_key(folder: Path, size: int) -> None:
    """A key file holds 32 bytes, exactly."""
    path = folder / "node.key"
    path.write_bytes(bytes(size))
    path.chmod(0o600)
    assert refusal(lambda: read_key(folder, KeyName.NODE)).code == "key_file.malformed"


def test_what_is_missing_is_named(folder: Path, tmp_path: Path) -> None:
    """A missing file or folder is told apart from a bad one."""
    assert refusal(lambda: read_key(folder, KeyName.NODE)).code == "key_file.missing"
    assert refusal(lambda: read_key(tmp_path / "none", KeyName.NODE)).code == "key_file.missing"
    (tmp_path / "file").write_text("x")
    assert refusal(lambda: read_key(tmp_path / "file" / "keys", KeyName.NODE)).code == "key_file.unreadable"
