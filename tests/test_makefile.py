"""`make install` is safe to run twice, mends what is half made, and says what is missing.

A stand-in for Python writes down how it was called, so nothing is downloaded and no interpreter is set up.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# `-m venv --clear .venv` makes a .venv whose python is this same script; PIP_EXIT is what its pip answers.
STAND_IN = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in
    *"venv --clear"*) rm -rf .venv && mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *"pip"*" install "*) exit "${PIP_EXIT:-0}" ;;
esac
"""


class Checkout:
    """A copy of what `make install` reads, in a folder of its own, with the stand-in for Python."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = folder / "calls"
        self.stamp = folder / ".venv" / ".installed"
        self.mark = folder / ".venv" / ".installing"
        self.python = folder / "python"
        self.python.write_text(STAND_IN)
        self.python.chmod(0o755)
        for name in ("Makefile", "pyproject.toml"):
            shutil.copy(ROOT / name, folder)
        shutil.copytree(ROOT / "requirements", folder / "requirements")

    def make(self, *arguments: str, pip_exit: int = 0) -> subprocess.CompletedProcess[str]:
        """Run make without the settings of a make that runs these tests."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        environment = inherited | {"CALLS": str(self.calls), "PIP_EXIT": str(pip_exit)}
        self.calls.write_text("")
        return subprocess.run(
            ["make", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def install(self, pip_exit: int = 0) -> subprocess.CompletedProcess[str]:
        return self.make("install", f"PYTHON={self.python}", pip_exit=pip_exit)

    def count_of(self, words: str) -> int:
        return self.calls.read_text().count(words)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_install_checks_hashes_and_takes_wheels_alone(checkout: Checkout) -> None:
    """The first run makes .venv, installs all three files by hash without a compiler, leaves its stamp."""
    assert checkout.install().returncode == 0
    assert checkout.count_of("venv --clear .venv") == 1
    assert checkout.count_of(
        "--require-hashes --only-binary :all: "
        "-r requirements/build.txt -r requirements/runtime.txt -r requirements/dev.txt"
    )
    assert checkout.count_of("--no-build-isolation --no-deps --editable .") == 1
    assert checkout.stamp.exists()
    assert not checkout.mark.exists()


def test_second_install_does_nothing(checkout: Checkout) -> None:
    """A whole .venv is left alone."""
    checkout.install()
    assert checkout.install().returncode == 0
    assert checkout.calls.read_text() == ""


def test_changed_requirements_update_the_venv(checkout: Checkout) -> None:
    """A requirement file newer than the stamp is installed into the .venv that stands."""
    checkout.install()
    stamped_ns = checkout.stamp.stat().st_mtime_ns
    os.utime(checkout.folder / "requirements" / "runtime.txt", ns=(stamped_ns + 10**9, stamped_ns + 10**9))
    assert checkout.install().returncode == 0
    assert checkout.count_of("--require-hashes") == 1
    assert checkout.count_of("venv --clear") == 0


def test_failed_install_leaves_no_stamp_and_is_mended(checkout: Checkout) -> None:
    """A failed download is a failed make; the next run starts from a clean .venv."""
    assert checkout.install(pip_exit=1).returncode != 0
    assert not checkout.stamp.exists()
    assert checkout.install().returncode == 0
    assert checkout.count_of("venv --clear .venv") == 1
    assert checkout.stamp.exists()


def test_empty_venv_is_made_anew(checkout: Checkout) -> None:
    """A .venv without a working pip, as an interrupted `python -m venv` leaves it, is replaced."""
    (checkout.folder / ".venv" / "bin").mkdir(parents=True)
    assert checkout.install().returncode == 0
    assert checkout.count_of("venv --clear .venv") == 1


def test_two_installs_do_not_meet(checkout: Checkout) -> None:
    """While the process that installs is alive, another one stops at once and names it."""
    checkout.mark.parent.mkdir()
    checkout.mark.write_text(str(os.getpid()))
    second = checkout.install()
    assert second.returncode != 0
    assert f"process {os.getpid()}" in second.stderr
    assert checkout.calls.read_text() == ""


def test_missing_python_is_a_clear_error(checkout: Checkout) -> None:
    """Without a Python of the right version make says so, how to name one, and leaves nothing behind."""
    answer = checkout.make("install", "PYTHON=/bin/false")
    assert answer.returncode != 0
    assert "no Python 3.11 or 3.12 with venv and ensurepip among: /bin/false" in answer.stderr
    assert "make install PYTHON=/path/to/python3.11" in answer.stderr
    assert not (checkout.folder / ".venv").exists()


def test_help_has_a_line_for_each_target(checkout: Checkout) -> None:
    """`make` alone and `make help` list every target that can be asked for."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    [phony] = [line for line in makefile.splitlines() if line.startswith(".PHONY:")]
    answer = checkout.make("help")
    listed = [line.split()[1] for line in answer.stdout.splitlines()]
    assert sorted(listed) == sorted(phony.removeprefix(".PHONY:").split())
    assert all(len(line.split()) > 3 for line in answer.stdout.splitlines())
    assert checkout.make().stdout == answer.stdout


def test_continuous_integration_runs_the_tests() -> None:
    """.ci/run is executable and runs `make test`, then `make sim`, nothing else."""
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    commands = [line for line in script.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    assert commands == ["set -eu", 'cd "$(dirname "$0")/.."', "make test", "make sim"]
