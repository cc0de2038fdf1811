"""What operators do for a recovery, on real homes: promises come before words, and files are not believed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from contracts.genesis import genesis_block
from ledger.block import Block, block_id
from ledger.codec import encode
from ledger.consensus.records import (
    HeldCertificate,
    OwnVote,
    Record,
    SignerFloor,
    decode_record,
    encode_record,
)
from ledger.consensus.signer import HANDED_OVER, REPORTED, Signer, given_up
from ledger.errors import LedgerError
from ledger.genesis import chain_id
from ledger.members import Node, NodeRole
from ledger.recovery import VIEW_LAST, Approval, Recovery, SignedReport, decode_recovery
from ledger.types import BlockId, Epoch, View
from ledger.validators import Validator
from ledger.vote import Certificate, SignedVote, Vote, VoteKind, sign_vote
from node import recovery_moves
from node.consensus_log import BODY, RECORD
from node.founding import found_data, host_generation
from node.home import Home, HomeLock
from node.keys import KeyName, create_key
from node.recovery_files import FILE_BYTES_MAX, file_text, parse_file, read_file
from node.recovery_moves import Shown, approve_recovery, begin, make, report, show
from node.store.disk import LocalDisk
from node.store.journal import Journal
from node.store.stores import open_stores
from tests.contracts.chain import START_MS, key_of, make_genesis

KEYS = [key_of(f"vote-{index}") for index in range(4)]
GENESIS = msgspec.structs.replace(
    make_genesis(),
    nodes=tuple(
        Node(key_of(f"node-{index}").public, "farm", f"node-{index}", NodeRole.VALIDATOR, b"certificate", ())
        for index in range(4)
    ),
    validators=tuple(Validator(key.public, 1, f"node-{index}") for index, key in enumerate(KEYS)),
)
CHAIN = chain_id(GENESIS)
BASE = genesis_block(GENESIS)[0]
NEXT = Block(msgspec.structs.replace(BASE, height=1, parent_id=block_id(BASE), time_ms=START_MS + 9), b"", ())
FLOOR_LAST = (1, VIEW_LAST)


def certificate(view: int, of: BlockId, kind: VoteKind = VoteKind.NOTARIZE) -> Certificate:
    vote = Vote(CHAIN, 0, view, kind, of)
    return Certificate(vote, tuple((index, sign_vote(KEYS[index], vote)) for index in range(3)))


def append(home: Home, *records: Record, bodies: Sequence[Block] = ()) -> None:
    journal, _ = Journal.open(LocalDisk(), home.consensus_log)
    for block in bodies:
        journal.append(BODY, encode(block))
    for record in records:
        journal.append(RECORD, encode_record(record))
    journal.sync()
    journal.close()


def records(home: Home) -> list[Record]:
    journal, entries = Journal.open(LocalDisk(), home.consensus_log)
    journal.close()
    return [decode_record(each.payload) for each in entries if each.kind == RECORD]


def started(home: Home, index: int) -> Signer:
    signer = Signer(CHAIN, KEYS[index], host_generation(home))
    signer.restore(records(home), (Epoch(0), View(0)))
    return signer


def kept(home: Home) -> bytes | None:
    stores = open_stores(home.data, CHAIN)
    try:
        return stores.blocks.recovery(Epoch(0))
    finally:
        stores.close()


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(LedgerError) as refusal:
        action()
    return refusal.value.code


@dataclass
class Network:
    """Four homes: 0 and 1 hold block 1, notarized in view 5; the records of 2 and 3 are lost."""

    folder: Path
    homes: list[Home]

    def file(self, name: str) -> Path:
        return self.folder / name

    def reports(self, *of: int) -> list[Path]:
        files = [self.file(f"report-{index}") for index in of]
        for index, file in zip(of, files, strict=True):
            if not file.exists():
                report(self.homes[index], GENESIS, file)
        return files

    def recovery(self, *of: int) -> Path:
        file = self.file(f"recovery-{of}")
        make(self.homes[0], GENESIS, self.reports(*of), file)
        return file

    def approvals(self, recovery: Path, *of: int) -> list[Path]:
        files = [self.file(f"{recovery.name}-approval-{index}") for index in of]
        for index, file in zip(of, files, strict=True):
            approve_recovery(self.homes[index], GENESIS, recovery, file)
        return files


@pytest.fixture
def network(tmp_path: Path) -> Network:
    homes = []
    for index, key in enumerate(KEYS):
        home = Home(tmp_path / f"node-{index}")
        home.make()
        create_key(home.keys, KeyName.VALIDATOR, _seed(index))
        found_data(home, GENESIS, key.public if index < 2 else None)
        if index < 2:
            append(home, HeldCertificate(certificate(5, block_id(NEXT.header))), bodies=[NEXT])
        homes.append(home)
    return Network(tmp_path, homes)


def _seed(index: int) -> bytes:
    from hashlib import sha256

    return sha256(f"vote-{index}".encode()).digest()


def test_from_reports_to_the_new_epoch(network: Network) -> None:
    """K1 to K10: two whole records, two lost ones; three approve; each home keeps it for its next start."""
    recovery = network.recovery(0, 1, 2, 3)
    shown = show(network.homes[2], GENESIS, recovery)
    assert (shown.recovery.view, shown.recovery.block_id) == (5, block_id(NEXT.header))
    assert ([each.node for each in shown.whole], [each.node for each in shown.lost]) == (
        ["node-0", "node-1"],
        ["node-2", "node-3"],
    )
    assert (shown.silent, shown.height) == ((), None)
    approvals = network.approvals(recovery, 0, 2, 3)
    for home in network.homes:
        assert isinstance(begin(home, GENESIS, recovery, approvals), Shown)
        data = kept(home)
        assert data is not None
        assert decode_recovery(data).recovery == shown.recovery
    assert begin(network.homes[0], GENESIS, recovery, [*approvals, approvals[0]]) == shown, "again is no harm"


# --- reporting ------------------------------------------------------------------------------------


def test_the_promise_is_durable_before_the_report(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """K2: a process that ends between the two has promised and said nothing; again, it says it."""
    file = network.file("report")

    def crash(*_: object) -> None:
        assert started(network.homes[0], 0).floor == FLOOR_LAST
        raise OSError("the process ends here")

    with monkeypatch.context() as patched:
        patched.setattr(recovery_moves, "write_file", crash)
        with pytest.raises(OSError, match="ends here"):
            report(network.homes[0], GENESIS, file)
    assert not file.exists()
    made = report(network.homes[0], GENESIS, file)
    assert (made.report.is_whole, made.report.certificate) == (True, certificate(5, block_id(NEXT.header)))
    assert started(network.homes[0], 0).quarantine_reason == ""
    assert len([each for each in records(network.homes[0]) if isinstance(each, SignerFloor)]) == 2


def test_a_lost_record_says_so_each_time(network: Network) -> None:
    """K3: what was lost is not whole because it was promised; the quarantine goes on under its own name."""
    home = network.homes[2]
    for name in ("one", "two"):
        assert not report(home, GENESIS, network.file(name)).report.is_whole
        assert started(home, 2).quarantine_reason == REPORTED
    assert network.file("one").read_bytes() == network.file("two").read_bytes()


def test_a_report_names_the_highest_block_that_is_here(network: Network) -> None:
    """K3: certificates of blocks whose body is not here, of other epochs, or forged, choose nothing."""
    home = network.homes[1]
    forged = certificate(9, block_id(NEXT.header))
    other_epoch = Vote(CHAIN, 1, 8, VoteKind.NOTARIZE, block_id(NEXT.header))
    append(
        home,
        HeldCertificate(certificate(7, BlockId(b"x" * 32))),
        HeldCertificate(Certificate(forged.vote, ((0, bytes(64)), *forged.signatures[1:]))),
        HeldCertificate(
            Certificate(other_epoch, tuple((i, sign_vote(KEYS[i], other_epoch)) for i in range(3)))
        ),
        HeldCertificate(certificate(6, block_id(NEXT.header), VoteKind.FINALIZE)),
    )
    held = report(home, GENESIS, network.file("report")).report.certificate
    assert held is not None
    assert (held.view, held.kind) == (6, VoteKind.FINALIZE)


@pytest.mark.parametrize(("of", "is_whole"), [(block_id(NEXT.header), True), (BlockId(b"x" * 32), False)])
def test_a_record_that_lacks_a_body_that_it_voted_to_make_final_is_not_whole(
    network: Network, of: BlockId, is_whole: bool
) -> None:
    """K3: it could not name the block that its vote may have made final, so nobody may count on it."""
    content = Vote(CHAIN, 0, 8, VoteKind.FINALIZE, of)
    append(network.homes[0], OwnVote(SignedVote(content, 0, sign_vote(KEYS[0], content))))
    assert report(network.homes[0], GENESIS, network.file("report")).report.is_whole is is_whole
    assert started(network.homes[0], 0).quarantine_reason == "", "its own promises are all here"


def test_who_may_not_report_has_promised_nothing(network: Network) -> None:
    """K2: not over a file that is there, not beside a running node, not where the record was given up, not
    without stake, and not when the recovery is kept already."""
    home, taken = network.homes[0], network.file("taken")
    taken.write_bytes(b"mine")
    before = records(home)
    assert code_of(lambda: report(home, GENESIS, taken)) == "recovery.exists"
    with HomeLock(home):
        assert code_of(lambda: report(home, GENESIS, network.file("new"))) == "home.in_use"
    assert records(home) == before
    append(network.homes[3], given_up(CHAIN, KEYS[3].public, HANDED_OVER, Epoch(0), View(3)))
    assert code_of(lambda: report(network.homes[3], GENESIS, network.file("new"))) == "recovery.given_up"
    stranger = Home(network.folder / "stranger")
    stranger.make()
    create_key(stranger.keys, KeyName.VALIDATOR, b"s" * 32)
    found_data(stranger, GENESIS, None)
    assert code_of(lambda: report(stranger, GENESIS, network.file("new"))) == "recovery.not_a_validator"
    recovery = network.recovery(0, 1, 2)
    begin(network.homes[1], GENESIS, recovery, network.approvals(recovery, 0, 1, 2))
    assert code_of(lambda: report(network.homes[1], GENESIS, network.file("new"))) == "recovery.begun"
    assert not network.file("new").exists()


# --- approving and beginning ------------------------------------------------------------------------


def test_a_validator_approves_one_recovery_of_an_epoch(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K8: noted in the home before the approval is handed out; another one is refused for ever."""
    first, second = network.recovery(0, 1, 2), network.recovery(0, 1, 2, 3)
    home, file = network.homes[2], network.file("approval")
    write, written = recovery_moves.write_file, []

    def crash(path: Path, content: Approval) -> None:
        if path == file:
            raise OSError("the process ends here")
        written.append(path)
        write(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(recovery_moves, "write_file", crash)
        with pytest.raises(OSError, match="ends here"):
            approve_recovery(home, GENESIS, first, file)
    assert written == [home.approved(0)]
    assert code_of(lambda: approve_recovery(home, GENESIS, second, network.file("b"))) == "recovery.approved"
    assert not network.file("b").exists()
    made = approve_recovery(home, GENESIS, first, file)
    assert read_file(file, Approval) == made


def test_a_recovery_begins_by_enough_approvals_of_it(network: Network) -> None:
    """K8: fewer, of another recovery, forged, of nobody: refused, and nothing is kept."""
    recovery, other = network.recovery(0, 1, 2), network.recovery(0, 1, 2, 3)
    approvals = network.approvals(recovery, 0, 1, 2)
    home = network.homes[3]

    def refused(files: Sequence[Path]) -> str:
        code = code_of(lambda: begin(home, GENESIS, recovery, files))
        assert kept(home) is None
        return code

    assert refused(approvals[:2]) == "recovery.too_little_stake"
    assert refused([]) == "recovery.too_little_stake"
    assert refused([*approvals[:2], *network.approvals(other, 3)]) == "recovery.other_recovery"
    good = read_file(approvals[2], Approval)
    for changed, code in (
        ({"signature": bytes(64)}, "recovery.wrong_signature"),
        ({"validator": 9}, "recovery.unknown_validator"),
    ):
        file = network.file(code)
        file.write_bytes(file_text(msgspec.structs.replace(good, **changed)))
        assert refused([*approvals[:2], file]) == code


def test_a_recovery_that_does_not_follow_from_its_reports_is_not_shown_or_signed(network: Network) -> None:
    """K4 to K9: changed after it was made, of another chain's reports, of too few: each step checks again."""
    sound, home = read_file(network.recovery(0, 1, 2), Recovery), network.homes[3]
    for name, changed in {
        "recovery.wrong_block": {"block_id": block_id(BASE)},
        "recovery.wrong_epoch": {"new_epoch": 3},
        "recovery.wrong_place": {"ended_epoch": 1, "new_epoch": 3},
        "recovery.too_few_reports": {"reports": sound.reports[:2]},
    }.items():
        file = network.file(name)
        file.write_bytes(file_text(msgspec.structs.replace(sound, **changed)))
        assert code_of(lambda file=file: show(home, GENESIS, file)) == name
        assert code_of(lambda file=file: approve_recovery(home, GENESIS, file, network.file("a"))) == name
    assert not network.file("a").exists()
    assert not home.approved(0).exists()
    assert code_of(lambda: make(network.homes[0], GENESIS, network.reports(0, 1), network.file("few"))) == (
        "recovery.too_few_reports"
    )
    assert not network.file("few").exists()


# --- files ------------------------------------------------------------------------------------------


def test_a_file_has_one_spelling(network: Network) -> None:
    """K10: hostile bytes are refused with a code, whatever they are."""
    file = network.reports(0)[0]
    data = file.read_bytes()
    assert file_text(parse_file(data, SignedReport)) == data
    document = json.loads(data)
    bad = {
        b"": "recovery.malformed",
        b"\xff": "recovery.malformed",
        b"[" * 100_000: "recovery.malformed",
        b"null": "recovery.malformed",
        data + b"\n": "recovery.malformed",
        data.replace(b'"version":1', b'"version":2'): "recovery.malformed",
        json.dumps(document | {"more": 1}, sort_keys=True, separators=(",", ":")).encode() + b"\n": (
            "recovery.malformed"
        ),
        json.dumps(document, sort_keys=True).encode() + b"\n": "recovery.malformed",
        bytes(FILE_BYTES_MAX + 1): "recovery.too_large",
    }
    for each, code in bad.items():
        assert code_of(lambda each=each: parse_file(each, SignedReport)) == code
    assert code_of(lambda: parse_file(data, Recovery)) == "recovery.malformed"
    del document["content"]["signature"]
    lacking = json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert code_of(lambda: parse_file(lacking, SignedReport)) == "readable.missing_field"
