"""The named queries of a site: a small file in its home, replaced as a whole.

What a client was told is durable: the new file is synced before it takes the old one's place, and its name
after. A crash in between leaves the old file whole. The site keeps at most QUERIES_MAX of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from contracts.epcis.canonical_json import JsonObject, canonical, parse
from ledger.errors import LedgerError
from node.store.disk import Disk, replace_file

FILE_NAME: Final = "queries.json"
QUERIES_MAX: Final = 256  # of a site; each costs a subscriber's or a report's worth of thought
QUERY_BYTES_MAX: Final = 8 << 10  # canonical JSON of one query: 64 parameters with a short list each
NAME_LENGTH_MAX: Final = 128
FILE_BYTES_MAX: Final = 4 << 20
FILE_VERSION: Final = 1
RESERVED: Final = "SimpleEventQuery"  # the standard's own name for a query that nobody named


class NamedQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A query by name; `text` is its canonical JSON."""

    name: Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH_MAX)]
    text: Annotated[str, Meta(max_length=QUERY_BYTES_MAX)]

    @property
    def query(self) -> JsonObject:
        """The query's JSON, every number exact."""
        value = parse(self.text.encode(), QUERY_BYTES_MAX)
        assert isinstance(value, dict), "it was an object when it was stored"
        return value


Known: TypeAlias = "dict[str, NamedQuery]"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    queries: Annotated[tuple[NamedQuery, ...], Meta(max_length=QUERIES_MAX)]


class NamedQueries:
    """The queries of one home. Changes come one after the other; the disk is waited for elsewhere."""

    def __init__(self, home: Path, disk: Disk) -> None:
        self._path = home / FILE_NAME
        self._disk = disk
        self._changing = asyncio.Lock()
        self._work: set[asyncio.Task[None]] = set()  # changes that are being made, whoever waits
        self._known: Known | None = None

    def all(self) -> list[NamedQuery]:
        """Every query, by name.

        Raises:
            LedgerError: `query.file_damaged`.
        """
        known = self._load()
        return [known[name] for name in sorted(known)]

    def get(self, name: str) -> NamedQuery:
        """One query.

        Raises:
            LedgerError: `query.unknown`, `query.file_damaged`.
        """
        found = self._load().get(name)
        if found is None:
            raise LedgerError("query.unknown", "no query has this name")
        return found

    async def add(self, name: str, query: JsonObject) -> None:
        """Keep a query; when this returns it survives a power cut.

        Raises:
            LedgerError: `query.exists`, `query.too_many`, `query.too_complex`, `query.file_damaged`.
        """
        text = canonical(query)
        if len(text) > QUERY_BYTES_MAX:
            raise LedgerError(
                "query.too_complex", f"{len(text)} bytes, at most {QUERY_BYTES_MAX} are kept", "/query"
            )

        def added(known: Known) -> Known:
            if name in known or name == RESERVED:
                raise LedgerError("query.exists", "a query has this name already", "/name")
            if len(known) >= QUERIES_MAX:
                raise LedgerError("query.too_many", f"{len(known)} queries, at most {QUERIES_MAX} are kept")
            return {**known, name: NamedQuery(name, text.decode())}

        await self._change(added)

    async def remove(self, name: str) -> None:
        """Forget a query.

        Raises:
            LedgerError: `query.unknown`, `query.file_damaged`.
        """

        def removed(known: Known) -> Known:
            self.get(name)
            return {each: query for each, query in known.items() if each != name}

        await self._change(removed)

    def _load(self) -> Known:
        if self._known is None:
            self._known = self._read()
        return self._known

    def _read(self) -> Known:
        try:
            data = self._disk.read(self._path, FILE_BYTES_MAX)
        except FileNotFoundError:
            return {}
        try:
            if len(data) > FILE_BYTES_MAX:
                raise ValueError(f"more than {FILE_BYTES_MAX} bytes")
            kept = msgspec.json.decode(data, type=_File)
            if kept.version != FILE_VERSION:
                raise ValueError(f"version {kept.version}, expected {FILE_VERSION}")
            for each in kept.queries:
                parse(each.text.encode(), QUERY_BYTES_MAX)
        except (ValueError, msgspec.MsgspecError, LedgerError) as problem:
            raise LedgerError("query.file_damaged", f"{FILE_NAME} of this home: {problem}") from None
        return {each.name: each for each in kept.queries}

    async def _change(self, make: Callable[[Known], Known]) -> None:
        """Change what is kept. A client that goes away meanwhile does not leave disk and memory apart."""
        work = asyncio.create_task(self._replace(make))
        self._work.add(work)
        work.add_done_callback(self._work.discard)
        await asyncio.shield(work)

    async def _replace(self, make: Callable[[Known], Known]) -> None:
        async with self._changing:
            queries = make(self._load())
            kept = _File(FILE_VERSION, tuple(queries[name] for name in sorted(queries)))
            await asyncio.to_thread(replace_file, self._disk, self._path, msgspec.json.encode(kept))
            self._known = queries
