"""Stake in real blocks, built by one and checked by another, with real certificates and evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import msgspec

from contracts.arguments import encode_arguments
from contracts.genesis import genesis_block
from contracts.runtime import CoreRules
from contracts.staking.bonding import BondUnits, UnbondUnits, Unjail
from contracts.staking.records import BONDS
from contracts.staking.reporting import Report
from ledger.block import block_id
from ledger.codec import Canonical, encode
from ledger.consensus.timeouts import ConsensusParameters
from ledger.genesis import Parameters
from ledger.merkle import log
from ledger.receipt import Status
from ledger.transaction import Transaction, TransactionBody, sign_transaction
from ledger.transition import Execution, Tip, apply_block, execute
from ledger.types import BlockId, ChainId, PublicKey, TimeMs
from ledger.validators import validators_hash
from ledger.vote import Certificate, Vote, VoteKind, sign_vote
from tests.contracts.chain import key_of
from tests.contracts.staking.stage import STAKING, double_vote, make_stage, voter
from tests.ledger.chain import MemoryState, drained

EPOCH_BLOCKS = 6
KEYS = {voter(number).public: voter(number) for number in range(7)}
NUMBERS = {voter(number).public: number for number in range(7)}


class Ledger:
    """A chain of the real transition: every block is run twice, and its tip restored from state."""

    def __init__(self, **staking: int) -> None:
        consensus = ConsensusParameters(epoch_blocks=EPOCH_BLOCKS)
        parameters = Parameters(consensus=consensus, staking=msgspec.structs.replace(STAKING, **staking))
        genesis = msgspec.structs.replace(make_stage().genesis, parameters=parameters)
        header, writes = genesis_block(genesis)
        history = log.EMPTY_FRONTIER.append(log.leaf_hash(block_id(header)))
        self.tip = Tip.restored(header, block_id(header), MemoryState(writes), history)
        self.chain_id = ChainId(header.chain_id)
        self.away: set[int] = set()  # validators, by node, that sign nothing

    def sign(self, sender: str, method: str, arguments: Canonical, contract: str = "staking") -> Transaction:
        """A call for the next block."""
        key, height = key_of(sender), self.tip.header.height + 1
        nonce, data = height.to_bytes(16, "big"), encode_arguments(arguments)
        return sign_transaction(
            TransactionBody(self.chain_id, key.public, nonce, height, contract, method, data), key
        )

    def block(self, *transactions: Transaction) -> Execution:
        """The next block, final: its parent's certificate is by everyone who is not away."""
        at = TimeMs(self.tip.header.time_ms + 1000)
        built = drained(execute(self.tip, at, self._certificate(), transactions, CoreRules()))
        execution = drained(apply_block(self.tip, built.block, CoreRules(), {}))
        state = self.tip.world
        assert isinstance(state, MemoryState)
        assert execution.tip.header.state_root == built.tip.header.state_root
        state.commit(execution.layer)
        made = replace(execution.tip, world=state)
        self.tip = Tip.restored(made.header, made.id, state, made.history)
        assert self.tip == made
        assert validators_hash(made.validators) == made.header.next_validators_hash
        return execution

    def call(self, sender: str, method: str, arguments: Canonical, contract: str = "staking") -> str:
        """Send one call in a block; its code, empty where it was accepted."""
        (receipt,) = self.block(self.sign(sender, method, arguments, contract)).receipts
        assert (receipt.status is Status.REFUSED) is bool(receipt.code)
        return receipt.code

    def end_epoch(self, epochs: int = 1) -> None:
        """Blocks until the epoch has turned so many times."""
        wanted = self.tip.epoch.epoch + epochs
        while self.tip.epoch.epoch < wanted:
            self.block()

    def weights(self) -> dict[int, int]:
        """The stake of the next block's set, by node, in its order."""
        return {NUMBERS[PublicKey(each.public_key)]: each.stake for each in self.tip.validators.validators}

    def _certificate(self) -> bytes:
        header = self.tip.header
        if header.height == 0:
            return b""
        vote = Vote(self.chain_id, header.epoch, header.height, VoteKind.NOTARIZE, BlockId(self.tip.id))
        return encode(Certificate(vote, tuple(self._signatures(vote, self.away))))

    def _signatures(self, vote: Vote, away: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        for index, validator in enumerate(self.tip.voters.validators):
            key = KEYS[PublicKey(validator.public_key)]
            if NUMBERS[key.public] not in away:
                yield index, sign_vote(key, vote)


def test_an_equivocator_is_out_within_two_epochs_and_stays_out() -> None:
    """Reported in one epoch, without weight in the next; the chain goes on with the others' signatures."""
    ledger = Ledger()
    ledger.block()
    evidence = double_vote(ledger.chain_id, voter(2), 0, ledger.tip.validators)
    assert ledger.call("shop/operator", "report", Report(evidence)) == ""
    assert ledger.call("farm/operator", "report", Report(evidence)) == "evidence.known"
    assert ledger.weights() == {0: 100, 1: 100, 2: 100, 3: 100}
    ledger.end_epoch()
    assert ledger.weights() == {0: 100, 1: 100, 3: 100}
    ledger.away = {2}
    ledger.end_epoch(2)
    assert ledger.call("carrier/admin", "unjail", Unjail(voter(2).public)) == "validator.unknown"
    assert ledger.call("carrier/admin", "bond", BondUnits(voter(2).public, 1)) == "validator.unknown"
    assert ledger.weights() == {0: 100, 1: 100, 3: 100}


def test_evidence_in_a_last_block_counts_for_the_turn_of_that_block() -> None:
    """The transactions come first, the turn after them."""
    ledger = Ledger()
    for _ in range(EPOCH_BLOCKS - 1):
        ledger.block()
    evidence = double_vote(ledger.chain_id, voter(0), 0, ledger.tip.validators)
    assert ledger.call("shop/operator", "report", Report(evidence)) == ""
    assert ledger.tip.header.epoch == 0
    assert ledger.weights() == {1: 100, 2: 100, 3: 100}


def test_who_signs_nothing_is_jailed_and_comes_back() -> None:
    """Attendance comes from the certificates inside blocks: two epochs away, three in jail, then back."""
    ledger = Ledger()
    ledger.away = {1}
    ledger.end_epoch(2)
    assert ledger.weights() == {0: 100, 2: 100, 3: 100}
    assert ledger.call("packer/admin", "unjail", Unjail(voter(1).public)) == "validator.jailed"
    ledger.end_epoch(3)
    ledger.away = set()
    assert ledger.call("packer/admin", "unjail", Unjail(voter(1).public)) == ""
    ledger.end_epoch(2)
    assert ledger.weights() == {0: 100, 2: 100, 3: 100, 1: 100}


def test_weights_move_and_certificates_follow_them() -> None:
    """Rewards are bonded, other units taken back; each set's certificates are checked by its own weights."""
    ledger = Ledger(reward_units=30)
    ledger.end_epoch()
    assert ledger.call("farm/admin", "bond", BondUnits(voter(0).public, 30)) == ""
    assert ledger.call("center/admin", "unbond", UnbondUnits(voter(3).public, 100)) == ""
    ledger.end_epoch()
    assert ledger.weights() == {0: 130, 1: 100, 2: 100}
    ledger.end_epoch(4)
    bond = BONDS.get(ledger.tip.world, voter(3).public)
    assert bond is not None
    assert bond.units == 0


def test_counting_costs_one_write_a_block() -> None:
    """A block within an epoch writes its replay record and its attendance, and nothing else by itself."""
    ledger = Ledger()
    ledger.block()
    assert sorted(key.split(b"\0")[0] for key in ledger.block().layer.writes) == [b"ledger", b"staking"]
