"""The leader's part of a view: find the parent, have a block built on it, propose it once.

Where the parent is the last block of the epoch, nothing is built: it is proposed again.

Source: docs/spec/consensus.md, rules L1-L7, E6.
"""

from __future__ import annotations

from ledger.block import Header, block_id
from ledger.consensus.attendance import Attendance
from ledger.consensus.bodies import Bodies
from ledger.consensus.events import Build
from ledger.consensus.messages import ProposalMessage, Want
from ledger.consensus.records import HeldProposal
from ledger.consensus.repair import Repair
from ledger.consensus.state import Parent, State
from ledger.errors import LedgerError
from ledger.types import BlockId, View
from ledger.vote import Certificate, Proposal, VoteKind


class Leading:
    """Proposes in the views that this node leads."""

    def __init__(self, state: State, bodies: Bodies, repair: Repair, attendance: Attendance) -> None:
        self._state = state
        self._bodies = bodies
        self._repair = repair
        self._attendance = attendance

    def is_to_propose(self) -> bool:
        """Whether this node leads the view in force and has neither proposed nor left it."""
        state = self._state
        if state.me is None or state.signer is None or not state.signer.may_sign_in(state.view):
            return False
        promises = state.promises(state.view)
        return (
            state.leader(state.view) == state.me
            and promises.proposal is None
            and promises.nullify is None
            and not state.round(state.view).cannot_build
        )

    def propose(self) -> ProposalMessage | None:
        """Ask for a block when one is called for; until then keep fetching what its parent lacks.

        Answers the proposal where the block is there already: the last of the epoch, once more.
        """
        state = self._state
        if state.building is not None or state.pacemaker.awake_at_ms is None or not self.is_to_propose():
            return None
        parent = self._find_parent()
        if parent is None:
            return None
        may_be_empty = self._is_empty_block_due(parent)
        if state.is_last(parent.facts):
            return self._repeat(parent) if may_be_empty else None
        has_work = state.are_transactions_pending and not state.round(state.view).has_nothing_to_build
        if has_work or may_be_empty:
            state.building = parent
            state.out.emit(
                Build(state.epoch, state.view, parent.facts, self._certificate_of(parent), may_be_empty)
            )
        return None

    def _repeat(self, parent: Parent) -> ProposalMessage | None:
        """Propose the epoch's last block again: no other block may follow it, so none can finalize it."""
        known = self._state.blocks.get(parent.facts.block_id)
        assert known is not None, "over: a committed last block is not proposed again"
        assert known.header is not None, "a valid block has a header"
        return self._sign(self._state.view, known.header, parent)

    def _certificate_of(self, parent: Parent) -> Certificate | None:
        """What the child carries: its parent's certificate, with all signatures that are held."""
        if parent.certificate is None:
            return self._state.base_certificate
        return self._attendance.fullest(parent.certificate)

    def found_nothing(self, view: View) -> None:
        """The driver had nothing to put in: wait for a transaction, or until an empty block helps."""
        if view == self._state.view:
            self._state.building = None
            self._state.round(view).has_nothing_to_build = True

    def _is_empty_block_due(self, parent: Parent) -> bool:
        """The heartbeat, or a block that its own votes did not finalize and a child can."""
        state = self._state
        if parent.view == state.certificates.final_view and state.now_ms >= state.pacemaker.heartbeat_at_ms:
            return True
        due_ms = state.pacemaker.empty_block_at_ms(state.distance)
        return state.is_unfinalized and due_ms is not None and state.now_ms >= due_ms

    def _find_parent(self) -> Parent | None:
        """The highest certified valid block, every view above it nullified; asks for what is missing."""
        state = self._state
        certificates, blocks = state.certificates, state.blocks
        missing: list[Want] = []
        for number in range(state.view - 1, certificates.final_view - 1, -1):
            view = View(number)
            for candidate in self._candidates(view):
                facts = blocks.facts(candidate)
                if facts is not None and blocks.is_valid(candidate):
                    self._repair.request(missing, None)
                    certificate = certificates.of_block(view, candidate)
                    return None if missing else Parent(view, facts, certificate)
            if view > certificates.final_view and certificates.nullification(view) is None:
                missing.append(Want(view, VoteKind.NULLIFY))
                if not certificates.notarizations(view):
                    missing.append(Want(view, VoteKind.NOTARIZE))
        self._repair.request(missing, None)
        return None

    def _candidates(self, view: View) -> tuple[BlockId, ...]:
        certificates = self._state.certificates
        if view == certificates.final_view:
            return (certificates.final_id,)
        notarized = (certificate.block_id for certificate in certificates.notarizations(view))
        return tuple(candidate for candidate in notarized if candidate is not None)

    def built(self, view: View, header: Header | None) -> ProposalMessage | None:
        """The driver's answer: signed, made durable with its body, and sent; None if it comes to nothing."""
        state, parent = self._state, self._state.building
        if view != state.view or parent is None:
            return None
        state.building = None
        if header is None:
            state.round(view).cannot_build = True
            return None
        if not self.is_to_propose():
            return None
        assert header.parent_id == parent.facts.block_id, "the driver built on another parent"
        assert header.height == parent.facts.height + 1, "the driver built at another height"
        return self._sign(view, header, parent)

    def _sign(self, view: View, header: Header, parent: Parent) -> ProposalMessage | None:
        state = self._state
        assert state.signer is not None
        proposal = Proposal(state.chain_id, state.epoch, view, parent.view, block_id(header))
        try:
            record = state.signer.sign_proposal(proposal)
        except LedgerError:
            return None  # a promise stands against it
        message = ProposalMessage(record.signed, header, None, ())
        self._bodies.built(header, view)
        state.out.persist(record, HeldProposal(message))
        self._bodies.keep(BlockId(proposal.block_id))
        state.out.broadcast(self._repair.attach(message))
        return message
