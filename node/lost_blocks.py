"""Blocks that were lost below the state: the node finds its way back by itself, and to the same chain.

LevelDB is silent about a log that lost its end: the blocks open, shorter than they were, below a state that
rests on what is gone. A state can't go back, and the receipts of the lost blocks can't be had from a later
one. So what the state stood after is written down, the state begins at block 0 again, every stored block is
run, the lost ones are fetched and run like any other, and the last of them must be the very block that was
written down. Until then consensus does not start: nothing is voted for, built or promised.

A crash at any point costs time only: each step is one rename, and a start goes on from what it finds.

Source: docs/spec/storage.md, rules D2 and D9; docs/adr/0011-lost-blocks-are-run-again.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from ledger.block import Header, block_id
from ledger.codec import Canonical, decode, encode
from ledger.errors import LedgerError
from ledger.genesis import Genesis
from ledger.types import BlockId, Bytes32, Counter, Height
from node.driver import NodeHalted
from node.founding import found_state
from node.home import Home, set_aside
from node.logging import log, logger
from node.store.blocks import BlockStore
from node.store.disk import Disk, LocalDisk, replace_file
from node.store.failure import StoreCorrupted
from node.store.state import StateHead
from node.store.stores import STATE_FOLDER, Stores

LOG: Final = logger("store")
MARK_FILE: Final = "blocks.lost"
_MARK_BYTES_MAX: Final = 64


class _Mark(Canonical):
    """The block that the state stood after when blocks below it were missing."""

    height: Counter
    block_id: Bytes32


class LostBlocks:
    """What has to be here again before the node takes part."""

    def __init__(self, disk: Disk, path: Path, mark: _Mark) -> None:
        self._disk = disk
        self._path = path
        self.height = Height(mark.height)
        self._block_id = BlockId(mark.block_id)

    def check(self, header: Header) -> None:
        """Refuse another block in the place of the one that this node once made final.

        Raises:
            NodeHalted: `store.diverged`.
        """
        if header.height == self.height and block_id(header) != self._block_id:
            raise NodeHalted(
                "store.diverged",
                f"height {self.height} was final here as {self._block_id.hex()}, the network's certificates "
                f"name {block_id(header).hex()}: ask the other operators; {self._path} holds what was here",
            )

    def forget_if_regained(self, blocks: BlockStore) -> bool:
        """Whether the blocks are here again; then the mark is removed, durably.

        Raises:
            NodeHalted: `store.diverged`.
        """
        header = blocks.header(self.height)
        if header is None:
            return False
        self.check(header)
        self._disk.remove(self._path)
        self._disk.sync_folder(self._path.parent)
        log(LOG, logging.WARNING, "lost blocks are here again", height=self.height)
        return True


def open_whole(
    home: Home, genesis: Genesis, opened: Callable[[], Stores]
) -> tuple[Stores, LostBlocks | None]:
    """The stores, state at most as high as the blocks, and what is to be fetched before the node takes part.

    Args:
        opened: opens the stores of the home.

    Raises:
        StoreError: as `opened`, and where the mark is damaged.
        NodeHalted: `store.diverged`.
        OSError
    """
    lost = read_mark(home)
    if lost is not None and not (home.data / STATE_FOLDER).exists():
        found_state(home.data, genesis)  # the process ended between the two renames
    stores = opened()
    missing = stores.gap.refetch
    if missing:
        head = stores.state.head
        stores.close()
        log(LOG, logging.CRITICAL, "blocks lost below the state", first=missing.start, last=missing.stop - 1)
        lost = begin_again(home, genesis, head)
        stores = opened()
    with ExitStack() as opening:
        opening.callback(stores.close)
        if lost is not None and lost.forget_if_regained(stores.blocks):
            lost = None
        opening.pop_all()  # they stay open
    return stores, lost


def begin_again(home: Home, genesis: Genesis, head: StateHead) -> LostBlocks:
    """Write down what the state stands after, set it aside, and put the state of block 0 in its place."""
    lost = write_mark(LocalDisk(), home.data / MARK_FILE, head)
    aside = set_aside(home.data / STATE_FOLDER)
    log(LOG, logging.WARNING, "state set aside", path=aside, height=head.height)
    found_state(home.data, genesis)
    return lost


def write_mark(disk: Disk, path: Path, head: StateHead) -> LostBlocks:
    """Write down what the state stands after, unless an earlier start has written down more."""
    lost = mark_at(disk, path)
    if lost is None or lost.height < head.height:
        mark = _Mark(head.height, head.block_id)
        replace_file(disk, path, encode(mark))
        lost = LostBlocks(disk, path, mark)
    return lost


def read_mark(home: Home) -> LostBlocks | None:
    """What an earlier start of a home wrote down and has not regained.

    Raises:
        StoreCorrupted: it is not what was written.
    """
    return mark_at(LocalDisk(), home.data / MARK_FILE)


def mark_at(disk: Disk, path: Path) -> LostBlocks | None:
    """What is written down there, if anything.

    Raises:
        StoreCorrupted: it is not what was written.
    """
    try:
        data = disk.read(path, _MARK_BYTES_MAX)
    except FileNotFoundError:
        return None
    try:
        return LostBlocks(disk, path, decode(data, _Mark, _MARK_BYTES_MAX))
    except LedgerError as refusal:
        raise StoreCorrupted(path, "the mark", str(refusal)) from None
