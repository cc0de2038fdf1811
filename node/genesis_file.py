"""genesis.json: the chain's first document as people read and compare it.

The file is the readable form (`ledger.readable`) of a `Genesis`. What counts is the value: its id
is the hash of the canonical encoding, whatever the layout of the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from ledger.codec import encode
from ledger.errors import LedgerError
from ledger.genesis import Genesis, chain_id, check_genesis
from ledger.readable import from_readable, to_readable
from ledger.types import GENESIS_BYTES_MAX, ChainId
from node.store.disk import Disk, LocalDisk, replace_file

FILE_BYTES_MAX: Final = 4 * GENESIS_BYTES_MAX  # hex doubles, names and indents add the rest
CHAIN_ID_FIELD: Final = "chain_id"


def genesis_text(genesis: Genesis) -> str:
    """The text of genesis.json. The chain's id stands first, for people to compare; reading checks it."""
    document = {CHAIN_ID_FIELD: chain_id(genesis).hex(), **to_readable(genesis)}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def parse_genesis(text: bytes) -> Genesis:
    """The genesis in the bytes of a genesis.json.

    Raises:
        LedgerError: `genesis.too_large`, `genesis.malformed` (no JSON, a name twice, too deep),
            `genesis.mismatch` (it names another id), a `readable.*` code, or what `check_genesis` refuses.
    """
    if len(text) > FILE_BYTES_MAX:
        raise LedgerError("genesis.too_large", f"more than {FILE_BYTES_MAX} bytes")
    try:
        document = json.loads(
            text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as problem:
        raise LedgerError("genesis.malformed", f"not JSON: {problem}") from None
    if not isinstance(document, dict):
        raise LedgerError("genesis.malformed", "not a JSON object")
    claimed = document.pop(CHAIN_ID_FIELD, None)
    genesis = from_readable(document, Genesis)
    if len(encode(genesis)) > GENESIS_BYTES_MAX:
        raise LedgerError("genesis.too_large", f"its encoding is larger than {GENESIS_BYTES_MAX} bytes")
    check_genesis(genesis)
    found = chain_id(genesis).hex()
    if claimed is not None and claimed != found:
        raise LedgerError(
            "genesis.mismatch", f"it says chain {claimed}, its content is chain {found}", f"/{CHAIN_ID_FIELD}"
        )
    return genesis


def read_genesis(path: Path) -> Genesis:
    """The genesis in a file.

    Raises:
        LedgerError: `genesis.missing`, `genesis.unreadable`, or as `parse_genesis`.
    """
    try:
        text = LocalDisk().read(path, FILE_BYTES_MAX)
    except FileNotFoundError:
        raise LedgerError("genesis.missing", f"{path} is not there") from None
    except OSError as problem:
        raise LedgerError("genesis.unreadable", f"{path}: {problem.strerror}") from None
    return parse_genesis(text)


def write_genesis(path: Path, genesis: Genesis, disk: Disk | None = None) -> None:
    """Write a genesis.json, whole and durable, unless the same chain's is there already.

    Raises:
        LedgerError: `genesis.mismatch`: another chain's is there; it is left alone.
        OSError
    """
    if path.exists():
        check_same_chain(path, chain_id(read_genesis(path)), chain_id(genesis))
        return
    replace_file(disk or LocalDisk(), path, genesis_text(genesis).encode())


def check_same_chain(place: Path | str, found: ChainId, expected: ChainId) -> None:
    """Refuse what belongs to another chain.

    Raises:
        LedgerError: `genesis.mismatch`.
    """
    if found != expected:
        raise LedgerError("genesis.mismatch", f"{place} is of chain {found.hex()}, expected {expected.hex()}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for name, value in pairs:
        if name in entries:
            raise ValueError(f"{name[:100]!r} stands twice in one object")
        entries[name] = value
    return entries


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
