"""Which validators are known to be up: this node has a connection to them, and they sign as the chain wants.

It is one node's knowledge at one moment and nothing that the chain depends on. In doubt a validator is not
known to be up: whoever plans with it should err to the safe side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.staking.attendance import attendance, signed_by
from ledger.epoch import parameters_in_force, validators_in_force
from node.service import Service


@dataclass(frozen=True, slots=True)
class Presence:
    """One validator: how many certificates of this epoch it could sign, and did.

    `is_connected`: this node is connected to the validator's node, or is it. `is_absent`: it signs too
    little by the measure of the chain, as far as this epoch says anything yet.
    """

    certificates: int
    signed: int
    is_connected: bool
    is_absent: bool

    @property
    def is_up(self) -> bool:
        """Whether it is known to be up; of one that can't sign yet the connection alone is known."""
        return self.is_connected and not self.is_absent


def presences(service: Service, nodes: Mapping[bytes, str]) -> dict[bytes, Presence]:
    """How present each of these validators is; `nodes` are their nodes' names by key."""
    state = service.state()
    voters, counted = validators_in_force(state), attendance(state)
    staking = parameters_in_force(state).staking
    says_something = counted.certificates >= staking.attendance_certificates_min
    here = {peer.name for peer in service.status().peers if peer.connected} | {service.name}
    found = {}
    for key, node in nodes.items():
        index = voters.index_of(key)
        certificates = 0 if index is None else counted.certificates
        signed = 0 if index is None else signed_by(counted, index)
        is_low = 1000 * signed < staking.attendance_min_permille * certificates
        found[key] = Presence(certificates, signed, node in here, says_something and is_low)
    return found
