"""From epoch to epoch: the machine of the epoch in force, and the signer, which outlives them all.

`Epochs.step(now_ms, input)` is what a driver calls; it passes everything of the epoch in force to
its machine. An epoch ends when its last block is committed and begins when the driver says
what that block decided. Only certificates move a node on: whoever speaks of an old epoch is told
what ended it, and whoever speaks of a newer one is told where this node stands.

Source: docs/spec/consensus.md, rules E5-E15.
"""

from __future__ import annotations

from typing import Final, assert_never

from ledger.block import block_id
from ledger.consensus.buckets import TokenBuckets
from ledger.consensus.early import EarlyMessages
from ledger.consensus.events import (
    Built,
    Effect,
    EpochBegun,
    EpochEnded,
    Input,
    NothingToBuild,
    OldEpoch,
    Peer,
    Received,
    Report,
    Send,
    Started,
    Synced,
    TransactionsPending,
)
from ledger.consensus.leaders import LeaderWatch
from ledger.consensus.machine import Consensus
from ledger.consensus.messages import (
    CertificateRequest,
    CertificatesMessage,
    Message,
    ProposalMessage,
    StatusMessage,
    VotesMessage,
)
from ledger.consensus.records import Record, record_position
from ledger.consensus.repair import ASKS_BURST, ASKS_PER_SECOND
from ledger.consensus.signer import Signer
from ledger.consensus.state import State
from ledger.consensus.verdicts import SignatureCache
from ledger.types import ChainId, Epoch, TimeMs
from ledger.vote import Certificate

NOBODY: Final = Peer(
    -1
)  # who said something before the turn: its number is of a set that is no longer in force


class Epochs:
    """One node on one chain. `begun` is the epoch that governs the children of the last committed block."""

    def __init__(
        self,
        chain_id: ChainId,
        begun: EpochBegun,
        signer: Signer | None,
        verdicts: SignatureCache | None = None,
    ) -> None:
        self._chain_id = chain_id
        self._signer = signer
        self._watch = LeaderWatch()
        self._verdicts = SignatureCache() if verdicts is None else verdicts
        self._early = EarlyMessages()
        self._are_transactions_pending = False
        self._records: tuple[Record, ...] = ()  # of epochs to come: the log was ahead of the store
        self._ended_at_ms: int | None = None
        self._enter(begun)

    def _enter(self, begun: EpochBegun) -> None:
        self._begun = begun
        self._ended: Certificate | None = None
        self._machine = Consensus(self._chain_id, begun, self._signer, self._watch, self._verdicts)
        # Numbers of peers are of one set, so what they drew is too.
        # One certificate, which says all there is to say of an epoch, is told no faster than it may be asked.
        self._endings = TokenBuckets(ASKS_BURST, ASKS_PER_SECOND)
        self._asks = TokenBuckets(ASKS_BURST, ASKS_PER_SECOND)

    @property
    def epoch(self) -> Epoch:
        """The epoch in force."""
        return self._begun.epoch

    @property
    def state(self) -> State:
        """What this node knows in the epoch in force, for status pages and tests; for reading only."""
        return self._machine.state

    def step(self, now_ms: int, event: Input) -> list[Effect]:
        """Take one input at this monotonic time; answer what to do, in order."""
        match event:
            case EpochBegun():
                return self._begin(now_ms, event)
            case Received(peer, message) if self._ended is not None or epoch_of(message) != self.epoch:
                return self._hear_of_another_epoch(now_ms, peer, message)
            case Built(epoch=epoch) | NothingToBuild(epoch=epoch) if epoch != self.epoch:
                return []  # asked for in an epoch that has ended
            case Synced(finalization=finalization) if finalization.vote.epoch != self.epoch:
                return []
            case TransactionsPending(pending):
                self._are_transactions_pending = pending
            case Started(records=records):
                self._records = _above(records, self.epoch)
            case _:
                pass
        return self._run(now_ms, event)

    # --- the turn ----------------------------------------------------------------

    def _run(self, now_ms: int, event: Input) -> list[Effect]:
        """Let the machine take an input, unless its epoch has ended; notice when it does."""
        if self._ended is not None:
            return []
        effects = self._machine.step(now_ms, event)
        state = self._machine.state
        if state.is_over:
            final, base_id = state.certificates.final, state.blocks.committed.block_id
            assert final is not None, "a last block is committed under its own finalization"
            assert final.block_id == base_id, "nothing of the epoch is final above its last block"
            self._ended, self._ended_at_ms = final, now_ms
            effects.append(EpochEnded(self.epoch, base_id, final))
        return effects

    def _begin(self, now_ms: int, begun: EpochBegun) -> list[Effect]:
        """Go on in the next epoch: start its machine, and let it hear what was said of it already."""
        assert self._ended is not None, "an epoch begins when the one before has ended"
        assert begun.epoch == self.epoch + 1, "epochs follow each other"
        assert block_id(begun.base) == self._ended.block_id, "the base is the last block of the epoch before"
        wall_ms = TimeMs(now_ms + self._machine.state.wall_ahead_ms)
        self._watch.keep(begun.validators)
        self._enter(begun)
        records, self._records = self._records, _above(self._records, begun.epoch)
        effects = self._run(now_ms, Started(wall_ms, begun.base, begun.finalization, records))
        if self._are_transactions_pending:
            effects += self._run(now_ms, TransactionsPending(True))
        for message in self._early.take():
            effects += self._hear_early(now_ms, message)
        return effects

    def _hear_early(self, now_ms: int, message: Message) -> list[Effect]:
        """Hear what was said before the turn. Nobody is answered or blamed: who asked will ask again."""
        effects = self._run(now_ms, Received(NOBODY, message))
        return [each for each in effects if not (isinstance(each, Send | Report) and each.peer == NOBODY)]

    # --- other epochs ----------------------------------------------------------------

    def _hear_of_another_epoch(self, now_ms: int, peer: Peer, message: Message) -> list[Effect]:
        epoch = epoch_of(message)
        if epoch <= self.epoch:
            return self._tell_what_ended(now_ms, peer, message, epoch)
        if epoch == self.epoch + 1:
            self._early.keep(peer, message)
        if self._ended is None and self._asks.take(peer, now_ms):
            return [Send(peer, self._machine.status())]  # it answers with what ended our epoch
        return []

    def _tell_what_ended(self, now_ms: int, peer: Peer, message: Message, epoch: Epoch) -> list[Effect]:
        """Move a peer on that speaks of an ended epoch. Certificates are no question: they get no answer,
        or two nodes could answer each other for ever."""
        final = self._ended or self._begun.finalization
        if isinstance(message, CertificatesMessage) or self._has_just_crossed(now_ms, message, epoch):
            return []
        if not self._endings.take(peer, now_ms):
            return []
        if final is not None and final.vote.epoch == epoch:
            return [Send(peer, CertificatesMessage((final,)))]
        return [OldEpoch(peer, epoch)]

    def _has_just_crossed(self, now_ms: int, message: Message, epoch: Epoch) -> bool:
        """Whether a vote or proposal met its finalization on the wire: that is on its way to the peer."""
        is_asking = isinstance(message, StatusMessage | CertificateRequest)
        if is_asking or self._ended_at_ms is None or epoch + 1 < self.epoch:
            return False
        return now_ms - self._ended_at_ms < self._begun.parameters.retry_ms


def epoch_of(message: Message) -> Epoch:
    """The epoch that a message speaks of: of its first statement; correct nodes mix none."""
    match message:
        case ProposalMessage(signed=signed):
            return Epoch(signed.proposal.epoch)
        case VotesMessage(votes=votes):
            return Epoch(votes[0].vote.epoch)
        case CertificatesMessage(certificates=certificates):
            return Epoch(certificates[0].vote.epoch)
        case CertificateRequest(epoch=epoch) | StatusMessage(epoch=epoch):
            return Epoch(epoch)
        case _:
            assert_never(message)


def _above(records: tuple[Record, ...], epoch: Epoch) -> tuple[Record, ...]:
    return tuple(record for record in records if record_position(record)[0] > epoch)
