"""One value of every kind that is signed or hashed, of fixed content: what tests/golden/records.json freezes.

`make golden` writes the file anew. A change in it is a change of the protocol.
"""

from __future__ import annotations

from typing import Any

from contracts.epcis.commitment import commit
from contracts.possession import prove_possession
from contracts.provenance.history import ItemHistory
from contracts.staking.records import Attendance, Bond, Offences, Roll, Unbonding, Units
from ledger.block import Block, Header, block_id, certificate_hash, transactions_root
from ledger.codec import encode
from ledger.crypto import Tag, key_pair, sign
from ledger.epoch import EpochStart, ValidatorList
from ledger.evidence import evidence_id, evidence_of
from ledger.genesis import Genesis, Parameters, chain_id, parameters_hash
from ledger.members import Key, Node, NodeRole, Organisation, Role, Site
from ledger.merkle import log
from ledger.receipt import Receipt, Status
from ledger.transaction import TransactionBody, sign_transaction
from ledger.transition import Quota, Replays
from ledger.types import ChainId
from ledger.validators import Validator, ValidatorSet, validators_hash
from ledger.vote import (
    Certificate,
    Proposal,
    SignedProposal,
    SignedVote,
    Vote,
    VoteKind,
    sign_proposal,
    sign_vote,
)

SENDER, VOTER, NODE = (key_pair(bytes([number]) * 32) for number in (1, 2, 3))
CHAIN = ChainId(bytes(range(32)))
BLOCK_ID = bytes(range(32, 64))

GENESIS = Genesis(
    1, "golden", "Golden network", True, 1_767_225_600_000, Parameters(),
    (Organisation("farm", "Farm", ("952000",)),),
    (Key(SENDER.public, "farm", "admin", (Role.REGISTRAR, Role.ADMIN), 0, 0),),
    (Site("https://id.gs1.org/414/9520000000011", "farm", "Field"),),
    (Node(NODE.public, "farm", "node-0", NodeRole.VALIDATOR, b"certificate", ("farm.example:26602",)),),
    (Validator(VOTER.public, 3, "node-0"),),
)  # fmt: skip
BODY = TransactionBody(
    CHAIN, SENDER.public, bytes(range(16)), 599, "provenance", "capture", encode(("żyto", 1, b"\xff"))
)
HEADER = Header(
    1, CHAIN, 7, 0, BLOCK_ID, 1_767_225_607_000, transactions_root((b"one", b"two")), log.EMPTY_ROOT,
    log.root((b"event",)), b"s" * 32, b"h" * 32, b"v" * 32, b"n" * 32, b"p" * 32,
    certificate_hash(b"certificate"), 2, 1, 1,
)  # fmt: skip
VOTES = {kind: Vote(CHAIN, 0, 7, kind, None if kind is VoteKind.NULLIFY else BLOCK_ID) for kind in VoteKind}
PROPOSAL = Proposal(CHAIN, 0, 7, 5, BLOCK_ID)
CERTIFICATE = Certificate(
    VOTES[VoteKind.FINALIZE], ((0, sign_vote(VOTER, VOTES[VoteKind.FINALIZE])), (127, bytes(64)))
)
SIGNED_VOTES = {kind: SignedVote(vote, 0, sign_vote(VOTER, vote)) for kind, vote in VOTES.items()}
SIGNED_PROPOSALS = tuple(
    SignedProposal(content, 0, sign_proposal(VOTER, content))
    for content in (PROPOSAL, Proposal(CHAIN, 0, 7, 6, BLOCK_ID))
)
EVIDENCE = {
    "conflicting votes": evidence_of(SIGNED_VOTES[VoteKind.NULLIFY], SIGNED_VOTES[VoteKind.FINALIZE]),
    "conflicting proposals": evidence_of(*SIGNED_PROPOSALS),
    "proposal out of turn": evidence_of(SIGNED_PROPOSALS[0], None),
}
BOND = Bond(VOTER.public, "farm", "node-0", True, 300, 100, (Unbonding(9, 40), Unbonding(10, 5)), 1, 7)
RECEIPT = Receipt(bytes(32), Status.REFUSED, "notes.spoiled", "/arguments", b"", (b"e" * 32,))
EVENT: dict[str, Any] = {
    "type": "ObjectEvent",
    "eventTime": "2026-01-01T00:00:00Z",
    "epcList": ["urn:epc:id:sgtin:952000.0000011.1"],
    "recordTime": "2026-01-02T00:00:00Z",
}


def samples() -> dict[str, dict[str, str]]:
    """Encoding, hash and signature of each kind, as lowercase hex."""
    transaction = sign_transaction(BODY, SENDER)
    event = commit((("example", "https://example.org/"),), EVENT)
    made: dict[str, dict[str, bytes]] = {
        "transaction body": {
            "encoding": encode(BODY), "hash": transaction.id, "signature": transaction.signature,
        },
        "transaction": {"encoding": transaction.raw},
        "header": {"encoding": encode(HEADER), "hash": block_id(HEADER)},
        "block": {"encoding": encode(Block(HEADER, b"certificate", (b"one", b"two")))},
        "proposal": {"encoding": encode(PROPOSAL), "signature": sign_proposal(VOTER, PROPOSAL)},
        "certificate": {
            "encoding": encode(CERTIFICATE), "hash": certificate_hash(encode(CERTIFICATE)),
        },
        "receipt": {"encoding": encode(RECEIPT)},
        "replay record": {"encoding": encode(Replays(7, (bytes(32), b"x" * 32)))},
        "quota record": {"encoding": encode(Quota(600, 12_345))},
        "item history": {"encoding": encode(ItemHistory(2, log.root((b"a" * 32, b"b" * 32)), 3, 9))},
        "event": {"hash": event.commitment, "identity": event.identity},
        "genesis": {"encoding": encode(GENESIS), "hash": chain_id(GENESIS)},
        "parameters": {
            "encoding": encode(GENESIS.parameters), "hash": parameters_hash(GENESIS.parameters),
        },
        "epoch start": {"encoding": encode(EpochStart(3, 2_000, 1_767_225_607_000))},
        "validator list": {"encoding": encode(ValidatorList(GENESIS.validators))},
        "bond": {"encoding": encode(BOND)},
        "roll": {"encoding": encode(Roll((VOTER.public,)))},
        "units": {"encoding": encode(Units(2**53 - 1))},
        "offences": {"encoding": encode(Offences(VOTER.public, "node-0", (3, 4), BLOCK_ID, 2_001, 450))},
        "attendance": {"encoding": encode(Attendance(300, (300, 0, 299)))},
        "validators": {"hash": validators_hash(ValidatorSet(GENESIS.validators))},
        "key possession": {"signature": prove_possession(SENDER, CHAIN, "farm")},
        "handshake": {"signature": sign(NODE, Tag.HANDSHAKE, b"transcript")},
    }  # fmt: skip
    for name, evidence in EVIDENCE.items():
        made[name] = {"encoding": encode(evidence), "hash": evidence_id(evidence)}
    for kind, vote in VOTES.items():
        made[f"{kind.name.lower()} vote"] = {
            "encoding": encode(vote),
            "signature": sign_vote(VOTER, vote),
            "signed": encode(SIGNED_VOTES[kind]),
        }
    return {
        name: {part: data.hex() for part, data in sorted(parts.items())}
        for name, parts in sorted(made.items())
    }
