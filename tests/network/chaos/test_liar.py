"""The real liar: each lie is the offence of its name, and the shipped node has no way to tell one."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from ledger.block import Header, block_id
from ledger.consensus.messages import Message as Said
from ledger.consensus.messages import (
    ProposalMessage,
    StatusMessage,
    VotesMessage,
    decode_message,
    encode_message,
)
from ledger.crypto import key_pair
from ledger.errors import LedgerError
from ledger.evidence import Evidence, Offence, check_evidence, encode_evidence, evidence_of, offence_of
from ledger.genesis import Genesis, Parameters
from ledger.members import Key, Node, NodeRole, Organisation, Role
from ledger.types import ChainId, Epoch, View
from ledger.validators import Validator, ValidatorSet, leader
from ledger.vote import Proposal, SignedProposal, SignedVote, Vote, VoteKind, sign_proposal, sign_vote
from network.adversaries.lying_wire import LyingTransport
from network.chaos.liar import ConsensusLie, lie_of, main
from node.genesis_file import write_genesis
from node.p2p.frames import Assembler, Lane, split
from node.p2p.memory import MemoryHub, MemoryTransport
from node.p2p.messages import Accusations, CompactProposal, Consensus, Message
from node.p2p.messages import decode_message as decode_frame
from node.p2p.messages import encode_message as encode_frame
from node.p2p.transport import Channel

ROOT = Path(__file__).resolve().parents[3]
CHAIN, EPOCH, VIEW = ChainId(b"c" * 32), Epoch(3), View(5)
KEYS = [key_pair(bytes([index + 1]) * 32) for index in range(4)]
VALIDATORS = ValidatorSet(tuple(Validator(key.public, 1, f"node-{at}") for at, key in enumerate(KEYS)))
LED = leader(CHAIN, EPOCH, VIEW, VALIDATORS)
FOLLOWER = (LED + 1) % 4
PEER = b"a peer's certificate"
ROOTS = (b"r" * 32,) * 9
HEADER = Header(1, CHAIN, 7, EPOCH, b"p" * 32, 1_000, *ROOTS, 0, 0, 1)
STATUS = Consensus(encode_message(StatusMessage(EPOCH, VIEW, 4, 4)))


def proposal_of_leader() -> Message:
    """What the leader of the view sends to everyone."""
    proposal = Proposal(CHAIN, EPOCH, VIEW, VIEW - 1, block_id(HEADER))
    signed = SignedProposal(proposal, LED, sign_proposal(KEYS[LED], proposal))
    return CompactProposal(encode_message(ProposalMessage(signed, HEADER, None, ())), b"", b"")


def votes_of(index: int) -> tuple[Message, ...]:
    """What an honest validator then says."""
    votes = [
        Vote(CHAIN, EPOCH, VIEW, kind, block_id(HEADER)) for kind in (VoteKind.NOTARIZE, VoteKind.FINALIZE)
    ]
    signed = [SignedVote(vote, index, sign_vote(KEYS[index], vote)) for vote in votes]
    return tuple(Consensus(encode_message(VotesMessage((each,)))) for each in signed)


def told(lie: ConsensusLie, index: int) -> list[Said]:
    """All that leaves a node in one view."""
    own = votes_of(index)
    if index == LED:
        own = (proposal_of_leader(), *own)
    else:
        assert lie.is_heard(proposal_of_leader())
    left = [each for message in (*own, STATUS) for each in lie.outgoing(message, PEER)]
    assert left[-1] == STATUS, "what is no matter of a lie passes as it is"
    return [decode_message(each.payload) for each in left if isinstance(each, Consensus | CompactProposal)]


def evidence_in(said: list[Said]) -> Iterator[Evidence]:
    """Everything that these messages prove, as whoever hears them would find it."""
    votes = [signed for each in said if isinstance(each, VotesMessage) for signed in each.votes]
    proposals = [each.signed for each in said if isinstance(each, ProposalMessage)]
    pairs = [*combinations(votes, 2), *combinations(proposals, 2), *((each, None) for each in proposals)]
    for first, second in pairs:
        found = evidence_of(first, second)  # type: ignore[arg-type]  # each pair is of one kind
        try:
            check_evidence(found, CHAIN, EPOCH, VALIDATORS)
        except LedgerError:
            continue
        yield found


@pytest.mark.parametrize("offence", Offence)
def test_each_lie_is_the_offence_of_its_name(offence: Offence) -> None:
    """What is told first proves this offence, against the liar's own key; headers are those of the blocks."""
    index = LED if offence is Offence.TWO_PROPOSALS else FOLLOWER
    lie = lie_of(offence, KEYS[index])
    said = told(lie, index)
    found = list(evidence_in(said))
    assert offence_of(found[0]) is offence
    assert {check_evidence(each, CHAIN, EPOCH, VALIDATORS) for each in found} == {KEYS[index].public}
    for each in said:
        if isinstance(each, ProposalMessage):
            assert block_id(each.header) == each.signed.proposal.block_id
    assert lie.told == 1, "one view, one lie"


@pytest.mark.parametrize("offence", [each for each in Offence if each is not Offence.PROPOSAL_OUT_OF_TURN])
def test_told_apart_each_hears_one_statement(offence: Offence) -> None:
    """No peer holds evidence, all of them together do; a peer hears the same side each time."""
    index = LED if offence is Offence.TWO_PROPOSALS else FOLLOWER
    lie = lie_of(offence, KEYS[index], is_apart=True)
    own = (proposal_of_leader(), *votes_of(index)) if index == LED else votes_of(index)
    heard = {
        peer: [each for message in own for each in lie.outgoing(message, peer)] for peer in (b"1", b"2", b"3")
    }
    assert heard[b"1"] == heard[b"3"] != heard[b"2"]
    assert [len(each) for each in heard.values()] == [len(own)] * 3
    assert [each for message in own for each in lie.outgoing(message, b"2")] == heard[b"2"]
    together = [each for peer in heard.values() for each in peer]
    said = [
        decode_message(each.payload) for each in together if isinstance(each, Consensus | CompactProposal)
    ]
    assert offence in {offence_of(each) for each in evidence_in(said)}


@pytest.mark.parametrize("offence", Offence)
def test_without_an_occasion_nobody_lies(offence: Offence) -> None:
    """A nullify vote, and a vote for what nobody was heard to propose, leave no evidence."""
    lie = lie_of(offence, KEYS[FOLLOWER])
    vote = Vote(CHAIN, EPOCH, VIEW, VoteKind.NULLIFY, None)
    signed = SignedVote(vote, FOLLOWER, sign_vote(KEYS[FOLLOWER], vote))
    message = Consensus(encode_message(VotesMessage((signed,))))
    assert list(lie.outgoing(message, PEER)) == [message]
    assert lie.told == 0


def test_a_liar_hears_no_accusations() -> None:
    """What accuses it does not get to its node, so it reports nobody; all else does, in as many frames."""
    vote = Vote(CHAIN, EPOCH, VIEW, VoteKind.NOTARIZE, b"a" * 32)
    other = Vote(CHAIN, EPOCH, VIEW, VoteKind.NOTARIZE, b"b" * 32)
    pair = [SignedVote(each, 0, sign_vote(KEYS[0], each)) for each in (vote, other)]
    accusations = Accusations((encode_evidence(evidence_of(*pair)),))
    large = Consensus(bytes(100_000))

    async def main() -> list[Message]:
        hub, lie = MemoryHub(), lie_of(Offence.TWO_PROPOSALS, KEYS[0])
        honest = MemoryTransport(hub, b"honest", "honest")
        liar = LyingTransport(MemoryTransport(hub, b"liar", "liar"), lie)
        nodes = [
            Node(key.public, "farm", name.decode(), NodeRole.VALIDATOR, name, ())
            for key, name in zip(KEYS, (b"honest", b"liar"), strict=False)
        ]
        opened: list[Channel] = []
        honest.allow(nodes)
        liar.allow(nodes)
        await liar.listen()
        async with asyncio.TaskGroup() as tasks:
            liar.serve(tasks, opened.append)
        channel = await honest.dial("liar", None)
        for message in (accusations, large, STATUS):
            for frame in split(Lane.GOSSIP, encode_frame(message)):
                await channel.send(frame)
        assembler, heard = Assembler(), []
        while len(heard) < 2:
            data = assembler.feed(await opened[0].receive())
            if data is not None:
                heard.append(decode_frame(data))
        return heard

    assert asyncio.run(main()) == [large, STATUS]


def test_a_liar_runs_on_test_networks_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On any other it ends before it has read a key."""
    key = KEYS[0].public
    genesis = Genesis(
        version=1,
        network="real",
        title="Real",
        is_test_network=False,
        time_ms=1,
        parameters=Parameters(),
        organisations=(Organisation("farm", "Farm", ("9521321",)),),
        keys=(Key(key, "farm", "office", (Role.ADMIN,), 0, 0),),
        sites=(),
        nodes=(Node(key, "farm", "node-0", NodeRole.VALIDATOR, b"certificate", ("127.0.0.1:1",)),),
        validators=(Validator(key, 5, "node-0"),),
    )
    write_genesis(tmp_path / "genesis.json", genesis)
    assert main(["--home", str(tmp_path), "--lie", "two_proposals"]) == 1
    assert "chaos.real_network" in capsys.readouterr().err


def test_the_shipped_node_cannot_lie() -> None:
    """No command puts anything between a node and its wire."""
    calls = [
        (path, call)
        for floor in ("node", "cli")
        for path in (ROOT / floor).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "run_node"
    ]
    assert [path.name for path, _ in calls] == ["run.py"]
    assert all(len(call.args) == 2 and not call.keywords for _, call in calls)
