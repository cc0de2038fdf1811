"""A profile: which nodes to talk to, for whom to act, and with which key.

    chain_id = "64 hex digits"         refuse to sign for any other chain
    nodes = ["http://127.0.0.1:26600"] asked in this order; the next one where one is out of reach
    organisation = "fresh-pack"
    key_file = "keys/fresh-pack.key"   from the folder of the profile
    token_file = "keys/fresh-pack.token"
    site = "https://id.gs1.org/414/..."  where `farmgate record` says that things happen
    valid_blocks = 500                 how long a transaction stays valid

All but `nodes` may be absent. A profile holds no secret: keys and tokens are files of their own.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from ledger.errors import LedgerError

FILE_BYTES_MAX: Final = 64 << 10
NODES_MAX: Final = 32
VALID_BLOCKS_DEFAULT: Final = 500  # below the replay window of 600 that a genesis has by default
VALID_BLOCKS_MAX: Final = 100_000

_CHAIN_ID = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_URL = re.compile(r"https?://[^\s/?#]+/?")


@dataclass(frozen=True, slots=True)
class Profile:
    """What the file says; "" stands for absent. `path` is the file itself, None where there is none."""

    nodes: tuple[str, ...]
    chain_id: str = ""
    organisation: str = ""
    key_file: str = ""
    token_file: str = ""
    site: str = ""
    valid_blocks: int = VALID_BLOCKS_DEFAULT
    path: Path | None = None

    def beside(self, name: str) -> Path:
        """A file that the profile names, from the profile's own folder."""
        assert self.path is not None, "a profile that names files came from a file"
        return self.path.parent / Path(name).expanduser()


FIELDS: Final = tuple(each.name for each in fields(Profile) if each.name != "path")


def profile_text(profile: Profile) -> str:
    """The TOML that says this; what is at its default is left out."""
    lines = []
    for name in ("chain_id", "organisation", "nodes", "key_file", "token_file", "site", "valid_blocks"):
        value = getattr(profile, name)
        if value and not (name == "valid_blocks" and value == VALID_BLOCKS_DEFAULT):
            shown = list(value) if isinstance(value, tuple) else value
            lines.append(f"{name} = {json.dumps(shown, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def read_profile(path: Path) -> Profile:
    """The profile in a file.

    Raises:
        LedgerError: `profile.missing`, `profile.unreadable`, `profile.malformed`, `profile.unknown_key`,
            `profile.wrong_value`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise LedgerError("profile.missing", f"{path} is not there") from None
    except OSError as problem:
        raise LedgerError("profile.unreadable", f"{path}: {problem.strerror}") from None
    if len(data) > FILE_BYTES_MAX:
        raise LedgerError("profile.malformed", f"{path}: more than {FILE_BYTES_MAX} bytes")
    try:
        document = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as problem:
        raise LedgerError("profile.malformed", f"{path}: {problem}") from None
    return parse_profile(document, path)


def parse_profile(document: Mapping[str, Any], path: Path) -> Profile:
    """The profile that a TOML document says.

    Raises:
        LedgerError: `profile.unknown_key`, `profile.wrong_value`.
    """
    for key in document:
        if key not in FIELDS:
            near = get_close_matches(key, FIELDS, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise LedgerError("profile.unknown_key", f"{path}: {key!r} is no key of a profile{hint}")
    texts = {
        key: _text(document, key, path)
        for key in ("chain_id", "organisation", "key_file", "token_file", "site")
    }
    _check(not texts["chain_id"] or _CHAIN_ID.fullmatch(texts["chain_id"]), path, "chain_id", "64 hex digits")
    _check(
        not texts["organisation"] or _NAME.fullmatch(texts["organisation"]), path, "organisation", "a name"
    )
    valid_blocks = document.get("valid_blocks", VALID_BLOCKS_DEFAULT)
    is_number = type(valid_blocks) is int and 1 <= valid_blocks <= VALID_BLOCKS_MAX
    _check(is_number, path, "valid_blocks", f"a number from 1 to {VALID_BLOCKS_MAX}")
    return Profile(nodes=_nodes(document, path), valid_blocks=valid_blocks, path=path, **texts)


def check_url(url: str, place: str) -> str:
    """The URL of a node without the last slash.

    Raises:
        LedgerError: `profile.wrong_value`.
    """
    if not _URL.fullmatch(url):
        raise LedgerError("profile.wrong_value", f"{place}: {url[:100]!r} is no http://host:port")
    return url.rstrip("/")


def _nodes(document: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    nodes = document.get("nodes")
    is_list = isinstance(nodes, list) and all(type(each) is str for each in nodes)
    _check(is_list and 1 <= len(nodes or ()) <= NODES_MAX, path, "nodes", f"a list of 1 to {NODES_MAX} URLs")
    return tuple(check_url(url, str(path)) for url in nodes or ())


def _text(document: Mapping[str, Any], key: str, path: Path) -> str:
    value = document.get(key, "")
    _check(type(value) is str and "\0" not in value, path, key, "a string")
    return str(value)


def _check(holds: object, path: Path, key: str, expected: str) -> None:
    if not holds:
        raise LedgerError("profile.wrong_value", f"{path}: {key} is not {expected}")
