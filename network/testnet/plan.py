"""Which nodes a local network has, where they listen, and where their homes lie."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ledger.errors import LedgerError
from ledger.genesis import Parameters
from ledger.members import NodeRole
from network.testnet.members import ORGANISATIONS

HOST: Final = "127.0.0.1"
BASE_PORT_DEFAULT: Final = 26600
PORTS_A_NODE: Final = 10  # api, admin, p2p, and room
VALIDATORS_MAX: Final = 16  # processes on one machine
OBSERVERS_MAX: Final = 16
BASE_PORT_MIN: Final = 1024
STAKE: Final = 100  # of each validator, unless the plan says otherwise


@dataclass(frozen=True, slots=True)
class PlannedNode:
    """One node before it exists. Ports follow from `base_port` alone; `stake` counts for a validator."""

    name: str
    role: NodeRole
    organisation: str
    home: Path
    base_port: int
    host: str = HOST
    stake: int = STAKE

    @property
    def api(self) -> str:
        """Address of the public REST interface."""
        return f"{self.host}:{self.base_port}"

    @property
    def admin(self) -> str:
        """Address of the admin port."""
        return f"{self.host}:{self.base_port + 1}"

    @property
    def p2p(self) -> str:
        """Address for the other nodes."""
        return f"{self.host}:{self.base_port + 2}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole local network in one folder.

    doors: by (who dials, whom), the address to dial where it is not the node's own. Where there are any, the
        chain lists no node's address, so that nobody finds another way.
    """

    folder: Path
    nodes: tuple[PlannedNode, ...]
    parameters: Parameters = field(default_factory=Parameters)
    doors: Mapping[tuple[str, str], str] = field(default_factory=dict)


def plan_network(folder: Path, *, validators: int, observers: int, base_port: int) -> Plan:
    """The nodes of a network: validators first, each owned by the next organisation in turn.

    Raises:
        LedgerError: `testnet.size`, `testnet.ports`.
    """
    if not 1 <= validators <= VALIDATORS_MAX or not 0 <= observers <= OBSERVERS_MAX:
        raise LedgerError(
            "testnet.size", f"1 to {VALIDATORS_MAX} validators and 0 to {OBSERVERS_MAX} observers are allowed"
        )
    count = validators + observers
    if not BASE_PORT_MIN <= base_port <= 65_536 - PORTS_A_NODE * count:
        raise LedgerError(
            "testnet.ports", f"{count} nodes from port {base_port} do not fit in {BASE_PORT_MIN} to 65535"
        )
    folder = folder.absolute()
    nodes = []
    for index in range(count):
        role = NodeRole.VALIDATOR if index < validators else NodeRole.OBSERVER
        owner = ORGANISATIONS[index % len(ORGANISATIONS)].id
        name = f"node-{index}"
        nodes.append(PlannedNode(name, role, owner, folder / name, base_port + PORTS_A_NODE * index))
    return Plan(folder, tuple(nodes))


def check_ports_free(plan: Plan) -> None:
    """Refuse a plan whose ports are taken.

    Raises:
        LedgerError: `testnet.port_taken`, naming the first.
    """
    for node in plan.nodes:
        for port in range(node.base_port, node.base_port + 3):
            check_port_free(port, node.name)


def check_port_free(port: int, owner: str) -> None:
    """Refuse a port that another process has.

    Raises:
        LedgerError: `testnet.port_taken`.
    """
    if not is_port_free(port):
        raise LedgerError(
            "testnet.port_taken",
            f"port {port} of {owner} is taken by another process on this machine; "
            "choose other ports with --base-port",
        )


def is_port_free(port: int) -> bool:
    """Whether a process may listen on a loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # a closed connection's remains do not count
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_base_port(nodes: int, start: int = BASE_PORT_DEFAULT) -> int:
    """The first base port from `start`, in steps of 100, at which so many nodes find their ports free.

    Raises:
        LedgerError: `testnet.port_taken`.
    """
    for base in range(start, 65_536 - PORTS_A_NODE * nodes, 100):
        ports = (base + PORTS_A_NODE * node + offset for node in range(nodes) for offset in range(3))
        if all(is_port_free(port) for port in ports):
            return base
    raise LedgerError("testnet.port_taken", f"no free ports for {nodes} nodes from {start} on")
