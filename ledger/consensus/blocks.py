"""The blocks above the last committed one, as far as agreement must know them.

A block becomes known by a leader's proposal or by a certificate, never by hearsay; so its
number is bounded by views and quorums. Bodies stay with the driver.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from ledger.block import Header, block_id
from ledger.consensus.events import BlockFacts, Peer
from ledger.types import BlockId, Height, TimeMs, View

ANCESTORS_FETCHED_MAX: Final = (
    64  # a longer chain of missing ancestors is for the sync, which goes oldest first
)


class BodyState(Enum):
    """How far a block has come on this node."""

    WANTED = "wanted"  # its body is being looked for
    AT_HAND = "at hand"  # not checked yet
    CHECKING = "checking"
    VALID = "valid"
    INVALID = "invalid"  # for good


@dataclass(slots=True)
class KnownBlock:
    """A block above the committed one. `header`, and `facts` from it, are None until its header is known.

    `view` is the latest in which it was proposed or certified. `may_be_checked` says that
    its place in the chain is proved: its proposal's certificates are held, or it has one itself.
    `is_waiting`: it was asked for, or its check was put off; the next retry asks again.
    `is_kept`: its body is durable, or will be before this step says anything.
    """

    block_id: BlockId
    view: View
    header: Header | None = None
    facts: BlockFacts | None = None
    state: BodyState = BodyState.WANTED
    is_waiting: bool = False
    is_certified: bool = False
    may_be_checked: bool = False
    is_kept: bool = False
    attempts: int = 0
    sources: tuple[Peer, ...] = ()

    def learn(self, header: Header) -> None:
        """Take in the header; the caller has seen that it is this block's."""
        self.header, self.facts = header, facts_of(header)


def facts_of(header: Header) -> BlockFacts:
    """What agreement needs to know of a header."""
    return BlockFacts(
        block_id(header), BlockId(header.parent_id), Height(header.height), TimeMs(header.time_ms)
    )


class BlockTree:
    """The committed block, and what may follow it."""

    def __init__(self, committed: BlockFacts) -> None:
        self.committed = committed
        self.committed_view = View(0)
        self._blocks: dict[BlockId, KnownBlock] = {}

    def get(self, wanted: BlockId) -> KnownBlock | None:
        """What is known of a block above the committed one."""
        return self._blocks.get(wanted)

    def note(self, wanted: BlockId, view: View) -> KnownBlock:
        """Make a block known, or known in a later view."""
        known = self._blocks.setdefault(wanted, KnownBlock(wanted, view))
        known.view = max(known.view, view)
        return known

    def all(self) -> tuple[KnownBlock, ...]:
        """Every known block, in the order they became known."""
        return tuple(self._blocks.values())

    def facts(self, wanted: BlockId) -> BlockFacts | None:
        """The facts of the committed block or one above it."""
        if wanted == self.committed.block_id:
            return self.committed
        known = self._blocks.get(wanted)
        return None if known is None else known.facts

    def is_valid(self, wanted: BlockId) -> bool:
        """Whether the block is committed as the last one, or its body was found valid."""
        if wanted == self.committed.block_id:
            return True
        known = self._blocks.get(wanted)
        return known is not None and known.state is BodyState.VALID

    def is_invalid(self, wanted: BlockId) -> bool:
        """Whether the block's body was found invalid."""
        known = self._blocks.get(wanted)
        return known is not None and known.state is BodyState.INVALID

    def path(self, last: BlockId) -> tuple[BlockFacts, ...] | None:
        """The valid blocks after the committed one up to `last`, oldest first.

        None while one of them is unknown or not valid yet. The caller sees by the first one's
        parent whether the path begins at the committed block.
        """
        blocks: list[BlockFacts] = []
        wanted = last
        while wanted != self.committed.block_id:
            known = self._blocks.get(wanted)
            if known is None or known.facts is None or known.state is not BodyState.VALID:
                return None
            blocks.append(known.facts)
            wanted = known.facts.parent_id
        return tuple(reversed(blocks))

    def commit(self, facts: BlockFacts, view: View) -> None:
        """Move the committed block up; drop what it made history, siblings too."""
        self.committed, self.committed_view = facts, view
        for known in self.all():
            is_past = known.view <= view if known.facts is None else known.facts.height <= facts.height
            if is_past:
                del self._blocks[known.block_id]
