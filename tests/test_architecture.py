"""The house keeps its rules: floors, listed libraries, and nothing on the lower two that could differ.

Each rule is also shown to fail on planted lines that break it, and to leave honest code alone.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture import (
    FLOORS,
    RULES,
    Module,
    Rule,
    clocks_are_unread,
    doors_are_used,
    floats_are_absent,
    identity_is_unread,
    imports_go_down,
    imports_of,
    is_within,
    libraries_are_listed,
    names_say_something,
    sets_are_sorted,
    world_is_outside,
)

ROOT = Path(__file__).resolve().parent.parent

PLANTED: tuple[tuple[Rule, str, str], ...] = (
    (imports_go_down, "ledger/state.py", "import contracts"),
    (imports_go_down, "ledger/state.py", "from contracts.api import table"),
    (imports_go_down, "ledger/state.py", "import nodes_are_fine, node.store"),
    (imports_go_down, "ledger/consensus/machine.py", "def late():\n    from node import driver"),
    (
        imports_go_down,
        "ledger/types.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import cli",
    ),
    (imports_go_down, "contracts/api.py", "from node.store import Store"),
    (imports_go_down, "node/driver.py", "from network import simulator"),
    (imports_go_down, "network/testnet.py", "import cli.main"),
    (imports_go_down, "cli/main.py", "from tests import unordered"),
    (libraries_are_listed, "ledger/types.py", "import time"),
    (libraries_are_listed, "ledger/types.py", "from random import randbytes"),
    (libraries_are_listed, "ledger/types.py", "import os.path"),
    (libraries_are_listed, "ledger/types.py", "def late():\n    import socket"),
    (libraries_are_listed, "ledger/types.py", "import asyncio"),
    (libraries_are_listed, "ledger/types.py", "import logging"),
    (libraries_are_listed, "ledger/types.py", "from pathlib import Path"),
    (libraries_are_listed, "ledger/types.py", "import secrets"),
    (libraries_are_listed, "ledger/types.py", "import importlib"),
    (libraries_are_listed, "ledger/types.py", "import json"),
    (libraries_are_listed, "ledger/types.py", "import datetime"),
    (libraries_are_listed, "ledger/types.py", "import pydantic"),
    (libraries_are_listed, "contracts/items.py", "import uuid"),
    (libraries_are_listed, "contracts/items.py", "import urllib.request"),
    (libraries_are_listed, "contracts/items.py", "from urllib import request"),
    (libraries_are_listed, "contracts/items.py", "import aiohttp"),
    (doors_are_used, "ledger/vote.py", "import nacl.bindings"),
    (doors_are_used, "ledger/crypto/door.py", "from nacl.signing import SigningKey"),
    (doors_are_used, "node/p2p/peers.py", "from nacl import bindings"),
    (doors_are_used, "node/api/items.py", "import plyvel"),
    (doors_are_used, "node/storefront.py", "import plyvel"),
    (floats_are_absent, "ledger/block.py", "LIMIT = 0.5"),
    (floats_are_absent, "ledger/block.py", "LIMIT = 1e9"),
    (floats_are_absent, "ledger/block.py", "LIMIT = 2j"),
    (floats_are_absent, "ledger/block.py", "def half(x: int) -> int:\n    return int(float(x))"),
    (floats_are_absent, "ledger/block.py", "values = list(map(float, values))"),
    (floats_are_absent, "ledger/block.py", "class Weight:\n    kg: float"),
    (floats_are_absent, "ledger/block.py", "third = stake / 3"),
    (floats_are_absent, "ledger/block.py", "stake /= 3"),
    (floats_are_absent, "ledger/block.py", "same = x == float(y)"),
    (floats_are_absent, "contracts/items.py", "import json\nvalue = json.loads(text)"),
    (identity_is_unread, "ledger/state.py", "bucket = hash(key) % 16"),
    (identity_is_unread, "ledger/state.py", "rows = sorted(rows, key=id)"),
    (identity_is_unread, "contracts/items.py", "seen = {id(item)}"),
    (identity_is_unread, "contracts/items.py", "bucket = key.__hash__()"),
    (world_is_outside, "ledger/genesis.py", "text = open('genesis.json')"),
    (world_is_outside, "ledger/genesis.py", "print('started')"),
    (world_is_outside, "ledger/genesis.py", "clock = __import__('time')"),
    (world_is_outside, "contracts/items.py", "value = eval(text)"),
    (clocks_are_unread, "contracts/events.py", "from datetime import UTC, datetime\nat = datetime.now(UTC)"),
    (clocks_are_unread, "contracts/events.py", "import datetime as dt\nat = dt.datetime.utcnow()"),
    (clocks_are_unread, "contracts/events.py", "from datetime import date\nday = date.today()"),
    (
        clocks_are_unread,
        "contracts/events.py",
        "from datetime import datetime\nat = datetime.fromtimestamp(0)",
    ),
    (clocks_are_unread, "contracts/events.py", "from datetime import datetime\nseconds = at.timestamp()"),
    (clocks_are_unread, "contracts/events.py", "from datetime import datetime\nat = at.astimezone()"),
    (sets_are_sorted, "ledger/tally.py", "for key in {b'a', b'b'}:\n    use(key)"),
    (sets_are_sorted, "ledger/tally.py", "for key in set(keys):\n    use(key)"),
    (sets_are_sorted, "ledger/tally.py", "for key in frozenset(keys):\n    use(key)"),
    (sets_are_sorted, "ledger/tally.py", "for key in {k for k in keys}:\n    use(key)"),
    (sets_are_sorted, "ledger/tally.py", "rows = [use(key) for key in set(keys)]"),
    (sets_are_sorted, "ledger/tally.py", "rows = {key: 1 for key in set(keys)}"),
    (sets_are_sorted, "ledger/tally.py", "rows = tuple(use(key) for key in set(keys))"),
    (sets_are_sorted, "ledger/tally.py", "rows = b''.join(set(keys))"),
    (sets_are_sorted, "ledger/tally.py", "rows = list({*keys})"),
    (sets_are_sorted, "ledger/tally.py", "rows = [*set(keys)]"),
    (sets_are_sorted, "ledger/tally.py", "use(*set(keys))"),
    (sets_are_sorted, "ledger/tally.py", "one, two = {1, 2}"),
    (sets_are_sorted, "ledger/tally.py", "first = next(iter(set(keys)))"),
    (sets_are_sorted, "ledger/tally.py", "first = set(keys).pop()"),
    (sets_are_sorted, "ledger/tally.py", "def each(keys):\n    yield from set(keys)"),
    (sets_are_sorted, "ledger/tally.py", "for key in set(a).union(b):\n    use(key)"),
    (sets_are_sorted, "ledger/tally.py", "for key in (set(a) if a else set(b)):\n    use(key)"),
    (sets_are_sorted, "ledger/tally.py", "for key in a.keys() - b.keys():\n    use(key)"),
    (
        sets_are_sorted,
        "ledger/tally.py",
        "def f(keys: set[bytes] | None) -> None:\n    for key in keys:\n        use(key)",
    ),
    (sets_are_sorted, "ledger/tally.py", "NAMES: Final[frozenset[str]] = names()\nrows = list(NAMES)"),
    (sets_are_sorted, "ledger/tally.py", "def f(a, b):\n    x = set(a)\n    y = x | b\n    return list(y)"),
    (sets_are_sorted, "ledger/tally.py", "NAMES = {1, 2}\ndef f():\n    return [n for n in NAMES]"),
    (
        sets_are_sorted,
        "ledger/tally.py",
        "class T:\n    seen: set[int]\n    def f(self):\n        return list(self.seen)",
    ),
    (
        sets_are_sorted,
        "ledger/tally.py",
        "class T:\n    def f(self):\n        self.s = set()\n        return list(self.s)",
    ),
    (sets_are_sorted, "ledger/tally.py", "def voters() -> set[int]: ...\nrows = list(voters())"),
    (sets_are_sorted, "ledger/tally.py", "def f(a):\n    x = set(a)\n    def g():\n        return list(x)"),
    (sets_are_sorted, "ledger/tally.py", "def f(a: frozenset):\n    return list(a)"),
    (sets_are_sorted, "ledger/tally.py", "for key in (seen := set(keys)):\n    use(key)"),
    (sets_are_sorted, "ledger/tally.py", "count = len(seen := set(keys))\nrows = list(seen)"),
    (
        sets_are_sorted,
        "ledger/tally.py",
        "class T:\n    @property\n    def s(self) -> set[int]: ...\nx = list(t.s)",
    ),
    (
        sets_are_sorted,
        "ledger/tally.py",
        "class T:\n    def f(self):\n        self.s: set[int] = g()\nx = list(t.s)",
    ),
    (sets_are_sorted, "contracts/items.py", "for key in set(keys):\n    use(key)"),
    (names_say_something, "node/utils.py", ""),
    (names_say_something, "contracts/helpers/items.py", ""),
)

HONEST: tuple[tuple[str, str], ...] = (
    ("ledger/crypto.py", "import hashlib\nimport nacl.bindings as sodium"),
    (
        "ledger/consensus/machine.py",
        "from . import events\nfrom ..types import Height\nfrom ledger.vote import Vote",
    ),
    ("contracts/items.py", "from ledger.state import Table\nimport json\nfrom urllib.parse import unquote"),
    ("contracts/items.py", "from urllib import parse"),
    ("contracts/items.py", "import json\nvalue = json.loads(text, parse_float=Decimal)"),
    ("contracts/events.py", "from datetime import timezone\nat = at.astimezone(timezone.utc)"),
    ("ledger/consensus/machine.py", "deadline = clock.now() + limit // 2"),
    ("ledger/codec.py", "if isinstance(x, (int, float)) or type(x) is float:\n    refuse(x)"),
    ("ledger/codec.py", "match x:\n    case float():\n        refuse(x)"),
    ("ledger/tally.py", "for key in sorted(set(keys)):\n    use(key)"),
    ("ledger/tally.py", "stake = sum(weight(v) for v in set(voters))\nknown = 3 in {1, 2, 3}"),
    (
        "ledger/tally.py",
        "heights = {v.height for v in set(votes)}\nmost = max(heights)\ncount = len(heights)",
    ),
    ("ledger/tally.py", "rows = sorted(k.name for k in a.keys() - b.keys())"),
    ("ledger/tally.py", "for key in mapping.keys():\n    use(key)\nlast = rows.pop()"),
    ("ledger/tally.py", "def f():\n    x = set()\ndef g(x: list[int]):\n    return [y for y in x]"),
    (
        "ledger/types.py",
        "class Transaction:\n    id: bytes\n    def hash(self):\n        return digest(self.id)",
    ),
    (
        "node/store/leveldb.py",
        "import plyvel, time, os\nfrom ledger.block import Block\nprint(time.time() / 2)",
    ),
    ("cli/main.py", "import network, node, contracts, ledger, click"),
)


@pytest.fixture(scope="module")
def house() -> tuple[Module, ...]:
    """Every source file of the five floors."""
    paths = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
    return tuple(Module(path.relative_to(ROOT).as_posix(), path.read_text("utf-8")) for path in paths)


def test_every_floor_is_read(house: tuple[Module, ...]) -> None:
    """The rules look at real code: each floor has a module, and the door to cryptography is one of them."""
    assert {module.floor for module in house} == set(FLOORS)
    assert "ledger/crypto.py" in {module.path for module in house}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_house_keeps_the_rule(rule: Rule, house: tuple[Module, ...]) -> None:
    """No module of the house breaks the rule."""
    findings = sorted(finding for module in house for finding in rule(module))
    assert not findings, "\n".join(["", *map(str, findings)])


def test_one_file_opens_the_store(house: tuple[Module, ...]) -> None:
    """plyvel is imported in at most one file, so that one class decides what a failed write means."""
    importers = [
        m.path for m in house if any(is_within(name, frozenset({"plyvel"})) for _, name in imports_of(m))
    ]
    assert len(importers) <= 1, importers


@pytest.mark.parametrize(("rule", "path", "source"), PLANTED)
def test_planted_fault_is_found(rule: Rule, path: str, source: str) -> None:
    """Each rule turns red on code that breaks it, so a green run of it means something."""
    assert list(rule(Module(path, source)))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_rule_has_a_planted_fault(rule: Rule) -> None:
    """A rule that nobody has seen fail is not a rule."""
    assert any(planted is rule for planted, _, _ in PLANTED)


@pytest.mark.parametrize(("path", "source"), HONEST)
def test_honest_code_is_left_alone(path: str, source: str) -> None:
    """Code that keeps the rules is not refused: a check that cries wolf gets switched off."""
    assert not [finding for rule in RULES for finding in rule(Module(path, source))]
