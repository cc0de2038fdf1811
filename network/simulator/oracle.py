"""The judge: what must hold whatever happens, in rules of its own.

It hears all that honest nodes say, make durable and commit, and shares no predicate with the
machine that it judges: quorums are counted here again, signatures verified here again, forbidden
pairs listed here again. It never tells a node anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Final

from ledger.block import Header, block_id
from ledger.codec import encode
from ledger.consensus.events import Evidence, Halt, Persist, Report
from ledger.consensus.messages import CertificatesMessage, Message, ProposalMessage, VotesMessage
from ledger.consensus.records import (
    HeldCertificate,
    OwnProposal,
    OwnVote,
    Record,
    SignerFloor,
    record_position,
)
from ledger.crypto import Tag, is_signature
from ledger.types import BlockId, ChainId, Epoch, PublicKey, View
from ledger.validators import leader
from ledger.vote import Certificate, SignedProposal, SignedVote, VoteKind
from network.simulator.chain import WALL_START_MS
from network.simulator.disk import Committed, Disk
from network.simulator.history import History
from network.simulator.roll import Roll, keys_of
from network.simulator.traffic import Traffic

EPOCH_MS: Final = 600_000
AHEAD_MS_MAX: Final = 45_000  # the fastest clock of any scenario, and what a block may be ahead of it
HELPING_BLOCKS_MAX: Final = 2  # a settled chain: the last block, and one whose helper came late
# Where a finalization takes longer than the first delay, each block is helped by an empty one above it: one
# for each hop and delay, a second together, in the six that a rest lasts.
HELPING_BLOCKS_FAR_MAX: Final = 6
NEVER: Final = (0, 0)  # before the first view
VIOLATIONS_MAX: Final = 20  # the first say enough

Moment = tuple[int, int]  # epoch, view
Place = tuple[int, Moment]  # node, and when
Stand = tuple[int, int, int]  # epoch, height and time of the block that it stands on


class Oracle:
    """Collects violations; `honest` are the nodes that keep the rules, `roll` says who votes when, and an
    epoch ends with the block `epoch_blocks` above the one that it stands on, or EPOCH_MS after it."""

    def __init__(
        self,
        roll: Roll,
        chain_id: bytes,
        honest: tuple[int, ...],
        base: Header,
        epoch_blocks: int,
        landing_views_max: int | None = None,
    ) -> None:
        self.violations: list[str] = []
        self._roll = roll
        self._nodes = len(roll.stakes_in(0))
        self._chain_id = chain_id
        self._honest = frozenset(honest)
        self._epoch_blocks = epoch_blocks
        self._chain: dict[int, BlockId] = {0: block_id(base)}
        self._epochs: dict[int, int] = dict.fromkeys(honest, 0)  # of the children of each node's last block
        self._bases: dict[int, BlockId] = {0: block_id(base)}  # what each epoch stands on
        self._stands: dict[int, Stand] = {0: (0, 0, base.time_ms)}  # by height, of its children
        self._votes: dict[Place, dict[VoteKind, bytes | None]] = {}
        self._proposals: dict[Place, bytes] = {}
        self._proposed: dict[Place, bytes] = {}
        self._durable: dict[int, dict[bytes, Moment]] = {index: {} for index in honest}
        self._executed: dict[int, dict[BlockId, None]] = {index: {} for index in honest}
        self._left: dict[int, dict[Moment, None]] = {index: {} for index in honest}
        self._built: dict[BlockId, None] = {}  # by honest nodes
        self._held_notarized: dict[int, dict[Moment, dict[BlockId, None]]] = {index: {} for index in honest}
        self._parents: dict[bytes, BlockId] = {}
        self._finalized: dict[Moment, bytes] = {}
        self._notarized: dict[Moment, bytes] = {}
        self._nullified: dict[Moment, None] = {}
        self._known_good: dict[bytes, None] = {}
        self._signatures: dict[tuple[bytes, bytes, bytes], bool] = {}
        self._heights: dict[int, int] = dict.fromkeys(honest, 0)
        self._signed: dict[int, Moment] = dict.fromkeys(honest, NEVER)
        self._doubtful: dict[int, Moment] = {}
        self._restored: dict[int, None] = {}
        self._transactions: dict[int, dict[bytes, None]] = {index: {} for index in honest}
        self._now_ms = 0
        self._moments: dict[Moment, None] = {}  # every view of every epoch that somebody entered
        self.history = History(base, self.violated, landing_views_max)
        self.traffic = Traffic(self._nodes - 1)

    def violated(self, rule: str, problem: str) -> None:
        """Note a violation; each rule at most a few times."""
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(f"{rule}: {problem}")

    # --- what nodes do ---------------------------------------------------------------

    def started(self, index: int, disk: Disk) -> None:
        """What ever left this node and is not settled must be in the record that it starts from."""
        if index in self._restored:
            self._restored.pop(index)
            for record in disk.records:  # what it still knows that it said, it may say again
                self._note_record(index, record)
            return
        floors = (record_position(each) for each in disk.records if isinstance(each, SignerFloor))
        floor = max(floors, default=NEVER)
        held = {encode(each.signed): None for each in disk.records if isinstance(each, OwnVote | OwnProposal)}
        for statement, moment in self._durable[index].items():
            if moment > floor and statement not in held:
                self.violated("durable", f"node {index} lost what it signed in {moment}")
        # Part of a batch may have outlived a crash before its sync was reported: it is durable now.
        for record in disk.records:
            self._note_record(index, record)
        for entry in disk.committed[self._heights[index] + 1 :]:
            self.committed(index, entry)
        if disk.head.block.header.height < self._heights[index]:
            self.violated("durable", f"node {index} lost final blocks above {disk.head.block.header.height}")

    def restored(self, index: int, disk: Disk) -> None:
        """From now on this node may not sign in any view up to the last that it ever signed in, for its
        record does not say what it promised there. It commits again what the disk lacks."""
        self._restored[index] = None
        self._doubtful[index] = self._signed[index]
        self._heights[index] = disk.head.block.header.height
        self._epochs[index] = self._stands[self._heights[index]][0]
        self._durable[index].clear()
        used = (each for entry in disk.committed for each in entry.block.transactions)
        self._transactions[index] = dict.fromkeys(used)

    def persisted(self, index: int, effect: Persist) -> None:
        """Records became durable."""
        for record in effect.records:
            if isinstance(record, OwnVote | OwnProposal):
                self._judge_quarantine(index, record_position(record))
                self._judge_epoch(index, record_position(record)[0])
            self._note_record(index, record)

    def _is_by(self, index: int, epoch: int, validator: int) -> bool:
        """Whether a node holds this index in the set of an epoch."""
        members = self._roll.members(epoch)
        return validator < len(members) and members[validator] == index

    def _note_record(self, index: int, record: Record) -> None:
        moment = record_position(record)
        match record:
            case OwnVote(signed=vote) if self._is_by(index, moment[0], vote.validator):
                self._signed[index] = max(self._signed[index], moment)
                self._durable[index][encode(vote)] = moment
                self._judge_vote(index, vote)
            case OwnProposal(signed=proposal) if self._is_by(index, moment[0], proposal.validator):
                self._signed[index] = max(self._signed[index], moment)
                self._durable[index][encode(proposal)] = moment
                self._judge_proposal(index, proposal)
            case HeldCertificate(certificate=certificate):
                self.judge_certificate(index, certificate)
                self._hold(index, certificate)
            case _:
                pass

    def _judge_quarantine(self, index: int, moment: Moment) -> None:
        if moment <= self._doubtful.get(index, NEVER):
            self.violated("quarantine", f"node {index} signed in {moment} with a doubtful record")

    def _judge_epoch(self, index: int, epoch: int) -> None:
        """Nobody signs in an epoch that has ended for it, or has still to begin, or without stake."""
        if epoch != self._epochs[index]:
            self.violated("epoch", f"node {index} signed in {epoch}, its chain is in {self._epochs[index]}")
        elif index not in self._roll.members(epoch):
            self.violated("epoch", f"node {index} signed in epoch {epoch} without stake")

    def _hold(self, index: int, certificate: Certificate) -> None:
        block, moment = certificate.block_id, moment_of(certificate)
        if certificate.kind is VoteKind.NOTARIZE and block is not None:
            self._held_notarized[index].setdefault(moment, {})[block] = None
        else:
            self._left[index][moment] = None

    def said(self, index: int, message: Message, now_ms: int) -> None:
        """A message is about to leave: its signatures must be durable, its certificates good."""
        self._now_ms = now_ms
        problem = self.traffic.said(index, message, now_ms)
        if problem:
            self.violated("traffic", f"node {index} {problem}")
        match message:
            case VotesMessage(votes=votes):
                own = [vote for vote in votes if self._is_by(index, vote.vote.epoch, vote.validator)]
                self._judge_durable(index, (encode(vote) for vote in own))
                for vote in own:
                    self._judge_vote(index, vote)
            case CertificatesMessage(certificates=certificates):
                for certificate in certificates:
                    self.judge_certificate(index, certificate)
            case ProposalMessage(signed=signed, parent_certificate=parent, gap=gap):
                if self._is_by(index, signed.proposal.epoch, signed.validator):
                    self._judge_durable(index, (encode(signed),))
                    self._judge_proposal(index, signed)
                for certificate in (*gap, *(() if parent is None else (parent,))):
                    self.judge_certificate(index, certificate)
            case _:
                pass

    def _judge_durable(self, index: int, statements: Iterable[bytes]) -> None:
        for statement in statements:
            if statement not in self._durable[index]:
                self.violated("durable", f"node {index} said what it had not made durable")

    # --- signatures --------------------------------------------------------------------

    def _judge_vote(self, index: int, signed: SignedVote) -> None:
        """No honest key ever signs two statements that exclude each other."""
        vote, view = signed.vote, (signed.vote.epoch, signed.vote.view)
        said = self._votes.setdefault((index, view), {})
        if said.setdefault(vote.kind, vote.block_id) != vote.block_id:
            self.violated("forbidden pair", f"node {index} voted {vote.kind.name} twice in view {view}")
        if VoteKind.FINALIZE in said:
            if VoteKind.NULLIFY in said:
                self.violated("forbidden pair", f"node {index} nullified and finalized view {view}")
            if said.get(VoteKind.NOTARIZE, said[VoteKind.FINALIZE]) != said[VoteKind.FINALIZE]:
                self.violated("forbidden pair", f"node {index} notarized and finalized two blocks in {view}")

    def _judge_proposal(self, index: int, signed: SignedProposal) -> None:
        content, view = encode(signed.proposal), (signed.proposal.epoch, signed.proposal.view)
        self._proposed.setdefault((index, view), signed.proposal.block_id)
        if self._proposals.setdefault((index, view), content) != content:
            self.violated("forbidden pair", f"node {index} proposed twice in view {view}")

    def judge_certificate(self, index: int, certificate: Certificate) -> None:
        """What an honest node believes or passes on must be signed by more than two thirds of the stake."""
        encoded = encode(certificate)
        if encoded in self._known_good:
            return
        problem = self._problem_of(certificate)
        if problem:
            self.violated("certificate", f"node {index} accepted a {certificate.kind.name} with {problem}")
            return
        self._known_good[encoded] = None
        self._judge_view(certificate)

    def _problem_of(self, certificate: Certificate) -> str:
        vote = certificate.vote
        signers, members = [index for index, _ in certificate.signatures], self._roll.members(vote.epoch)
        if vote.chain_id != self._chain_id or vote.epoch not in self._bases or vote.view < 1:
            return "another chain, an epoch that nobody has begun, or no view"
        if (vote.block_id is None) is not (vote.kind is VoteKind.NULLIFY):
            return "a block where none belongs, or none"
        if len(set(signers)) != len(signers) or any(index >= len(members) for index in signers):
            return "repeated or unknown signers"
        stakes = self._roll.stakes_in(vote.epoch)
        share = Fraction(sum(stakes[members[index]] for index in signers), sum(stakes))
        if share <= Fraction(2, 3):
            return f"{share} of the stake"
        content, keys = encode(vote), keys_of(self._nodes)
        signatures = ((keys[members[index]].public, signature) for index, signature in certificate.signatures)
        if not all(self._is_signed(key, content, signature) for key, signature in signatures):
            return "a forged signature"
        return ""

    def _is_signed(self, key: PublicKey, content: bytes, signature: bytes) -> bool:
        claim = (key, content, signature)
        if claim not in self._signatures:
            self._signatures[claim] = is_signature(key, Tag.VOTE, content, signature)
        return self._signatures[claim]

    def _judge_view(self, certificate: Certificate) -> None:
        """One notarized block a view, one final block a view, and never both final and nullified."""
        view, block = moment_of(certificate), certificate.block_id or b""
        validators, epoch = self._roll.validators(view[0]), Epoch(view[0])
        index = leader(ChainId(self._chain_id), epoch, View(view[1]), validators)
        turn = self._roll.node(epoch, index)
        if block and turn in self._honest and self._proposed.get((turn, view)) != block:
            self.violated("turn", f"a block that leader {turn} never proposed is certified in view {view}")
        match certificate.kind:
            case VoteKind.NOTARIZE:
                if self._notarized.setdefault(view, block) != block:
                    self.violated("view", f"two blocks are notarized in view {view}")
            case VoteKind.FINALIZE:
                if self._finalized.setdefault(view, block) != block:
                    self.violated("view", f"two blocks are final in view {view}")
            case VoteKind.NULLIFY:
                self._nullified[view] = None
        if view in self._finalized and view in self._nullified:
            self.violated("view", f"view {view} is both final and nullified")
        if self._finalized.get(view, b"") != self._notarized.get(view, self._finalized.get(view, b"")):
            if view in self._finalized:
                self.violated("view", f"view {view} notarized one block and finalized another")

    def submitted(self, transaction: bytes) -> None:
        """A client handed a transaction to an honest node."""
        self.history.submitted(transaction, len(self._moments))

    def judge_lineage(self) -> None:
        """At the end: whatever was notarized after a final view descends from what is final there, and
        what is first in an epoch from the block that the epoch stands on."""
        for view, block in sorted(self._notarized.items()):
            final_view = max((each for each in self._finalized if each < view), default=NEVER)
            is_here = final_view[0] == view[0] and final_view != NEVER
            final, at = self._finalized[final_view] if is_here else self._bases[view[0]], block
            while at != final and at in self._parents:
                at = self._parents[at]
            if at != final:
                self.violated("lineage", f"what view {view} notarized passes over final view {final_view}")

    # --- blocks ---------------------------------------------------------------------------

    def committed(self, index: int, entry: Committed) -> None:
        """Final means: the same block at that height everywhere, on its parent, under a good finalization."""
        header = entry.block.header
        height, identifier = header.height, block_id(header)
        if height != self._heights[index] + 1:
            self.violated("order", f"node {index} committed {height} after {self._heights[index]}")
        self._heights[index] = height
        if header.epoch != self._epochs[index]:
            self.violated("epoch", f"block {height} is of {header.epoch}, expected {self._epochs[index]}")
        self._epochs[index] = self._epoch_above(header)
        if header.time_ms > WALL_START_MS + self._now_ms + AHEAD_MS_MAX:
            self.violated("time", f"node {index} committed {height} of a time that no honest clock shows")
        if self._chain.setdefault(height, identifier) != identifier:
            self.violated("agreement", f"node {index} has another block at height {height}")
        if self._chain.get(height - 1) != header.parent_id:
            self.violated("ancestry", f"the block at {height} is not on the final block below it")
        finalization = entry.finalization
        if finalization is None or finalization.kind is not VoteKind.FINALIZE:
            self.violated("certificate", f"node {index} committed {height} without a finalization")
        else:
            self.judge_certificate(index, finalization)
            self._hold(index, finalization)
        self.history.committed(index, entry.block, len(self._moments))
        self._executed[index][identifier] = None
        used = self._transactions[index]
        if any(each in used for each in entry.block.transactions):
            self.violated("transactions", f"a transaction stands twice in the chain, again at {height}")
        used.update(dict.fromkeys(entry.block.transactions))

    def _epoch_above(self, header: Header) -> int:
        """The epoch of a final block's children."""
        epoch, height, time_ms = self._stands.get(header.height - 1, (header.epoch, 0, 0))
        is_long_enough = header.height >= height + self._epoch_blocks
        if is_long_enough or header.time_ms >= time_ms + EPOCH_MS:
            epoch, height, time_ms = epoch + 1, header.height, header.time_ms
            self._bases.setdefault(epoch, block_id(header))
        self._stands.setdefault(header.height, (epoch, height, time_ms))
        return self._stands[header.height][0]

    def rested(self, height: int, *, is_far: bool) -> None:
        """Since this height nobody had anything to say: what an honest node builds then helps an unfinalized
        block below it. A liar's own blocks are valid, and ask for such help."""
        above = [identifier for at, identifier in self._chain.items() if at > height]
        own = [identifier for identifier in above if identifier in self._built]
        limit = HELPING_BLOCKS_FAR_MAX if is_far else HELPING_BLOCKS_MAX
        if len(own) > limit + len(above) - len(own):
            self.violated("quiet", f"{len(own)} blocks of {len(above)} by honest nodes with nothing to say")

    # --- moves ----------------------------------------------------------------------------

    def built(self, index: int, block: Header) -> None:
        """A node built a block, and so found it valid."""
        self._built[block_id(block)] = None
        self.executed(index, block)

    def executed(self, index: int, block: Header) -> None:
        """A node found a block valid."""
        identifier = block_id(block)
        self._executed[index][identifier] = None
        self._parents[identifier] = BlockId(block.parent_id)

    def entered(self, index: int, epoch: int, view: int) -> None:
        """A view is left by a durable certificate alone; by a notarization, with a valid body alone."""
        before = (epoch, view - 1)
        self._moments[epoch, view] = None
        if view == 1 or before in self._left[index]:
            return
        notarized = self._held_notarized[index].get(before, {})
        if not any(block in self._executed[index] for block in notarized):
            self.violated("move", f"node {index} entered view {view} of epoch {epoch} without leave")

    # --- accusations -------------------------------------------------------------------------

    def noticed(self, index: int, effect: Report | Evidence | Halt) -> None:
        """Nobody accuses an honest validator, and no honest node halts."""
        match effect:
            case Report(peer, code, message) if peer in self._honest:
                self.violated("false report", f"node {index} reports honest {peer}: {code}: {message}")
            case Evidence(validator=validator) if validator in self._honest:
                self.violated("false evidence", f"node {index} accuses honest {validator}")
            case Halt(code, message):
                self.violated("halt", f"node {index}: {code}: {message}")
            case _:
                pass


def moment_of(certificate: Certificate) -> Moment:
    """When the votes of a certificate were cast."""
    return certificate.vote.epoch, certificate.vote.view


class Deaf:
    """The audience of a lying node: whatever it does is judged by what others make of it."""

    def started(self, index: int, disk: Disk) -> None:
        """Not judged."""

    def restored(self, index: int, disk: Disk) -> None:
        """Not judged."""

    def persisted(self, index: int, effect: Persist) -> None:
        """Not judged."""

    def said(self, index: int, message: Message, now_ms: int) -> None:
        """Not judged."""

    def committed(self, index: int, entry: Committed) -> None:
        """Not judged."""

    def built(self, index: int, block: Header) -> None:
        """Not judged."""

    def executed(self, index: int, block: Header) -> None:
        """Not judged."""

    def entered(self, index: int, epoch: int, view: int) -> None:
        """Not judged."""

    def noticed(self, index: int, effect: Report | Evidence | Halt) -> None:
        """Not judged."""
