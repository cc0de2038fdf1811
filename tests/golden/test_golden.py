"""The protocol's bytes do not change by accident: every kind that is signed or hashed, frozen."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from contracts.provenance.history import ItemHistory
from contracts.staking.records import Attendance, Bond, Offences, Roll, Units
from ledger.block import Block, Header
from ledger.codec import decode
from ledger.crypto import Tag
from ledger.epoch import EpochStart, ValidatorList
from ledger.evidence import ConflictingProposals, ConflictingVotes, ProposalOutOfTurn
from ledger.genesis import Genesis, Parameters
from ledger.receipt import Receipt
from ledger.transaction import SignedBody, TransactionBody
from ledger.transition import Quota, Replays
from ledger.vote import Certificate, Proposal, Vote
from tests.golden.samples import samples

FROZEN: dict[str, dict[str, str]] = json.loads((Path(__file__).parent / "records.json").read_text())
KINDS: dict[str, type[msgspec.Struct]] = {
    "transaction body": TransactionBody,
    "transaction": SignedBody,
    "header": Header,
    "block": Block,
    "proposal": Proposal,
    "certificate": Certificate,
    "conflicting votes": ConflictingVotes,
    "conflicting proposals": ConflictingProposals,
    "proposal out of turn": ProposalOutOfTurn,
    "receipt": Receipt,
    "replay record": Replays,
    "quota record": Quota,
    "item history": ItemHistory,
    "epoch start": EpochStart,
    "validator list": ValidatorList,
    "bond": Bond,
    "roll": Roll,
    "units": Units,
    "offences": Offences,
    "attendance": Attendance,
    "genesis": Genesis,
    "parameters": Parameters,
    "notarize vote": Vote,
    "nullify vote": Vote,
    "finalize vote": Vote,
}
# Written out: a tag that changes makes every old signature void.
TAGS = """
certificate event event-identity evidence genesis handshake header key-possession leaders
parameters proposal recovery recovery-report signing-history transaction validators vote
""".split()


@pytest.mark.parametrize("name", sorted({*FROZEN, *samples()}))
def test_encoding_hash_and_signature_are_the_frozen_ones(name: str) -> None:
    """The same value gives the same bytes as the day it was frozen."""
    assert samples()[name] == FROZEN[name]


@pytest.mark.parametrize("name", [name for name, parts in FROZEN.items() if "encoding" in parts])
def test_frozen_bytes_are_still_read(name: str) -> None:
    """Old bytes decode, canonically, to a value whose every field is there."""
    data = bytes.fromhex(FROZEN[name]["encoding"])
    value = decode(data, KINDS[name], len(data))
    assert None not in msgspec.structs.astuple(value) or name == "nullify vote"


def test_the_tags_are_the_frozen_ones() -> None:
    """Each purpose keeps its tag; a new one is added here and in docs/spec/encoding.md."""
    assert {tag.value.decode() for tag in Tag} == {f"farmgate/{name}/1" for name in TAGS}
    page = (Path(__file__).parents[2] / "docs" / "spec" / "encoding.md").read_text()
    assert all(f"`farmgate/{name}/1`" in page for name in TAGS)
