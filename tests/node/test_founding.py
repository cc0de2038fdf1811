"""Founding: the first data of a node appears whole, and knows chain, key and host."""

from __future__ import annotations

from pathlib import Path

import pytest

import node.founding as founding_module
from contracts.genesis import genesis_block
from ledger.block import block_id
from ledger.consensus.records import SignerFloor, decode_record
from ledger.genesis import chain_id
from ledger.types import Height
from node.founding import found_data, host_generation
from node.home import Home
from node.store.disk import LocalDisk
from node.store.journal import Journal
from node.store.stores import open_stores
from tests.contracts.chain import key_of, make_genesis
from tests.ledger.refusals import code_of

GENESIS = make_genesis()
VOTER = key_of("vote-0").public


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.make()
    return home


def records_of(home: Home) -> list[bytes]:
    journal, entries = Journal.open(LocalDisk(), home.consensus_log)
    journal.close()
    return [entry.payload for entry in entries]


def test_new_data_holds_block_zero_and_its_state(home: Home) -> None:
    """Both databases open, agree, and stand after genesis."""
    found_data(home, GENESIS, None)
    header, writes = genesis_block(GENESIS)
    stores = open_stores(home.data, chain_id(GENESIS))
    assert stores.blocks.head == (0, block_id(header))
    block = stores.blocks.block(Height(0))
    assert block is not None
    assert block.header == header
    assert all(stores.state.get(key) == value for key, value in writes.items())
    stores.close()


def test_a_validator_gets_its_first_promise(home: Home) -> None:
    """The record binds chain, key and this very folder, and lets it sign from the first view on."""
    found_data(home, GENESIS, VOTER)
    (record,) = map(decode_record, records_of(home))
    assert record == SignerFloor(chain_id(GENESIS), VOTER, host_generation(home), 0, 0)


def test_an_observer_has_no_promise(home: Home) -> None:
    """Its log is there and empty."""
    found_data(home, GENESIS, None)
    assert records_of(home) == []


def test_data_is_never_made_twice(home: Home) -> None:
    """What is there holds promises; it is not overwritten."""
    found_data(home, GENESIS, VOTER)
    before = records_of(home)
    assert code_of(lambda: found_data(home, GENESIS, VOTER)) == "home.exists"
    assert records_of(home) == before


def test_a_try_that_failed_leaves_nothing_and_can_be_repeated(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All or nothing: there is no home with half of its data."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "create", fail)
        with pytest.raises(OSError, match="No space"):
            found_data(home, GENESIS, VOTER)
    assert not home.data.exists()
    found_data(home, GENESIS, VOTER)
    assert len(records_of(home)) == 1


def test_the_generation_stays_over_a_rename_and_changes_with_a_copy(home: Home, tmp_path: Path) -> None:
    """A moved home is the same; a copied or restored one is not, and its signer will not sign."""
    found_data(home, GENESIS, VOTER)
    own = host_generation(home)
    assert host_generation(home) == own
    assert len(own) == 16
    moved = Home(home.root.rename(tmp_path / "moved"))
    assert host_generation(moved) == own
    copy = Home(tmp_path / "copy")
    copy.signer.mkdir(parents=True)
    assert host_generation(copy) != own


def test_the_generation_is_of_this_machine(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same folder under another machine id is another host; a machine without an id has one too."""
    home.signer.mkdir(parents=True)
    found = []
    for content in (b"one\n", b"one", b"two\n", None):
        file = tmp_path / "machine-id"
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_bytes(content)
        monkeypatch.setattr(founding_module, "MACHINE_ID", file)
        found.append(host_generation(home))
    assert found[0] == found[1]
    assert len(set(found)) == 3
