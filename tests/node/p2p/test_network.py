"""The network over real sockets: who gets in, which connection survives, what comes through."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time

import pytest
import uvloop

from ledger.errors import LedgerError
from ledger.members import Node, NodeRole
from ledger.merkle.log import EXTENSION_LENGTH_MAX
from ledger.types import QUORUM_CERTIFICATE_BYTES_MAX, ChainId
from node.link import Link
from node.p2p import connection, network, tls, websocket
from node.p2p.conduct import Offence
from node.p2p.connection import shake_hands
from node.p2p.frames import FRAME_BYTES_MAX, Lane, split
from node.p2p.lanes import LIMITS
from node.p2p.messages import (
    Blocks,
    Body,
    Consensus,
    Transactions,
    TransactionsRequest,
    encode_message,
)
from node.p2p.tls import Members
from node.p2p.transport import ChannelClosed, DialFailed
from tests.golden.samples import HEADER
from tests.node.p2p.nodes import CHAIN, GENESIS, WAIT_SECONDS, RawPeer, TestNode, eventually, identity, record
from tests.node.p2p.test_tls import authority

VOTE = Consensus(b"vote")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(*nodes: TestNode) -> None:
    """Wait until everybody is connected with everybody else."""
    for node in nodes:
        await node.events.until(lambda node=node: len(node.network.peers()) == len(nodes) - 1)


async def until_stuck(node: TestNode) -> int:
    """Wait until a peer's socket takes no more for a fifth of a second; the bytes that it took."""
    taken, since = 0, time.monotonic()

    def is_stuck() -> bool:
        nonlocal taken, since
        if node.counters.bytes_out != taken:
            taken, since = node.counters.bytes_out, time.monotonic()
        return taken > 100_000 and time.monotonic() - since > 0.2

    await eventually(is_stuck)
    return taken


async def test_a_member_is_reached_and_messages_go_both_ways() -> None:
    """One side dials a configured address; both then know each other and talk."""
    members = (record(1), record(2))
    async with TestNode(1, members) as one, TestNode(2, members, [one.network.address]) as two:
        await connect(one, two)
        assert [(peer.name, peer.role, peer.is_dialled) for peer in one.network.peers()] == [
            ("node-2", NodeRole.VALIDATOR, False)
        ]
        assert one.network.send(two.key, Consensus(b"to two"), Lane.CONSENSUS)
        assert two.network.broadcast(Consensus(b"to one"), Lane.CONSENSUS) == 1
        await one.events.until(lambda: one.events.messages != [])
        await two.events.until(lambda: two.events.messages != [])
        assert one.events.messages == [(two.key, Consensus(b"to one"))]
        assert two.events.messages == [(one.key, Consensus(b"to two"))]
        assert one.counters.messages_in == {"consensus": 1} == one.counters.messages_out


async def test_members_dial_the_addresses_in_their_records_and_one_connection_a_pair_survives() -> None:
    """Four nodes that all dial each other end with one connection a pair, and both ends agree on it."""
    bare = tuple(record(number) for number in (1, 2, 3, 4))
    async with (
        TestNode(1, bare) as one,
        TestNode(2, bare) as two,
        TestNode(3, bare) as three,
        TestNode(4, bare) as four,
    ):
        nodes = (one, two, three, four)
        members = tuple(record(at + 1, (node.network.address,)) for at, node in enumerate(nodes))
        for node in nodes:
            node.network.allow(members)
        await connect(*nodes)
        directions = {
            (node.key, peer.peer_id): peer.is_dialled for node in nodes for peer in node.network.peers()
        }
        assert len(directions) == 12
        assert all(directions[pair] is not directions[pair[::-1]] for pair in directions)


async def test_the_mesh_works_on_uvloop() -> None:
    """The same on the event loop that a node may run on: TLS, heartbeat, goodbye, stop."""

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(test_a_member_is_reached_and_messages_go_both_ways())
            runner.run(test_garbage_on_the_port_is_closed_and_leaves_no_trace_but_a_count())

    await asyncio.to_thread(run)


async def test_broadcast_to_validators_leaves_observers_out() -> None:
    """Votes go to those who count them."""
    members = (record(1), record(2, role=NodeRole.OBSERVER))
    async with (
        TestNode(1, members) as one,
        TestNode(2, members, [one.network.address]) as two,
    ):
        await connect(one, two)
        assert one.network.broadcast(VOTE, Lane.CONSENSUS, only_validators=True) == 0
        assert two.network.broadcast(VOTE, Lane.CONSENSUS, only_validators=True) == 1


async def test_a_node_that_is_no_member_is_refused_and_told_so_until_it_is_one() -> None:
    """A joiner sees a code that says what is missing; once it is a member it gets in by itself."""
    known, joiner = record(1), record(3)
    async with TestNode(1, [known]) as one, TestNode(3, [known, joiner], [one.network.address]) as three:
        problem = await three.problem()
        assert (problem.code, problem.message) == (
            "peer.refused",
            "peers refuse this node: not a member (yet)",
        )
        assert one.network.peers() == ()
        one.network.allow([known, joiner])
        await connect(one, three)
        assert three.network.problem() is None


async def test_an_address_where_another_member_answers_is_refused() -> None:
    """Whoever listens at a member's address must hold its certificate; another member's is not enough."""
    members = (record(1), record(2), record(3))
    async with TestNode(1, members) as one:
        lying = (record(1), record(2, (one.network.address,)), record(3))
        async with TestNode(3, lying) as three:
            problem = await three.problem()
            assert problem.code == "peer.wrong_certificate"
            assert one.events.connected == []


async def test_a_node_of_another_chain_is_refused_on_both_sides() -> None:
    """Equal members do not make one chain: the handshake names the code, and both ends have it."""
    members = (record(1), record(2))
    async with (
        TestNode(1, members) as one,
        TestNode(2, members, [one.network.address], chain_id=ChainId(b"x" * 32)) as two,
    ):
        problem = await two.problem()
        assert problem.code == "handshake.wrong_chain"
        assert one.events.connected == [] == two.events.connected


async def test_a_node_that_dials_itself_stops_doing_so() -> None:
    """Its own address among the configured ones is harmless: it is tried once."""
    members = (record(1),)
    async with TestNode(1, members) as once:
        port = int(once.network.address.rpartition(":")[2])
    async with TestNode(1, members, [f"127.0.0.1:{port}"], port=port) as one:
        problem = await one.problem()
        assert problem.code == "handshake.self"
        assert one.events.connected == []


async def test_a_removed_member_is_cut_and_does_not_come_back() -> None:
    """Membership ends the established connection too, within the same turn for the sender."""
    members = (record(1), record(2))
    async with TestNode(1, members) as one, TestNode(2, members, [one.network.address]) as two:
        await connect(one, two)
        one.network.allow([record(1)])
        await one.events.until(lambda: one.events.disconnected != [])
        await two.events.until(lambda: two.events.disconnected != [])
        assert [code for _, code in one.events.disconnected] == ["peer.removed"]
        assert [code for _, code in two.events.disconnected] == ["peer.removed"]
        await two.problem()
        assert len(one.events.connected) == 1


async def test_a_removed_member_that_does_not_read_is_cut_too() -> None:
    """With its socket full there is no goodbye; the connection ends all the same."""
    members = (record(1), record(2))
    async with TestNode(1, members) as one, RawPeer(2, members, one) as raw:
        await raw.connect()
        await one.events.until(lambda: one.events.connected != [])
        for _ in range(2):
            one.network.send(raw.identity.public_key, Body(bytes(8 << 20)), Lane.BULK)
        await until_stuck(one)
        began = time.monotonic()
        one.network.allow([record(1)])
        await one.events.until(lambda: one.events.disconnected != [])
        assert time.monotonic() - began < 2.5  # sooner than the heartbeat would find out
        assert one.events.disconnected[0][1] == "peer.removed"


async def test_a_member_with_a_new_certificate_is_cut_and_must_come_anew() -> None:
    """A rotated certificate ends what the old one had opened."""
    members = (record(1), record(2))
    async with TestNode(1, members) as one, RawPeer(2, members, one) as raw:
        channel = await raw.connect()
        await one.events.until(lambda: one.events.connected != [])
        old = record(2)
        rotated = Node(old.public_key, old.organisation, old.name, old.role, record(5).certificate, ())
        one.network.allow([record(1), rotated])
        assert await raw.goodbye(channel) == "peer.removed"


async def test_a_member_that_cannot_be_read_locks_nobody_else_out() -> None:
    """One bad certificate in the list costs its owner the connection and nobody else."""
    bad = Node(record(3).public_key, "farm", "node-3", NodeRole.VALIDATOR, b"no certificate", ())
    members = (record(1), record(2), bad)
    async with TestNode(1, members) as one, TestNode(2, members, [one.network.address]) as two:
        await connect(one, two)


async def test_garbage_on_the_port_is_closed_and_leaves_no_trace_but_a_count() -> None:
    """Bytes that are no TLS end that socket; the loop reports no error and the node goes on."""
    troubles: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
    async with TestNode(1, [record(1)]) as one:
        host, port = one.network.address.split(":")
        for garbage in (
            b"\0" * 4096,
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\xff\xff" + b"\xff" * 900,
            b"x",
        ):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(garbage)
            writer.write_eof()
            async with asyncio.timeout(WAIT_SECONDS):
                with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                    await reader.readexactly(1 << 20)
            writer.close()
        await eventually(lambda: one.counters.refused["peer.no_tls"] == 4)
        assert one.network.peers() == ()
    assert troubles == []


async def open_tls(node: TestNode, context: ssl.SSLContext) -> Streams:
    host, port = node.network.address.split(":")
    return await asyncio.open_connection(host, int(port), ssl=context, server_hostname="")


async def test_garbage_is_told_once_a_minute_about_one_host(caplog: pytest.LogCaptureFixture) -> None:
    """A flood of strangers fills no log."""
    with caplog.at_level(logging.INFO, logger="node.p2p"):
        async with TestNode(1, [record(1)]) as one:
            host, port = one.network.address.split(":")
            for _ in range(5):
                _, writer = await asyncio.open_connection(host, int(port))
                writer.write(b"garbage")
                writer.close()
            await eventually(lambda: one.counters.refused["peer.no_tls"] == 5)
    assert [entry.levelname for entry in caplog.records] == ["INFO"]
    assert "peer.no_tls" in caplog.text


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\0\1\2 no HTTP at all\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /farmgate/p2p/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"POST /farmgate/p2p/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\nx",
        b"",
    ],
    ids=["garbage", "other path", "no upgrade", "endless body", "silence"],
)
async def test_a_member_that_speaks_no_websocket_is_closed(
    request_bytes: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Behind TLS too only the upgrade is served, within a limit of time; no traceback is logged."""
    monkeypatch.setattr(websocket, "UPGRADE_SECONDS", 0.1)
    members = (record(1), record(2))
    async with TestNode(1, members) as one:
        reader, writer = await open_tls(one, Members(identity(2), members).client_context(one.key))
        writer.write(request_bytes)
        async with asyncio.timeout(WAIT_SECONDS):
            answer = await reader.read()
        writer.close()
        assert answer == b"" or answer.startswith((b"HTTP/1.0 4", b"HTTP/1.1 4"))
        assert one.events.connected == []
    assert "Traceback" not in caplog.text


async def test_whom_a_member_vouches_for_is_no_member() -> None:
    """A certificate that a member has signed passes OpenSSL and is refused by its bytes."""
    own, child = authority()
    members = (record(1), Node(record(3).public_key, "farm", "node-3", NodeRole.VALIDATOR, own, ()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    tls._load_chain(context, child)
    async with TestNode(1, members) as one:
        reader, writer = await open_tls(one, context)
        async with asyncio.timeout(WAIT_SECONDS):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()
        assert one.counters.refused == {"peer.not_a_member": 1}


async def test_silent_strangers_make_room_for_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many sockets that never speak the oldest goes first, and a member gets in."""
    monkeypatch.setattr(websocket, "HALF_OPEN_MAX", 8)
    members = (record(1), record(2))
    async with TestNode(1, members) as one:
        host, port = one.network.address.split(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(100)]
        async with TestNode(2, members, [one.network.address]) as two:
            await connect(one, two)
            assert len(one.transport._half_open) <= 8
        for _, writer in silent:
            writer.close()


async def test_a_stranger_that_never_speaks_is_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A TLS handshake has TLS_SECONDS."""
    monkeypatch.setattr(websocket, "TLS_SECONDS", 0.05)
    async with TestNode(1, [record(1)]) as one:
        host, port = one.network.address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        async with asyncio.timeout(WAIT_SECONDS):
            assert await reader.read(1) == b""
        writer.close()


async def test_a_member_that_never_says_hello_is_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own handshake has HANDSHAKE_SECONDS."""
    monkeypatch.setattr(connection, "HANDSHAKE_SECONDS", 0.05)
    members = (record(1), record(2))
    async with TestNode(1, members) as one, RawPeer(2, members, one) as raw:
        channel = await raw.dial()
        async with asyncio.timeout(WAIT_SECONDS):
            await channel.receive()  # its hello
            assert b"handshake.timeout" in await channel.receive()
            with pytest.raises(ChannelClosed):
                await channel.receive()
        assert one.counters.refused == {"handshake.timeout": 1}


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([b""], "frame.malformed"),
        ([b"\0"], "frame.malformed"),
        ([b"\x04xx"], "frame.malformed"),
        ([b"\x80short piece that is not the last"], "frame.malformed"),
        ([bytes(FRAME_BYTES_MAX + 1)], "frame.too_large"),
        ([b"\x80" + bytes(FRAME_BYTES_MAX - 1)] * 200, "message.too_large"),
        ([b"\x00not a message"], "message.unknown_kind"),
        ([b"\x00\x92\x63\x00"], "message.unknown_kind"),
        ([b"\x00\x92\x03\xc4\x00"], "encoding.malformed"),
        ([b"\x00\x92\x03\xc5\x00\x01x"], "encoding.non_canonical"),
        ([b"\x00" + encode_message(VOTE) + b"\0"], "encoding.malformed"),
        ([b"\x00\x92\x05" + bytes(200)], "encoding.too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_peer_that_sends_what_no_node_sends_is_cut_and_kept_away(
    frames: list[bytes], code: str
) -> None:
    """Each malformed frame or message ends the connection with its code, delivers nothing, and bans."""
    members = tuple(record(number) for number in range(1, 8))
    async with TestNode(1, members) as one, RawPeer(2, members, one) as raw:
        channel = await raw.connect()
        await one.events.until(lambda: one.events.connected != [])
        try:
            for frame in frames:
                await channel.send(frame)
        except ChannelClosed:
            pass  # it did not wait for the end
        await one.events.until(lambda: one.events.disconnected != [])
        assert [found for _, found in one.events.disconnected] == [code]
        assert one.events.messages == []
        assert one.counters.offences == {"malformed": 1}
        again = await raw.dial()
        await shake_hands(again, raw.local, True, {n.public_key: n for n in members}.get, None)
        assert await raw.goodbye(again) == "peer.banned"


async def test_an_oversized_frame_is_refused_before_it_is_read() -> None:
    """The length alone ends the connection: a frame that claims a gigabyte costs no memory."""
    members = (record(1), record(2))
    async with TestNode(1, members) as one, RawPeer(2, members, one) as raw:
        channel = await raw.connect()
        await one.events.until(lambda: one.events.connected != [])
        channel._transport.write(b"\x82\xff" + (1 << 30).to_bytes(8, "big") + b"mask")  # type: ignore[attr-defined]
        await one.events.until(lambda: one.events.disconnected != [])
        assert one.events.disconnected[0][1] == "frame.too_large"


async def test_a_text_frame_is_malformed() -> None:
    """Only binary messages are frames."""
    members = (record(1), record(2))
    async with TestNode(1, members) as one, RawPeer(2, members, one) as raw:
        channel = await raw.connect()
        await one.events.until(lambda: one.events.connected != [])
        await channel._socket.send_str("hello")  # type: ignore[attr-defined]
        await one.events.until(lambda: one.events.disconnected != [])
        assert one.events.disconnected[0][1] == "frame.malformed"


async def test_the_largest_message_of_each_kind_comes_through() -> None:
    """A full block in pieces arrives as it left."""
    members = (record(1), record(2))
    body = Body(bytes(8 << 20))
    link = Link(HEADER, (b"s" * 32,) * EXTENSION_LENGTH_MAX)
    blocks = Blocks(7, (b"a" * (4 << 20), b"b" * (4 << 20)), link, b"f" * QUORUM_CERTIFICATE_BYTES_MAX)
    batch = Transactions((b"t" * (1 << 20), b"u"))
    request = TransactionsRequest(bytes(32), tuple(range(5000)))
    async with TestNode(1, members) as one, TestNode(2, members, [one.network.address]) as two:
        await connect(one, two)
        for message, lane in (
            (body, Lane.PROPOSAL),
            (blocks, Lane.BULK),
            (batch, Lane.GOSSIP),
            (request, Lane.GOSSIP),
        ):
            assert one.network.send(two.key, message, lane)
        await two.events.until(lambda: len(two.events.messages) == 4)
        assert {type(message): message for _, message in two.events.messages} == {
            type(message): message for message in (body, blocks, batch, request)
        }


async def test_a_vote_overtakes_a_bulk_that_is_half_sent() -> None:
    """With megabytes queued for a peer that reads late, a vote waits for the socket's buffer only."""
    members = (record(1), record(2))
    async with TestNode(1, members) as one, RawPeer(2, members, one) as raw:
        channel = await raw.connect()
        await one.events.until(lambda: one.events.connected != [])
        key = raw.identity.public_key
        for _ in range(2):
            assert one.network.send(key, Body(bytes(8 << 20)), Lane.BULK)
        sent = await until_stuck(one)
        assert 0 < sent < 12 << 20
        assert one.network.send(key, VOTE, Lane.CONSENSUS)
        assert await raw.next_message(channel) == VOTE
        assert isinstance(await raw.next_message(channel), Body)


async def test_a_slow_peer_holds_a_bounded_queue_and_delays_nobody() -> None:
    """What a peer does not read stays within its lanes; another peer gets everything meanwhile."""
    members = (record(1), record(2), record(3))
    async with (
        TestNode(1, members) as one,
        RawPeer(2, members, one) as slow,
        TestNode(3, members, [one.network.address]) as fast,
    ):
        await slow.connect()
        await one.events.until(lambda: len(one.events.connected) == 2)
        payload = Transactions((bytes(60_000),))
        refused = 0
        for _ in range(400):
            refused += not one.network.send(slow.identity.public_key, payload, Lane.GOSSIP)
            assert one.network.send(fast.key, payload, Lane.GOSSIP)
            one.network.broadcast(Consensus(bytes(50_000)), Lane.CONSENSUS)
            await fast.events.until(lambda: one.network.peers() and not _waiting(one, fast))
        await fast.events.until(lambda: len(fast.events.messages) == 800)
        assert refused > 0
        assert one.counters.dropped["gossip"] == refused
        assert one.counters.dropped["consensus"] > 0
        limit = LIMITS[Lane.GOSSIP].bytes_max + LIMITS[Lane.CONSENSUS].bytes_max
        assert _waiting(one, slow) <= limit


def _waiting(node: TestNode, peer: TestNode | RawPeer) -> int:
    key = peer.identity.public_key
    return next(info.waiting_bytes for info in node.network.peers() if info.peer_id == key)


async def test_a_silent_peer_is_found_by_the_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that holds its socket open and answers no ping is given up."""
    monkeypatch.setattr(websocket, "HEARTBEAT_SECONDS", 0.1)
    members = (record(1), record(2))
    async with TestNode(1, members) as one, RawPeer(2, members, one) as raw:
        channel = await raw.connect()  # and never reads again
        channel._socket._cancel_heartbeat()  # type: ignore[attr-defined]
        await one.events.until(lambda: one.events.disconnected != [])
        assert one.events.disconnected[0][1] == "peer.silent"


async def test_a_peer_that_died_is_dialled_again() -> None:
    """A node that comes back at its address is found within seconds, by whoever has the address."""
    members = (record(1), record(2))
    async with TestNode(2, members) as two:
        port = int(two.network.address.rpartition(":")[2])
        async with TestNode(1, members, [two.network.address]) as one:
            await connect(one, two)
            await two.network.stop()
            await one.events.until(lambda: one.events.disconnected != [])
            assert one.events.disconnected[0][1] == "peer.stopping"
            async with TestNode(2, members, port=port) as back:
                await connect(one, back)
                assert len(one.events.connected) == 2


async def test_a_newer_connection_of_one_peer_replaces_the_older() -> None:
    """A peer that restarted at once is believed: its old connection is dead even if nobody has noticed."""
    members = (record(1), record(2))
    async with TestNode(1, members) as one, RawPeer(2, members, one) as raw:
        first = await raw.connect()
        await one.events.until(lambda: len(one.events.connected) == 1)
        await raw.connect()
        assert await raw.goodbye(first) == "peer.replaced"
        await one.events.until(lambda: len(one.events.connected) == 2)
        assert len(one.network.peers()) == 1


async def test_two_processes_with_one_key_are_told_of_each_other() -> None:
    """N8: each takes the peer's connection from the other, so each learns that there is another."""
    members = (record(1), record(2))
    async with TestNode(1, members) as one:
        async with (
            TestNode(2, members, [one.network.address]) as original,
            TestNode(2, members, [one.network.address]) as copy,
        ):
            await original.events.until(lambda: original.events.doubles == [one.key])
            await copy.events.until(lambda: one.key in copy.events.doubles)
        assert one.events.doubles == []


async def test_connections_that_cross_are_no_double() -> None:
    """N8: who dials while it is dialled loses one of two connections, and both were its own."""
    for _ in range(10):
        bare = (record(1), record(2), record(3))
        async with TestNode(1, bare) as one, TestNode(2, bare) as two, TestNode(3, bare) as three:
            nodes = (one, two, three)
            members = tuple(record(at + 1, (node.network.address,)) for at, node in enumerate(nodes))
            for node in nodes:
                node.network.allow(members)
            await connect(*nodes)
            assert [node.events.doubles for node in nodes] == [[], [], []]


async def test_a_peer_that_holds_to_a_dead_connection_is_no_double(monkeypatch: pytest.MonkeyPatch) -> None:
    """N8: after a power cut peers refuse this node until they give its old connection up; then it tells."""
    members = (record(1), record(2))
    async with TestNode(1, members) as one, TestNode(2, members, [one.network.address]) as two:
        await two.events.until(lambda: bool(two.events.connected))
        refused = two.network._connections.pop(one.key)
        refused.was_told = True
        for _ in range(2):
            two.network._judge_double(refused, "peer.duplicate")
        assert two.events.doubles == []
        monkeypatch.setattr(network, "DEAD_SECONDS", -1.0)
        two.network._judge_double(refused, "peer.duplicate")
        assert two.events.doubles == [one.key]


async def test_one_member_cannot_hold_many_connections() -> None:
    """Above CHANNELS_OF_PEER_MAX its further connections are refused."""
    members = (record(1), record(2))
    async with TestNode(1, members) as one, RawPeer(2, members, one) as raw:
        for _ in range(websocket.CHANNELS_OF_PEER_MAX):
            await raw.dial()
        with pytest.raises(DialFailed) as refusal:
            await raw.dial()
        assert refusal.value.code == "peer.refused"


async def test_an_offender_is_put_out_and_its_frames_with_it() -> None:
    """Invalid transactions past the threshold end the connection; of four validators one may be put out."""
    members = tuple(record(number) for number in (1, 2, 3, 4))
    async with (
        TestNode(1, members) as one,
        RawPeer(2, members, one) as raw,
        RawPeer(3, members, one) as other,
    ):
        channel = await raw.connect()
        await other.connect()
        await one.events.until(lambda: len(one.events.connected) == 2)
        one.network.report(raw.identity.public_key, Offence.INVALID, 19)
        assert len(one.network.peers()) == 2
        one.network.report(raw.identity.public_key, Offence.INVALID, 10)
        assert await raw.goodbye(channel) == "peer.banned"
        one.network.report(other.identity.public_key, Offence.INVALID, 1000)
        assert [peer.name for peer in one.network.peers()][-1:] == ["node-3"]


async def test_stop_is_quick_even_with_a_peer_that_does_not_read() -> None:
    """Goodbye has a limit: two seconds in all."""
    members = (record(1), record(2))
    async with TestNode(1, members) as one, RawPeer(2, members, one) as raw:
        await raw.connect()
        await one.events.until(lambda: one.events.connected != [])
        for _ in range(2):
            one.network.send(raw.identity.public_key, Body(bytes(8 << 20)), Lane.BULK)
        await until_stuck(one)
        began = time.monotonic()
        await one.network.stop()
        assert time.monotonic() - began < 2
        assert one.network.peers() == ()


async def test_the_address_that_is_taken_is_an_error_at_start() -> None:
    """Two nodes cannot listen on one port; the second says so at once."""
    async with TestNode(1, [record(1)]) as one:
        port = int(one.network.address.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            await TestNode(2, [record(2)], port=port).network.start()


async def test_a_bug_in_the_receiver_stops_the_network_and_is_seen() -> None:
    """An exception of ours is never swallowed by a connection's task: `wait` raises it."""
    members = (record(1), record(2))

    def fail(*_: object) -> None:
        raise AssertionError("our own bug")

    two = TestNode(2, members)
    async with TestNode(1, members) as one:
        two.events.on_message = fail  # type: ignore[method-assign]
        two.network._dialler._configured = (one.network.address,)
        two.network._dialler.retarget(members)
        await two.network.start()
        await one.events.until(lambda: one.events.connected != [])
        one.network.send(two.key, VOTE, Lane.CONSENSUS)
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.timeout(WAIT_SECONDS):
                await two.network.wait()
        assert caught.value.subgroup(AssertionError) is not None


async def test_a_goodbye_that_nobody_knows_is_counted_under_one_name() -> None:
    """Codes are counted: a peer's inventions must not fill our memory."""
    members = (record(1), record(2))
    async with TestNode(1, members) as one, RawPeer(2, members, one) as raw:
        channel = await raw.connect()
        await one.events.until(lambda: one.events.connected != [])
        for frame in split(Lane.CONSENSUS, b"\x92\x0a\xa8made.up!"):
            await channel.send(frame)
        await one.events.until(lambda: one.events.disconnected != [])
        assert one.counters.ended == {"peer.goodbye": 1}


async def test_shaking_hands_says_the_code_to_both_sides() -> None:
    """A node with another block 0 hears `handshake.wrong_genesis` and raises it too."""
    members = (record(1), record(2))
    async with TestNode(1, members) as one, RawPeer(2, members, one) as raw:
        channel = await raw.dial()
        liar = type(raw.local)(raw.local.identity, raw.local.name, CHAIN, type(GENESIS)(b"h" * 32))
        with pytest.raises(LedgerError) as refusal:
            await shake_hands(channel, liar, True, {n.public_key: n for n in members}.get, one.key)
        assert refusal.value.code == "handshake.wrong_genesis"
