"""The gate for what others say: form, chain, epoch, window, then signatures.

A message that fails is reported with its peer, never raised; cheap checks come first, so
that a stranger's rubbish costs little, and what lies too far ahead is not stored.

Source: docs/spec/consensus.md, rules I1-I7.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ledger.block import block_id
from ledger.codec import encode
from ledger.consensus.attendance import Attendance
from ledger.consensus.events import Evidence, Peer, Report
from ledger.consensus.messages import ProposalMessage
from ledger.consensus.repair import Repair
from ledger.consensus.state import State
from ledger.errors import LedgerError
from ledger.types import Epoch, View
from ledger.vote import (
    Certificate,
    SignedVote,
    VoteKind,
    check_vote_form,
    verify_certificate,
    verify_proposal,
    verify_vote,
)

VIEWS_AHEAD_MAX: Final = 64  # votes and proposals further ahead are not kept: certificates bring us there


class Intake:
    """Lets through what is verified and new."""

    def __init__(self, state: State, repair: Repair, attendance: Attendance) -> None:
        self._state = state
        self._repair = repair
        self._attendance = attendance
        self._accused: dict[tuple[int, View], None] = {}

    def votes(self, peer: Peer, votes: Iterable[SignedVote]) -> Iterator[SignedVote]:
        """The verified votes that are not counted yet; an old one is answered by what became of its view."""
        state = self._state
        for signed in votes:
            view = View(signed.vote.view)
            if not self.is_our_epoch(peer, Epoch(signed.vote.epoch)):
                continue
            if view <= state.certificates.final_view:
                self._attendance.came_late(peer, signed)
                self._repair.answer_old_vote(peer, view)
                continue
            if view > state.view + 1:
                self._repair.ask_status(peer)  # it is ahead of us, or pretends to be
            if view > state.view + VIEWS_AHEAD_MAX or state.tally.holds(signed):
                continue
            try:
                verify_vote(signed, state.chain_id, state.epoch, state.validators, state.verdicts.is_valid)
            except LedgerError as refusal:
                self._report(peer, refusal)
                return  # an honest sender has no bad vote among its own
            yield signed

    def certificates(self, peer: Peer, certificates: Iterable[Certificate]) -> Iterator[Certificate]:
        """The verified certificates that are not held yet, however far ahead: a quorum vouches for them."""
        state = self._state
        for certificate in certificates:
            if not self.is_our_epoch(peer, Epoch(certificate.vote.epoch)):
                continue
            try:
                check_vote_form(certificate.vote, state.chain_id, state.epoch)
                if state.certificates.holds(certificate) or self._is_past(certificate):
                    continue
                verify_certificate(
                    certificate, state.chain_id, state.epoch, state.validators, state.verdicts.is_valid
                )
            except LedgerError as refusal:
                self._report(peer, refusal)
                return  # an honest sender verified what it passes on
            yield certificate

    def _is_past(self, certificate: Certificate) -> bool:
        """Whether a finalization has settled its view; a second finalization of that view is never past."""
        final_view = self._state.certificates.final_view
        if certificate.kind is VoteKind.FINALIZE and certificate.view == final_view:
            return False
        return certificate.view <= final_view

    def is_proposal_sound(self, peer: Peer, message: ProposalMessage) -> bool:
        """Whether the leader of a view that matters signed this proposal of this very block."""
        state, proposal = self._state, message.signed.proposal
        view = View(proposal.view)
        if not self.is_our_epoch(peer, Epoch(proposal.epoch)):
            return False
        if view <= state.certificates.final_view:
            self._repair.answer_old_vote(peer, view)
            return False
        if view > state.view + VIEWS_AHEAD_MAX:
            self._repair.ask_status(peer)
            return False
        try:
            verify_proposal(message.signed, state.chain_id, state.epoch, state.validators)
            self._check_header(message)
        except LedgerError as refusal:
            self._report(peer, refusal)
            return False
        if message.signed.validator != state.leader(view):
            self._accuse(peer, message, view)
            return False
        return True

    def _check_header(self, message: ProposalMessage) -> None:
        state, header = self._state, message.header
        if block_id(header) != message.signed.proposal.block_id:
            raise LedgerError("proposal.wrong_header", "the header is not the proposed block's")
        if header.chain_id != state.chain_id or header.epoch != state.epoch:
            raise LedgerError("proposal.wrong_header", "the header is of another chain or epoch")

    def _accuse(self, peer: Peer, message: ProposalMessage, view: View) -> None:
        """A signed proposal out of turn proves itself; once a validator and view is enough."""
        validator = message.signed.validator
        if (validator, view) not in self._accused:
            self._accused[(validator, view)] = None
            self._state.out.emit(Evidence(validator, message.signed, None))
        problem = f"validator {validator} does not lead view {view}"
        self._state.out.emit(Report(peer, "proposal.out_of_turn", problem))

    def is_same(self, first: ProposalMessage, second: ProposalMessage) -> bool:
        """Whether two proposals of one view say the same, attachments aside."""
        return encode(first.signed.proposal) == encode(second.signed.proposal)

    def prune(self, view: View) -> None:
        """Forget accusations at and below a finalized view."""
        for old in [place for place in self._accused if place[1] <= view]:
            del self._accused[old]

    def is_our_epoch(self, peer: Peer, epoch: Epoch) -> bool:
        """Whether a statement is of the epoch in force. Messages of others do not come this far (`Epochs`),
        so one is an odd piece among ours, which no correct peer puts together."""
        if epoch == self._state.epoch:
            return True
        problem = f"a statement of epoch {epoch} within a message of epoch {self._state.epoch}"
        self._state.out.emit(Report(peer, "message.mixed_epochs", problem))
        return False

    def _report(self, peer: Peer, refusal: LedgerError) -> None:
        self._state.out.emit(Report(peer, refusal.code, refusal.message))
