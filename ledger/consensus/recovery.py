"""Starting again: what the log gives back, and when a doubtful signer may sign.

Replaying restores what was known and promised; it says nothing. A restored promise never
means "already sent": the resends say it again.

Source: docs/spec/consensus.md, rules Q1-Q5.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ledger.consensus.bodies import Bodies
from ledger.consensus.records import HeldCertificate, HeldProposal, OwnVote, Record, record_position
from ledger.consensus.state import State
from ledger.types import View

VIEWS_VOTED_AHEAD: Final = 1
"""How far above the highest reported entry this node may have voted before it lost its record.

It entered view u by a certificate of u - 1, which maybe it alone held. Honest validators with more
than a third of the stake voted in u - 1, so each entered by a certificate of u - 2 or above, and more
than two thirds of reports hold one of theirs: V >= u - 2. Safe is a finalization of u or above.
"""


def replay(state: State, bodies: Bodies, records: Iterable[Record]) -> None:
    """Put back the certificates, proposals and own votes of this epoch above the committed view."""
    for record in records:
        epoch, view = record_position(record)
        if epoch != state.epoch or view <= state.blocks.committed_view:
            continue
        match record:
            case HeldCertificate(certificate=certificate):
                state.certificates.add(certificate)
                if certificate.block_id is not None:
                    bodies.certified(certificate)
            case HeldProposal(message=message):
                state.round(view).proposal = message
                bodies.proposed(message, is_kept=True)
            case OwnVote(signed=signed) if signed.validator == state.me:
                state.tally.add(signed)
            case _:
                pass  # the signer reads its own records
    state.tally.prune(state.certificates.final_view)


class Quarantine:
    """Waits until nothing that this key may have signed can matter any more.

    The first report of each validator counts: V is fixed by the first ones from more than two
    thirds of the stake, and the chain then has to finalize above it.

    A last block proves nothing of the kind: this node may have held an earlier finalization of it,
    alone, and voted in the next epoch. So the epoch must go on above V; else the next one begins anew.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._entries: dict[int, int] = {}
        self._safe_above: View | None = None

    def report(self, validator: int, entry_view: int) -> None:
        """A validator said by which certificate it entered its view."""
        state = self._state
        if validator >= len(state.validators) or validator == state.me or self._safe_above is not None:
            return
        self._entries.setdefault(validator, entry_view)
        if state.validators.is_quorum(sum(state.validators.stake(index) for index in self._entries)):
            self._safe_above = View(max(self._entries.values()) + VIEWS_VOTED_AHEAD)

    def is_over(self) -> bool:
        """Whether a block, not the last, was committed above everything that this key may have signed."""
        state = self._state
        is_above = self._safe_above is not None and state.blocks.committed_view > self._safe_above
        return is_above and not state.is_over
