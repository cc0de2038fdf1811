"""The network over memory: the same rules without sockets, where both sides can act in one turn."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from itertools import pairwise

import pytest

from ledger.members import Node
from ledger.types import ChainId, PublicKey
from node.p2p import dialler
from node.p2p.frames import Lane
from node.p2p.handshake import LocalNode
from node.p2p.memory import MemoryHub, MemoryTransport
from node.p2p.messages import Body, Consensus
from node.p2p.network import Network
from node.p2p.transport import DialFailed, split_address
from tests.node.p2p.nodes import Recorder, eventually, identity, local, record


def address(number: int) -> str:
    return f"node-{number}:1"


def listed(*numbers: int) -> tuple[Node, ...]:
    return tuple(record(number, (address(number),)) for number in numbers)


class MemoryNode:
    """A network on a hub."""

    def __init__(
        self,
        hub: MemoryHub,
        number: int,
        members: Iterable[Node],
        peers: Iterable[str] = (),
        own: LocalNode | None = None,
    ) -> None:
        self.events = Recorder()
        self.key = identity(number).public_key
        transport = MemoryTransport(hub, identity(number).certificate, address(number))
        self.network = Network(
            own or local(number), transport, self.events, members, peers, random_source=random.Random(number)
        )

    async def __aenter__(self) -> MemoryNode:
        await self.network.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.network.stop()


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides dial at once and again at once; nobody waits for the other."""
    monkeypatch.setattr(dialler, "YIELD_SECONDS", 0.0)
    monkeypatch.setattr(dialler, "RETRY_SECONDS_MIN", 0.0)


async def turns() -> None:
    """Let everybody do what they would do without waiting."""
    for _ in range(300):
        await asyncio.sleep(0)


@pytest.mark.parametrize("turns_between", range(12))
async def test_of_two_crossing_connections_the_one_of_the_smaller_key_survives(turns_between: int) -> None:
    """However far one dial is when the other begins: one connection is left, and both ends say which."""
    hub = MemoryHub()
    async with MemoryNode(hub, 1, listed(1, 2)) as one:
        for _ in range(turns_between):
            await asyncio.sleep(0)
        async with MemoryNode(hub, 2, listed(1, 2)) as two:
            await eventually(lambda: bool(one.network.peers() and two.network.peers()))
            await eventually(
                lambda: (
                    [each.is_dialled for node in (one, two) for each in node.network.peers()]
                    in ([True, False], [False, True])
                )
            )
            await turns()
            ours, theirs = one.network.peers(), two.network.peers()
            assert len(ours) == len(theirs) == 1
            assert ours[0].is_dialled is not theirs[0].is_dialled
            if one.network.counters.dials and two.network.counters.dials and len(one.events.connected) > 1:
                assert ours[0].is_dialled is (one.key < two.key)
            assert one.network.send(two.key, Consensus(b"vote"), Lane.CONSENSUS)
            await two.events.until(lambda: two.events.messages == [(one.key, Consensus(b"vote"))])


async def test_connected_and_disconnected_alternate_for_each_peer() -> None:
    """A replaced connection is a disconnection and a new one: nobody trusts what the old one was told."""
    hub = MemoryHub()
    async with MemoryNode(hub, 1, listed(1, 2)) as one, MemoryNode(hub, 2, listed(1, 2)) as two:
        await eventually(lambda: bool(one.network.peers() and two.network.peers()))
        for node in (one, two):
            assert len(node.events.connected) - len(node.events.disconnected) == len(node.network.peers())


async def test_a_configured_address_of_a_listed_member_is_dialled_once() -> None:
    """The configuration may repeat what the members' list says."""
    hub = MemoryHub()
    async with MemoryNode(hub, 1, listed(1, 2), [address(2), address(2)]) as one:
        assert [status.address for status in one.network.dials()] == [address(2)]


async def test_the_same_peer_under_two_addresses_is_one_peer() -> None:
    """An address whose node turns out to be connected is left alone until that peer has gone."""
    hub = MemoryHub()
    nobody_to_dial = (record(1), record(2))
    async with (
        MemoryNode(hub, 2, nobody_to_dial) as two,
        MemoryNode(hub, 1, listed(1, 2), ["alias:1"]) as one,
    ):
        hub.listening["alias:1"] = hub.listening[address(2)]
        await eventually(lambda: bool(one.network.peers() and two.network.peers()))
        await eventually(lambda: [status.name for status in one.network.dials()] == ["node-2", "node-2"])
        await turns()
        assert one.network.problem() is None
        assert len(one.events.connected) == len(two.events.connected) == 1
        assert one.events.disconnected == two.events.disconnected == []


async def test_what_tells_most_is_why_a_node_is_alone() -> None:
    """Members that are down come first in the list; that one is of another chain is what has to be known."""
    hub = MemoryHub()
    elsewhere = local(3, ChainId(b"o" * 32))
    async with (
        MemoryNode(hub, 3, (record(1, ()), record(3)), own=elsewhere),
        MemoryNode(hub, 1, listed(1, 2, 3)) as one,
    ):
        await eventually(lambda: len([each for each in one.network.dials() if each.code]) == 2)
        assert [each.code for each in one.network.dials()] == ["peer.unreachable", "handshake.wrong_chain"]
        problem = one.network.problem()
        assert problem is not None
        assert problem.code == "handshake.wrong_chain"


async def test_a_member_whose_address_changes_is_dialled_at_the_new_one() -> None:
    """A record with another address counts from the next attempt on."""
    hub = MemoryHub()
    async with MemoryNode(hub, 1, (record(1), record(2, ("gone:1",)))) as one:
        await eventually(lambda: one.network.problem() is not None)
        problem = one.network.problem()
        assert problem is not None
        assert (problem.code, problem.name) == ("peer.unreachable", "node-2")
        async with MemoryNode(hub, 2, (record(1), record(2))) as two:
            one.network.allow(listed(1, 2))
            await one.events.until(lambda: one.events.connected != [])
            assert one.events.connected[0].peer_id == two.key


async def test_who_is_no_member_any_more_is_not_dialled_any_more() -> None:
    """Its task ends with its membership."""
    hub = MemoryHub()
    async with MemoryNode(hub, 1, listed(1, 2, 3)) as one:
        await eventually(lambda: {status.code for status in one.network.dials()} == {"peer.unreachable"})
        assert {status.name for status in one.network.dials()} == {"node-2", "node-3"}
        one.network.allow(listed(1, 3))
        assert {status.name for status in one.network.dials()} == {"node-3"}
        one.network.allow(listed(1))
        await turns()  # a dial that was under way
        dials = one.network.counters.dials
        await turns()
        assert one.network.counters.dials == dials


async def test_who_is_connected_is_not_dialled() -> None:
    """A peer that dialled us is as good as one that we dialled."""
    hub = MemoryHub()
    async with (
        MemoryNode(hub, 1, (record(1), record(2))) as one,
        MemoryNode(hub, 2, listed(1, 2)) as two,
    ):
        await eventually(lambda: bool(one.network.peers() and two.network.peers()))
        one.network.allow(listed(1, 2))
        await turns()
        assert [status.name for status in one.network.dials()] == ["node-2"]
        assert one.network.counters.dials == 0


async def test_who_turns_out_to_be_ourselves_is_dialled_once() -> None:
    """A node that has its own address in its configuration learns that and stops."""
    hub = MemoryHub()
    async with MemoryNode(hub, 1, (record(1),), ["alias:1"]) as one:
        hub.listening["alias:1"] = hub.listening[address(1)]
        await eventually(lambda: one.network.problem() is not None)
        problem = one.network.problem()
        assert problem is not None
        assert problem.code == "handshake.self"
        dials = one.network.counters.dials
        await turns()
        assert one.network.counters.dials == dials


async def test_a_large_body_passes_a_narrow_wire() -> None:
    """More frames than fit under way: the writer waits and nothing is lost."""
    hub = MemoryHub()
    async with MemoryNode(hub, 1, listed(1, 2)) as one, MemoryNode(hub, 2, listed(1, 2)) as two:
        await eventually(lambda: bool(one.network.peers() and two.network.peers()))
        body = Body(bytes(8 << 20))
        assert one.network.send(two.key, body, Lane.PROPOSAL)
        await two.events.until(lambda: two.events.messages == [(one.key, body)])


async def test_what_cannot_be_sent_says_so() -> None:
    """A peer that is not there takes nothing."""
    hub = MemoryHub()
    async with MemoryNode(hub, 1, listed(1)) as one:
        assert not one.network.send(PublicKey(bytes(32)), Consensus(b"x"), Lane.CONSENSUS)
        assert one.network.broadcast(Consensus(b"x"), Lane.CONSENSUS) == 0
        assert one.network.problem() is None


async def test_stop_without_start_and_twice_is_harmless() -> None:
    """A node that failed to start is stopped like any other."""
    hub = MemoryHub()
    node = MemoryNode(hub, 1, listed(1))
    await node.network.stop()
    other = MemoryNode(hub, 2, listed(2))
    await other.network.start()
    await other.network.stop()
    await other.network.stop()


def test_waiting_times_double_up_to_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead site costs one dial in five seconds at most, and one that returns is found in that time."""
    monkeypatch.undo()
    waits = [dialler.retry_seconds(failures) for failures in range(40)]
    assert waits[0] == dialler.RETRY_SECONDS_MIN
    assert all(later in (2 * earlier, dialler.RETRY_SECONDS_MAX) for earlier, later in pairwise(waits))
    assert waits[-1] == dialler.RETRY_SECONDS_MAX == 5.0


@pytest.mark.parametrize(
    ("given_address", "expected"),
    [
        ("10.0.0.7:26602", ("10.0.0.7", 26602)),
        ("node-1.farm.example:1", ("node-1.farm.example", 1)),
        ("[::1]:26602", ("::1", 26602)),
    ],
)
def test_an_address_is_host_and_port(given_address: str, expected: tuple[str, int]) -> None:
    """IPv4, names and IPv6 in brackets."""
    assert split_address(given_address) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "host",
        "host:",
        ":1",
        "host:x",
        "host:65536",
        "host:-1",
        "host:١",
        "a/b:1",
        "u@h:1",
        "[::1:2",
        "::1:2",
    ],
)
def test_what_is_no_address_has_a_code(wrong: str) -> None:
    """Addresses stand in the members' list: any member may have written any string there."""
    with pytest.raises(DialFailed) as refusal:
        split_address(wrong)
    assert refusal.value.code == "peer.bad_address"
