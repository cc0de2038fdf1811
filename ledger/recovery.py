"""How operators bring a chain back whose quorum lost its records: an epoch is given up, another begins.

Each validator reports the highest certificate that it holds, after it promised to sign nothing more in the
epoch; from reports of enough stake follows one block, and more than two thirds of the stake approve it.
The new epoch begins on that block. Nothing here decides by itself: operators do, and sign.

Source: docs/spec/recovery.md, rules K1-K9.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Final, NamedTuple

from msgspec import Meta

from ledger.block import Header
from ledger.codec import Canonical, decode, encode
from ledger.crypto import KeyPair, Tag, hash_tagged, is_signature, sign
from ledger.epoch import EpochStart, epoch_in_force, validators_in_force, validators_of
from ledger.errors import LedgerError
from ledger.state import StateView
from ledger.types import (
    HEIGHT_MAX,
    RECOVERY_BYTES_MAX,
    VALIDATORS_MAX,
    ZERO_HASH,
    BlockId,
    Bytes32,
    Bytes64,
    ChainId,
    Counter,
    Epoch,
    Hash,
    View,
)
from ledger.validators import ValidatorSet
from ledger.vote import Certificate, ValidatorIndex, VoteKind, verify_certificate

EPOCHS_PASSED: Final = 2
"""How far above the ended epoch the new one is: a validator that lost its record may have entered the next
one, alone, and voted there; nobody can have entered the one after."""
VIEW_LAST: Final = View(HEIGHT_MAX)
"""With the epoch before the new one, the floor that whoever reports promises to stay above (K2)."""
_FORM: Final = b"\x92\x96"  # an array of two, the first of them an array of six; a certificate's has five


class Report(Canonical):
    """What one validator knows of an epoch in which it has promised to sign nothing more.

    `is_whole`: its record holds every promise that it made in the epoch. `certificate`: the notarization or
    finalization of the highest view of whose block it holds the valid body; None where there is none.
    """

    chain_id: Bytes32
    epoch: Counter
    validator: ValidatorIndex
    is_whole: bool
    certificate: Certificate | None


class SignedReport(Canonical):
    """A report and its validator's signature."""

    report: Report
    signature: Bytes64


Reports = Annotated[tuple[SignedReport, ...], Meta(min_length=1, max_length=VALIDATORS_MAX)]


class Recovery(Canonical):
    """What is approved: the epoch that ends, the one that begins, and on which block.

    `view` is that of the certificate that names the block; 0: the base of the ended epoch, for nothing
    was certified in it.
    """

    chain_id: Bytes32
    ended_epoch: Counter
    new_epoch: Counter
    view: Counter
    block_id: Bytes32
    reports: Reports


class ApprovedRecovery(Canonical):
    """A recovery and (validator index, signature) pairs, indices strictly ascending."""

    recovery: Recovery
    approvals: Annotated[tuple[tuple[ValidatorIndex, Bytes64], ...], Meta(max_length=VALIDATORS_MAX)]


class Approval(Canonical):
    """One validator's signature under a recovery, named by its hash."""

    recovery: Bytes32
    validator: ValidatorIndex
    signature: Bytes64


class EndedEpoch(NamedTuple):
    """The epoch that stands still, as every node of the chain knows it, and the block that it began on."""

    chain_id: ChainId
    epoch: Epoch
    validators: ValidatorSet
    base_id: BlockId


class Margin(NamedTuple):
    """What a recovery rests on, in units of stake.

    whole, reported, total: of whole records, of all reports, of the set. lies_max: so much stake among the
    whole records may have lied, and still no final block is lost.
    """

    whole: int
    reported: int
    total: int
    lies_max: int


# --- making -----------------------------------------------------------------------------


def sign_report(key: KeyPair, report: Report) -> SignedReport:
    """The report, signed. The caller has made the promise durable first (K2)."""
    return SignedReport(report, sign(key, Tag.RECOVERY_REPORT, encode(report)))


def make_recovery(reports: Sequence[SignedReport], ended: EndedEpoch) -> Recovery:
    """The one recovery that these reports lead to, whatever their order.

    Raises:
        LedgerError: `recovery.*`: the reports are not sound, or not enough.
    """
    ordered = tuple(sorted(reports, key=lambda each: each.report.validator))
    _check_reports(ordered, ended)
    view, block_id = _choose(ordered, ended)
    new_epoch = ended.epoch + EPOCHS_PASSED
    return Recovery(ended.chain_id, ended.epoch, new_epoch, view, block_id, ordered)


def approve(key: KeyPair, recovery: Recovery, ended: EndedEpoch) -> Bytes64:
    """The signature of a validator that has checked the recovery; it approves one of an epoch, ever (K8).

    Raises:
        LedgerError: as `check_recovery`.
    """
    check_recovery(recovery, ended)
    return sign(key, Tag.RECOVERY, recovery_hash(recovery))


# --- checking ---------------------------------------------------------------------------


def check_recovery(recovery: Recovery, ended: EndedEpoch) -> Margin:
    """Refuse a recovery that does not follow from the reports in it; answers what it rests on.

    Raises:
        LedgerError: `recovery.wrong_place`, `recovery.wrong_epoch`, `recovery.wrong_block`, or what
            `make_recovery` refuses.
    """
    if (recovery.chain_id, recovery.ended_epoch) != (ended.chain_id, ended.epoch):
        raise LedgerError("recovery.wrong_place", f"of epoch {recovery.ended_epoch}, or of another chain")
    if recovery.new_epoch != ended.epoch + EPOCHS_PASSED:
        raise LedgerError(
            "recovery.wrong_epoch", f"{recovery.new_epoch}, expected {ended.epoch + EPOCHS_PASSED}"
        )
    margin = _check_reports(recovery.reports, ended)
    view, block_id = _choose(recovery.reports, ended)
    if (recovery.view, recovery.block_id) != (view, block_id):
        raise LedgerError(
            "recovery.wrong_block",
            f"view {recovery.view}, block {recovery.block_id.hex()}; the reports lead to view {view}, "
            f"block {block_id.hex()}",
        )
    return margin


def verify_recovery(approved: ApprovedRecovery, ended: EndedEpoch) -> Margin:
    """Refuse a recovery unless more than two thirds of the ended epoch's stake approved exactly this one.

    Raises:
        LedgerError: as `check_recovery`, `recovery.approvals_not_ascending`, `recovery.unknown_validator`,
            `recovery.too_little_stake`, `recovery.wrong_signature`.
    """
    validators = ended.validators
    indices = [index for index, _ in approved.approvals]
    if any(left >= right for left, right in pairwise(indices)):
        raise LedgerError("recovery.approvals_not_ascending", "an approval is repeated or out of order")
    if indices and indices[-1] >= len(validators):
        raise LedgerError("recovery.unknown_validator", f"index {indices[-1]}, the set has {len(validators)}")
    stake = sum(validators.stake(index) for index in indices)
    if not validators.is_quorum(stake):
        raise LedgerError(
            "recovery.too_little_stake",
            f"{stake} of {validators.total_stake} approve, more than two thirds are needed",
        )
    statement = recovery_hash(approved.recovery)
    for index, signature in approved.approvals:
        if not is_signature(validators.public_key(index), Tag.RECOVERY, statement, signature):
            raise LedgerError("recovery.wrong_signature", f"not approved by validator {index}")
    return check_recovery(approved.recovery, ended)  # last: it may take thousands of signatures


def check_successors(recovery: Recovery, ended: EndedEpoch, successors: ValidatorSet) -> None:
    """Where the chosen block is the last of its epoch: refuse, unless the reports outweigh its successor too.

    The next epoch may have begun at nodes that are not heard, with stake that has moved. `successors` is its
    set; who reports has promised to sign nothing in it either (K2, K7).

    Raises:
        LedgerError: `recovery.too_few_reports`, `recovery.too_few_records`.
    """
    reported = whole = 0
    for signed in recovery.reports:
        index = successors.index_of(ended.validators.public_key(signed.report.validator))
        stake = 0 if index is None else successors.stake(index)
        reported += stake
        whole += stake if signed.report.is_whole else 0
    if not successors.is_quorum(reported):
        raise LedgerError(
            "recovery.too_few_reports",
            f"who reports has {reported} of {successors.total_stake} units of stake in the epoch after",
        )
    if not successors.is_blocking(whole):
        raise LedgerError(
            "recovery.too_few_records",
            f"whole records have {whole} of {successors.total_stake} units of stake in the epoch after",
        )


def is_recovery(data: bytes) -> bool:
    """Whether these bytes, which stand where a certificate may, say that they are a recovery."""
    return data[: len(_FORM)] == _FORM


def recovery_hash(recovery: Recovery) -> Hash:
    """What an approval signs: 32 bytes over the whole of it, reports included."""
    return hash_tagged(Tag.RECOVERY, encode(recovery))


def begin_recovered(header: Header, identifier: BlockId, world: StateView, data: bytes) -> EpochStart:
    """The epoch that an approved recovery begins on this block, whose state is `world` (K7, K9).

    The set and the parameters are those that govern the block's children anyway.

    Raises:
        LedgerError: `encoding.*`, `recovery.*`, `certificate.*`: it does not, for ever.
    """
    approved = decode_recovery(data)
    recovery = approved.recovery
    if recovery.block_id != identifier:
        raise LedgerError(
            "recovery.wrong_base", f"it begins on block {recovery.block_id.hex()}, not {identifier.hex()}"
        )
    ended = ended_epoch(header, identifier, world, Epoch(recovery.ended_epoch))
    verify_recovery(approved, ended)
    if epoch_in_force(world).epoch != ended.epoch:
        check_successors(recovery, ended, validators_in_force(world))
    return EpochStart(recovery.new_epoch, header.height, header.time_ms)


def ended_epoch(header: Header, identifier: BlockId, world: StateView, epoch: Epoch) -> EndedEpoch:
    """An epoch as the state after a block knows it: that in force, or the one that this block is the last of.

    Its base is known where it is this block; else it is no block.

    Raises:
        LedgerError: `recovery.wrong_place`: another one, of which this state can't judge.
    """
    in_force = epoch_in_force(world)
    validators = validators_of(world, epoch)
    is_last = header.epoch == epoch and in_force.epoch == epoch + 1
    if validators is None or not (in_force.epoch == epoch or is_last):
        raise LedgerError(
            "recovery.wrong_place", f"of epoch {epoch}, here epoch {in_force.epoch} is in force"
        )
    is_base = in_force.epoch == epoch and in_force.base_height == header.height
    base_id = identifier if is_base else BlockId(ZERO_HASH)
    return EndedEpoch(ChainId(header.chain_id), epoch, validators, base_id)


def decode_recovery(data: bytes) -> ApprovedRecovery:
    """The recovery in `data`; nothing about it is verified but its form.

    Raises:
        LedgerError: an `encoding.*` code.
    """
    return decode(data, ApprovedRecovery, RECOVERY_BYTES_MAX)


def _check_reports(reports: Sequence[SignedReport], ended: EndedEpoch) -> Margin:
    """Refuse reports that are not each a validator's own, of this epoch, or that are too few (K3-K5)."""
    validators = ended.validators
    indices = [each.report.validator for each in reports]
    if any(left >= right for left, right in pairwise(indices)):
        raise LedgerError("recovery.reports_not_ascending", "a report is repeated or out of order")
    if indices and indices[-1] >= len(validators):
        raise LedgerError("recovery.unknown_validator", f"index {indices[-1]}, the set has {len(validators)}")
    margin = _margin(reports, validators)
    if not validators.is_quorum(margin.reported):
        raise LedgerError(
            "recovery.too_few_reports",
            f"reports of {margin.reported} of {margin.total} units of stake, more than two thirds are needed",
        )
    if not validators.is_blocking(margin.whole):
        raise LedgerError(
            "recovery.too_few_records",
            f"whole records of {margin.whole} of {margin.total} units of stake, more than one third are "
            "needed: a final block may be known to nobody who reports",
        )
    for signed in reports:
        _check_report(signed, ended)
    return margin


def _margin(reports: Sequence[SignedReport], validators: ValidatorSet) -> Margin:
    stakes = [(each.report.is_whole, validators.stake(each.report.validator)) for each in reports]
    whole, total = sum(stake for is_whole, stake in stakes if is_whole), validators.total_stake
    # Every quorum must hold a whole record that does not lie; the least one, too, with all the other stake.
    quorum_min, elsewhere = total * 2 // 3 + 1, total - whole
    lies_max = max(0, quorum_min - elsewhere - 1)
    return Margin(whole, sum(stake for _, stake in stakes), total, lies_max)


def _check_report(signed: SignedReport, ended: EndedEpoch) -> None:
    report = signed.report
    if (report.chain_id, report.epoch) != (ended.chain_id, ended.epoch):
        raise LedgerError(
            "recovery.wrong_report", f"validator {report.validator} reports of epoch {report.epoch}"
        )
    public_key = ended.validators.public_key(report.validator)
    if not is_signature(public_key, Tag.RECOVERY_REPORT, encode(report), signed.signature):
        raise LedgerError("recovery.wrong_signature", f"not the report of validator {report.validator}")
    if report.certificate is None:
        return
    if report.certificate.kind is VoteKind.NULLIFY:
        raise LedgerError("recovery.wrong_report", "a nullification names no block to begin on")
    verify_certificate(report.certificate, ended.chain_id, ended.epoch, ended.validators)


def _choose(reports: Sequence[SignedReport], ended: EndedEpoch) -> tuple[View, BlockId]:
    """View and block of the highest certificate that was reported; the base where none was (K6).

    Raises:
        LedgerError: `recovery.forked`: two blocks are certified in that view, so more than a third lied.
    """
    held = [each.report.certificate for each in reports]
    highest = max((certificate.view for certificate in held if certificate is not None), default=View(0))
    if highest == 0:
        return View(0), ended.base_id
    named = {
        certificate.block_id: None
        for certificate in held
        if certificate is not None and certificate.view == highest and certificate.block_id is not None
    }
    if len(named) > 1:
        raise LedgerError(
            "recovery.forked",
            f"two blocks are certified in view {highest}: more than a third of the stake lied; "
            "farmgate evidence audit names who",
        )
    return highest, next(iter(named))
