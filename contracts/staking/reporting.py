"""Reports of what a validator signed against the rules: proved, slashed, and never forgotten.

Anybody who may write can report. The evidence speaks for itself, so nothing depends on who brings it.

Source: docs/spec/staking.md, rules K17-K20.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from contracts.method import Method
from contracts.staking.bonding import CONTRACT, accepted
from contracts.staking.records import BONDS, OFFENCES, Offences, Unbonding, burn, record_bond, record_offences
from ledger.codec import Canonical
from ledger.epoch import epoch_in_force, parameters_in_force, validators_of
from ledger.errors import LedgerError
from ledger.evidence import (
    EVIDENCE_BYTES_MAX,
    Evidence,
    accused,
    check_evidence,
    decode_evidence,
    evidence_id,
)
from ledger.members import Role
from ledger.state import Overlay, StateView
from ledger.transition import Call, Outcome
from ledger.types import Epoch
from ledger.validators import ValidatorSet

METHOD: Final = "report"


class Report(Canonical):
    """The encoded evidence of one offence (`ledger.evidence`)."""

    evidence: Annotated[bytes, Meta(min_length=1, max_length=EVIDENCE_BYTES_MAX)]


def report(call: Call, arguments: Report, state: Overlay) -> Outcome:
    """Prove that a validator signed against the rules: it is slashed and jailed for good.

    Raises:
        LedgerError: an `encoding.*`, `evidence.*`, `vote.*` or `proposal.*` code; `evidence.too_old`,
            `evidence.too_early`; `evidence.known`: the key was slashed for this epoch already.
    """
    evidence = decode_evidence(arguments.evidence)
    epoch = accused(evidence).epoch
    validators = _validators(state, epoch)
    public_key = check_evidence(evidence, call.chain_id, epoch, validators)
    known = OFFENCES.get(state, public_key)
    if known is not None and epoch in known.epochs:
        raise LedgerError("evidence.known", f"slashed for epoch {epoch} already", "/evidence")

    node = validators.validators[accused(evidence).validator].node
    before = known or Offences(public_key, node, (), evidence_id(evidence), call.height, 0)
    burned = _slash(state, public_key)
    after = msgspec.structs.replace(
        before,
        epochs=_with(state, before.epochs, epoch),
        burned_units=before.burned_units + burned,
    )
    record_offences(state, after)

    return accepted(after)


def is_reported(state: StateView, evidence: Evidence) -> bool:
    """Whether a report of this evidence would change nothing: its key was slashed for that epoch."""
    place = accused(evidence)
    validators = validators_of(state, place.epoch)
    if validators is None or place.validator >= len(validators):
        return False
    known = OFFENCES.get(state, validators.public_key(place.validator))
    return known is not None and place.epoch in known.epochs


def _validators(state: StateView, epoch: Epoch) -> ValidatorSet:
    """The set whose indices the evidence means."""
    now = epoch_in_force(state).epoch
    if epoch > now:
        raise LedgerError("evidence.too_early", f"of epoch {epoch}, this is epoch {now}", "/evidence")
    validators = validators_of(state, epoch)
    if validators is None:
        raise LedgerError("evidence.too_old", f"of epoch {epoch}, this is epoch {now}", "/evidence")
    return validators


def _slash(state: Overlay, public_key: bytes) -> int:
    """Burn the penalty of all behind a key, and let nothing of the rest vote; how much was burned."""
    bond = BONDS.get(state, public_key)
    if bond is None:
        return 0  # it has left and taken everything along, after a shorter delay than today's
    permille = parameters_in_force(state).staking.equivocation_penalty_permille
    unbonding = tuple(Unbonding(each.release_epoch, _kept(each.units, permille)) for each in bond.unbonding)
    slashed = msgspec.structs.replace(
        bond,
        is_admitted=False,
        bonded_units=0,
        leaving_units=_kept(bond.bonded_units, permille) + _kept(bond.leaving_units, permille),
        unbonding=tuple(each for each in unbonding if each.units),
    )
    record_bond(state, slashed)
    burned = bond.units - slashed.units
    burn(state, burned)
    return burned


def _kept(units: int, permille: int) -> int:
    """What a penalty leaves; it is rounded up, so that no split of units escapes it."""
    return units * (1000 - permille) // 1000


def _with(state: StateView, epochs: tuple[int, ...], epoch: Epoch) -> tuple[int, ...]:
    """The epochs whose evidence would be admitted still, with one more."""
    oldest = epoch_in_force(state).epoch - parameters_in_force(state).staking.evidence_epochs
    return tuple(sorted((*(each for each in epochs if each >= oldest), epoch)))


METHODS: Final = (Method(CONTRACT, METHOD, Report, (Role.ADMIN, Role.OPERATOR, Role.GATEWAY), report),)
