"""The judge: what must hold whatever happens, in rules of its own.

It hears all that honest nodes say, make durable and commit, and shares no predicate with the
machine that it judges: quorums are counted here again, signatures verified here again, forbidden
pairs listed here again. It never tells a node anything.
"""

from __future__ import annotations

from collections import Counter
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
from ledger.types import BlockId, ChainId, Epoch
from ledger.validators import ValidatorSet, leader
from ledger.vote import Certificate, SignedProposal, SignedVote, VoteKind
from network.simulator.disk import Committed, Disk

VIOLATIONS_MAX: Final = 20  # the first say enough
WINDOW_MS: Final = 5_000
# What a validator may say to each peer within a window, resends and answers together: 30 a second,
# twice and more what the busiest honest seed needs.
MESSAGES_PER_PEER_WINDOW_MAX: Final = 150

Place = tuple[int, int]  # validator, view


class Oracle:
    """Collects violations; `honest` are the indices of those who keep the rules."""

    def __init__(
        self, validators: ValidatorSet, chain_id: bytes, honest: tuple[int, ...], base: BlockId
    ) -> None:
        self.violations: list[str] = []
        self._validators = validators
        self._keys = [each.public_key for each in validators.validators]
        self._stakes = [each.stake for each in validators.validators]
        self._chain_id = chain_id
        self._honest = frozenset(honest)
        self._chain: dict[int, BlockId] = {0: base}
        self._votes: dict[Place, dict[VoteKind, bytes | None]] = {}
        self._proposals: dict[Place, bytes] = {}
        self._proposed: dict[Place, bytes] = {}
        self._durable: dict[int, dict[bytes, int]] = {index: {} for index in honest}
        self._executed: dict[int, dict[BlockId, None]] = {index: {} for index in honest}
        self._left: dict[int, dict[int, None]] = {index: {} for index in honest}
        self._held_notarized: dict[int, dict[int, dict[BlockId, None]]] = {index: {} for index in honest}
        self._parents: dict[bytes, BlockId] = {}
        self._finalized: dict[int, bytes] = {}
        self._notarized: dict[int, bytes] = {}
        self._nullified: dict[int, None] = {}
        self._known_good: dict[bytes, None] = {}
        self._signatures: dict[tuple[int, bytes, bytes], bool] = {}
        self._heights: dict[int, int] = dict.fromkeys(honest, 0)
        self._signed_views: dict[int, int] = dict.fromkeys(honest, 0)
        self._doubtful_views: dict[int, int] = {}
        self._restored: dict[int, None] = {}
        self._transactions: dict[int, dict[bytes, None]] = {index: {} for index in honest}
        self._window: Counter[int] = Counter()
        self._window_began_ms = 0
        self.busiest = 0

    def violated(self, rule: str, problem: str) -> None:
        """Note a violation; each rule at most a few times."""
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(f"{rule}: {problem}")

    # --- what nodes do ---------------------------------------------------------------

    def started(self, index: int, disk: Disk) -> None:
        """What ever left this node and is not settled must be in the record that it starts from."""
        if index in self._restored:
            self._restored.pop(index)
            return
        floor = max((each.view for each in disk.records if isinstance(each, SignerFloor)), default=0)
        held = {encode(each.signed): None for each in disk.records if isinstance(each, OwnVote | OwnProposal)}
        for statement, view in self._durable[index].items():
            if view > floor and statement not in held:
                self.violated("durable", f"node {index} lost what it signed in view {view}")
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
        self._doubtful_views[index] = self._signed_views[index]
        self._heights[index] = disk.head.block.header.height
        self._durable[index].clear()
        used = (each for entry in disk.committed for each in entry.block.transactions)
        self._transactions[index] = dict.fromkeys(used)

    def persisted(self, index: int, effect: Persist) -> None:
        """Records became durable."""
        for record in effect.records:
            if isinstance(record, OwnVote | OwnProposal):
                self._judge_quarantine(index, record_position(record)[1])
            self._note_record(index, record)

    def _note_record(self, index: int, record: Record) -> None:
        if isinstance(record, OwnVote | OwnProposal) and record.signed.validator == index:
            self._signed_views[index] = max(self._signed_views[index], record_position(record)[1])
        match record:
            case OwnVote(signed=vote) if vote.validator == index:
                self._durable[index][encode(vote)] = vote.vote.view
                self._judge_vote(index, vote)
            case OwnProposal(signed=proposal) if proposal.validator == index:
                self._durable[index][encode(proposal)] = proposal.proposal.view
                self._judge_proposal(index, proposal)
            case HeldCertificate(certificate=certificate):
                self.judge_certificate(index, certificate)
                self._hold(index, certificate)
            case _:
                pass

    def _judge_quarantine(self, index: int, view: int) -> None:
        if view <= self._doubtful_views.get(index, 0):
            self.violated("quarantine", f"node {index} signed in view {view} with a doubtful record")

    def _hold(self, index: int, certificate: Certificate) -> None:
        block = certificate.block_id
        if certificate.kind is VoteKind.NOTARIZE and block is not None:
            self._held_notarized[index].setdefault(certificate.view, {})[block] = None
        else:
            self._left[index][certificate.view] = None

    def said(self, index: int, message: Message, now_ms: int) -> None:
        """A message is about to leave: its signatures must be durable, its certificates good."""
        self._count(index, now_ms)
        match message:
            case VotesMessage(votes=votes):
                self._judge_durable(index, (encode(vote) for vote in votes if vote.validator == index))
                for vote in votes:
                    if vote.validator == index:
                        self._judge_vote(index, vote)
            case CertificatesMessage(certificates=certificates):
                for certificate in certificates:
                    self.judge_certificate(index, certificate)
            case ProposalMessage(signed=signed, parent_certificate=parent, gap=gap):
                if signed.validator == index:
                    self._judge_durable(index, (encode(signed),))
                    self._judge_proposal(index, signed)
                for certificate in (*gap, *(() if parent is None else (parent,))):
                    self.judge_certificate(index, certificate)
            case _:
                pass

    def _count(self, index: int, now_ms: int) -> None:
        if now_ms >= self._window_began_ms + WINDOW_MS:
            self._window.clear()
            self._window_began_ms = now_ms
        self._window[index] += 1
        self.busiest = max(self.busiest, self._window[index])
        limit = MESSAGES_PER_PEER_WINDOW_MAX * (len(self._keys) - 1)
        if self._window[index] == limit + 1:
            self.violated("traffic", f"node {index} said more than {limit} messages in {WINDOW_MS} ms")

    def _judge_durable(self, index: int, statements: Iterable[bytes]) -> None:
        for statement in statements:
            if statement not in self._durable[index]:
                self.violated("durable", f"node {index} said what it had not made durable")

    # --- signatures --------------------------------------------------------------------

    def _judge_vote(self, index: int, signed: SignedVote) -> None:
        """No honest key ever signs two statements that exclude each other."""
        vote, view = signed.vote, signed.vote.view
        said = self._votes.setdefault((index, view), {})
        if said.setdefault(vote.kind, vote.block_id) != vote.block_id:
            self.violated("forbidden pair", f"node {index} voted {vote.kind.name} twice in view {view}")
        if VoteKind.FINALIZE in said:
            if VoteKind.NULLIFY in said:
                self.violated("forbidden pair", f"node {index} nullified and finalized view {view}")
            if said.get(VoteKind.NOTARIZE, said[VoteKind.FINALIZE]) != said[VoteKind.FINALIZE]:
                self.violated("forbidden pair", f"node {index} notarized and finalized two blocks in {view}")

    def _judge_proposal(self, index: int, signed: SignedProposal) -> None:
        content = encode(signed.proposal)
        self._proposed.setdefault((index, signed.proposal.view), signed.proposal.block_id)
        if self._proposals.setdefault((index, signed.proposal.view), content) != content:
            self.violated("forbidden pair", f"node {index} proposed twice in view {signed.proposal.view}")

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
        signers = [index for index, _ in certificate.signatures]
        if vote.chain_id != self._chain_id or vote.epoch != 0 or vote.view < 1:
            return "another chain, epoch or no view"
        if (vote.block_id is None) is not (vote.kind is VoteKind.NULLIFY):
            return "a block where none belongs, or none"
        if len(set(signers)) != len(signers) or any(index >= len(self._keys) for index in signers):
            return "repeated or unknown signers"
        share = Fraction(sum(self._stakes[index] for index in signers), sum(self._stakes))
        if share <= Fraction(2, 3):
            return f"{share} of the stake"
        content = encode(vote)
        if not all(self._is_signed(index, content, signature) for index, signature in certificate.signatures):
            return "a forged signature"
        return ""

    def _is_signed(self, index: int, content: bytes, signature: bytes) -> bool:
        key = (index, content, signature)
        if key not in self._signatures:
            self._signatures[key] = is_signature(self._keys[index], Tag.VOTE, content, signature)
        return self._signatures[key]

    def _judge_view(self, certificate: Certificate) -> None:
        """One notarized block a view, one final block a view, and never both final and nullified."""
        view, block = certificate.view, certificate.block_id or b""
        turn = leader(ChainId(self._chain_id), Epoch(0), view, self._validators)
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

    def judge_lineage(self) -> None:
        """At the end: whatever was notarized after a final view descends from what is final there."""
        for view, block in sorted(self._notarized.items()):
            final_view = max((each for each in self._finalized if each < view), default=0)
            if final_view == 0:
                continue
            final, at = self._finalized[final_view], block
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
        self._executed[index][identifier] = None
        used = self._transactions[index]
        if any(each in used for each in entry.block.transactions):
            self.violated("transactions", f"a transaction stands twice in the chain, again at {height}")
        used.update(dict.fromkeys(entry.block.transactions))

    # --- moves ----------------------------------------------------------------------------

    def executed(self, index: int, block: Header) -> None:
        """A node built a block, or found one valid."""
        identifier = block_id(block)
        self._executed[index][identifier] = None
        self._parents[identifier] = BlockId(block.parent_id)

    def entered(self, index: int, view: int) -> None:
        """A view is left by a durable certificate alone; by a notarization, with a valid body alone."""
        if view == 1 or view - 1 in self._left[index]:
            return
        notarized = self._held_notarized[index].get(view - 1, {})
        if not any(block in self._executed[index] for block in notarized):
            self.violated("move", f"node {index} entered view {view} without leave")

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

    def executed(self, index: int, block: Header) -> None:
        """Not judged."""

    def entered(self, index: int, view: int) -> None:
        """Not judged."""

    def noticed(self, index: int, effect: Report | Evidence | Halt) -> None:
        """Not judged."""
