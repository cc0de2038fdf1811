"""One node's consensus under the microscope: the test holds all keys and plays everybody else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from ledger.block import Header, block_id
from ledger.consensus.epochs import Epochs
from ledger.consensus.events import (
    Broadcast,
    Build,
    Built,
    Check,
    Checked,
    Effect,
    EpochBegun,
    EpochEnded,
    Fetch,
    Fetched,
    Input,
    Peer,
    Persist,
    Received,
    Send,
    Started,
    Tick,
    TransactionsPending,
    Verdict,
)
from ledger.consensus.messages import CertificatesMessage, Message, ProposalMessage, VotesMessage
from ledger.consensus.records import Record, SignerFloor
from ledger.consensus.recovery import CERTIFICATES_WITHOUT_KEY
from ledger.consensus.signer import Signer, first_record
from ledger.consensus.timeouts import ConsensusParameters
from ledger.types import BlockId, Epoch, TimeMs, View
from ledger.validators import leader
from ledger.vote import (
    Certificate,
    Proposal,
    SignedProposal,
    SignedVote,
    Vote,
    VoteKind,
    sign_proposal,
    sign_vote,
)
from tests.ledger.consensus.lockstep import (
    BASE,
    CHAIN,
    EPOCH,
    GENERATION,
    WALL_MS,
    header_on,
    keys,
    set_of,
)

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE
BASE_ID = block_id(BASE)
Kind = TypeVar("Kind", bound=Effect)


def block_on(
    parent: Header,
    salt: int = 1,
    *,
    time_ms: int | None = None,
    height: int | None = None,
    epoch: int | None = None,
) -> Header:
    """A child of `parent`, one second younger and of the same epoch unless told otherwise."""
    at_height = parent.height + 1 if height is None else height
    at_time = parent.time_ms + 1000 if time_ms is None else time_ms
    return header_on(block_id(parent), at_height, at_time, salt, parent.epoch if epoch is None else epoch)


class UnwarySigner(Signer):
    """Of a node that is tested for other rules: it hears nobody before it signs, and suspects nobody, so that
    certificates may hold every validator's signature, this node's too."""

    def restore(self, records: Iterable[Record], store: tuple[Epoch, View]) -> None:
        super().restore(records, store)
        self.heard(Epoch(0), View(0))

    def is_foreign(self, seen: Vote | Proposal, is_new: bool) -> bool:
        return False


class Subject:
    """The node with key `me` (None: without). Bodies are at hand unless `has_bodies` is False.

    `later` are the stakes of the epochs that follow, by number of the key; 0 is not in the set, and the last
    ones hold for ever. An epoch that ends is followed by the next at once, unless `waits_to_turn`.
    `me` and all validators that tests name are indices in the set in force.
    """

    def __init__(
        self,
        stakes: Sequence[int] = (1, 1, 1, 1),
        me: int | None = 0,
        parameters: ConsensusParameters | None = None,
        records: Sequence[Record] | None = None,
        head: Header = BASE,
        finalization: Certificate | None = None,
        *,
        has_bodies: bool = True,
        is_wary: bool = False,
        later: Sequence[Sequence[int]] = (),
        begun: EpochBegun | None = None,
    ) -> None:
        self.stakes = [tuple(stakes), *(tuple(each) for each in later)]
        self.parameters = parameters or ConsensusParameters()
        self.key = None if me is None else keys(me + 1)[me]
        self.has_bodies = has_bodies
        self.is_wary = is_wary
        self.waits_to_turn = False
        begun = begun or self.begun(EPOCH, BASE, None)
        self.verdict = Verdict.VALID
        self.headers: dict[BlockId, Header] = {}
        self.now_ms = 1_000
        self.wall_ms = WALL_MS
        self.effects: list[Effect] = []
        kind = Signer if is_wary else UnwarySigner
        self.signer = None if self.key is None else kind(CHAIN, self.key, GENERATION)
        self.machine = Epochs(CHAIN, begun, self.signer)
        self._turn(begun)
        if records is None:
            records = [] if me is None else [self.floor(0)]
        self.feed(Started(TimeMs(self.wall_ms), head, finalization, tuple(records)))

    def floor(self, view: int, epoch: int = EPOCH) -> SignerFloor:
        assert self.key is not None
        record = first_record(CHAIN, self.key.public, GENERATION, EPOCH)
        return SignerFloor(record.chain_id, record.public_key, record.generation, epoch, View(view))

    # --- epochs ----------------------------------------------------------------------

    def begun(self, epoch: int, base: Header, finalization: Certificate | None) -> EpochBegun:
        """What a driver says of an epoch."""
        stakes = self.stakes[min(epoch, len(self.stakes) - 1)]
        return EpochBegun(Epoch(epoch), set_of(stakes), self.parameters, base, finalization)

    def begin(self, ended: EpochEnded) -> list[Effect]:
        """The driver's answer to the end of an epoch."""
        begun = self.begun(ended.epoch + 1, self.headers[ended.base_id], ended.finalization)
        self._turn(begun)
        return self.feed(begun)

    def _turn(self, begun: EpochBegun) -> None:
        stakes = self.stakes[min(begun.epoch, len(self.stakes) - 1)]
        self.epoch, self.validators = begun.epoch, begun.validators
        self.keys = [key for key, stake in zip(keys(len(stakes)), stakes, strict=True) if stake]
        self.me = None if self.key is None else self.validators.index_of(self.key.public)

    # --- the world's part ------------------------------------------------------------

    def feed(self, event: Input) -> list[Effect]:
        """One input, and the answers of the driver to what it asks for."""
        effects = self.machine.step(self.now_ms, event)
        self.effects.extend(effects)
        answers = list(effects)
        for effect in effects:
            match effect:
                case Fetch(block_id=wanted) if self.has_bodies and wanted in self.headers:
                    answers += self.feed(Fetched(self.headers[wanted]))
                case EpochEnded() if not self.waits_to_turn:
                    answers += self.begin(effect)
                case Check(block_id=wanted):
                    answers += self.feed(Checked(wanted, self.verdict, TimeMs(self.wall_ms)))
                case _:
                    pass
        return answers

    def wait(self, duration_ms: int) -> list[Effect]:
        """Time passes; then the alarm rings."""
        self.now_ms += duration_ms
        self.wall_ms += duration_ms
        return self.feed(Tick(TimeMs(self.wall_ms)))

    def pending(self) -> list[Effect]:
        return self.feed(TransactionsPending(True))

    def hear(self, message: Message, peer: int = 1) -> list[Effect]:
        return self.feed(Received(Peer(peer), message))

    def build(self, view: int, header: Header) -> list[Effect]:
        self.headers[block_id(header)] = header
        return self.feed(Built(self.epoch, View(view), header))

    # --- the others' part ----------------------------------------------------------------

    def vote(self, validator: int, kind: VoteKind, view: int, header: Header | None = None) -> SignedVote:
        content = Vote(CHAIN, self.epoch, view, kind, None if header is None else block_id(header))
        return SignedVote(content, validator, sign_vote(self.keys[validator], content))

    def hear_votes(
        self, validators: Sequence[int], kind: VoteKind, view: int, header: Header | None = None
    ) -> list[Effect]:
        effects: list[Effect] = []
        for validator in validators:
            effects += self.hear(VotesMessage((self.vote(validator, kind, view, header),)), validator)
        return effects

    def certificate(
        self, kind: VoteKind, view: int, header: Header | None = None, signers: Sequence[int] | None = None
    ) -> Certificate:
        everyone = self.others if self.is_wary else range(len(self.validators))
        chosen = everyone if signers is None else signers
        votes = [self.vote(index, kind, view, header) for index in chosen]
        return Certificate(votes[0].vote, tuple((vote.validator, vote.signature) for vote in votes))

    def hear_certificates(self, *certificates: Certificate, peer: int = 1) -> list[Effect]:
        return self.hear(CertificatesMessage(certificates), peer)

    def proposal(
        self,
        view: int,
        header: Header,
        parent_view: int = 0,
        parent: Certificate | None = None,
        gap: Sequence[Certificate] = (),
        by: int | None = None,
    ) -> ProposalMessage:
        validator = self.leader(view) if by is None else by
        content = Proposal(CHAIN, self.epoch, view, parent_view, block_id(header))
        signed = SignedProposal(content, validator, sign_proposal(self.keys[validator], content))
        self.headers[block_id(header)] = header
        return ProposalMessage(signed, header, parent, tuple(gap))

    def hear_proposal(
        self,
        view: int,
        header: Header,
        parent_view: int = 0,
        parent: Certificate | None = None,
        gap: Sequence[Certificate] = (),
    ) -> list[Effect]:
        return self.hear(self.proposal(view, header, parent_view, parent, gap), self.leader(view))

    def leader(self, view: int) -> int:
        return leader(CHAIN, self.epoch, View(view), self.validators)

    @property
    def others(self) -> list[int]:
        return [index for index in range(len(self.validators)) if index != self.me]

    @property
    def view(self) -> int:
        return self.machine.state.view


# --- reading effects ------------------------------------------------------------------------


def of(effects: Sequence[Effect], kind: type[Kind]) -> list[Kind]:
    """The effects of one kind, in order."""
    return [effect for effect in effects if isinstance(effect, kind)]


def votes_in(effects: Sequence[Effect]) -> list[tuple[VoteKind, int, bytes | None]]:
    """The votes that were broadcast: kind, view and block."""
    messages = [effect.message for effect in of(effects, Broadcast)]
    votes = [
        signed.vote for message in messages if isinstance(message, VotesMessage) for signed in message.votes
    ]
    return [(vote.kind, vote.view, vote.block_id) for vote in votes]


def certificates_in(effects: Sequence[Effect]) -> list[tuple[VoteKind, int]]:
    """The certificates that were broadcast: kind and view."""
    messages = [effect.message for effect in of(effects, Broadcast)]
    held = [
        each
        for message in messages
        if isinstance(message, CertificatesMessage)
        for each in message.certificates
    ]
    return [(certificate.kind, certificate.view) for certificate in held]


def sent_to(effects: Sequence[Effect], peer: int) -> list[Message]:
    """What one peer alone was sent."""
    return [effect.message for effect in of(effects, Send) if effect.peer == peer]


def records_in(effects: Sequence[Effect]) -> list[Record]:
    """What was made durable."""
    return [record for effect in of(effects, Persist) for record in effect.records]


def builds_in(effects: Sequence[Effect]) -> list[Build]:
    return of(effects, Build)


def view_led_by(subject: Subject, validator: int, start: int = 1) -> int:
    """The first view from `start` that this validator leads."""
    return next(view for view in range(start, start + 2048) if subject.leader(view) == validator)


def not_led_by(subject: Subject, validator: int | None, start: int = 1) -> int:
    """The first view from `start` that somebody else leads."""
    return next(view for view in range(start, start + 2048) if subject.leader(view) != validator)


def unsigned_certificates(subject: Subject, start: int) -> list[Effect]:
    """As many nullifications without this node's signature as a quarantine waits for."""
    effects: list[Effect] = []
    for view in range(start, start + CERTIFICATES_WITHOUT_KEY):
        unsigned = subject.certificate(NULLIFY, view, signers=subject.others)
        effects += subject.hear_certificates(unsigned)
    return effects
