"""What a stopped node left on its disk, read from a copy: the checker changes nothing of what it judges."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.codec import decode
from ledger.consensus.records import HeldCertificate, HeldProposal, OwnProposal, OwnVote, decode_record
from ledger.recovery import is_recovery
from ledger.types import QUORUM_CERTIFICATE_BYTES_MAX, ChainId, Height
from ledger.vote import Certificate
from network.chaos.statements import Statement, of_certificate, of_proposal, of_vote
from node.consensus_log import RECORD
from node.home import Home
from node.store.blocks import BlockStore, StoredBlock
from node.store.journal import JOURNAL_BYTES_MAX, read_journal
from node.store.stores import BLOCKS_FOLDER, STATE_FOLDER, open_stores

_COPIED: Final = (BLOCKS_FOLDER, STATE_FOLDER)


@dataclass(frozen=True, slots=True)
class Remains:
    """One node after its end.

    blocks: from block 0 up; each hashes to its id, its body to its header.
    state_height, state_root: what its state stands after; the root was computed again from every value.
    statements: what its consensus logs and its blocks' certificates say was signed, by whomever.
    """

    node: str
    blocks: tuple[StoredBlock, ...]
    state_height: int
    state_root: bytes
    statements: tuple[Statement, ...]


def read_remains(node: str, home: Home, chain: ChainId, kept_logs: tuple[Path, ...] = ()) -> Remains:
    """Read everything that a stopped node holds.

    Args:
        kept_logs: consensus logs that it had before a fault took them away.

    Raises:
        StoreError: what is there does not open, or is damaged.
    """
    with tempfile.TemporaryDirectory(prefix="farmgate-remains-") as scratch:
        for name in _COPIED:
            shutil.copytree(home.data / name, Path(scratch) / name)
        with closing(open_stores(Path(scratch), chain, on_failure=lambda failure: None)) as stores:
            blocks = []
            for height in range(stores.blocks.head[0] + 1):
                stored = stores.blocks.stored(Height(height))
                assert stored is not None, "at or below the head"
                blocks.append(stored)
            for _ in stores.state.audit():
                pass
            statements = [*_of_blocks(stores.blocks, blocks)]
            state_height, state_root = stores.state.head.height, bytes(stores.state.tree.root)
    logs = (home.consensus_log, *kept_logs)
    statements += [each for path in logs for each in _of_log(path)]
    return Remains(node, tuple(blocks), state_height, state_root, tuple(dict.fromkeys(statements)))


def _of_blocks(stores: BlockStore, blocks: list[StoredBlock]) -> Iterator[Statement]:
    """What stands in the certificates of the blocks, and in those that are kept for disputes."""
    held = [
        each
        for stored in blocks
        for each in (stored.block.last_certificate, stored.finalization, stored.covering)
    ]
    for epoch in range(blocks[-1].block.header.epoch + 1):
        held += stores.settled.all_of(epoch)
    for data in dict.fromkeys(held):
        if data and not is_recovery(data):
            yield from of_certificate(decode(data, Certificate, QUORUM_CERTIFICATE_BYTES_MAX))


def _of_log(path: Path) -> Iterator[Statement]:
    """What a consensus log holds, dropped records included: it is rewritten only when it is large."""
    with path.open("rb") as file:
        data = file.read(JOURNAL_BYTES_MAX)
    for entry in read_journal(path, data)[1]:
        if entry.kind != RECORD:
            continue
        match decode_record(entry.payload):
            case OwnVote(signed=vote):
                yield of_vote(vote)
            case OwnProposal(signed=proposal):
                yield of_proposal(proposal)
            case HeldProposal(message=message):
                yield of_proposal(message.signed)
            case HeldCertificate(certificate=certificate):
                yield from of_certificate(certificate)
            case _:
                pass
