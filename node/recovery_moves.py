"""What operators do on stopped nodes to bring a chain back: report, make, show, approve, begin.

Each step checks everything again and leaves a home that is safe to start: the promise of a report is durable
before the report exists, an approval before it is handed out, and a recovery is kept whole or not at all.

Source: docs/spec/recovery.md, rules K1-K11.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from contracts.runtime import CoreRules
from ledger.block import Block, block_id
from ledger.codec import encode
from ledger.consensus.records import HeldCertificate, OwnVote, Record, SignerFloor, encode_record
from ledger.consensus.signer import Signer
from ledger.crypto import KeyPair
from ledger.errors import LedgerError
from ledger.genesis import Genesis, chain_id
from ledger.recovery import (
    EPOCHS_PASSED,
    VIEW_LAST,
    Approval,
    ApprovedRecovery,
    EndedEpoch,
    Margin,
    Recovery,
    Report,
    SignedReport,
    approve,
    check_recovery,
    check_successors,
    decode_recovery,
    ended_epoch,
    make_recovery,
    recovery_hash,
    sign_report,
    verify_recovery,
)
from ledger.transition import Tip
from ledger.types import BlockId, Epoch, Height, View
from ledger.validators import Validator
from ledger.vote import Certificate, VoteKind, verify_certificate
from node.consensus_log import RECORD, read_entries
from node.founding import host_generation
from node.home import Home, HomeLock
from node.keys import KeyName, read_key
from node.recovery_files import read_file, write_file
from node.resume import finalization_of_head, recover, recovery_of
from node.store.disk import LocalDisk
from node.store.journal import Journal
from node.store.stores import Stores, open_stores


@dataclass(frozen=True, slots=True)
class Shown:
    """A recovery as this home sees it. `height`: of the chosen block, None where it is not here.

    whole, lost, silent: validators whose record is whole, is not, and who do not report.
    """

    recovery: Recovery
    margin: Margin
    height: Height | None
    whole: tuple[Validator, ...]
    lost: tuple[Validator, ...]
    silent: tuple[Validator, ...]


class _Stopped:
    """The chain of a home whose node does not run."""

    def __init__(self, stores: Stores) -> None:
        if stores.gap.refetch:
            raise LedgerError(
                "recovery.home_behind", "blocks are missing below its state: start the node, it fetches them"
            )
        self.stores = stores
        self.tip: Tip = recover(stores, CoreRules())

    def ended(self, epoch: Epoch | None = None) -> EndedEpoch:
        """The epoch in force, or another one that this home can judge (K1).

        Raises:
            LedgerError: `recovery.wrong_place`.
        """
        tip, in_force = self.tip, Epoch(self.tip.epoch.epoch)
        found = ended_epoch(tip.header, tip.id, tip.world, in_force if epoch is None else epoch)
        base_id = self.stores.blocks.id_at(self._base_of(found.epoch))
        assert base_id is not None, "the base is at or below the head"
        return found._replace(base_id=base_id)

    def _base_of(self, epoch: Epoch) -> Height:
        if epoch == self.tip.epoch.epoch:
            return Height(self.tip.epoch.base_height)
        record = self.stores.blocks.settled.epoch(epoch)
        return Height(0 if record is None else record.base_height)

    def check_not_begun(self, epoch: Epoch) -> None:
        """Refuse where this home keeps a recovery of the epoch already."""
        if recovery_of(self.stores, self.tip) is not None:
            raise LedgerError(
                "recovery.begun", f"a recovery of epoch {epoch} is kept here already: start the node"
            )


@contextmanager
def _opened(home: Home, genesis: Genesis) -> Iterator[_Stopped]:
    with HomeLock(home):
        stores = open_stores(home.data, chain_id(genesis))
        try:
            yield _Stopped(stores)
        finally:
            stores.close()


# --- the steps ----------------------------------------------------------------------------


def report(home: Home, genesis: Genesis, file: Path) -> SignedReport:
    """Promise to sign nothing below epoch e + 2, and write what this home knows of epoch e to a new file.

    Again after that: the same report once more.

    Raises:
        LedgerError: `recovery.*`, `home.*`, `key_file.*`. StoreError, OSError
    """
    if file.exists():
        raise LedgerError("recovery.exists", f"{file} is there already; it is not overwritten")
    key = read_key(home.keys, KeyName.VALIDATOR)
    with _opened(home, genesis) as stopped:
        ended = stopped.ended()
        stopped.check_not_begun(ended.epoch)
        index = _index_of(key, ended)
        is_whole, certificate = _promise(home, key, stopped, ended)
        made = Report(ended.chain_id, ended.epoch, index, is_whole, certificate)
        signed = sign_report(key, made)
        write_file(file, signed)
        return signed


def make(home: Home, genesis: Genesis, reports: Sequence[Path], file: Path) -> Shown:
    """Write the recovery that these reports lead to.

    Raises:
        LedgerError: `recovery.*`, `certificate.*`, `home.*`. StoreError, OSError
    """
    held = [read_file(each, SignedReport) for each in reports]
    if not held:
        raise LedgerError("recovery.too_few_reports", "no report is given")
    with _opened(home, genesis) as stopped:
        ended = stopped.ended(Epoch(held[0].report.epoch))
        recovery = make_recovery(held, ended)
        shown = _show(recovery, stopped, ended)
        write_file(file, recovery)
        return shown


def show(home: Home, genesis: Genesis, file: Path) -> Shown:
    """Check a recovery, and say what it rests on.

    Raises:
        LedgerError: `recovery.*`, `certificate.*`, `home.*`. StoreError, OSError
    """
    recovery = read_file(file, Recovery)
    with _opened(home, genesis) as stopped:
        return _show(recovery, stopped, stopped.ended(Epoch(recovery.ended_epoch)))


def approve_recovery(home: Home, genesis: Genesis, recovery_file: Path, file: Path) -> Approval:
    """Check a recovery, note durably that this one is approved, and write the approval to a new file.

    Again after that: the same approval once more. Another recovery of the same epoch: never.

    Raises:
        LedgerError: `recovery.*`, `certificate.*`, `home.*`, `key_file.*`. StoreError, OSError
    """
    recovery = read_file(recovery_file, Recovery)
    key = read_key(home.keys, KeyName.VALIDATOR)
    with _opened(home, genesis) as stopped:
        ended = stopped.ended(Epoch(recovery.ended_epoch))
        _show(recovery, stopped, ended)
        made = Approval(recovery_hash(recovery), _index_of(key, ended), approve(key, recovery, ended))
        noted = home.approved(ended.epoch)
        with suppress(FileNotFoundError):
            if read_file(noted, Approval) != made:
                raise LedgerError(
                    "recovery.approved",
                    f"{noted} holds the approval of another recovery of epoch {ended.epoch}; there is one",
                )
        if not noted.exists():
            write_file(noted, made)
        write_file(file, made)
        return made


def begin(home: Home, genesis: Genesis, recovery_file: Path, approvals: Sequence[Path]) -> Shown:
    """Keep a recovery that enough approve: the next start of the node begins the new epoch by it.

    Raises:
        LedgerError: `recovery.*`, `certificate.*`, `home.*`. StoreError, OSError
    """
    recovery = read_file(recovery_file, Recovery)
    approved = _joined(recovery, [read_file(each, Approval) for each in approvals])
    with _opened(home, genesis) as stopped:
        ended = stopped.ended(Epoch(recovery.ended_epoch))
        verify_recovery(approved, ended)
        shown = _show(recovery, stopped, ended)
        kept = stopped.stores.blocks.recovery(ended.epoch)
        if kept is not None and recovery_hash(decode_recovery(kept).recovery) != recovery_hash(recovery):
            raise LedgerError("recovery.begun", f"another recovery of epoch {ended.epoch} is kept here")
        if kept is None:
            stopped.stores.blocks.keep_recovery(encode(approved))
        return shown


# --- what they rest on ----------------------------------------------------------------------


def _promise(
    home: Home, key: KeyPair, stopped: _Stopped, ended: EndedEpoch
) -> tuple[bool, Certificate | None]:
    """Make the promise of a report durable (K2); whether the record is whole, and what it holds (K3)."""
    journal, entries = Journal.open(LocalDisk(), home.consensus_log)
    try:
        records, blocks = read_entries(home.consensus_log, entries)
        signer = Signer(ended.chain_id, key, host_generation(home))
        promise, is_whole, certificate = stock_of(signer, records, blocks, stopped.stores, ended)
        floors = [each for each in records if isinstance(each, SignerFloor)]
        if not floors or floors[-1] != promise:
            journal.append(RECORD, encode_record(promise))
            journal.sync()
    finally:
        journal.close()
    return is_whole, certificate


def stock_of(
    signer: Signer, records: Sequence[Record], blocks: Sequence[Block], stores: Stores, ended: EndedEpoch
) -> tuple[SignerFloor, bool, Certificate | None]:
    """Read a record back into its signer; the promise of its report, whether it is whole, and the certificate
    that it names.

    The log holds the bodies of blocks that its owner made or voted for, and no others. It may have shrunk and
    lost the body of one that its owner voted to make final without having notarized it: such a record can't
    report what it promised, and counts as lost.

    Raises:
        LedgerError: `recovery.given_up`.
    """
    final = finalization_of_head(stores)
    signer.restore(records, (Epoch(0), View(0)) if final is None else (Epoch(final.vote.epoch), final.view))
    promise = signer.promise_for_report(Epoch(ended.epoch + EPOCHS_PASSED - 1), VIEW_LAST)
    bodies = {block_id(block.header): None for block in blocks}
    held = [each.certificate for each in records if isinstance(each, HeldCertificate)]
    held += [] if final is None else [final]
    here = [each for each in held if _is_here(each.block_id, bodies, stores)]
    final_view = final.view if final is not None and final.vote.epoch == ended.epoch else 0
    votes = [each.signed.vote for each in records if isinstance(each, OwnVote)]
    finals = [each for each in votes if each.kind is VoteKind.FINALIZE and each.epoch == ended.epoch]
    has_bodies = all(each.view <= final_view or _is_here(each.block_id, bodies, stores) for each in finals)
    return promise, has_bodies and not signer.is_quarantined, _highest(here, ended)


def _is_here(of: bytes | None, bodies: Container[bytes], stores: Stores) -> bool:
    return of is not None and (of in bodies or stores.blocks.height_of(BlockId(of)) is not None)


def _highest(held: Sequence[Certificate], ended: EndedEpoch) -> Certificate | None:
    """The valid one of the highest view of the epoch that names a block; a finalization before another."""
    found = []
    for certificate in held:
        if certificate.vote.epoch != ended.epoch or certificate.kind is VoteKind.NULLIFY:
            continue
        with suppress(LedgerError):
            verify_certificate(certificate, ended.chain_id, ended.epoch, ended.validators)
            found.append(certificate)
    return max(found, key=lambda each: (each.view, each.kind is VoteKind.FINALIZE), default=None)


def _index_of(key: KeyPair, ended: EndedEpoch) -> int:
    index = ended.validators.index_of(key.public)
    if index is None:
        raise LedgerError("recovery.not_a_validator", f"this home's key has no stake in epoch {ended.epoch}")
    return index


def _show(recovery: Recovery, stopped: _Stopped, ended: EndedEpoch) -> Shown:
    """Check a recovery as far as this home can (K4-K6, and K7 where the chosen block is its head)."""
    margin = check_recovery(recovery, ended)
    chosen = BlockId(recovery.block_id)
    height, tip = stopped.stores.blocks.height_of(chosen), stopped.tip
    if height is not None and chosen != tip.id:
        raise LedgerError(
            "recovery.diverged",
            f"height {tip.header.height} is final here, above the chosen block at {height}",
        )
    if height is not None and tip.epoch.epoch != ended.epoch:
        check_successors(recovery, ended, tip.validators)
    reported = {each.report.validator: each.report.is_whole for each in recovery.reports}
    sorts: dict[bool | None, list[Validator]] = {True: [], False: [], None: []}
    for index, validator in enumerate(ended.validators.validators):
        sorts[reported.get(index)].append(validator)
    return Shown(recovery, margin, height, tuple(sorts[True]), tuple(sorts[False]), tuple(sorts[None]))


def _joined(recovery: Recovery, approvals: Sequence[Approval]) -> ApprovedRecovery:
    """The recovery with its approvals by ascending validator; the same one twice counts once."""
    digest = recovery_hash(recovery)
    for each in approvals:
        if each.recovery != digest:
            raise LedgerError(
                "recovery.other_recovery", f"validator {each.validator} approved another recovery than this"
            )
    found = {each.validator: each.signature for each in approvals}
    return ApprovedRecovery(recovery, tuple(sorted(found.items())))
