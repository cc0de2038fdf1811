"""What the consortium decides about stake: who holds units, who validates, and with what parameters.

Each function makes one decision that a ballot has carried; the contract that counts ballots calls it, and
nothing else may. All of it takes effect at the next turn, and by less than a third of the stake at a time.
A refusal may come after some writes, as everywhere in a contract: the caller drops its overlay.

Source: docs/spec/staking.md, rules K3 and K21-K25.
"""

from __future__ import annotations

import msgspec

from contracts import membership
from contracts.staking.bonding import check_admitted, check_not_slashed, check_somebody_votes, withdrawn
from contracts.staking.records import (
    BONDS,
    NEXT_PARAMETERS,
    Bond,
    bonds,
    burn,
    hold,
    mint,
    record_bond,
    take,
)
from ledger.consensus.timeouts import check_parameters
from ledger.epoch import parameters_in_force, validators_in_force
from ledger.errors import LedgerError
from ledger.genesis import Parameters, check_staking
from ledger.members import ORGANISATIONS, NodeRole
from ledger.state import Overlay, StateView


def grant(state: Overlay, organisation: str, units: int) -> None:
    """New units for a member to hold.

    Raises:
        LedgerError: `organisation.unknown`, `units.too_many`.
    """
    _check_member(state, organisation)
    mint(state, units)
    hold(state, organisation, units)


def withdraw(state: Overlay, organisation: str, units: int) -> None:
    """Take units that a member holds out of the chain; what is bonded is not reached.

    Raises:
        LedgerError: `organisation.unknown`, `units.too_few`.
    """
    _check_member(state, organisation)
    take(state, organisation, units)
    burn(state, units)


def admit(state: Overlay, organisation: str, node: str, public_key: bytes, units: int) -> Bond:
    """Let a key on a member's node validate, with so many new units behind it.

    That its holder has the key was proved when it was proposed. A key that was removed may be admitted
    again; what is still on its way out of it stays there.

    Raises:
        LedgerError: `organisation.unknown`, `node.unknown`, `validator.slashed`, `validator.admitted`,
            `validator.elsewhere`, `validator.node_taken`, `validators.too_many`, `validators.stake`,
            `units.too_many`.
    """
    _check_member(state, organisation)
    _check_node(state, organisation, node, public_key)
    check_not_slashed(state, public_key)
    before = BONDS.get(state, public_key) or Bond(public_key, organisation, node, False, 0, 0, (), 0, 0)
    if before.is_admitted:
        raise LedgerError("validator.admitted", f"it validates on {before.node} already", "/public_key")
    if (before.organisation, before.node) != (organisation, node):
        message = f"it is on its way out of {before.node} of {before.organisation} still"
        raise LedgerError("validator.elsewhere", message, "/node")

    bond = msgspec.structs.replace(before, is_admitted=True, bonded_units=units, absences=0, jailed_until=0)
    mint(state, units)
    record_bond(state, bond)
    membership.set_node_role(state, node, NodeRole.VALIDATOR)
    return bond


def set_weight(state: Overlay, public_key: bytes, units: int) -> Bond:
    """Give a validator this weight: more is granted anew, less goes back to its organisation after the delay.

    Raises:
        LedgerError: `validator.unknown`, `validator.slashed`, `validator.removed`, `validators.stake`,
            `validators.empty`, `units.too_many`.
    """
    known = _known(state, public_key)
    check_admitted(state, known)
    if units >= known.bonded_units:
        mint(state, units - known.bonded_units)
        changed = msgspec.structs.replace(known, bonded_units=units)
    else:
        changed = withdrawn(known, known.bonded_units - units)
        check_somebody_votes(state, changed)
    record_bond(state, changed)
    return changed


def remove(state: Overlay, public_key: bytes) -> Bond:
    """Let a validator vote no more; its units go back to its organisation after the delay.

    Raises:
        LedgerError: `validator.unknown`, `validator.slashed`, `validator.removed`, `validators.empty`.
    """
    known = _known(state, public_key)
    check_admitted(state, known)
    changed = msgspec.structs.replace(withdrawn(known, known.bonded_units), is_admitted=False)
    check_somebody_votes(state, changed)
    record_bond(state, changed)
    return changed


def choose_parameters(state: Overlay, parameters: Parameters) -> None:
    """Run the chain under other parameters from the next epoch on; a later choice replaces this one.

    Raises:
        LedgerError: `parameters.consensus`, `parameters.staking`, `parameters.fixed`.
    """
    check_parameters(parameters.consensus)
    check_staking(parameters.staking)
    window = parameters_in_force(state).replay_window_blocks
    if parameters.replay_window_blocks != window:
        message = f"replay_window_blocks is {window} for ever: the ring of replays has that size"
        raise LedgerError("parameters.fixed", message, "/replay_window_blocks")
    NEXT_PARAMETERS.put(state, b"", parameters)


def _check_member(state: StateView, organisation: str) -> None:
    if ORGANISATIONS.get(state, organisation.encode()) is None:
        raise LedgerError("organisation.unknown", f"{organisation} is no member", "/organisation")


def _check_node(state: StateView, organisation: str, name: str, public_key: bytes) -> None:
    """The node is the member's, and no other key votes or may vote on it."""
    node = membership.node_named(state, name)
    if node is None or node.organisation != organisation:
        raise LedgerError("node.unknown", f"{organisation} has no node called {name}", "/node")
    voting = ((each.public_key, each.node) for each in validators_in_force(state).validators)
    admitted = ((bond.public_key, bond.node) for bond in bonds(state) if bond.is_admitted)
    for key, place in (*voting, *admitted):
        if place == name and key != public_key:
            raise LedgerError("validator.node_taken", f"{name} holds the key {key.hex()}", "/node")


def _known(state: StateView, public_key: bytes) -> Bond:
    known = BONDS.get(state, public_key)
    if known is None:
        raise LedgerError("validator.unknown", "no validator has this key", "/public_key")
    return known
