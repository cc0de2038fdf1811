"""What is installed is pinned, hashed and free of addresses, and is what the package says it needs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
FILES = ("build.txt", "dev.txt", "runtime.txt")

PIN = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[^ ;]+)(?P<hashes>(?: --hash=sha256:[0-9a-f]{64})+)")


def lines_of(text: str) -> list[str]:
    """The requirements of a file, each on one line; comments and blank lines are left out."""
    joined = re.sub(r" *\\\n +", " ", text)
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


def pins_of(text: str) -> dict[str, Version]:
    """The one version of each package; AssertionError on a line that is no pin with hashes."""
    pins: dict[str, Version] = {}
    for line in lines_of(text):
        match = PIN.fullmatch(line)
        assert match, line
        assert match["name"] not in pins, f"{match['name']} is pinned twice"
        pins[match["name"]] = Version(match["version"])
    return pins


def read(name: str) -> str:
    return (ROOT / "requirements" / name).read_text("utf-8")


@pytest.mark.parametrize("name", FILES)
def test_every_requirement_is_pinned_with_hashes(name: str) -> None:
    """Each line names one version and at least one hash: no range, no option, no address, no path."""
    assert pins_of(read(name))


@pytest.mark.parametrize(
    "line",
    [
        "click>=8.5 --hash=sha256:" + "0" * 64,
        "click==8.5.1",
        "click==8.5.1 --hash=sha256:" + "0" * 63,
        "--find-links /somewhere",
        "-e .",
        "click @ https://registry.example/click.whl --hash=sha256:" + "0" * 64,
    ],
)
def test_a_loose_requirement_is_found(line: str) -> None:
    """The check above turns red on a range, a missing or short hash, an option, a path and an address."""
    with pytest.raises(AssertionError):
        pins_of(line)


def test_files_agree_on_shared_packages() -> None:
    """A package that two files need has one version in both, so that one installation satisfies them."""
    runtime, dev = pins_of(read("runtime.txt")), pins_of(read("dev.txt"))
    differing = {name for name in runtime.keys() & dev.keys() if runtime[name] != dev[name]}
    assert not differing


def test_package_needs_are_pinned() -> None:
    """Each dependency in pyproject.toml is pinned for the runtime, at a version that its range allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pins = pins_of(read("runtime.txt"))
    for need in map(Requirement, project["dependencies"]):
        assert need.specifier.contains(pins[canonicalize_name(need.name)]), need


def test_package_names_all_it_needs() -> None:
    """What runtime.in asks for is what pyproject.toml asks for: neither knows a package the other lacks."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = {Requirement(line).name for line in lines_of(read("runtime.in"))}
    assert asked == {Requirement(line).name for line in project["dependencies"]}
