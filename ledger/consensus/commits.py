"""Making final blocks history: ancestors oldest first, each once, siblings dropped.

Source: docs/spec/consensus.md, rules F1-F6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ledger.consensus.events import Behind, BlockFacts, Commit, DropRecords, Halt
from ledger.consensus.state import State
from ledger.types import BlockId, View
from ledger.vote import Certificate

BEHIND_VIEWS: Final = 16  # further behind than this, syncing by certificates beats fetching block by block


class Commits:
    """Brings the committed block up to the highest finalization."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._behind_said_view = View(0)
        self._has_halted = False

    def advance(self) -> bool:
        """Commit what the highest finalization covers, if all of it is valid here. True if it was."""
        state = self._state
        final, final_id = state.certificates.final, state.certificates.final_id
        if final is None or final.view <= state.blocks.committed_view or self._is_diverged(final_id):
            return False
        path = state.blocks.path(final_id)
        if path is None:
            if (
                final.view - state.blocks.committed_view > BEHIND_VIEWS
                and self._behind_said_view < final.view
            ):
                self._say_behind(final)
            return False
        settled = self._settled(path, final)
        for facts in path:
            last = settled if facts is path[-1] else ()
            state.out.emit(Commit(facts.block_id, facts.height, final, last))
        self._committed(path[-1] if path else state.blocks.committed, final.view)
        return True

    def retry(self) -> None:
        """A final block that this node still can't commit by itself: ask the driver to sync."""
        final = self._state.certificates.final
        if final is not None and final.view > self._state.blocks.committed_view:
            self._say_behind(final)

    def synced(self, head: BlockFacts, view: View) -> None:
        """The driver committed up to `head`, final in `view`."""
        blocks = self._state.blocks
        assert view <= self._state.certificates.final_view, "a sync ends at a finalization that was named"
        if head.height > blocks.committed.height:
            self._committed(head, view)

    def _say_behind(self, final: Certificate) -> None:
        self._behind_said_view = final.view
        self._state.out.emit(Behind(final))

    def _settled(self, path: Sequence[BlockFacts], final: Certificate) -> tuple[Certificate, ...]:
        """What settled each view since the last commit, where this node saw it."""
        blocks, certificates = self._state.blocks, self._state.certificates
        chain = [blocks.committed.block_id, *(facts.block_id for facts in path)]
        views = range(blocks.committed_view + 1, final.view)
        found = (certificates.settling(View(view), chain) for view in views)
        return (*(each for each in found if each is not None), final)

    def _committed(self, facts: BlockFacts, view: View) -> None:
        state = self._state
        state.blocks.commit(facts, view)
        state.certificates.prune(view)
        state.prune(view)
        state.pacemaker.committed(state.now_ms)
        state.out.emit(DropRecords(state.epoch, view))

    def _is_diverged(self, final_id: BlockId) -> bool:
        """A quorum finalized what this node's own execution refuses: one of the two is wrong, so stop."""
        if not self._state.blocks.is_invalid(final_id):
            return False
        if not self._has_halted:
            self._has_halted = True
            problem = f"block {final_id.hex()} is final and invalid here"
            self._state.out.emit(Halt("consensus.diverged", problem))
        return True
