"""The network over real sockets: who gets in, which connection survives, what comes through."""

from __future__ import annotations

from node.p2p.frames import Lane
from node.p2p.messages import Consensus
from tests.node.p2p.nodes import TestNode, record


async def test_a_member_is_reached_and_messages_go_both_ways() -> None:
    """One side dials a configured address; both then know each other and talk."""
    members = (record(1), record(2))
    async with TestNode(1, members) as one, TestNode(2, members, [one.network.address]) as two:
        await one.events.until(lambda: one.events.connected != [])
        await two.events.until(lambda: two.events.connected != [])
        assert [peer.name for peer in one.network.peers()] == ["node-2"]
        assert one.network.send(two.key, Consensus(b"to two"), Lane.CONSENSUS)
        assert two.network.broadcast(Consensus(b"to one"), Lane.CONSENSUS) == 1
        await one.events.until(lambda: one.events.messages != [])
        await two.events.until(lambda: two.events.messages != [])
        assert one.events.messages == [(two.key, Consensus(b"to one"))]
        assert two.events.messages == [(one.key, Consensus(b"to two"))]
