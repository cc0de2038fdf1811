"""A signing history out of one real home and into another: what signs, and what stays silent."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ledger.consensus.records import OwnVote, Record, SignerFloor, decode_record, encode_record
from ledger.consensus.signer import SECOND_HOLDER, Signer, given_up
from ledger.crypto import key_pair
from ledger.errors import LedgerError
from ledger.genesis import chain_id
from ledger.types import Epoch, View
from ledger.vote import SignedVote, Vote, VoteKind, sign_vote
from node import history_moves
from node.consensus_log import RECORD
from node.founding import found_data, host_generation
from node.history_moves import Imported, export_history, import_history, reset_record
from node.home import Home, HomeLock
from node.keys import KeyName, create_key
from node.store.disk import LocalDisk
from node.store.journal import Journal
from node.store.journal import Record as Entry
from tests.node.test_genesis_file import genesis

GENESIS = genesis()
CHAIN = chain_id(GENESIS)
SEED = b"v" * 32
KEY = key_pair(SEED)
START = (Epoch(0), View(0))


def new_home(path: Path, *, signs: bool = True) -> Home:
    """A home that holds the key; `signs`: it was made with it, so that its log holds the first record."""
    home = Home(path)
    home.make()
    create_key(home.keys, KeyName.VALIDATOR, SEED)
    found_data(home, GENESIS, KEY.public if signs else None)
    return home


def floor(home: Home, view: int) -> SignerFloor:
    return SignerFloor(CHAIN, KEY.public, host_generation(home), 0, view)


def vote(view: int, kind: VoteKind = VoteKind.NULLIFY) -> OwnVote:
    content = Vote(CHAIN, 0, view, kind, None if kind is VoteKind.NULLIFY else b"a" * 32)
    return OwnVote(SignedVote(content, 0, sign_vote(KEY, content)))


def append(home: Home, *records: Record) -> None:
    journal, _ = Journal.open(LocalDisk(), home.consensus_log)
    for record in records:
        journal.append(RECORD, encode_record(record))
    journal.sync()
    journal.close()


def records(home: Home) -> list[Record]:
    journal, entries = Journal.open(LocalDisk(), home.consensus_log)
    journal.close()
    return [decode_record(each.payload) for each in entries if each.kind == RECORD]


def started(home: Home, store: tuple[Epoch, View] = START) -> Signer:
    """The signer as a start of this home finds it."""
    signer = Signer(CHAIN, KEY, host_generation(home))
    signer.restore(records(home), store)
    return signer


def code_of(caught: pytest.ExceptionInfo[LedgerError]) -> str:
    return caught.value.code


@pytest.fixture
def old(tmp_path: Path) -> Home:
    """A validator's home: it finalized view 4 and voted in 5 and 6."""
    home = new_home(tmp_path / "old")
    append(home, vote(3), floor(home, 4), vote(5), vote(6))
    return home


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "history.json"


def test_a_validator_moves_without_quarantine(old: Home, tmp_path: Path, file: Path) -> None:
    """H1, H4, H6: the new home knows every promise, is bound to its own host, and still listens first."""
    exported = export_history(old, GENESIS, file)
    assert started(old).quarantine_reason == "signer.handed_over"
    new = new_home(tmp_path / "new", signs=False)
    assert import_history(new, GENESIS, file) == Imported(exported, "")
    signer = started(new)
    assert (signer.quarantine_reason, signer.floor, signer.is_listening) == ("", (0, 4), True)
    assert [signed.vote.view for signed in signer.votes()] == [5, 6]


def test_even_a_history_of_nothing_listens(tmp_path: Path, file: Path) -> None:
    """H6, Q7: a file made before the first vote may be taken in years later: it is no new key's."""
    export_history(new_home(tmp_path / "old"), GENESIS, file)
    new = new_home(tmp_path / "new", signs=False)
    assert import_history(new, GENESIS, file).reason == ""
    assert started(new).is_listening


def test_a_home_gives_its_record_up_before_the_file_is_there(
    old: Home, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H4: a crash in between leaves a home that does not sign, and the export may be repeated."""

    def crash(path: Path, data: bytes) -> None:
        raise KeyboardInterrupt

    write = history_moves._write_new
    monkeypatch.setattr(history_moves, "_write_new", crash)
    with pytest.raises(KeyboardInterrupt):
        export_history(old, GENESIS, file)
    assert not file.exists()
    assert started(old).is_given_up
    monkeypatch.setattr(history_moves, "_write_new", write)
    assert export_history(old, GENESIS, file).floor == (0, 4)


def test_the_same_file_again(old: Home, tmp_path: Path, file: Path) -> None:
    """H4: an export of a record that was handed over is the same bytes; no file is overwritten."""
    export_history(old, GENESIS, file)
    export_history(old, GENESIS, tmp_path / "again.json")
    assert file.read_bytes() == (tmp_path / "again.json").read_bytes()
    with pytest.raises(LedgerError) as caught:
        export_history(old, GENESIS, file)
    assert code_of(caught) == "history.exists"


def test_a_home_takes_its_own_history_back(old: Home, file: Path) -> None:
    """H6: after a change of mind the home that handed over signs again, with every promise."""
    export_history(old, GENESIS, file)
    assert import_history(old, GENESIS, file).reason == ""
    assert [signed.vote.view for signed in started(old).votes()] == [5, 6]


@pytest.mark.parametrize("doubt", ["no_record", "other_host", "second_holder"])
def test_a_doubtful_record_is_not_exported(old: Home, file: Path, doubt: str) -> None:
    """H4: what is not whole is of no use elsewhere; nothing is written, the record stays as it was."""
    match doubt:
        case "no_record":
            reset_record(old, GENESIS)
        case "other_host":
            append(old, SignerFloor(CHAIN, KEY.public, b"h" * 16, 0, 4))
        case _:
            append(old, given_up(CHAIN, KEY.public, SECOND_HOLDER, Epoch(0), View(4)))
    before = records(old)
    with pytest.raises(LedgerError) as caught:
        export_history(old, GENESIS, file)
    assert code_of(caught) == "history.doubtful"
    assert doubt in str(caught.value)
    assert not file.exists()
    assert records(old) == before


def test_a_history_older_than_the_store_leaves_the_quarantine(
    old: Home, tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H6, H7: the chain went on, and who signed is unknown; floor and promises are taken in all the same."""
    export_history(old, GENESIS, file)
    new = new_home(tmp_path / "new", signs=False)
    store = (Epoch(0), View(5))
    monkeypatch.setattr(history_moves, "_store_of", lambda home, genesis: store)
    assert import_history(new, GENESIS, file).reason == "signer.other_host"
    signer = started(new, store)
    assert (signer.is_quarantined, signer.floor) == (True, (0, 4))
    assert [signed.vote.view for signed in signer.votes()] == [5, 6]


def test_an_old_file_lowers_nothing(old: Home, tmp_path: Path, file: Path) -> None:
    """H5, H7: a file from before: the home's own floor and promises stay, and so does its trust."""
    early = new_home(tmp_path / "early")
    append(early, floor(early, 2), vote(3))
    export_history(early, GENESIS, file)
    assert import_history(old, GENESIS, file).reason == ""
    signer = started(old)
    assert (signer.quarantine_reason, signer.floor) == ("", (0, 4))
    assert [signed.vote.view for signed in signer.votes()] == [5, 6]


def test_an_old_file_does_not_end_a_quarantine(old: Home, tmp_path: Path, file: Path) -> None:
    """H6: a copy of a home knows more than a file from before: it stays in quarantine."""
    early = new_home(tmp_path / "early")
    append(early, floor(early, 2), vote(3))
    export_history(early, GENESIS, file)
    append(old, SignerFloor(CHAIN, KEY.public, b"h" * 16, 0, 4))
    assert import_history(old, GENESIS, file).reason == "signer.other_host"
    assert started(old).floor == (0, 4)


def test_a_contradiction_changes_nothing(old: Home, tmp_path: Path, file: Path) -> None:
    """H5: two homes have signed; the import is refused and the log is as it was."""
    other = new_home(tmp_path / "other")
    append(other, floor(other, 4), vote(5, VoteKind.FINALIZE))
    export_history(other, GENESIS, file)
    before = old.consensus_log.read_bytes()
    with pytest.raises(LedgerError) as caught:
        import_history(old, GENESIS, file)
    assert code_of(caught) == "history.contradicts"
    assert old.consensus_log.read_bytes() == before


def test_no_history_silences_a_second_holder(old: Home, tmp_path: Path, file: Path) -> None:
    """H8: the home saw another process sign; only an operator who stopped that one may go on."""
    export_history(old, GENESIS, file)
    new = new_home(tmp_path / "new")
    append(new, given_up(CHAIN, KEY.public, SECOND_HOLDER, Epoch(0), View(2)))
    with pytest.raises(LedgerError) as caught:
        import_history(new, GENESIS, file)
    assert code_of(caught) == "history.second_holder"
    aside = reset_record(new, GENESIS)
    assert aside is not None
    assert aside.exists()
    assert started(new).quarantine_reason == "signer.no_record"


def test_the_log_of_another_key_gives_nothing_to_the_history(tmp_path: Path, old: Home, file: Path) -> None:
    """H5: into a home with a foreign log: only the file's promises are left."""
    export_history(old, GENESIS, file)
    new = new_home(tmp_path / "new", signs=False)
    stranger = key_pair(b"x" * 32)
    content = Vote(CHAIN, 0, 5, VoteKind.FINALIZE, b"a" * 32)
    theirs = OwnVote(SignedVote(content, 1, sign_vote(stranger, content)))
    append(new, SignerFloor(CHAIN, stranger.public, b"g" * 16, 7, 900), theirs)
    assert import_history(new, GENESIS, file).reason == ""
    assert started(new).floor == (0, 4)


def test_what_the_machine_held_stays(old: Home, file: Path) -> None:
    """H5: bodies and certificates of the log outlive an import."""
    journal, _ = Journal.open(LocalDisk(), old.consensus_log)
    journal.append(2, b"a body")
    journal.sync()
    journal.close()
    export_history(old, GENESIS, file)
    import_history(old, GENESIS, file)
    journal, entries = Journal.open(LocalDisk(), old.consensus_log)
    journal.close()
    assert Entry(2, b"a body") in entries


@pytest.mark.parametrize("move", [export_history, import_history])
def test_a_running_home_is_left_alone(old: Home, file: Path, move: object) -> None:
    """H4: while a process holds the home nothing is read or written."""
    assert callable(move)
    if move is import_history:
        export_history(old, GENESIS, file)
    with HomeLock(old), pytest.raises(LedgerError) as caught:
        move(old, GENESIS, file)
    assert code_of(caught) == "home.in_use"


def test_a_home_without_the_key(old: Home, file: Path) -> None:
    """The key is brought by hand; a history is no key."""
    shutil.rmtree(old.keys)
    with pytest.raises(LedgerError) as caught:
        export_history(old, GENESIS, file)
    assert code_of(caught) == "key_file.missing"
