"""A home: held by one process, its data whole or absent, and room watched before it runs out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import LedgerError
from node.home import Home, HomeLock, Space, SpaceLimits, SpaceVerdict, judge_space, read_space

GIB = 1 << 30


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "node-0")
    made.make()
    with made.new_data():
        pass
    return made


def test_a_new_home_is_private_and_made_twice_without_harm(tmp_path: Path) -> None:
    """Folders are for the node's user alone; making them again changes nothing."""
    home = Home(tmp_path / "deep" / "node-0")
    for _ in range(2):
        home.make()
    for folder in (home.root, home.keys, home.tls):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not home.data.exists(), "data comes with genesis, not with folders"


def test_data_appears_whole(home: Home) -> None:
    """After filling, the places of all stores are there and nothing temporary is."""
    assert home.consensus_log.parent.is_dir()
    assert home.signer.is_dir()
    assert sorted(each.name for each in home.root.iterdir()) == ["data", "keys", "tls"]


def test_data_that_was_not_filled_to_the_end_is_not_there(tmp_path: Path) -> None:
    """A failure while filling leaves no data, and the next try begins anew."""
    home = Home(tmp_path)

    def fill() -> None:
        with home.new_data() as making:
            (making.data / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fill()
    assert not home.data.exists()
    with home.new_data() as making:
        assert not (making.data / "half").exists()
    assert home.data.is_dir()


def test_data_is_never_made_over(home: Home) -> None:
    """Existing data is refused by name and left alone."""
    (home.data / "kept").write_text("x")
    with pytest.raises(LedgerError) as caught, home.new_data():
        pytest.fail("not reached")
    assert caught.value.code == "home.exists"
    assert (home.data / "kept").read_text() == "x"


# --- lock -------------------------------------------------------------------------

HOLDER = """
import sys
from pathlib import Path
from node.home import Home, HomeLock
with HomeLock(Home(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_and_told_who_holds_the_home(home: Home) -> None:
    """Two processes never open one home; the lock ends with its holder, even when that is killed."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(LedgerError, match=f"process {holder.pid}") as caught:
        HomeLock(home)
    assert caught.value.code == "home.in_use"
    holder.kill()
    holder.communicate()
    HomeLock(home).release()


def test_a_second_try_in_this_process_does_not_break_the_lock(home: Home) -> None:
    """A refused second attempt leaves the first one's lock in force (LevelDB's own would be lost)."""
    with HomeLock(home):
        for _ in range(2):
            with pytest.raises(LedgerError, match=str(os.getpid())):
                HomeLock(home)
    HomeLock(home).release()


def test_a_home_without_data_names_the_next_step(tmp_path: Path) -> None:
    """A home that was never initialised says what to run."""
    with pytest.raises(LedgerError, match="ledger-node init") as caught:
        HomeLock(Home(tmp_path))
    assert caught.value.code == "home.missing"


def test_a_linked_lock_is_refused(home: Home, tmp_path: Path) -> None:
    """The lock is a file of this home, not of another place."""
    home.lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerError) as caught:
        HomeLock(home)
    assert caught.value.code == "home.unreadable"
    assert not (tmp_path / "elsewhere").exists()


# --- free space -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free", "total", "verdict"),
    [
        (100 * GIB, 1000 * GIB, SpaceVerdict.ENOUGH),
        (50 * GIB, 1000 * GIB, SpaceVerdict.ENOUGH),
        (50 * GIB - 1, 1000 * GIB, SpaceVerdict.STOP_ADMITTING),
        (2 * GIB, 10 * GIB, SpaceVerdict.ENOUGH),
        (2 * GIB - 1, 10 * GIB, SpaceVerdict.STOP_ADMITTING),
        (1 * GIB, 10 * GIB, SpaceVerdict.STOP_ADMITTING),
        (1 * GIB - 1, 10 * GIB, SpaceVerdict.STOP_VOTING),
        (0, 0, SpaceVerdict.STOP_VOTING),
    ],
)
def test_what_free_space_allows(free: int, total: int, verdict: SpaceVerdict) -> None:
    """Under 5 % or 2 GiB nothing is admitted, under 1 GiB nothing is voted, to the byte."""
    assert judge_space(Space(free, total), SpaceLimits()) is verdict


@given(
    st.integers(0, 1 << 45), st.integers(0, 1 << 45),
    st.builds(SpaceLimits, st.integers(0, 50), st.integers(0, 1 << 40), st.integers(0, 1 << 40)),
)  # fmt: skip
def test_more_space_never_allows_less(one: int, other: int, limits: SpaceLimits) -> None:
    """The guard is monotonic: freeing space can't stop a node."""
    order = list(SpaceVerdict)
    less, more = sorted((one, other))
    total = 1 << 45
    ranks = [order.index(judge_space(Space(free, total), limits)) for free in (more, less)]
    assert ranks == sorted(ranks)


def test_limits_may_be_set_to_nothing() -> None:
    """A test network on a small disk may switch the guard off."""
    assert judge_space(Space(0, 100), SpaceLimits(0, 0, 0)) is SpaceVerdict.ENOUGH


def test_space_is_read_from_the_file_system(tmp_path: Path) -> None:
    """The real numbers are positive and the free ones no more than all."""
    space = read_space(tmp_path)
    assert 0 < space.free_bytes <= space.total_bytes
