"""`ledger-node key proof`: a node that followed asks to vote, with a key that is new to everybody."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from contracts.possession import check_possession
from ledger.consensus.records import SignerFloor
from ledger.consensus.signer import Signer
from ledger.genesis import chain_id
from ledger.types import Epoch, View
from node.consensus_log import ConsensusLog
from node.founding import host_generation
from node.genesis_file import read_genesis
from node.home import Home, HomeLock
from node.keys import KeyName, read_key
from node.registration import ValidatorRegistration, read_registration
from node.store.disk import LocalDisk
from node.store.journal import Journal
from tests.cli.node.command import LedgerNode, files_in
from tests.cli.node.test_commands import home as observer_home

home = observer_home  # the fixture of an observer that does not run


def records_of(home: Home) -> list[SignerFloor]:
    """The signer's records in the log of a stopped node."""
    journal, entries = Journal.open(LocalDisk(), home.consensus_log)

    async def nowhere(work: object) -> None:
        raise AssertionError("nothing is written")

    with closing(journal):
        log = ConsensusLog(journal, entries, nowhere)
        return [record for record in log.records if isinstance(record, SignerFloor)]


def test_an_observer_gets_a_key_with_a_record(ledger_node: LedgerNode, home: Path, genesis: Path) -> None:
    """The request proves the key for the organisation, and the signer trusts the record that came with it."""
    place = Home(home)
    answer = ledger_node("key", "proof", "--home", home)
    assert (answer.code, answer.json["is_new"], answer.json["organisation"]) == (0, True, "org-1")
    asked = read_registration(Path(answer.json["registration"]), ValidatorRegistration)
    key = read_key(place.keys, KeyName.VALIDATOR)
    chain = chain_id(read_genesis(genesis))
    assert (asked.node, asked.public_key, asked.chain_id) == ("late", key.public, chain)
    check_possession(key.public, chain, "org-1", asked.proof)
    generation = host_generation(place)
    assert records_of(place) == [SignerFloor(chain, key.public, generation, 0, 0)]
    signer = Signer(chain, key, generation)
    signer.restore(records_of(place), (Epoch(0), View(0)))
    assert not signer.is_quarantined


def test_a_second_proof_changes_nothing(ledger_node: LedgerNode, home: Path) -> None:
    """The key and the file stay as they are, also while the node runs."""
    first = ledger_node("key", "proof", "--home", home).json
    before = files_in(home)
    with HomeLock(Home(home)):
        again = ledger_node("key", "proof", "--home", home)
    assert (again.code, again.json) == (0, {**first, "is_new": False})
    after = files_in(home)
    assert {name: data for name, data in after.items() if name != "data/node.lock"} == {
        name: data for name, data in before.items() if name != "data/node.lock"
    }


def test_the_home_may_be_named_before_or_after(ledger_node: LedgerNode, home: Path) -> None:
    """`key --home X proof` and `key proof --home X` mean one home."""
    first = ledger_node("key", "--home", home, "proof").json
    assert ledger_node("key", "proof", "--home", home).json == {**first, "is_new": False}


def test_a_running_node_gets_no_key(ledger_node: LedgerNode, home: Path) -> None:
    """Its log is open elsewhere: refused, and nothing is made."""
    with HomeLock(Home(home)):
        answer = ledger_node("key", "proof", "--home", home)
    assert (answer.code, answer.error) == (9, "home.in_use")
    assert not (home / "keys" / KeyName.VALIDATOR.value).exists()
    assert not (home / "validator.json").exists()


def test_whose_node_it_is_must_be_known(ledger_node: LedgerNode, home: Path) -> None:
    """Without node.json the organisation is asked for, before a key is made."""
    (home / "node.json").unlink()
    answer = ledger_node("key", "proof", "--home", home)
    assert (answer.code, answer.error) == (2, "registration.missing")
    assert not (home / "keys" / KeyName.VALIDATOR.value).exists()
    said = ledger_node("key", "proof", "--home", home, "--organisation", "org-1")
    assert (said.code, said.json["organisation"]) == (0, "org-1")


def test_a_crash_between_record_and_key_is_harmless(ledger_node: LedgerNode, home: Path) -> None:
    """The record of a key that was never written stays behind; the next key has its own after it."""
    place = Home(home)
    ledger_node("key", "proof", "--home", home)
    (home / "keys" / KeyName.VALIDATOR.value).unlink()
    assert ledger_node("key", "proof", "--home", home).json["is_new"]
    key = read_key(place.keys, KeyName.VALIDATOR)
    records = records_of(place)
    assert [record.public_key == key.public for record in records] == [False, True]
    signer = Signer(records[-1].chain_id, key, host_generation(place))  # type: ignore[arg-type]
    signer.restore(records, (Epoch(0), View(0)))
    assert not signer.is_quarantined
