"""Ballots in real blocks, built by one and checked by another, through the turn of the epoch."""

from __future__ import annotations

from contracts.governance.ballots import BallotStatus, ballot_count, ballot_numbered
from contracts.governance.changes import AdmitValidator, Change, ChangeParameters, RemoveValidator, SetWeight
from contracts.governance.settings import Setting
from contracts.governance.voting import Propose, Vote
from contracts.possession import prove_possession
from ledger.epoch import parameters_in_force
from tests.contracts.chain import DAY_MS
from tests.contracts.staking.stage import voter
from tests.contracts.staking.test_chain import EPOCH_BLOCKS, KEYS, NUMBERS, Ledger

NEW = 14  # the spare node of the shop
VOTERS = ("farm", "packer", "carrier", "shop")


def decide(ledger: Ledger, change: Change) -> int:
    """A ballot that four of the five organisations carry in one block; its number."""
    number = ballot_count(ledger.tip.world) + 1
    closes_ms = ledger.tip.header.time_ms + DAY_MS
    calls = [ledger.sign("farm/admin", "propose", Propose(change, closes_ms, ""), "governance")]
    yes = Vote(number, True)
    calls += [ledger.sign(f"{each}/admin", "vote", yes, "governance") for each in VOTERS[1:]]
    codes = [receipt.code for receipt in ledger.block(*calls).receipts]
    assert codes == [""] * 4
    assert ballot_numbered(ledger.tip.world, number).status is BallotStatus.ENACTED
    return number


def admission(ledger: Ledger, units: int) -> AdmitValidator:
    """The shop's key on its spare node."""
    key = voter(NEW)
    KEYS[key.public], NUMBERS[key.public] = key, NEW
    proof = prove_possession(key, ledger.chain_id, "shop")
    return AdmitValidator("shop", f"node-{NEW}", key.public, proof, units)


def test_a_validator_is_added_weighted_removed_and_rejoins_without_a_gap() -> None:
    """Each change is in force at the first block of the next epoch, and every block has its certificate."""
    ledger = Ledger()
    decide(ledger, admission(ledger, 100))
    assert NEW not in ledger.weights()
    ledger.end_epoch()
    assert ledger.weights()[NEW] == 100
    decide(ledger, SetWeight(voter(NEW).public, 30))
    ledger.end_epoch()
    assert ledger.weights()[NEW] == 30
    decide(ledger, RemoveValidator(voter(NEW).public))
    ledger.end_epoch()
    assert NEW not in ledger.weights()
    decide(ledger, admission(ledger, 60))
    ledger.end_epoch()
    assert ledger.weights()[NEW] == 60
    assert ledger.tip.header.height == 4 * EPOCH_BLOCKS


def test_a_ballot_in_the_last_block_counts_at_the_turn_of_that_block() -> None:
    """The transactions come first, the turn after them."""
    ledger = Ledger()
    for _ in range(EPOCH_BLOCKS - 1):
        ledger.block()
    decide(ledger, SetWeight(voter(0).public, 130))
    assert ledger.tip.epoch.epoch == 1
    assert ledger.weights()[0] == 130


def test_parameters_govern_the_blocks_of_the_next_epoch() -> None:
    """A longer epoch begins to be longer with the next one; the running one ends when it would have."""
    ledger = Ledger()
    decide(ledger, ChangeParameters((Setting("consensus.epoch_blocks", 10),)))
    ledger.end_epoch()
    assert ledger.tip.header.height == EPOCH_BLOCKS
    ledger.end_epoch()
    assert ledger.tip.header.height == EPOCH_BLOCKS + 10
    assert parameters_in_force(ledger.tip.world).consensus.epoch_blocks == 10
