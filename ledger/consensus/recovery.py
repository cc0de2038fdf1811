"""Starting again: what the log gives back, and when a doubtful signer may sign.

Replaying restores what was known and promised; it says nothing. A restored promise never
means "already sent": the resends say it again.

Source: docs/spec/consensus.md, rules Q1-Q9.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ledger.consensus.bodies import Bodies
from ledger.consensus.messages import StatusMessage
from ledger.consensus.records import HeldCertificate, HeldProposal, Record, record_position
from ledger.consensus.state import State
from ledger.types import View
from ledger.vote import Certificate, VoteKind

VIEWS_VOTED_AHEAD: Final = 2
"""How far above the highest reported entry this node may have voted before it lost its record.

It entered view u by a certificate of u - 1, which maybe it alone held. Honest validators with more
than a third of the stake voted in u - 1, so each entered by a certificate of u - 2 or above, and more
than two thirds of reports hold one of theirs: V >= u - 2. Safe is a finalization of u or above.
"""
CERTIFICATES_WITHOUT_KEY: Final = 6
"""So many certificates of V + 2 or above lack this key's signature before it signs again. Each would hold the
signature of another process that signs with the key with two chances in three or more."""


def replay(state: State, bodies: Bodies, records: Iterable[Record]) -> None:
    """Put back the certificates, proposals and own votes of this epoch above the committed view."""
    for record in records:
        epoch, view = record_position(record)
        if epoch != state.epoch or view <= state.blocks.committed_view:
            continue
        match record:
            case HeldCertificate(certificate=certificate) if certificate.vote.chain_id == state.chain_id:
                state.certificates.add(certificate)
                if certificate.block_id is not None:
                    bodies.certified(certificate)
            case HeldProposal(message=message) if message.signed.proposal.chain_id == state.chain_id:
                state.round(view).proposal = message
                bodies.proposed(message, is_kept=True)
            case _:
                pass  # the signer reads its own records
    for signed in () if state.signer is None else state.signer.votes():
        if signed.validator == state.me:
            state.tally.add(signed)
    state.tally.prune(state.certificates.final_view)


class Whereabouts:
    """What the others said of where they stand, and when this node may sign because of it.

    The first report of each validator counts, and only when certificates have led this node as far as
    the report claims: who claims too much is as if it were silent.

    A start with a trusted record listens: it signs when validators with more than two thirds of the
    stake, itself included, hold nothing certified above what it holds. A restored copy of the whole home,
    whose record looks whole, so meets certificates with its key's signature before it signs anything.

    A quarantine waits until nothing that this key may have signed can matter any more. V is fixed by
    reports from more than two thirds of the stake, this node's excluded, and the chain then has to
    finalize above it. A last block proves nothing of the kind: this node may have held an earlier
    finalization of it, alone, and voted in the next epoch. So the epoch must go on above V; else the
    next one begins anew.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._claims: dict[int, StatusMessage] = {}
        self._own_view_max: View | None = None  # V + 2: above it this key signed nothing before this start
        self._unsigned: dict[tuple[View, VoteKind], None] = {}

    def report(self, validator: int, status: StatusMessage) -> None:
        """A validator said where it stands."""
        if validator < len(self._state.validators) and validator != self._state.me:
            self._claims.setdefault(validator, status)

    def certified(self, certificate: Certificate) -> None:
        """A new certificate, which this key did not sign, is held."""
        if self._own_view_max is not None and certificate.view >= self._own_view_max:
            if len(self._unsigned) < CERTIFICATES_WITHOUT_KEY:
                self._unsigned[certificate.view, certificate.kind] = None

    def is_heard(self) -> bool:
        """Whether a trusted record may be used: enough of the others stand where this node stands."""
        state = self._state
        reached = state.certificates.highest_view
        level = [index for index, claim in self._claims.items() if claim.entry_view <= reached]
        own = 0 if state.me is None else state.validators.stake(state.me)
        return state.validators.is_quorum(own + sum(state.validators.stake(index) for index in level))

    def is_above_own(self, view: View) -> bool:
        """Whether a quarantined key can't have signed in this view before this start."""
        self._fix()
        return self._own_view_max is not None and view > self._own_view_max

    def is_quarantine_over(self) -> bool:
        """Whether a block, not the last, was committed above everything that this key may have signed,
        and the certificates up there show nobody else who signs with it."""
        self._fix()
        state = self._state
        if self._own_view_max is None or state.is_over or state.signer is None:
            return False
        view = state.blocks.committed_view
        is_above = view >= self._own_view_max and (state.epoch, view) >= state.signer.floor
        return is_above and len(self._unsigned) >= CERTIFICATES_WITHOUT_KEY

    def _fix(self) -> None:
        """V, once enough reports are borne out."""
        if self._own_view_max is not None:
            return
        state = self._state
        reached = state.certificates.highest_view
        entries = {i: claim.entry_view for i, claim in self._claims.items() if claim.entry_view <= reached}
        if state.validators.is_quorum(sum(state.validators.stake(index) for index in entries)):
            self._own_view_max = View(max(entries.values()) + VIEWS_VOTED_AHEAD)
