"""The judge of whole nodes: what must hold whatever happens, in rules of its own.

It hears what leaves each node, what each commits and starts from, and what clients are told, and shares no
predicate with what it judges: quorums are counted here again, signatures verified here again, forbidden
pairs listed here again. It never tells a node anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from ledger.block import Header, block_id, decode_block
from ledger.codec import decode, encode
from ledger.consensus.messages import CertificatesMessage, Message, ProposalMessage, VotesMessage
from ledger.crypto import Tag, is_signature
from ledger.epoch import epoch_in_force, validators_in_force
from ledger.genesis import Genesis, chain_id
from ledger.receipt import Receipt
from ledger.recovery import decode_recovery, is_recovery
from ledger.transaction import decode_transaction
from ledger.types import QUORUM_CERTIFICATE_BYTES_MAX, BlockId, Height, TxId
from ledger.validators import Validator, ValidatorSet, validators_hash
from ledger.vote import Certificate, SignedProposal, SignedVote, VoteKind
from network.simulator.whole.disk import LOG
from network.simulator.whole.roll import Roll
from network.simulator.whole.site import SimulatedSite
from node.assemble import RunningNode
from node.p2p.messages import Blocks, Body, Settled
from node.p2p.messages import Message as PeerMessage
from node.store.blocks import StoredBlock

VIOLATIONS_MAX: Final = 20  # the first say enough
WINDOW_MS: Final = 5_000
SHOWN_EPOCHS: Final = 3  # the epoch in force, and the two that certificates are kept for
# What a node may send to each peer within a window, gossip, resends and answers together: 60 frames a second,
# three times what the busiest honest seed needs.
FRAMES_PER_PEER_WINDOW_MAX: Final = 300

HEARD_EPOCHS_MIN: Final = 3  # who has a seat in so many epochs votes in one of them
HEARD_MS_MIN: Final = 4_000  # short epochs are over before a peer that lied is passed over (1 s for each ask)

View = tuple[int, int]  # epoch, view


@dataclass(frozen=True, slots=True)
class Told:
    """What a client was told of its transaction."""

    height: Height
    index: int
    receipt: bytes


class Judge:
    """Collects violations of one run."""

    def __init__(self, genesis: Genesis) -> None:
        self.violations: list[str] = []
        self.busiest = 0
        self.told: dict[TxId, Told] = {}
        self.chain: dict[int, BlockId] = {}
        self._chain_id = chain_id(genesis)
        self.roll = Roll(genesis, self.violated)
        self._sets: dict[int, ValidatorSet] = {0: ValidatorSet(genesis.validators)}
        self._bodies: dict[int, bytes] = {}
        self._roots: dict[int, bytes] = {}
        self._placed: dict[TxId, int] = {}
        self._heights: Counter[int] = Counter()  # of each site: durable, and told to somebody
        self._durable: dict[int, dict[bytes, None]] = {}
        self._excused: dict[bytes, None] = {}  # keys whose disk has lied
        self.broken_words = 0  # pairs that only an excused key may sign
        self._voted: dict[bytes, int] = {}  # the last epoch in which each key voted
        self._well_since: int | None = None  # the epoch from which on every site has been well
        self.heard_from = 0  # the epoch from which on everybody with a seat has been heard
        self._silent: tuple[bytes, ...] = ()
        self._unseated: dict[bytes, None] = {}  # signatures looked at of keys that say nothing in an epoch
        self._said: dict[tuple[bytes, View], dict[str, bytes | None]] = {}
        self._certified: dict[View, dict[VoteKind, bytes | None]] = {}
        self._known_good: dict[bytes, None] = {}
        self._window: Counter[int] = Counter()
        self._window_began_ms = 0

    def violated(self, rule: str, problem: str) -> None:
        """Note a violation; the first twenty are kept."""
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(f"{rule}: {problem}")

    # --- lives of a node -----------------------------------------------------------------------

    def started(self, site: SimulatedSite, node: RunningNode) -> None:
        """A start finds all that was durable, or there were other data put in its place."""
        height = node.site.head()[0]
        if height < self._heights[site.index]:
            self.violated(
                "durable", f"{site.member.name} starts at {height}, was at {self._heights[site.index]}"
            )
        self._take_heights(site, node, height)
        self._judge_set(site, node)

    def restored(self, site: SimulatedSite) -> None:
        """Other data were put into a home: whatever they hold is what there is."""
        self._heights[site.index] = 0
        self._durable.pop(site.index, None)

    def excuse(self, site: SimulatedSite) -> None:
        """The disk says that it syncs, and does not: the key may contradict what it no longer knows. That
        stake is below a third, and counts as a liar's."""
        self._excused[site.member.validator.public] = None

    def committed(self, site: SimulatedSite, node: RunningNode, header: Header) -> None:
        """A node says that a block is final."""
        if header.height != self._heights[site.index] + 1:
            self.violated(
                "order", f"{site.member.name} commits {header.height} after {self._heights[site.index]}"
            )
        root = node.stores.state.tree.root
        if node.stores.state.head.height == header.height and root != header.state_root:
            self.violated(
                "roots", f"{site.member.name} holds another state at {header.height} than its header"
            )
        self._take_heights(site, node, Height(header.height))
        self._judge_set(site, node)

    def _judge_set(self, site: SimulatedSite, node: RunningNode) -> None:
        """Each node has the set that the blocks lead to; it is known here before anybody votes in it."""
        state = node.site.state()
        epoch, validators = epoch_in_force(state).epoch, validators_in_force(state)
        if self._sets.get(epoch) != validators:
            self.violated("epoch", f"{site.member.name} has another set for epoch {epoch} than the roll")

    def _enrol(self, stored: StoredBlock, receipts: Sequence[Receipt]) -> None:
        """A new final block: with the last one of an epoch the next set is known."""
        ended = self.roll.epoch
        self.roll.take(stored.block, receipts)
        if self.roll.epoch != ended:
            self._judge_attendance(ended)
        weights = self.roll.sets[self.roll.epoch].items()
        self._sets[self.roll.epoch] = ValidatorSet(
            tuple(Validator(key, weight, self.roll.nodes[key]) for key, weight in weights)
        )

    def well(self, silent: Sequence[bytes] = ()) -> None:
        """From here on nothing is wrong with any site: who has a seat is heard, but for these keys."""
        self._well_since = self.roll.epoch + 1
        self._silent = tuple(silent)

    def _judge_attendance(self, ended: int) -> None:
        """Where all is well, who has had a seat for so many epochs, and so long, has voted in one of them."""
        if ended not in self.roll.sets:
            return  # a recovery passed over it
        latest_ms = self.roll.began_ms[self.roll.epoch] - HEARD_MS_MIN
        first = ended - HEARD_EPOCHS_MIN + 1
        while first > 0 and self.roll.began_ms.get(first, latest_ms + 1) > latest_ms:
            first -= 1
        if self._well_since is None or first < self._well_since:
            return
        self.heard_from = first
        for key in self.roll.sets[ended]:
            held = (self.roll.sets.get(epoch) for epoch in range(first, ended))
            had_seat = all(key in each for each in held if each is not None)
            if had_seat and key not in self._silent and self._voted.get(key, -1) < first:
                self.violated("silent", f"{self.roll.nodes[key]} votes in no epoch from {first} to {ended}")

    def _take_heights(self, site: SimulatedSite, node: RunningNode, height: Height) -> None:
        for each in range(self._heights[site.index] + 1, height + 1):
            self._judge_block(site, node, Height(each))
        self._heights[site.index] = height

    def _judge_block(self, site: SimulatedSite, node: RunningNode, height: Height) -> None:
        """The same block everywhere, on the one below, under a good finalization, with nothing twice."""
        name, stored = site.member.name, node.stores.blocks.stored(height)
        if stored is None:
            self.violated("durable", f"{name} does not hold the block at {height} that it says is final")
            return
        header = stored.block.header
        if height not in self.chain:
            self._enrol(stored, node.stores.blocks.receipts(height) or ())
        if self.chain.setdefault(height, block_id(header)) != block_id(header):
            self.violated("agreement", f"{name} has another block at height {height}")
        if height > 1 and self.chain.get(height - 1) != header.parent_id:
            self.violated("ancestry", f"the block at {height} of {name} is not on the final block below it")
        if self._roots.setdefault(height, header.state_root) != header.state_root:
            self.violated("roots", f"{name} has another state root at height {height}")
        voters = self._sets.get(header.epoch)
        if voters is None or validators_hash(voters) != header.validators_hash:
            self.violated("epoch", f"{name}: the block at {height} names another set than its epoch has")
        self._judge_finalization(name, node, height)
        self._bodies.setdefault(height, encode(stored.block))
        for raw in stored.block.transactions:
            transaction_id = decode_transaction(raw).id
            if self._placed.setdefault(transaction_id, height) != height:
                self.violated("transactions", f"{transaction_id.hex()} stands twice, again at {height}")

    def _judge_finalization(self, name: str, node: RunningNode, height: Height) -> None:
        stored = node.stores.blocks.stored(height)
        assert stored is not None
        proof = stored.finalization or stored.covering
        if is_recovery(proof):  # whether it is sound is for whoever made it; here it is of this block
            if stored.finalization and decode_recovery(proof).recovery.block_id != stored.id:
                self.violated("certificate", f"{name}: the recovery at {height} chose another block")
            return
        if stored.finalization:
            certificate = decode(stored.finalization, Certificate, QUORUM_CERTIFICATE_BYTES_MAX)
            if certificate.block_id != stored.id:
                self.violated("certificate", f"{name}: the finalization at {height} is of another block")
        else:
            certificate = decode(stored.covering, Certificate, QUORUM_CERTIFICATE_BYTES_MAX)
        if certificate.kind is not VoteKind.FINALIZE:
            self.violated("certificate", f"{name} committed {height} without a finalization")
        self.judge_certificate(name, certificate)

    # --- what leaves a node -------------------------------------------------------------------------

    def sent(self, site: SimulatedSite, message: Message) -> None:
        """A consensus message leaves: its signatures must be durable, its certificates good."""
        name = site.member.name
        match message:
            case VotesMessage(votes=votes):
                for vote in votes:
                    self._judge_vote(site, vote)
            case ProposalMessage(signed=signed, parent_certificate=parent, gap=gap):
                self._judge_proposal(site, signed)
                for certificate in (*gap, *(() if parent is None else (parent,))):
                    self.judge_certificate(name, certificate)
            case CertificatesMessage(certificates=certificates):
                for certificate in certificates:
                    self.judge_certificate(name, certificate)
            case _:
                pass

    def served(self, site: SimulatedSite, message: PeerMessage) -> None:
        """Something stored leaves: it is what became final, to the byte, and its certificates are good."""
        name = site.member.name
        match message:
            case Blocks(from_height=height, blocks=blocks, finalization=finalization):
                for above, data in enumerate(blocks):
                    self._judge_served(name, data, height + above)
                self.judge_certificate(name, _certificate(finalization))
            case Body(block=data):
                height = decode_block(data).header.height
                if self.chain.get(height) == block_id(decode_block(data).header):
                    self._judge_served(name, data, height)
            case Settled(certificates=certificates):
                for certificate in certificates:
                    self.judge_certificate(name, _certificate(certificate))
            case _:
                pass

    def _judge_served(self, name: str, data: bytes, height: int) -> None:
        if self._bodies.get(height, data) != data:
            self.violated("served", f"{name} gives out another block at {height} than became final")

    def counted(self, site: SimulatedSite, peers: int, now_ms: int) -> None:
        """A frame leaves: how much a node says is bounded."""
        if now_ms >= self._window_began_ms + WINDOW_MS:
            self._window.clear()
            self._window_began_ms = now_ms
        self._window[site.index] += 1
        self.busiest = max(self.busiest, self._window[site.index])
        if self._window[site.index] == FRAMES_PER_PEER_WINDOW_MAX * peers + 1:
            self.violated("traffic", f"{site.member.name}: more than {self._window[site.index]} frames")

    def _judge_vote(self, site: SimulatedSite, signed: SignedVote) -> None:
        vote = signed.vote
        key = self._key_of(vote.epoch, signed.validator)
        if key != site.member.validator.public:
            self._judge_unseated(site, vote.epoch, Tag.VOTE, encode(vote), signed.signature)
            return
        self._voted[key] = max(vote.epoch, self._voted.get(key, 0))
        self._judge_durable(site, encode(signed), vote.view)
        said = self._said.setdefault((key, (vote.epoch, vote.view)), {})
        kind = vote.kind.name
        if said.setdefault(kind, vote.block_id) != vote.block_id:
            self._contradicted(site, f"voted {kind} twice in view {vote.view}")
        if "FINALIZE" in said:
            if "NULLIFY" in said:
                self._contradicted(site, f"nullified and finalized {vote.view}")
            if said.get("NOTARIZE", said["FINALIZE"]) != said["FINALIZE"]:
                self._contradicted(site, f"voted for two blocks in {vote.view}")

    def _judge_unseated(
        self, site: SimulatedSite, epoch: int, tag: Tag, content: bytes, signature: bytes
    ) -> None:
        """A site may pass on what others signed; without a seat in that epoch it signs nothing itself."""
        own, validators = site.member.validator.public, self._sets.get(epoch)
        if (validators is not None and validators.index_of(own) is not None) or signature in self._unseated:
            return
        self._unseated[signature] = None
        if is_signature(own, tag, content, signature):
            self.violated("unseated", f"{site.member.name} signs in epoch {epoch}, where it has no seat")

    def _contradicted(self, site: SimulatedSite, what: str) -> None:
        if site.member.validator.public in self._excused:
            self.broken_words += 1
        else:
            self.violated("forbidden pair", f"{site.member.name} {what}")

    def _judge_proposal(self, site: SimulatedSite, signed: SignedProposal) -> None:
        proposal = signed.proposal
        key = self._key_of(proposal.epoch, signed.validator)
        if key != site.member.validator.public:
            self._judge_unseated(site, proposal.epoch, Tag.PROPOSAL, encode(proposal), signed.signature)
            return
        self._judge_durable(site, encode(signed), proposal.view)
        said = self._said.setdefault((key, (proposal.epoch, proposal.view)), {})
        if said.setdefault("PROPOSAL", encode(proposal)) != encode(proposal):
            self._contradicted(site, f"proposed twice in view {proposal.view}")

    def _judge_durable(self, site: SimulatedSite, statement: bytes, view: int) -> None:
        known = self._durable.setdefault(site.index, {})
        if statement in known:
            return
        known[statement] = None
        if statement not in site.contents.files.durable(LOG):
            self.violated("durable", f"{site.member.name} said in view {view} what it had not made durable")

    # --- certificates ------------------------------------------------------------------------------

    def judge_certificate(self, name: str, certificate: Certificate) -> None:
        """What a node believes or passes on must be signed by more than two thirds of the stake."""
        encoded = encode(certificate)
        if encoded in self._known_good:
            return
        problem = self._problem_of(certificate)
        if problem:
            self.violated("certificate", f"{name} has a {certificate.kind.name} with {problem}")
            return
        self._known_good[encoded] = None
        self._judge_view(certificate)

    def _problem_of(self, certificate: Certificate) -> str:
        vote, validators = certificate.vote, self._sets.get(certificate.vote.epoch)
        if vote.chain_id != self._chain_id or validators is None or vote.view < 1:
            return "another chain, an unknown epoch or no view"
        if (vote.block_id is None) is not (vote.kind is VoteKind.NULLIFY):
            return "a block where none belongs, or none"
        signers = [index for index, _ in certificate.signatures]
        if len(set(signers)) != len(signers) or any(index >= len(validators) for index in signers):
            return "repeated or unknown signers"
        stakes = [each.stake for each in validators.validators]
        share = Fraction(sum(stakes[index] for index in signers), sum(stakes))
        if share <= Fraction(2, 3):
            return f"{share} of the stake"
        content = encode(vote)
        for index, signature in certificate.signatures:
            if not is_signature(validators.public_key(index), Tag.VOTE, content, signature):
                return "a forged signature"
        return ""

    def _judge_view(self, certificate: Certificate) -> None:
        """No view is final and nullified, and no two blocks of a view are certified."""
        place = (certificate.vote.epoch, certificate.vote.view)
        held = self._certified.setdefault(place, {})
        held.setdefault(certificate.kind, certificate.block_id)
        blocks = {block for kind, block in held.items() if kind is not VoteKind.NULLIFY}
        blocks |= set() if certificate.block_id is None else {certificate.block_id}
        if len(blocks) > 1:
            self.violated("view", f"two blocks are certified in view {place}")
        if VoteKind.NULLIFY in held and VoteKind.FINALIZE in held:
            self.violated("view", f"view {place} is final and nullified")

    def _key_of(self, epoch: int, index: int) -> bytes:
        validators = self._sets.get(epoch)
        return b"" if validators is None or index >= len(validators) else validators.public_key(index)

    # --- what clients were told -----------------------------------------------------------------------

    def acknowledged(self, transaction_id: TxId, told: Told) -> None:
        """A client was told that its transaction is final: everybody tells the same, for ever."""
        if self.told.setdefault(transaction_id, told) != told:
            self.violated("history", f"clients were told two things of {transaction_id.hex()}")

    def judge_history(self, site: SimulatedSite) -> None:
        """At the end each node holds every acknowledged transaction, where the client was told it stands."""
        assert site.node is not None
        for transaction_id, told in self.told.items():
            if told_by(site.node, transaction_id) != told:
                self.violated("history", f"{site.member.name} lost {transaction_id.hex()} at {told.height}")

    # --- what would name who forked --------------------------------------------------------------------

    def unsettled(self, site: SimulatedSite) -> list[View]:
        """The views of the last epochs, up to each one's last finalization, that it can't show settled."""
        assert site.node is not None
        blocks = site.node.stores.blocks
        chain: dict[bytes, int] = {}
        final: Counter[int] = Counter()
        for height in range(1, blocks.head[0] + 1):
            stored = blocks.stored(Height(height))
            assert stored is not None
            chain[stored.id] = stored.block.header.epoch
            proof = stored.finalization or stored.covering
            if is_recovery(proof):
                continue
            certificate = _certificate(proof)
            final[certificate.vote.epoch] = max(final[certificate.vote.epoch], certificate.view)
        return [
            (epoch, view)
            for epoch in sorted(final)[-SHOWN_EPOCHS:]
            for view in range(1, final[epoch] + 1)
            if not self._is_shown(site, epoch, view, chain)
        ]

    def _is_shown(self, site: SimulatedSite, epoch: int, view: int, chain: dict[bytes, int]) -> bool:
        assert site.node is not None
        data = site.node.stores.blocks.settled.certificate(epoch, view)
        if data is None:
            return False
        certificate = _certificate(data)
        self.judge_certificate(site.member.name, certificate)
        is_there = (certificate.vote.epoch, certificate.view) == (epoch, view)
        of = certificate.block_id
        return is_there and (of is None or chain.get(of) == epoch)


def _certificate(data: bytes) -> Certificate:
    return decode(data, Certificate, QUORUM_CERTIFICATE_BYTES_MAX)


def told_by(node: RunningNode, transaction_id: TxId) -> Told | None:
    """What a node answers about a transaction that is final; None where it is not, there."""
    record = node.site.transaction(transaction_id)
    if record is None or record.height is None or record.index is None or record.receipt is None:
        return None
    return Told(record.height, record.index, encode(record.receipt))
