"""Nodes in network namespaces of their own, joined by a bridge; faults are rules at each node's own door.

Everything lies inside one namespace that this program made for itself (`network.chaos.sandbox`), so the
machine's own network is never touched, and all of it is gone with the last process in it.

Packets go into a class whose queue holds none (lost), or one with a rate (slow). The kernel needs htb, bfifo,
u32 and bpf of its traffic control, nothing else: netem and firewalls are often not there.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from ledger.errors import LedgerError
from network.chaos.wire import PERMILLE
from network.testnet.plan import BASE_PORT_DEFAULT, Plan, plan_network

NETWORK: Final = "10.77.0"
BRIDGE: Final = "farm0"
DOOR: Final = "eth0"
OWN_HOST: Final = f"{NETWORK}.254"  # of the clients and of the checker
FIRST_HOST: Final = 10
COMMAND_SECONDS: Final = 20.0
SETUP_SECONDS: Final = 5.0
_OPEN_CLASS, _LOST_CLASS, _SLOW_CLASS = "1:1", "1:2", "1:3"
_RATE_OPEN: Final = "10gbit"
_QUEUE: Final = "65536"  # bytes that wait at a narrow pipe; what does not fit is lost, as at a router's
_ORDER_OWN, _ORDER_CUT, _ORDER_LOSE, _ORDER_SLOW = 1, 10, 20, 30  # the first filter that fits decides
# Classic BPF: an ancillary load of 32 random bits, and one comparison.
_LOAD_RANDOM: Final = "32 0 0 4294963256"
_RETURN_YES, _RETURN_NO = "6 0 0 4294967295", "6 0 0 0"


class NamespaceWire:
    """A bridge, and for each node a pair of virtual cables and a process that holds its namespace."""

    kind = "network namespaces"

    def __init__(self) -> None:
        self._hosts: dict[str, str] = {}
        self._holders: dict[str, subprocess.Popen[bytes]] = {}

    def plan(self, folder: Path, validators: int, observers: int, stakes: Mapping[str, int]) -> Plan:
        """Every node at the same ports of an address of its own."""
        plan = plan_network(folder, validators=validators, observers=observers, base_port=BASE_PORT_DEFAULT)
        nodes = tuple(
            replace(
                node,
                host=f"{NETWORK}.{FIRST_HOST + index}",
                base_port=BASE_PORT_DEFAULT,
                stake=stakes.get(node.name, node.stake),
            )
            for index, node in enumerate(plan.nodes)
        )
        self._hosts = {node.name: node.host for node in nodes}
        return replace(plan, nodes=nodes)

    def open(self) -> None:
        """Make bridge, namespaces and cables.

        Raises:
            LedgerError: `chaos.command`.
        """
        _run("ip", "link", "add", BRIDGE, "type", "bridge")
        _run("ip", "addr", "add", f"{OWN_HOST}/24", "dev", BRIDGE)
        _run("ip", "link", "set", BRIDGE, "up")
        for index, (name, host) in enumerate(self._hosts.items()):
            holder = subprocess.Popen(("unshare", "--net", "sleep", "infinity"))  # noqa: S607  # our words
            self._holders[name] = holder
            _wait_apart(holder.pid)
            cable = f"cable{index}"
            _run("ip", "link", "add", cable, "type", "veth", "peer", "name", DOOR, "netns", str(holder.pid))
            _run("ip", "link", "set", cable, "master", BRIDGE, "up")
            self._inside(name, "ip", "link", "set", "lo", "up")
            self._inside(name, "ip", "addr", "add", f"{host}/24", "dev", DOOR)
            self._inside(name, "ip", "link", "set", DOOR, "up")
            self._furnish(name)

    def launcher(self, node: str) -> tuple[str, ...]:
        """Enter the node's namespace; the process stays the one that is started."""
        return ("nsenter", f"--net=/proc/{self._holders[node].pid}/ns/net", "--")

    def cut(self, sender: str, receiver: str) -> None:
        """Frames for the receiver go where nothing comes out; the sender is not told."""
        host = self._hosts[receiver]
        self._filter(sender, _ORDER_CUT, "u32", "match", "ip", "dst", f"{host}/32", "flowid", _LOST_CLASS)

    def lose(self, nodes: Iterable[str], permille: int) -> None:
        """Packets are lost by chance, each by itself."""
        threshold = (1 << 32) * permille // PERMILLE
        program = f"4,{_LOAD_RANDOM},53 1 0 {threshold},{_RETURN_YES},{_RETURN_NO}"
        for name in nodes:
            self._filter(name, _ORDER_LOSE, "bpf", "bytecode", program, "flowid", _LOST_CLASS)

    def slow(self, node: str, kilobits_per_second: int) -> None:
        """Packets wait for their turn in a class with a rate."""
        rate = f"{kilobits_per_second}kbit"
        self._tc(node, "class", "change", "parent", "1:", "classid", _SLOW_CLASS, "htb", "rate", rate)
        self._filter(node, _ORDER_SLOW, "u32", "match", "u32", "0", "0", "flowid", _SLOW_CLASS)

    def affected(self) -> int:
        """Packets that were lost, or went through a narrow pipe."""
        count = 0
        for name in self._hosts:
            said = _run(*self.launcher(name), "tc", "-s", "-j", "qdisc", "show", "dev", DOOR)
            for queue in msgspec.json.decode(said):
                if queue.get("parent") == _LOST_CLASS:
                    count += queue["drops"]
                elif queue.get("parent") == _SLOW_CLASS:
                    count += queue["packets"]
        return count

    def heal(self) -> None:
        """Remove all rules but the one for the checker's own packets."""
        for name in self._hosts:
            self._tc(name, "filter", "del", "parent", "1:")
            self._spare_own(name)

    def close(self) -> None:
        """Remove namespaces and bridge."""
        for holder in self._holders.values():
            holder.kill()
            holder.wait()
        self._holders.clear()
        _run("ip", "link", "del", BRIDGE)

    def _furnish(self, name: str) -> None:
        """Three classes at a node's door: open, lost, slow."""
        self._tc(name, "qdisc", "add", "root", "handle", "1:", "htb", "default", "1", "r2q", "100000")
        for place in (_OPEN_CLASS, _LOST_CLASS, _SLOW_CLASS):
            self._tc(name, "class", "add", "parent", "1:", "classid", place, "htb", "rate", _RATE_OPEN)
        self._tc(
            name, "qdisc", "add", "parent", _LOST_CLASS, "handle", "2:", "bfifo", "limit", "1"
        )  # none fits
        self._tc(name, "qdisc", "add", "parent", _SLOW_CLASS, "handle", "3:", "bfifo", "limit", _QUEUE)
        self._spare_own(name)

    def _spare_own(self, name: str) -> None:
        """Clients reach a node whatever is wrong between the nodes."""
        self._filter(name, _ORDER_OWN, "u32", "match", "ip", "dst", f"{OWN_HOST}/32", "flowid", _OPEN_CLASS)

    def _filter(self, name: str, order: int, *words: str) -> None:
        self._tc(name, "filter", "add", "parent", "1:", "protocol", "ip", "prio", str(order), *words)

    def _tc(self, name: str, kind: str, action: str, *words: str) -> None:
        self._inside(name, "tc", kind, action, "dev", DOOR, *words)

    def _inside(self, name: str, *words: str) -> None:
        _run(*self.launcher(name), *words)


def _wait_apart(pid: int) -> None:
    """Wait until a process has left our network namespace for its own."""
    own = Path("/proc/self/ns/net").readlink()
    end = time.monotonic() + SETUP_SECONDS
    while Path(f"/proc/{pid}/ns/net").readlink() == own:
        if time.monotonic() >= end:
            raise LedgerError("chaos.command", f"no network namespace within {SETUP_SECONDS:.0f} s")
        time.sleep(0.01)


def _run(*words: str) -> str:
    done = subprocess.run(  # noqa: S603  # our words
        words, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS
    )
    if done.returncode:
        raise LedgerError("chaos.command", f"{' '.join(words)}: {_said(done.stderr)}")
    return done.stdout


def _said(text: str) -> str:
    lines: Sequence[str] = text.strip().splitlines()
    return lines[-1] if lines else "it failed and said nothing"
