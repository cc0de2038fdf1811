"""The judge's own roll: who votes in which epoch, worked out from the final blocks by hand.

It reads calls that were accepted (the receipts say which), counts ballots, attendance and weights again in
sums of its own, and so knows each set before any node is asked. Whether a call may be accepted is held by
the tests of the contracts; what follows from it is held here, on every seed.

Source: docs/spec/staking.md, rules K6-K9 and K13-K16; docs/spec/governance.md, rule G7.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from contracts.governance.ballots import Ballot, BallotStatus
from contracts.governance.changes import AdmitValidator, Change, RemoveValidator, SetWeight
from contracts.governance.voting import Propose, Vote
from contracts.staking.bonding import BondUnits, UnbondUnits, Unjail
from contracts.staking.reporting import Report
from ledger.block import Block, Header
from ledger.codec import decode
from ledger.evidence import accused, decode_evidence
from ledger.genesis import Genesis
from ledger.receipt import Receipt, Status
from ledger.recovery import is_recovery
from ledger.transaction import TransactionBody, decode_transaction
from ledger.types import QUORUM_CERTIFICATE_BYTES_MAX
from ledger.vote import Certificate

ARGUMENTS_BYTES_MAX: Final = 1 << 16
Violated = Callable[[str, str], None]


@dataclass(slots=True)
class Seat:
    """One key that votes, did, or may."""

    node: str
    bonded: int
    is_admitted: bool = True
    is_slashed: bool = False
    jailed_until: int = 0
    absences: int = 0

    @property
    def wanted(self) -> int:
        """The weight that it should come to have."""
        return 0 if self.jailed_until else self.bonded

    def urgency(self, weight: int) -> int:
        """Whose change comes first: the slashed, the jailed, who gets less, who gets more."""
        if self.is_slashed:
            return 0
        return 1 if self.jailed_until else 2 if self.wanted < weight else 3


@dataclass(slots=True)
class Motion:
    """One ballot as it stands."""

    change: Change
    yes: set[str]
    no: set[str] = field(default_factory=set)
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class Passed:
    """A ballot that was carried: what it changed, and in which epoch."""

    change: Change
    epoch: int


class Roll:
    """What the blocks so far say about the stake. `sets`: key and weight in order, by epoch."""

    def __init__(self, genesis: Genesis, violated: Violated) -> None:
        first = {each.public_key: each.stake for each in genesis.validators}
        self.epoch = 0
        self.sets: dict[int, dict[bytes, int]] = {0: first}
        self.began_ms = {0: genesis.time_ms}  # by block time
        self.passed: list[Passed] = []
        self.nodes = {each.public_key: each.node for each in genesis.validators}
        self._seats = {each.public_key: Seat(each.node, each.stake) for each in genesis.validators}
        self._parameters = genesis.parameters
        self._organisations = {each.public_key: each.organisation for each in genesis.keys}
        self._seated = len(genesis.organisations)
        self._violated = violated
        self._motions: dict[int, Motion] = {}
        self._base = (0, genesis.time_ms)  # height and time of the block below the epoch
        self._below: Header | None = None
        self._certificates = 0
        self._signed: Counter[bytes] = Counter()

    def take(self, block: Block, receipts: Sequence[Receipt]) -> None:
        """The next final block: what it decides, and the set that follows where its epoch ends with it."""
        header = block.header
        if header.epoch != self.epoch and is_recovery(block.last_certificate):
            self._begin(header.epoch, self.sets[self.epoch], self._below)
        self._count(block)
        for raw, receipt in zip(block.transactions, receipts, strict=True):
            if receipt.status is Status.ACCEPTED:
                self._apply(decode_transaction(raw).body, receipt)
        self._below = header
        consensus = self._parameters.consensus
        height, time_ms = self._base
        if header.height - height >= consensus.epoch_blocks or header.time_ms - time_ms >= consensus.epoch_ms:
            self._settle_attendance()
            self._begin(self.epoch + 1, self._following(), header)

    def _begin(self, epoch: int, weights: dict[bytes, int], base: Header | None) -> None:
        assert base is not None, "an epoch that is not the first stands on a block"
        self.epoch, self.sets[epoch] = epoch, weights
        self._base = (base.height, base.time_ms)
        self.began_ms[epoch] = base.time_ms

    # --- what a block says -----------------------------------------------------------------------

    def _count(self, block: Block) -> None:
        """Who signed the block below, if it is of this epoch."""
        if self._below is None or self._below.epoch != block.header.epoch or not block.last_certificate:
            return
        certificate = decode(block.last_certificate, Certificate, QUORUM_CERTIFICATE_BYTES_MAX)
        keys = list(self.sets[self.epoch])
        self._certificates += 1
        self._signed.update(keys[index] for index, _ in certificate.signatures)

    def _apply(self, body: TransactionBody, receipt: Receipt) -> None:
        match body.contract, body.method:
            case "staking", "bond":
                more = decode(body.arguments, BondUnits, ARGUMENTS_BYTES_MAX)
                self._seats[more.public_key].bonded += more.units
            case "staking", "unbond":
                less = decode(body.arguments, UnbondUnits, ARGUMENTS_BYTES_MAX)
                self._seats[less.public_key].bonded -= less.units
            case "staking", "unjail":
                back = self._seats[decode(body.arguments, Unjail, ARGUMENTS_BYTES_MAX).public_key]
                back.jailed_until = back.absences = 0
            case "staking", "report":
                place = accused(decode_evidence(decode(body.arguments, Report, ARGUMENTS_BYTES_MAX).evidence))
                guilty = self._seats[list(self.sets[place.epoch])[place.validator]]
                guilty.is_slashed, guilty.is_admitted, guilty.bonded = True, False, 0
            case "governance", "propose":
                proposed = decode(body.arguments, Propose, ARGUMENTS_BYTES_MAX)
                number = len(self._motions) + 1
                self._motions[number] = Motion(proposed.change, {self._organisations[body.sender]})
                self._decide(number, receipt)
            case "governance", "vote":
                said = decode(body.arguments, Vote, ARGUMENTS_BYTES_MAX)
                motion = self._motions[said.number]
                (motion.yes if said.is_yes else motion.no).add(self._organisations[body.sender])
                self._decide(said.number, receipt)
            case _:
                pass

    # --- ballots -----------------------------------------------------------------------------------

    def _decide(self, number: int, receipt: Receipt) -> None:
        """Count a ballot, and hold what its voter was told to it."""
        motion = self._motions[number]
        told = decode(receipt.result, Ballot, ARGUMENTS_BYTES_MAX)
        if not motion.is_open:
            self._violated("ballot", f"a vote on {number} was accepted after its end")
        status = BallotStatus.OPEN
        if Fraction(len(motion.yes), self._seated) > Fraction(2, 3):
            status = BallotStatus.ENACTED if self._carry_out(motion.change) else BallotStatus.FAILED
        elif Fraction(self._seated - len(motion.no), self._seated) <= Fraction(2, 3):
            status = BallotStatus.REJECTED
        motion.is_open = status is BallotStatus.OPEN
        if (told.number, told.status) != (number, status):
            self._violated("ballot", f"{number} is {status.value}, a voter was told {told.status.value}")

    def _carry_out(self, change: Change) -> bool:
        """Do what was carried; False where it has become impossible."""
        match change:
            case AdmitValidator(node=node, public_key=key, units=units):
                known = self._seats.get(key)
                if known is not None and (known.is_admitted or known.is_slashed):
                    return False
                self._seats[key] = Seat(node, units)
                self.nodes[key] = node
            case SetWeight(public_key=key, units=units):
                if not self._may_become(key, units):
                    return False
                self._seats[key].bonded = units
            case RemoveValidator(public_key=key):
                if not self._may_become(key, 0):
                    return False
                self._seats[key].bonded, self._seats[key].is_admitted = 0, False
            case _:
                self._violated("ballot", f"nobody here proposes {type(change).__name__}")
        self.passed.append(Passed(change, self.epoch))
        return True

    def _may_become(self, key: bytes, units: int) -> bool:
        """Whether a key is admitted, and somebody would vote after such a change."""
        known = self._seats.get(key)
        others = (seat.wanted for each, seat in self._seats.items() if each != key)
        return known is not None and known.is_admitted and (units > 0 or any(others))

    # --- the turn ----------------------------------------------------------------------------------

    def _settle_attendance(self) -> None:
        """Jail who was away too often, the least diligent first, and never a third of what is bonded."""
        rules, closing = self._parameters.staking, self.sets[self.epoch]
        counted, signed = self._certificates, self._signed
        self._certificates, self._signed = 0, Counter()
        if counted < rules.attendance_certificates_min:
            return
        away = []
        for key in sorted(closing):
            seat = self._seats[key]
            if not seat.wanted:
                continue
            is_absent = Fraction(signed[key], counted) < Fraction(rules.attendance_min_permille, 1000)
            seat.absences = seat.absences + 1 if is_absent else 0
            if is_absent and seat.absences >= rules.absence_epochs:
                away.append(key)
        total = sum(seat.bonded for seat in self._seats.values())
        jailed = sum(seat.bonded for seat in self._seats.values() if seat.jailed_until)
        for key in sorted(away, key=lambda key: (signed[key], key)):
            seat = self._seats[key]
            if Fraction(jailed + seat.bonded, total) < Fraction(1, 3):
                jailed += seat.bonded
                seat.bonded -= seat.bonded * rules.absence_penalty_permille // 1000
                seat.jailed_until = self.epoch + 1 + rules.jail_epochs

    def _following(self) -> dict[bytes, int]:
        """The set after this one: unit by unit less than a third of the stake moves, in order of urgency."""
        now = self.sets[self.epoch]
        total, moved = sum(now.values()), 0
        weights = dict(now)
        order = sorted(self._seats, key=lambda key: (self._seats[key].urgency(now.get(key, 0)), key))
        for key in order:
            has, wanted = now.get(key, 0), self._seats[key].wanted
            step = abs(wanted - has)
            while Fraction(moved + step, total) >= Fraction(1, 3):
                step -= 1
            moved += step
            weights[key] = has + step if wanted > has else has - step
        return {key: weight for key, weight in weights.items() if weight}
