"""What peers say to each other: one record a kind, each with its own limit, checked before it is decoded.

The first element of every message is its kind's number. A consensus message and a block travel as the bytes
they were signed or hashed as; whoever asked for them decodes them.

Source: docs/spec/p2p.md, rules M1-M4.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Final, cast

from msgspec import Meta

from ledger.block import ENCODED_BYTES_MAX as BLOCK_MESSAGE_BYTES_MAX
from ledger.codec import Canonical, decode, encode
from ledger.consensus.messages import MESSAGE_BYTES_MAX as CONSENSUS_BYTES_MAX
from ledger.errors import LedgerError
from ledger.evidence import EVIDENCE_BYTES_MAX
from ledger.merkle.log import EXTENSION_LENGTH_MAX
from ledger.types import (
    BLOCK_TRANSACTIONS_MAX,
    HASH_BYTES,
    QUORUM_CERTIFICATE_BYTES_MAX,
    RECOVERY_BYTES_MAX,
    TRANSACTION_BYTES_MAX,
    Bytes32,
    Code,
    Counter,
)
from node.link import Link

ENVELOPE_BYTES: Final = 64  # array and length headers around the parts of a message, with room
IDS_MAX: Final = BLOCK_TRANSACTIONS_MAX
BATCH_TRANSACTIONS_MAX: Final = 1_000
BATCH_BYTES_MAX: Final = 2 * TRANSACTION_BYTES_MAX  # a full batch below one transaction's size, and one more
BLOCKS_COUNT_MAX: Final = 128
ACCUSATIONS_MAX: Final = 16
SETTLED_COUNT_MAX: Final = 64
LINK_BYTES_MAX: Final = 2_048 + 34 * EXTENSION_LENGTH_MAX  # a header, and hashes with their lengths
BLOCKS_BYTES_MAX: Final = (
    BLOCK_MESSAGE_BYTES_MAX + LINK_BYTES_MAX + RECOVERY_BYTES_MAX + 4096
)  # one full block, a link and the certificate or recovery fit

RawTransaction = Annotated[bytes, Meta(min_length=1, max_length=TRANSACTION_BYTES_MAX)]
PackedIds = Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=IDS_MAX * HASH_BYTES)]
PackedIdsOrNone = Annotated[bytes, Meta(max_length=IDS_MAX * HASH_BYTES)]
ConsensusBytes = Annotated[bytes, Meta(min_length=1, max_length=CONSENSUS_BYTES_MAX)]
CertificateBytes = Annotated[bytes, Meta(max_length=QUORUM_CERTIFICATE_BYTES_MAX)]
ProofBytes = Annotated[bytes, Meta(max_length=RECOVERY_BYTES_MAX)]  # a certificate, or a recovery
Place = Annotated[int, Meta(ge=0, lt=BLOCK_TRANSACTIONS_MAX)]
EvidenceBytes = Annotated[bytes, Meta(min_length=1, max_length=EVIDENCE_BYTES_MAX)]
BlockBytes = Annotated[bytes, Meta(min_length=1, max_length=BLOCK_MESSAGE_BYTES_MAX)]


class Transactions(Canonical, tag=1):
    """A batch of signed transactions, as bytes: gossip, or the answer to a request."""

    transactions: Annotated[tuple[RawTransaction, ...], Meta(min_length=1, max_length=BATCH_TRANSACTIONS_MAX)]


class TransactionsRequest(Canonical, tag=2):
    """Asks for transactions of one block by their places in it, ascending: its own bytes, or none."""

    block_id: Bytes32
    places: Annotated[tuple[Place, ...], Meta(min_length=1, max_length=BLOCK_TRANSACTIONS_MAX)]

    def __post_init__(self) -> None:
        if any(left >= right for left, right in pairwise(self.places)):
            raise ValueError("a place is repeated or out of order")


class Consensus(Canonical, tag=3):
    """An encoded message of `ledger.consensus`, opaque to the transport."""

    payload: ConsensusBytes


class CompactProposal(Canonical, tag=4):
    """A proposal that names its transactions: the encoded consensus message, the certificate or recovery that
    goes into the block, and the leaf hashes of the block's transactions in order, 32 bytes each."""

    payload: ConsensusBytes
    last_certificate: ProofBytes
    hashes: PackedIdsOrNone

    def __post_init__(self) -> None:
        _check_packed(self.hashes)


class BodyRequest(Canonical, tag=5):
    """Asks for one block by its id."""

    block_id: Bytes32


class Body(Canonical, tag=6):
    """One encoded block: the answer to `BodyRequest`."""

    block: BlockBytes


class BlocksRequest(Canonical, tag=7):
    """Asks for finalized blocks, ascending from a height. The answer may hold fewer."""

    from_height: Counter
    count_max: Annotated[int, Meta(ge=1, le=BLOCKS_COUNT_MAX)]


class Blocks(Canonical, tag=8):
    """Encoded final blocks, ascending from `from_height`, and the encoded finalization of the last one, or
    the recovery that begins on it.

    Where the last has none of its own, `link` leads from it to the header that `finalization` names.
    """

    from_height: Counter
    blocks: Annotated[tuple[BlockBytes, ...], Meta(max_length=BLOCKS_COUNT_MAX)]
    link: Link | None
    finalization: ProofBytes


class NotFound(Canonical, tag=9):
    """The answer to a request for what this peer does not hold: the ids asked for, 32 bytes each.

    32 zero bytes stand for a page of final blocks.
    """

    ids: PackedIds

    def __post_init__(self) -> None:
        _check_packed(self.ids)


class Goodbye(Canonical, tag=10):
    """The last message on a connection: why it ends, as a stable code."""

    code: Code


class Accusations(Canonical, tag=11):
    """Encoded evidence against validators; the receiver verifies each before it keeps it or passes it on."""

    evidence: Annotated[tuple[EvidenceBytes, ...], Meta(min_length=1, max_length=ACCUSATIONS_MAX)]


class SettledRequest(Canonical, tag=12):
    """Asks for what settled the views of an epoch above `after` and up to `until`."""

    epoch: Counter
    after: Counter
    until: Counter


class Settled(Canonical, tag=13):
    """A page of encoded certificates, one a view, ascending; empty where the peer has none of them."""

    certificates: Annotated[tuple[CertificateBytes, ...], Meta(max_length=SETTLED_COUNT_MAX)]


class RecoveryNotice(Canonical, tag=14):
    """An encoded approved recovery: the answer to who speaks of an epoch that operators gave up."""

    recovery: ProofBytes


Message = (
    Transactions
    | TransactionsRequest
    | Consensus
    | CompactProposal
    | BodyRequest
    | Body
    | BlocksRequest
    | Blocks
    | NotFound
    | Goodbye
    | Accusations
    | SettledRequest
    | Settled
    | RecoveryNotice
)

# By kind's number: the record, and the most bytes a message of that kind may have.
KINDS: Final[dict[int, tuple[type[Canonical], int]]] = {
    1: (Transactions, BATCH_BYTES_MAX + 5 * BATCH_TRANSACTIONS_MAX + ENVELOPE_BYTES),
    2: (TransactionsRequest, 3 * BLOCK_TRANSACTIONS_MAX + HASH_BYTES + ENVELOPE_BYTES),
    3: (Consensus, CONSENSUS_BYTES_MAX + ENVELOPE_BYTES),
    4: (
        CompactProposal,
        CONSENSUS_BYTES_MAX + RECOVERY_BYTES_MAX + IDS_MAX * HASH_BYTES + ENVELOPE_BYTES,
    ),
    5: (BodyRequest, HASH_BYTES + ENVELOPE_BYTES),
    6: (Body, BLOCK_MESSAGE_BYTES_MAX + ENVELOPE_BYTES),
    7: (BlocksRequest, ENVELOPE_BYTES),
    8: (Blocks, BLOCKS_BYTES_MAX + ENVELOPE_BYTES),
    9: (NotFound, IDS_MAX * HASH_BYTES + ENVELOPE_BYTES),
    10: (Goodbye, 2 * ENVELOPE_BYTES),
    11: (Accusations, ACCUSATIONS_MAX * (EVIDENCE_BYTES_MAX + 3) + ENVELOPE_BYTES),
    12: (SettledRequest, ENVELOPE_BYTES),
    13: (Settled, SETTLED_COUNT_MAX * (QUORUM_CERTIFICATE_BYTES_MAX + 5) + ENVELOPE_BYTES),
    14: (RecoveryNotice, RECOVERY_BYTES_MAX + ENVELOPE_BYTES),
}
MESSAGE_BYTES_MAX: Final = max(bytes_max for _, bytes_max in KINDS.values())

# Why connections end. A peer's own invention becomes "peer.goodbye": codes are counted, and must stay few.
GOODBYE_CODES: Final = frozenset(
    {
        "encoding.malformed",
        "encoding.non_canonical",
        "encoding.too_large",
        "frame.malformed",
        "frame.too_large",
        "handshake.bad_signature",
        "handshake.out_of_order",
        "handshake.self",
        "handshake.timeout",
        "handshake.unknown_node",
        "handshake.version",
        "handshake.wrong_chain",
        "handshake.wrong_genesis",
        "message.too_large",
        "message.unknown_kind",
        "peer.banned",
        "peer.duplicate",
        "peer.removed",
        "peer.replaced",
        "peer.stopping",
    }
)


def encode_message(message: Message) -> bytes:
    """The bytes of a message."""
    data = encode(message)
    assert len(data) <= KINDS[data[1]][1], (
        f"we made a {kind_of(message)} of {len(data)} bytes, over its limit"
    )
    return data


def decode_message(data: bytes) -> Message:
    """The message in `data`, by the limits of its kind.

    Raises:
        LedgerError: `message.unknown_kind`, or an `encoding.*` code.
    """
    return cast(Message, decode_kind(data, KINDS))


def decode_kind(data: bytes, kinds: dict[int, tuple[type[Canonical], int]]) -> Canonical:
    """The record in `data`, one of the given kinds.

    Raises:
        LedgerError: `message.unknown_kind`, or an `encoding.*` code.
    """
    kind = data[1] if len(data) >= 2 and 0x91 <= data[0] <= 0x9F else None
    if kind not in kinds:
        raise LedgerError(
            "message.unknown_kind", f"{data[:2].hex() or 'nothing'} begins no message that is known here"
        )
    record, bytes_max = kinds[kind]
    return decode(data, record, bytes_max)


def kind_of(message: Message) -> str:
    """A message's kind in words, for metrics and logs: "compact_proposal"."""
    return _NAMES[type(message)]


def known_code(code: str) -> str:
    """A code that a peer gave as its reason, or "peer.goodbye" for one that we do not know."""
    return code if code in GOODBYE_CODES else "peer.goodbye"


def pack_ids(ids: list[bytes] | tuple[bytes, ...]) -> bytes:
    """32-byte ids as one string of bytes."""
    return b"".join(ids)


def unpack_ids(packed: bytes) -> tuple[bytes, ...]:
    """The 32-byte ids in a string of bytes that a message has carried."""
    return tuple(packed[start : start + HASH_BYTES] for start in range(0, len(packed), HASH_BYTES))


def _check_packed(ids: bytes) -> None:
    if len(ids) % HASH_BYTES:
        raise ValueError(f"{len(ids)} bytes are no whole number of {HASH_BYTES}-byte ids")


_NAMES: Final[dict[type[Canonical], str]] = {
    Transactions: "transactions",
    TransactionsRequest: "transactions_request",
    Consensus: "consensus",
    CompactProposal: "compact_proposal",
    BodyRequest: "body_request",
    Body: "body",
    BlocksRequest: "blocks_request",
    Blocks: "blocks",
    NotFound: "not_found",
    Goodbye: "goodbye",
    Accusations: "accusations",
    SettledRequest: "settled_request",
    Settled: "settled",
    RecoveryNotice: "recovery",
}
