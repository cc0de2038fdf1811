"""Whether this node may sign: what its signer's record is worth, and what the others said since the start.

Source: docs/spec/consensus.md, rules S7, Q3 to Q9.
"""

from __future__ import annotations

from ledger.consensus.events import Halt, SignerState, Started
from ledger.consensus.messages import StatusMessage
from ledger.consensus.recovery import Whereabouts
from ledger.consensus.signer import LISTENING
from ledger.consensus.state import State
from ledger.types import Epoch, View
from ledger.vote import Certificate, Proposal, Vote


class Permission:
    """Listens and waits out a quarantine for the signer of one node, and notices who else has its key.

    For an observer, who has no signer, nothing here does anything.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._whereabouts = Whereabouts(state)

    def restore(self, started: Started) -> None:
        """Read the signer's record back, once in the life of this process."""
        signer, final = self._state.signer, started.finalization
        if signer is None:
            return
        if signer.is_restored:
            self.review()  # it may have been read back before this epoch began
            return
        store = (Epoch(0), View(0)) if final is None else (Epoch(final.vote.epoch), final.view)
        signer.restore(started.records, store)
        self.review()  # where this node's stake is a quorum, there is nobody to hear
        reason = signer.quarantine_reason or (LISTENING if signer.is_listening else "")
        self._state.out.emit(SignerState(not reason, reason))

    def raise_floor(self, final_view: View) -> None:
        """The signer's floor rises as soon as a view is known to be final: synced before any commit (S7)."""
        signer = self._state.signer
        floor = None if signer is None else signer.raise_floor(self._state.epoch, final_view)
        if floor is not None:
            self._state.out.persist(floor)

    def report(self, validator: int, status: StatusMessage) -> None:
        """A validator said where it stands."""
        self._whereabouts.report(validator, status)
        self.review()

    def certified(self, certificate: Certificate) -> None:
        """A new certificate, which this key did not sign, is held."""
        self._whereabouts.certified(certificate)

    def review(self) -> None:
        """End listening or quarantine, where what the others said allows it (Q4, Q7)."""
        state, signer = self._state, self._state.signer
        if signer is None or signer.may_sign or signer.is_given_up:
            return
        if signer.is_listening and self._whereabouts.is_heard():
            signer.heard(state.epoch, state.certificates.highest_view)
            state.out.emit(SignerState(True, ""))
        elif signer.is_quarantined and self._whereabouts.is_quarantine_over():
            state.out.persist(signer.release(state.epoch, state.certificates.final_view))
            state.out.emit(SignerState(True, ""))

    def is_foreign(self, seen: Vote | Proposal) -> bool:
        """Whether somebody else made this verified signature of this node's key (Q8, Q9): then it stops."""
        signer, out = self._state.signer, self._state.out
        assert signer is not None, "an index is a key's"
        view = View(seen.view)
        if not signer.is_foreign(seen, self._whereabouts.is_above_own(view)):
            return False
        if not signer.is_quarantined and not signer.has_signed:
            signer.distrust()
            out.emit(SignerState(False, signer.quarantine_reason))
            return False  # its own, of a time that the record has lost
        out.persist(signer.give_up())
        out.emit(SignerState(False, signer.quarantine_reason))
        problem = f"another process signs with this validator's key, in epoch {seen.epoch}, view {view}"
        out.emit(Halt("signer.second_holder", problem))
        return True
