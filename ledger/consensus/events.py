"""What goes into consensus and what comes out: the whole contract with a driver.

`Epochs.step(now_ms, input)` answers a list of effects. The driver performs them in order,
and nothing that follows a `Persist` happens before it is synced. Several steps may share one
sync as long as that order holds. Every effect that asks for something names the input that
answers it; an answer may be late, doubled or never come.

Source: docs/spec/consensus.md, "Driver contract".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, NewType

from ledger.block import Header
from ledger.consensus.messages import Message
from ledger.consensus.records import Record
from ledger.consensus.timeouts import ConsensusParameters
from ledger.types import VALIDATORS_MAX, BlockId, Epoch, Height, TimeMs, View
from ledger.validators import ValidatorSet
from ledger.vote import Certificate, SignedProposal, SignedVote

Peer = NewType("Peer", int)
"""The authenticated other end of a connection: a validator's index in the set, or for any
other node a number from FIRST_OBSERVER up that the driver gives it."""

FIRST_OBSERVER: Final = Peer(VALIDATORS_MAX)


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """All that agreement needs to know of a block. `time_ms` is milliseconds since 1970 UTC."""

    block_id: BlockId
    parent_id: BlockId
    height: Height
    time_ms: TimeMs


class Verdict(Enum):
    """What checking a block's body came to. PENDING: it could not be told now (data missing, a time-out)."""

    VALID = "valid"
    INVALID = "invalid"
    PENDING = "pending"


# --- inputs -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The first input, exactly once: what the disk holds.

    `head` is the header of the last committed block (the base block on a new chain),
    `finalization` a certificate that makes it final, its own or a descendant's (None for the base
    block, or where only the log holds one). `records` are all records of the log in the order
    they were written, those of other epochs too.
    """

    wall_ms: TimeMs
    head: Header
    finalization: Certificate | None
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class EpochBegun:
    """Answers `EpochEnded`: what governs the blocks above its last block. Peers are numbered anew.

    `base` is the header of that block (of the genesis block in epoch 0), `finalization` a certificate
    of the epoch before that makes it final; None for the genesis block, and where operators began the epoch
    on this block (docs/spec/recovery.md).
    """

    epoch: Epoch
    validators: ValidatorSet
    parameters: ConsensusParameters
    base: Header
    finalization: Certificate | None


@dataclass(frozen=True, slots=True)
class Received:
    """A message came from an authenticated peer. It may hold anything."""

    peer: Peer
    message: Message


@dataclass(frozen=True, slots=True)
class Connected:
    """A peer is connected (again); it is told where this node stands."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class Tick:
    """The time asked for by `WakeAt` has come; harmless at any other time. `wall_ms` is the wall clock."""

    wall_ms: TimeMs


@dataclass(frozen=True, slots=True)
class TransactionsPending:
    """Whether the mempool holds transactions that no committed block holds.

    Sent when it changes, and again (True) for transactions admitted after a `NothingToBuild`.
    """

    pending: bool


@dataclass(frozen=True, slots=True)
class Built:
    """Answers `Build`. The block was executed by the same function that checks others' blocks and
    its body is at hand (not yet durable). `header` None: no block can be built on that parent, for good."""

    epoch: Epoch
    view: View
    header: Header | None


@dataclass(frozen=True, slots=True)
class NothingToBuild:
    """Answers a `Build` whose block may not be empty: all pending transactions are in the parent's chain."""

    epoch: Epoch
    view: View


@dataclass(frozen=True, slots=True)
class Fetched:
    """Answers `Fetch`: the body of the block with this header is at hand (not yet durable)."""

    header: Header


@dataclass(frozen=True, slots=True)
class Checked:
    """Answers `Check`. `wall_ms` is the wall clock at this moment."""

    block_id: BlockId
    verdict: Verdict
    wall_ms: TimeMs


@dataclass(frozen=True, slots=True)
class Synced:
    """Answers `Behind`: the driver has committed all blocks up to `head`, each under a certificate.

    `finalization` is of `head` itself, verified by the driver with `verify_certificate`. It is one
    that a `Behind` named, or lies below one: only so is the signer's floor raised first. A sync does not
    pass the last block of an epoch: `EpochEnded` follows, and another `Behind` in the next one.
    """

    head: Header
    finalization: Certificate


Input = (
    Started
    | EpochBegun
    | Received
    | Connected
    | Tick
    | TransactionsPending
    | Built
    | NothingToBuild
    | Fetched
    | Checked
    | Synced
)

# --- effects ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Persist:
    """Append `records` to the log and store the bodies of `bodies`, all in one sync, before what follows.

    A failed write or sync is the end of the process: nothing after it may happen.
    """

    records: tuple[Record, ...]
    bodies: tuple[BlockId, ...]


@dataclass(frozen=True, slots=True)
class DropRecords:
    """Records whose (epoch, view) is less than this pair are no longer needed. At the driver's leisure.

    Bodies of blocks that were not committed at or below the view may go too, but only after
    the commit itself is durable.
    """

    epoch: Epoch
    view: View


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to one peer, if it is still connected; loss is expected."""

    peer: Peer
    message: Message


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Send a message to every connected validator but this one; proposals and certificates to observers too.

    With a `ProposalMessage` the driver sends what the receiver needs to have the body.
    """

    message: Message


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Feed a `Tick` at or soon after this monotonic time. Replaces the time asked for before."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Build:
    """Build and execute a block on `parent`; answer `Built`, or `NothingToBuild`.

    Its time is max(parent.time_ms + 1, wall clock); `parent_certificate` goes into its body as the
    last certificate (None on the base block). With nothing to put in, an empty block is wanted if
    `may_be_empty`, and none otherwise: so that an idle chain stays quiet.
    """

    epoch: Epoch
    view: View
    parent: BlockFacts
    parent_certificate: Certificate | None
    may_be_empty: bool


@dataclass(frozen=True, slots=True)
class Fetch:
    """Get the body of a block: at hand, from the store, or by asking `sources` in this order, each with a
    short time-out; answer `Fetched`, or nothing after one round. Repeated while it is wanted; a fetch
    of a block that is being fetched already takes the new sources."""

    block_id: BlockId
    sources: tuple[Peer, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """Execute a fetched block on its parent, which is valid or committed; answer `Checked`."""

    block_id: BlockId


@dataclass(frozen=True, slots=True)
class Commit:
    """This block is final: make it durable, apply it. Oldest first, each once, without gaps.

    `finalization` makes it final: its own, or a descendant's. `settled`, with the last block that it covers,
    holds what settled the views since the last commit, as far as this node saw it: nullifications, and
    certificates of these blocks. They are kept for disputes. A block that a sync committed meanwhile is
    skipped by the driver.
    """

    block_id: BlockId
    height: Height
    finalization: Certificate
    settled: tuple[Certificate, ...]


@dataclass(frozen=True, slots=True)
class Behind:
    """A verified finalization lies above the blocks that this node can commit by itself: sync up to it
    by certificates, then answer `Synced`. Repeated while it holds.

    The signer's floor is durable at its view already, so the store may commit up to there.
    """

    finalization: Certificate


@dataclass(frozen=True, slots=True)
class Entered:
    """For logs and metrics: the machine is in this view now, led by this validator."""

    epoch: Epoch
    view: View
    leader: int


@dataclass(frozen=True, slots=True)
class Report:
    """A peer sent what no correct peer sends. `code` is stable, `message` one sentence."""

    peer: Peer
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two signed statements of one validator that no correct validator makes both; or a proposal out of turn
    (`second` is None). Reported once a validator and view."""

    validator: int
    first: SignedVote | SignedProposal
    second: SignedVote | SignedProposal | None


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """The last block of the epoch is committed; answer `EpochBegun` with what follows from it.

    Until then consensus tells who still speaks of this epoch what ended it, and does no more.
    """

    epoch: Epoch
    base_id: BlockId
    finalization: Certificate


@dataclass(frozen=True, slots=True)
class OldEpoch:
    """A peer is in an epoch that ended before the last turn, or by a recovery: send it what ended it: from
    the store the finalization of its last block in a `CertificatesMessage`, or the recovery."""

    peer: Peer
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class SignerState:
    """Whether this node signs, and if not, why (`signer.*`). Sent at the start and when it changes."""

    is_signing: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Halt:
    """This node must stop by itself and say why: it disagrees with what a quorum finalized
    (`consensus.diverged`), or two finalizations conflict (`consensus.forked`)."""

    code: str
    message: str


Effect = (
    Persist
    | DropRecords
    | Send
    | Broadcast
    | WakeAt
    | Build
    | Fetch
    | Check
    | Commit
    | Behind
    | Entered
    | Report
    | Evidence
    | EpochEnded
    | OldEpoch
    | SignerState
    | Halt
)
