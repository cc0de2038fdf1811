"""What became final, executed once more by the judge's own hands.

Nothing of the chain's code is used here: hashes, limits and order are written down again, so that
a rule which the chain forgets is missed by somebody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ledger.block import Block, Header, block_id
from network.simulator.disk import Committed

TRANSACTIONS_MAX: Final = 16
LANDING_SLACK_VIEWS: Final = 3  # views that are under way when a transaction comes

Violated = Callable[[str, str], None]


class History:
    """The one chain that all honest nodes share. `landing_views_max`: within so many views of being handed in
    a transaction is final somewhere; None where faults may delay it."""

    def __init__(self, base: Header, violated: Violated, landing_views_max: int | None = None) -> None:
        self._violated = violated
        self._landing_views_max = landing_views_max
        self._headers: dict[bytes, Header] = {block_id(base): base}
        self._seen_in_view: dict[bytes, int] = {}
        self._final_at: dict[bytes, int] = {}
        self._roots: dict[int, bytes] = {0: base.state_root}

    @property
    def transactions(self) -> int:
        """How many transactions are final."""
        return len(self._final_at)

    def submitted(self, transaction: bytes, view: int) -> None:
        """A client handed a transaction to an honest node in this view, by their number so far."""
        self._seen_in_view[transaction] = view

    def committed(self, index: int, block: Block, view: int) -> None:
        """An honest node made a block final in this view, by their number so far."""
        header = block.header
        identifier = block_id(header)
        if self._roots.setdefault(header.height, header.state_root) != header.state_root:
            self._violated("roots", f"node {index} has another state at height {header.height}")
        if identifier in self._headers:
            return
        problem = self._problem_of(block)
        if problem:
            self._violated("block", f"node {index} committed {header.height} with {problem}")
        self._headers[identifier] = header
        for transaction in block.transactions:
            self._final_at.setdefault(transaction, header.height)
            self._judge_landing(transaction, view)

    def _problem_of(self, block: Block) -> str:
        """What is wrong with a block on its parent, "" if nothing is."""
        header, parent = block.header, self._headers.get(block.header.parent_id)
        if parent is None:
            return "a parent that was never final"
        if header.height != parent.height + 1:
            return f"a height after {parent.height}"
        if header.time_ms <= parent.time_ms:
            return "a time that is not after its parent's"
        if header.transaction_count != len(block.transactions) or len(block.transactions) > TRANSACTIONS_MAX:
            return f"{len(block.transactions)} transactions"
        if any(each in self._final_at for each in block.transactions):
            return "a transaction that is final already"
        if header.transactions_root != _hash(*block.transactions):
            return "another body than its header's"
        if header.state_root != _hash(parent.state_root, *block.transactions):
            return "a wrong state root"
        if header.history_root != _hash(parent.history_root, header.parent_id):
            return "a wrong history root"
        return ""

    def _judge_landing(self, transaction: bytes, view: int) -> None:
        seen, most = self._seen_in_view.get(transaction), self._landing_views_max
        if seen is not None and most is not None and view - seen > most:
            self._violated("censored", f"a transaction of view {seen} was final in view {view}")

    def judge_end(self, chains: Mapping[int, Sequence[Committed]]) -> None:
        """Every transaction that was ever final stands on each honest disk that is as high, at its height."""
        for index, chain in sorted(chains.items()):
            held = {
                transaction: entry.block.header.height
                for entry in chain
                for transaction in entry.block.transactions
            }
            top = chain[-1].block.header.height
            lost = [each for each, at in self._final_at.items() if at <= top and held.get(each) != at]
            if lost:
                self._violated("lost", f"node {index} lacks {len(lost)} transactions that were final")


def landing_views(nodes: int) -> int:
    """Within how many views an honest leader has had its turn: liars lead less than a third of any row of
    views, give or take one turn each."""
    return nodes + LANDING_SLACK_VIEWS


def _hash(*parts: bytes) -> bytes:
    """SHA-256 over byte strings, each after its length in four bytes."""
    state = hashlib.sha256()
    for part in parts:
        state.update(len(part).to_bytes(4, "big"))
        state.update(part)
    return state.digest()
