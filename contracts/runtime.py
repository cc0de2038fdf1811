"""The core contracts as the ledger calls them: find the method, hold the call to its rules, run it.

A method is named in signed bytes as (contract, method). Nothing is loaded at run time: the list
below is part of the protocol version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts import master_data, organisations
from contracts.arguments import Field, decode_arguments, fields
from contracts.governance import voting
from contracts.governance.turn import turn_governance
from contracts.method import Method
from contracts.provenance import capture
from contracts.staking import attendance, bonding, reporting, turn
from ledger.codec import Canonical
from ledger.epoch import EpochStart
from ledger.errors import LedgerError
from ledger.genesis import Parameters
from ledger.members import Key, Role
from ledger.state import Overlay
from ledger.transaction import Transaction, TransactionBody
from ledger.transition import Call, Outcome
from ledger.types import RESULT_BYTES_MAX
from ledger.validators import ValidatorSet

CORE_METHODS: Final[tuple[Method[Any], ...]] = (
    *organisations.METHODS,
    *master_data.METHODS,
    *capture.METHODS,
    *bonding.METHODS,
    *reporting.METHODS,
    *voting.METHODS,
)


@dataclass(frozen=True, slots=True)
class Description:
    """What people see of a method: names, roles, arguments in order, one sentence."""

    contract: str
    method: str
    roles: tuple[Role, ...]
    arguments: tuple[Field, ...]
    summary: str


class CoreRules:
    """The `Rules` of a chain that runs the core contracts."""

    def __init__(self, methods: Sequence[Method[Any]] = CORE_METHODS) -> None:
        self._contracts: Mapping[str, Mapping[str, Method[Any]]] = _by_name(methods)
        # `check` and `execute` see the same call one after the other: its arguments are decoded once.
        self._decoded: tuple[bytes, Method[Any], Canonical] | None = None

    def check(self, transaction: Transaction, sender: Key) -> None:
        """Refuse a call that could not run, before it costs anybody anything.

        Raises:
            LedgerError: `contract.unknown`, `method.unknown`, `sender.role` or `arguments.malformed`.
        """
        method = self.method(transaction.body)
        _check_role(method, sender)
        self._arguments(method, transaction.body)

    def execute(self, call: Call, transaction: Transaction, state: Overlay) -> Outcome:
        """Run the method on `state`.

        Raises:
            LedgerError: as `check` does, or what the method refuses; the caller drops `state`.
        """
        method = self.method(transaction.body)
        _check_role(method, call.sender)
        outcome = method.run(call, self._arguments(method, transaction.body), state)
        if len(outcome.result) > RESULT_BYTES_MAX:
            raise LedgerError(
                "result.too_large", f"{len(outcome.result)} bytes, at most {RESULT_BYTES_MAX} are allowed"
            )
        return outcome

    def begin_block(self, signers: Sequence[int], state: Overlay) -> None:
        """Count who signed the parent's certificate."""
        attendance.count(signers, state)

    def end_epoch(self, following: EpochStart, state: Overlay) -> tuple[ValidatorSet, Parameters]:
        """Turn seats and stake: who decides and who votes in the next epoch, and under what parameters."""
        turn_governance(following, state)
        return turn.end_epoch(following, state)

    def method(self, body: TransactionBody) -> Method[Any]:
        """The method that a transaction names.

        Raises:
            LedgerError: `contract.unknown`, `method.unknown`.
        """
        methods = self._contracts.get(body.contract)
        if methods is None:
            raise LedgerError("contract.unknown", f"no contract is called {body.contract}", "/contract")
        found = methods.get(body.method)
        if found is None:
            raise LedgerError("method.unknown", f"{body.contract} has no method {body.method}", "/method")
        return found

    def _arguments(self, method: Method[Any], body: TransactionBody) -> Canonical:
        known = self._decoded
        if known is not None and known[0] is body.arguments and known[1] is method:
            return known[2]
        arguments: Canonical = decode_arguments(body.arguments, method.arguments)
        self._decoded = body.arguments, method, arguments
        return arguments


def describe(methods: Sequence[Method[Any]] = CORE_METHODS) -> tuple[Description, ...]:
    """Every method, in the order of the list, for documentation and the command line."""
    return tuple(
        Description(method.contract, method.name, method.roles, fields(method.arguments), method.summary)
        for method in methods
    )


def _by_name(methods: Sequence[Method[Any]]) -> dict[str, dict[str, Method[Any]]]:
    contracts: dict[str, dict[str, Method[Any]]] = {}
    for method in methods:
        named = contracts.setdefault(method.contract, {})
        assert method.name not in named, f"{method.contract}.{method.name} is defined twice"
        named[method.name] = method
    return contracts


def _check_role(method: Method[Any], sender: Key) -> None:
    if not any(role in method.roles for role in sender.roles):
        wanted = " or ".join(role.value for role in method.roles)
        raise LedgerError("sender.role", f"{method.contract}.{method.name} needs a key that is {wanted}")
