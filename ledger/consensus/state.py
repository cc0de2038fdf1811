"""What a node knows and has promised in one epoch: read by every rule, changed by the machine alone."""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.consensus.blocks import BlockTree
from ledger.consensus.certificates import CertificateStore
from ledger.consensus.events import BlockFacts
from ledger.consensus.messages import ProposalMessage
from ledger.consensus.outbox import Outbox
from ledger.consensus.pacemaker import Pacemaker
from ledger.consensus.signer import NO_PROMISES, Promises, Signer
from ledger.consensus.tally import Tally
from ledger.consensus.timeouts import ConsensusParameters
from ledger.consensus.verdicts import SignatureCache
from ledger.epoch import EpochStart, is_last_block
from ledger.types import BlockId, ChainId, Epoch, View
from ledger.validators import ValidatorSet, leader
from ledger.vote import Certificate, Vote, VoteKind


@dataclass(slots=True)
class Round:
    """What this node saw of one view, besides votes and certificates.

    `proposal` is the first that came from the leader, without its attachments. `is_conflicted`:
    the leader made two. `is_invalid`: its block or its place is wrong for good.
    """

    proposal: ProposalMessage | None = None
    is_conflicted: bool = False
    is_invalid: bool = False
    cannot_build: bool = False
    has_nothing_to_build: bool = False


@dataclass(frozen=True, slots=True)
class Parent:
    """The block that a leader builds on: certified in `view`, every later view nullified."""

    view: View
    facts: BlockFacts
    certificate: Certificate | None


@dataclass(slots=True)
class State:
    """One node in one epoch. `me` is its index in the set, None for an observer.

    An observer may have a signer: a key that left the set, or is still to join it. `start` and
    `base_certificate` are of the block that the epoch stands on.
    """

    chain_id: ChainId
    epoch: Epoch
    start: EpochStart
    base_certificate: Certificate | None
    validators: ValidatorSet
    parameters: ConsensusParameters
    signer: Signer | None
    me: int | None
    blocks: BlockTree
    certificates: CertificateStore
    tally: Tally
    pacemaker: Pacemaker
    verdicts: SignatureCache = field(default_factory=SignatureCache)
    out: Outbox = field(default_factory=Outbox)
    view: View = field(default=View(0))
    entry: Certificate | None = None
    rounds: dict[View, Round] = field(default_factory=dict)
    building: Parent | None = None
    are_transactions_pending: bool = False
    now_ms: int = 0
    timely_at_ms: int | None = None  # when a block from the near future may be voted for
    wall_ahead_ms: int = 0  # the wall clock less the monotonic clock, when it was last told

    @property
    def distance(self) -> int:
        """k: how many views lie between this one and the last finalized one. The same at every node."""
        return max(0, self.view - 1 - self.certificates.final_view)

    @property
    def is_unfinalized(self) -> bool:
        """Whether a block above the last finalized one is notarized."""
        return bool(self.certificates.notarized_above(self.certificates.final_view))

    def is_last(self, facts: BlockFacts) -> bool:
        """Whether a block of this epoch closes it: then no block of this epoch follows."""
        return is_last_block(self.start, facts.height, facts.time_ms, self.parameters)

    @property
    def is_over(self) -> bool:
        """Whether the epoch's last block is committed."""
        return self.is_last(self.blocks.committed)

    def is_due(self, deadline_ms: int | None) -> bool:
        """Whether a deadline is set and has come."""
        return deadline_ms is not None and self.now_ms >= deadline_ms

    def leader(self, view: View) -> int:
        """The index of the validator that may propose in a view."""
        return leader(self.chain_id, self.epoch, view, self.validators)

    def round(self, view: View) -> Round:
        """What was seen of a view above the last committed one."""
        return self.rounds.setdefault(view, Round())

    def promises(self, view: View) -> Promises:
        """What this node signed in a view."""
        return NO_PROMISES if self.signer is None or self.me is None else self.signer.promises(view)

    def vote(self, view: View, kind: VoteKind, block_id: BlockId | None) -> Vote:
        """The content of a vote in this epoch."""
        return Vote(self.chain_id, self.epoch, view, kind, block_id)

    def prune(self, view: View) -> None:
        """Forget the rounds at and below a committed view."""
        for old in [held for held in self.rounds if held <= view]:
            del self.rounds[old]
