"""The rules of agreement within one epoch, to be read beside docs/spec/consensus.md.

`Consensus.step(now_ms, input)` takes one input and answers what to do. Nothing in here reads
a clock, a disk or a socket. After every input all rules are applied until none has more to do,
so no rule has to know which input made it possible. From epoch to epoch leads `epochs.py`.
"""

from __future__ import annotations

from typing import assert_never

from ledger.block import Header, block_id
from ledger.consensus.attendance import Attendance
from ledger.consensus.blocks import BlockTree, facts_of
from ledger.consensus.bodies import Bodies
from ledger.consensus.certificates import CertificateStore
from ledger.consensus.commits import Commits
from ledger.consensus.events import (
    Built,
    Checked,
    Connected,
    Effect,
    Entered,
    EpochBegun,
    Evidence,
    Fetched,
    Halt,
    Input,
    NothingToBuild,
    Peer,
    Received,
    Report,
    Started,
    Synced,
    Tick,
    TransactionsPending,
    WakeAt,
)
from ledger.consensus.intake import Intake
from ledger.consensus.leaders import LeaderWatch
from ledger.consensus.leading import Leading
from ledger.consensus.messages import (
    CertificateRequest,
    CertificatesMessage,
    Message,
    ProposalMessage,
    StatusMessage,
    VotesMessage,
)
from ledger.consensus.pacemaker import Pacemaker
from ledger.consensus.permission import Permission
from ledger.consensus.place import is_timely, missing_for
from ledger.consensus.records import HeldCertificate, HeldProposal
from ledger.consensus.recovery import replay
from ledger.consensus.repair import Repair
from ledger.consensus.signer import Signer
from ledger.consensus.state import State
from ledger.consensus.tally import Tally
from ledger.consensus.verdicts import SignatureCache
from ledger.epoch import EpochStart
from ledger.errors import LedgerError
from ledger.types import BlockId, ChainId, Epoch, View
from ledger.vote import Certificate, SignedVote, VoteKind, verify_vote


class Consensus:
    """One node in one epoch. Its base, the last block of the epoch before (or genesis), is final in view 0.

    `signer` is None for an observer; a key outside of the set makes an observer too, whose signer
    still keeps its floor. `watch` and `verdicts` are what an earlier epoch learnt.
    """

    def __init__(
        self,
        chain_id: ChainId,
        begun: EpochBegun,
        signer: Signer | None,
        watch: LeaderWatch | None = None,
        verdicts: SignatureCache | None = None,
    ) -> None:
        base, parameters = begun.base, begun.parameters
        self._state = state = State(
            chain_id=chain_id,
            epoch=begun.epoch,
            start=EpochStart(begun.epoch, base.height, base.time_ms),
            base_certificate=begun.finalization,
            validators=begun.validators,
            parameters=parameters,
            signer=signer,
            me=None if signer is None else begun.validators.index_of(signer.public_key),
            blocks=BlockTree(facts_of(base)),
            certificates=CertificateStore(block_id(base)),
            tally=Tally(begun.validators),
            pacemaker=Pacemaker(parameters),
            verdicts=SignatureCache() if verdicts is None else verdicts,
        )
        self._out = state.out
        self._bodies = Bodies(state)
        self._repair = Repair(state)
        self._attendance = Attendance(state)
        self._intake = Intake(state, self._repair, self._attendance)
        self._leading = Leading(state, self._bodies, self._repair, self._attendance)
        self._watch = LeaderWatch() if watch is None else watch
        self._permission = Permission(state)
        self._commits = Commits(state)
        self._is_settled = False
        self._is_started = False

    @property
    def state(self) -> State:
        """What this node knows, for status pages and tests; for reading only."""
        return self._state

    def status(self) -> StatusMessage:
        """Where this node stands."""
        return self._repair.status()

    def step(self, now_ms: int, event: Input) -> list[Effect]:
        """Take one input at this monotonic time; answer what to do, in order."""
        assert self._is_started != isinstance(event, Started), "Started is the first input, once"
        self._state.now_ms = now_ms
        self._take(event)
        self._repair_what_is_due()
        self._settle()
        self._ask_to_wake()
        return self._out.drain()

    def _take(self, event: Input) -> None:
        state = self._state
        match event:
            case Received(peer, message):
                self._receive(peer, message)
            case Tick(wall_ms):
                state.pacemaker.woke()
                state.wall_ahead_ms = wall_ms - state.now_ms
            case Built(view=view, header=header):
                self._propose(self._leading.built(view, header))
            case NothingToBuild(view=view):
                self._leading.found_nothing(view)
            case Fetched(header):
                self._bodies.fetched(header)
            case Checked(checked_id, verdict, wall_ms):
                state.wall_ahead_ms = wall_ms - state.now_ms
                self._bodies.checked(checked_id, verdict)
            case TransactionsPending(pending):
                state.are_transactions_pending = pending
                state.round(state.view).has_nothing_to_build = False
            case Connected(peer):
                self._out.send(peer, self._repair.status())
            case Synced(head, finalization):
                self._synced(head, finalization)
            case Started():
                self._start(event)
            case EpochBegun():
                raise AssertionError("a machine is of one epoch")
            case _:
                assert_never(event)

    def _settle(self) -> None:
        """Apply every rule until none has more to do; none has when the last block is committed."""
        self._is_settled = False
        while not self._is_settled:
            self._is_settled = True
            self._move()
            self._commit()
            if self._state.is_over:
                return
            if self._bodies.advance():
                self._is_settled = False
            self._vote_finalize()
            self._wake()
            self._propose(self._leading.propose())
            self._vote_notarize()
            self._vote_nullify()

    # --- enter(v, why) -----------------------------------------------------------------

    def _move(self) -> None:
        """Enter the view after the highest one that a certificate lets us leave: the next, or a jump."""
        entry = self._state.certificates.entry(self._state.view, self._state.blocks.is_valid)
        if entry is not None:
            self._enter(View(entry.view + 1), entry)

    def _enter(self, view: View, why: Certificate | None) -> None:
        state = self._state
        left = state.rounds.get(state.view)
        was_waited_for = state.pacemaker.awake_at_ms is not None and (left is None or left.proposal is None)
        if why is not None and why.kind is VoteKind.NULLIFY and was_waited_for:
            self._watch.missed(state.validators.public_key(state.leader(state.view)))
        state.view, state.entry, state.building, state.timely_at_ms = view, why, None, None
        state.pacemaker.enter(state.now_ms)
        self._out.emit(Entered(state.epoch, view, state.leader(view)))
        self._is_settled = False

    def _wake(self) -> None:
        """awake(v): something to do, something to finish, or others that are about it."""
        state = self._state
        is_awake = (
            state.are_transactions_pending
            or state.is_unfinalized
            or state.now_ms >= state.pacemaker.heartbeat_at_ms
            or state.round(state.view).proposal is not None
            or state.validators.is_blocking(state.tally.stake_moved(state.view))
        )
        state.pacemaker.set_awake(is_awake, state.now_ms)

    # --- proposal(b, v) ------------------------------------------------------------------

    def _propose(self, message: ProposalMessage | None) -> None:
        """This node's own proposal is on its way: take it as the others will."""
        if message is not None:
            self._take_proposal(message)
            self._is_settled = False

    def _take_proposal(self, message: ProposalMessage) -> None:
        """The first from the leader counts; another one is evidence."""
        state = self._state
        round_ = state.round(View(message.signed.proposal.view))
        self._watch.heard(state.validators.public_key(message.signed.validator))
        if round_.proposal is None:
            round_.proposal = ProposalMessage(message.signed, message.header, None, ())
            self._bodies.proposed(message)
        elif round_.proposal.signed.proposal != message.signed.proposal and not round_.is_conflicted:
            round_.is_conflicted = True
            self._out.emit(Evidence(message.signed.validator, round_.proposal.signed, message.signed))

    def _vote_notarize(self) -> None:
        """Valid, timely, nothing notarized: vote, with the body in the same sync. Wrong for good: say so."""
        state = self._state
        round_, promises = state.round(state.view), state.promises(state.view)
        message = round_.proposal
        if (
            message is None
            or round_.is_invalid
            or promises.notarize is not None
            or promises.nullify is not None
        ):
            return
        try:
            missing = missing_for(state, message)
        except LedgerError as refusal:
            self._refuse(message, refusal.code, refusal.message)
            return
        if missing:
            self._repair.request(missing, Peer(message.signed.validator))
            return
        known = state.blocks.get(BlockId(message.signed.proposal.block_id))
        if known is not None and not known.may_be_checked:
            known.may_be_checked = True
            self._is_settled = False
        proposed = BlockId(message.signed.proposal.block_id)
        if state.blocks.is_invalid(proposed):
            self._refuse(message, "proposal.invalid_block", f"block {proposed.hex()} is invalid")
        elif state.blocks.is_valid(proposed) and is_timely(state, message):
            self._cast(state.view, VoteKind.NOTARIZE, proposed)

    def _refuse(self, message: ProposalMessage, code: str, problem: str) -> None:
        """The leader's block or its place is wrong for good: the view is lost."""
        self._state.round(self._state.view).is_invalid = True
        self._out.emit(Report(Peer(message.signed.validator), code, problem))

    # --- q of notarize(v, h) -----------------------------------------------------------------

    def _vote_finalize(self) -> None:
        """(b) For every view above the last finalized one whose notarized block has a valid body."""
        state = self._state
        for notarization in state.certificates.notarized_above(state.certificates.final_view):
            view, notarized = notarization.view, notarization.block_id
            promises = state.promises(view)
            assert notarized is not None
            if (
                state.blocks.is_valid(notarized)
                and promises.nullify is None
                and promises.finalize is None
                and promises.notarized_hash in (None, notarized)
                and not state.round(view).is_conflicted
            ):
                self._cast(view, VoteKind.FINALIZE, notarized, notarization)

    # --- t_leader | t_advance | leader nullified | invalid | cannot build for good ---------------

    def _vote_nullify(self) -> None:
        state = self._state
        promises = state.promises(state.view)
        if state.me is None or promises.nullify is not None or promises.finalize is not None:
            return
        if self._is_view_lost():
            self._cast(state.view, VoteKind.NULLIFY, None)

    def _is_view_lost(self) -> bool:
        state, pacemaker = self._state, self._state.pacemaker
        round_, leader = state.round(state.view), state.leader(state.view)
        if round_.is_invalid:
            return state.now_ms >= pacemaker.refusal_at_ms(state.distance)
        if round_.cannot_build:
            return True
        if leader != state.me and state.tally.has_voted(state.view, VoteKind.NULLIFY, leader):
            return True
        if round_.proposal is None and state.is_due(pacemaker.leader_timeout_at_ms(state.distance)):
            return True
        if state.is_due(pacemaker.advance_timeout_at_ms(state.distance)):
            return True
        if pacemaker.awake_at_ms is None or round_.proposal is not None or leader == state.me:
            return False
        key = state.validators.public_key(leader)
        return self._watch.is_silent(key, state.parameters.skip_after_views)

    # --- votes and certificates ------------------------------------------------------------------

    def _cast(
        self, view: View, kind: VoteKind, block: BlockId | None, notarization: Certificate | None = None
    ) -> None:
        """Sign, make durable, send, count. The signer may refuse: then nothing happens."""
        state = self._state
        if state.signer is None or state.me is None:
            return
        try:
            record = state.signer.sign_vote(state.vote(view, kind, block), notarization)
        except LedgerError:
            return
        proposal = state.round(view).proposal
        if kind is VoteKind.NOTARIZE and proposal is not None:
            self._out.persist(HeldProposal(proposal))
        if block is not None:
            self._bodies.keep(block)
        self._out.persist(record)
        self._out.broadcast(VotesMessage((record.signed,)))
        verify_vote(record.signed, state.chain_id, state.epoch, state.validators, state.verdicts.is_valid)
        self._count(record.signed)
        self._is_settled = False

    def _count(self, signed: SignedVote) -> None:
        """Count a verified vote; a quorum becomes a certificate, sent even if the block is unverified."""
        state = self._state
        self._show_proposal(signed)
        self._accuse(state.tally.add(signed, state.certificates.against(signed)))
        self._watch.heard(state.validators.public_key(signed.validator))
        certificate = state.tally.certificate(signed.vote)
        if certificate is not None and not state.certificates.holds(certificate):
            self._out.broadcast(CertificatesMessage((certificate,)))
            self._accept(certificate)

    def _show_proposal(self, signed: SignedVote) -> None:
        """Send the proposal held to who notarizes another block, once: a leader that showed its two apart is
        proved guilty by both. Of two who vote so, one holds its proposal when it hears the other's vote."""
        state, view = self._state, View(signed.vote.view)
        round_ = state.rounds.get(view)
        if (
            signed.vote.kind is VoteKind.NOTARIZE
            and signed.validator != state.me
            and round_ is not None
            and round_.proposal is not None
            and round_.proposal.signed.proposal.block_id != signed.vote.block_id
            and not state.tally.has_voted(view, VoteKind.NOTARIZE, signed.validator)
        ):
            self._out.send(Peer(signed.validator), round_.proposal)

    def _suspect_signers(self, certificate: Certificate) -> None:
        """Who is in a certificate and has said something else in its view, heard here or in another one."""
        state = self._state
        for index, signature in certificate.signatures:
            signed = SignedVote(certificate.vote, index, signature)
            self._accuse(state.tally.suspect(signed, state.certificates.against(signed)))

    def _accuse(self, pair: tuple[SignedVote, SignedVote] | None) -> None:
        if pair is not None:
            self._out.emit(Evidence(pair[1].validator, *pair))

    def _accept(self, certificate: Certificate) -> None:
        """Keep a verified certificate, durable before any vote or move that rests on it."""
        state, view = self._state, certificate.view
        signers = [index for index, _ in certificate.signatures]
        if state.me in signers and self._permission.is_foreign(certificate.vote):
            return
        if certificate.kind is VoteKind.FINALIZE and view == state.certificates.final_view:
            self._suspect_signers(certificate)
            self._out.emit(Halt("consensus.forked", f"two blocks are final in view {view}"))
            return
        if view <= state.certificates.final_view:
            return  # settled by another certificate of the same message
        self._suspect_signers(certificate)
        state.certificates.add(certificate)
        if state.me not in signers:
            self._permission.certified(certificate)
        self._out.persist(HeldCertificate(certificate))
        if certificate.block_id is not None:
            self._bodies.certified(certificate)
        if len(state.certificates.notarizations(view)) > 1:
            state.round(view).is_conflicted = True
        if certificate.kind is VoteKind.FINALIZE:
            self._finalized(certificate)
        self._permission.review()
        self._is_settled = False

    # --- q of finalize(v, h) -----------------------------------------------------------------------

    def _finalized(self, finalization: Certificate) -> None:
        """A view is final."""
        state, view = self._state, finalization.view
        self._permission.raise_floor(view)
        state.tally.prune(view)
        self._intake.prune(view)
        self._attendance.finalized()
        self._repair.finalized(view)

    def _commit(self) -> None:
        """Commit the unfinalized ancestors oldest first, then the block, once a hash; prune below."""
        if self._commits.advance():
            self._is_settled = False
            self._permission.review()

    # --- what is verified comes in -------------------------------------------------------------------

    def _receive(self, peer: Peer, message: Message) -> None:
        state = self._state
        match message:
            case VotesMessage(votes=votes):
                for signed in self._intake.votes(peer, votes):
                    if signed.validator != state.me or not self._permission.is_foreign(signed.vote):
                        self._count(signed)
            case CertificatesMessage(certificates=certificates):
                for certificate in self._intake.certificates(peer, certificates):
                    self._accept(certificate)
            case ProposalMessage():
                self._receive_proposal(peer, message)
            case CertificateRequest(epoch=epoch):
                if self._intake.is_our_epoch(peer, Epoch(epoch)):
                    self._repair.answer_request(peer, message)
            case StatusMessage():
                self._receive_status(peer, message)
            case _:
                assert_never(message)

    def _receive_proposal(self, peer: Peer, message: ProposalMessage) -> None:
        signed = message.signed
        if not self._intake.is_proposal_sound(peer, message):
            return
        if signed.validator == self._state.me and self._permission.is_foreign(signed.proposal):
            return
        parent = () if message.parent_certificate is None else (message.parent_certificate,)
        for certificate in self._intake.certificates(peer, (*parent, *message.gap)):
            self._accept(certificate)
        if message.signed.proposal.view > self._state.certificates.final_view:
            self._take_proposal(message)

    def _receive_status(self, peer: Peer, status: StatusMessage) -> None:
        if not self._intake.is_our_epoch(peer, Epoch(status.epoch)):
            return
        self._permission.report(peer, status)
        self._repair.answer_status(peer, status)

    # --- start, sync, time -------------------------------------------------------------------------------

    def _start(self, started: Started) -> None:
        """Replay the log; resume where the persisted certificates lead; arm the timers."""
        state, final = self._state, started.finalization
        self._is_started = True
        state.wall_ahead_ms = started.wall_ms - state.now_ms
        state.pacemaker.start(state.now_ms)
        is_here = final is not None and final.vote.epoch == state.epoch
        if final is not None and is_here:
            state.certificates.add(final)
        is_own = final is not None and is_here and final.block_id == block_id(started.head)
        # Under a descendant's finalization the blocks up to it are still to be committed.
        state.blocks.commit(facts_of(started.head), state.certificates.final_view if is_own else View(0))
        if state.signer is not None:
            state.signer.begin_epoch(state.epoch, state.validators, state.verdicts.is_valid)
        self._permission.restore(started)
        replay(state, self._bodies, started.records)
        if state.certificates.final_view > 0:  # a torn log may end between a finalization and its floor
            self._permission.raise_floor(state.certificates.final_view)
        self._enter(View(state.certificates.final_view + 1), state.certificates.final)

    def _synced(self, head: Header, finalization: Certificate) -> None:
        """The driver committed up to `head` by certificates; go on from there."""
        self._commits.synced(facts_of(head), finalization.view)
        self._permission.review()
        self._is_settled = False

    def _repair_what_is_due(self) -> None:
        state = self._state
        if state.pacemaker.is_status_due(state.now_ms):
            self._out.broadcast(self._repair.status())
        if state.pacemaker.is_retry_due(state.now_ms):
            self._repair.resend()
            self._bodies.retry()
            self._commits.retry()

    def _ask_to_wake(self) -> None:
        state, pacemaker = self._state, self._state.pacemaker
        if state.is_over:
            return
        pacemaker.arm_retry(self._repair.is_unfinished(), state.now_ms)
        deadlines_ms: list[int | None] = [state.timely_at_ms]
        if state.me is not None:
            deadlines_ms += [
                pacemaker.empty_block_at_ms(state.distance),
                pacemaker.leader_timeout_at_ms(state.distance),
                pacemaker.advance_timeout_at_ms(state.distance),
                pacemaker.refusal_at_ms(state.distance),
            ]
        wake_ms = pacemaker.next_wake_ms(state.now_ms, deadlines_ms)
        if wake_ms is not None:
            self._out.emit(WakeAt(wake_ms))
