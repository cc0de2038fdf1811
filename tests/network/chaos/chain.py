"""A small chain with real signatures, as four nodes would leave it on their disks."""

from __future__ import annotations

import random
from dataclasses import replace

import msgspec

from contracts.genesis import genesis_block
from contracts.provenance.capture import CONTRACT, CaptureArguments
from contracts.runtime import CoreRules
from contracts.staking.bonding import CONTRACT as STAKING
from contracts.staking.reporting import METHOD, Report
from ledger.block import Block
from ledger.codec import Canonical, encode
from ledger.evidence import encode_evidence, evidence_of
from ledger.genesis import Genesis
from ledger.members import Node, NodeRole
from ledger.transaction import Transaction, TransactionBody, sign_transaction
from ledger.transition import Tip, execute
from ledger.types import BlockId, ChainId, TimeMs
from ledger.validators import Validator
from ledger.vote import Certificate, SignedVote, Vote, VoteKind, sign_vote
from network.chaos.history import Operation, Outcome
from network.chaos.load import _event
from network.chaos.remains import Remains
from network.chaos.statements import of_certificate
from node.pace import drained
from node.store.blocks import StoredBlock
from node.store.memory import MemoryDatabase
from node.store.state import StateHead, StateStore, genesis_head
from tests.contracts.chain import START_MS, key_of, make_genesis

CLIENT = key_of("farm/operator")
VOTERS = [key_of(f"vote-{index}") for index in range(4)]
QUORUM = (0, 1, 2)


def four_validators() -> Genesis:
    """The story's members, with four validators of equal stake."""
    names = [f"node-{index}" for index in range(4)]
    return msgspec.structs.replace(
        make_genesis(),
        nodes=tuple(
            Node(key_of(name).public, "farm", name, NodeRole.VALIDATOR, b"certificate", ()) for name in names
        ),
        validators=tuple(Validator(key.public, 1, name) for key, name in zip(VOTERS, names, strict=True)),
    )


class SmallChain:
    """Built block by block. `places` are what clients were told, if they were told the truth."""

    def __init__(self) -> None:
        self.genesis = four_validators()
        header, writes = genesis_block(self.genesis)
        self.id = ChainId(header.chain_id)
        database = MemoryDatabase()
        StateStore.create(database, self.id, header, writes)
        self._state = StateStore(database, self.id)
        head = genesis_head(header)
        self._tip = Tip.restored(header, BlockId(head.block_id), self._state, head.history)
        self._chance = random.Random(7)
        self.blocks = [StoredBlock(BlockId(head.block_id), Block(header, b"", ()), (), b"")]
        self.roots = [bytes(header.state_root)]
        self.operations: list[Operation] = []

    def transaction(self) -> Transaction:
        """A client's capture of something new."""
        return self._signed(CONTRACT, "capture", CaptureArguments((_event(self._chance),)))

    def report(self, index: int) -> Transaction:
        """A client's report of a validator that notarized two blocks in one view."""
        votes = [Vote(self.id, 0, 90, VoteKind.NOTARIZE, named) for named in (b"a" * 32, b"b" * 32)]
        first, second = (SignedVote(vote, index, sign_vote(VOTERS[index], vote)) for vote in votes)
        return self._signed(STAKING, METHOD, Report(encode_evidence(evidence_of(first, second))))

    def _signed(self, contract: str, method: str, arguments: Canonical) -> Transaction:
        body = TransactionBody(
            chain_id=self.id,
            sender=CLIENT.public,
            nonce=self._chance.randbytes(16),
            valid_until=300,
            contract=contract,
            method=method,
            arguments=encode(arguments),
        )
        return sign_transaction(body, CLIENT)

    def certificate(
        self, kind: VoteKind, height: int, block_id: bytes | None, signers: tuple[int, ...] = QUORUM
    ) -> Certificate:
        """Votes of these validators; the view is the height."""
        vote = Vote(self.id, 0, height, kind, block_id)
        return Certificate(vote, tuple((index, sign_vote(VOTERS[index], vote)) for index in signers))

    def add(self, count: int = 2, *more: Transaction) -> StoredBlock:
        """One more final block, with so many captures and these; their clients are told so a second later."""
        height = self._tip.header.height + 1
        transactions = [*(self.transaction() for _ in range(count)), *more]
        last = b""
        if height > 1:
            last = encode(self.certificate(VoteKind.NOTARIZE, height - 1, self._tip.id))
        work = execute(self._tip, TimeMs(START_MS + height), last, transactions, CoreRules())
        execution = drained(work)
        final = encode(self.certificate(VoteKind.FINALIZE, height, execution.tip.id))
        stored = StoredBlock(execution.tip.id, execution.block, execution.receipts, final)
        head = StateHead(execution.tip.header, execution.tip.id, execution.tip.history)
        self._state.commit(head, execution.layer)
        self._tip = Tip.restored(head.header, execution.tip.id, self._state, head.history)
        self.blocks.append(stored)
        self.roots.append(bytes(execution.tip.header.state_root))
        for index, (each, receipt) in enumerate(zip(transactions, execution.receipts, strict=True)):
            self.operations.append(
                Operation(
                    each.id.hex(), "node-0", height, height + 1.0, Outcome.FINAL,
                    receipt.status.word, height, index,
                )
            )  # fmt: skip
        return stored

    def remains(self, name: str, height: int | None = None) -> Remains:
        """What an honest node at a height has on its disk."""
        top = len(self.blocks) - 1 if height is None else height
        statements = []
        for each in self.blocks[1 : top + 1]:
            final = msgspec.msgpack.decode(each.finalization, type=Certificate)
            statements += of_certificate(final)
        return Remains(name, tuple(self.blocks[: top + 1]), top, self.roots[top], tuple(statements))


def with_block(remains: Remains, height: int, stored: StoredBlock) -> Remains:
    """The same node with another block at a height."""
    blocks = list(remains.blocks)
    blocks[height] = stored
    return replace(remains, blocks=tuple(blocks))
