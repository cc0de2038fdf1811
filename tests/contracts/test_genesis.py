"""Block 0 follows from the genesis document alone."""

from __future__ import annotations

import msgspec
import pytest

from contracts import membership
from contracts.genesis import genesis_block, state_root
from ledger.epoch import EpochStart, epoch_in_force, parameters_in_force, validators_in_force
from ledger.errors import LedgerError
from ledger.genesis import chain_id, parameters_hash
from ledger.members import Organisation, Site, key_in_force, nodes_in_force
from ledger.merkle import log
from ledger.types import STAKE_MAX, ZERO_HASH
from ledger.validators import ValidatorSet, validators_hash
from tests.contracts.chain import MemoryState, key_of, make_genesis


def test_the_header_of_block_0() -> None:
    """It has no parent, no body and no certificate, and commits to the state and the set that follows."""
    genesis = make_genesis()
    header, writes = genesis_block(genesis)
    assert header.chain_id == chain_id(genesis)
    assert (header.height, header.epoch, header.parent_id, header.time_ms) == (
        0,
        0,
        ZERO_HASH,
        genesis.time_ms,
    )
    assert header.state_root == state_root(writes)
    assert header.history_root == header.transactions_root == header.receipts_root == log.EMPTY_ROOT
    voters = validators_hash(ValidatorSet(genesis.validators))
    assert header.validators_hash == header.next_validators_hash == voters
    assert header.parameters_hash == parameters_hash(genesis.parameters)
    assert header.last_certificate_hash == ZERO_HASH


def test_the_same_genesis_gives_the_same_block() -> None:
    """Nothing but the document decides."""
    assert genesis_block(make_genesis()) == genesis_block(make_genesis())


def test_any_change_of_the_document_changes_state_or_chain() -> None:
    """Another title is another chain; another key is another state as well."""
    genesis = make_genesis()
    titled = msgspec.structs.replace(genesis, title="Another")
    assert genesis_block(titled)[0].chain_id != genesis_block(genesis)[0].chain_id
    fewer = msgspec.structs.replace(genesis, keys=genesis.keys[:-1])
    assert genesis_block(fewer)[0].state_root != genesis_block(genesis)[0].state_root


def test_the_state_holds_what_the_document_names() -> None:
    """Organisations, keys, sites, nodes, validators and parameters can be read from the state of block 0."""
    genesis = make_genesis()
    state = MemoryState(dict(genesis_block(genesis)[1]))
    assert membership.organisations(state, 0, 100) == genesis.organisations
    assert key_in_force(state, key_of("shop/operator").public).organisation == "shop"
    assert membership.sites(state, "farm", 0, 100) == tuple(
        site for site in genesis.sites if site.organisation == "farm"
    )
    assert nodes_in_force(state) == genesis.nodes
    assert epoch_in_force(state) == EpochStart(0, 0, genesis.time_ms)
    assert validators_in_force(state) == ValidatorSet(genesis.validators)
    assert parameters_in_force(state) == genesis.parameters


def test_overlapping_prefixes_are_refused() -> None:
    """Genesis is held to the same rules as a registrar."""
    genesis = make_genesis()
    twice = (*genesis.organisations, Organisation("thief", "Thief", ("9520",)))
    with pytest.raises(LedgerError) as refused:
        genesis_block(msgspec.structs.replace(genesis, organisations=twice))
    assert refused.value.code == "prefix.taken"


@pytest.mark.parametrize("site", ["urn:epc:id:sgln:952000.000001.0", "barn"])
def test_a_site_in_another_spelling_is_refused(site: str) -> None:
    """Events name places in canonical form; a site that never matches would be a trap."""
    genesis = make_genesis()
    sites = (Site(site, "farm", "Field"),)
    with pytest.raises(LedgerError) as refused:
        genesis_block(msgspec.structs.replace(genesis, sites=sites))
    assert refused.value.code in ("genesis.site_not_canonical", "identifier.not_uri")


def test_a_document_that_does_not_hold_together_is_refused() -> None:
    """What check_genesis refuses never becomes a block."""
    genesis = make_genesis()
    with pytest.raises(LedgerError) as refused:
        genesis_block(msgspec.structs.replace(genesis, version=2))
    assert refused.value.code == "genesis.version"


def test_all_stake_together_has_a_limit() -> None:
    """The units of a chain add up to at most 2^53 - 1, so that every sum is exact in JSON."""
    genesis = make_genesis()
    node, validator = genesis.nodes[0], genesis.validators[0]
    numbers = range(33)  # 32 of the largest stake, 2^48, are one unit too many already
    nodes = [msgspec.structs.replace(node, public_key=key_of(f"n{n}").public, name=f"n{n}") for n in numbers]
    voters = [
        msgspec.structs.replace(validator, public_key=key_of(f"v{n}").public, stake=STAKE_MAX, node=f"n{n}")
        for n in numbers
    ]
    few = msgspec.structs.replace(genesis, nodes=tuple(nodes), validators=tuple(voters[:31]))
    genesis_block(few)
    with pytest.raises(LedgerError) as refused:
        genesis_block(msgspec.structs.replace(few, validators=tuple(voters)))
    assert refused.value.code == "units.too_many"
