"""A block: a header that commits to everything, and the body it commits to.

The header carries the state root after its own transactions and no view, leader or
certificate of its own: the same block may be proposed again in a later view.

Source: docs/spec/ledger.md, rules B1-B8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Meta

from ledger.codec import Canonical, decode, encode
from ledger.crypto import Tag, hash_tagged
from ledger.merkle import log
from ledger.types import (
    BLOCK_BYTES_MAX,
    BLOCK_TRANSACTIONS_MAX,
    RECOVERY_BYTES_MAX,
    ZERO_HASH,
    BlockId,
    Bytes32,
    Counter,
    Hash,
)

HEADER_VERSION: Final = 1
PROTOCOL_VERSION: Final = 1
# What an encoded block may take: its parts, a MessagePack header for each transaction, and its own header.
ENCODED_BYTES_MAX: Final = BLOCK_BYTES_MAX + RECOVERY_BYTES_MAX + 5 * BLOCK_TRANSACTIONS_MAX + 4096


class Header(Canonical):
    """What a block id covers.

    `time_ms` is milliseconds since 1970 UTC. `transactions_root`, `receipts_root` and
    `events_root` are RFC 9162 tree heads over the transactions' bytes, the receipts'
    encodings and the event commitments; `state_root` is the state tree's root after this
    block; `history_root` the RFC 9162 head over the ids of all earlier headers, in order.
    """

    version: Counter
    chain_id: Bytes32
    height: Counter
    epoch: Counter
    parent_id: Bytes32
    time_ms: Counter
    transactions_root: Bytes32
    receipts_root: Bytes32
    events_root: Bytes32
    state_root: Bytes32
    history_root: Bytes32
    validators_hash: Bytes32
    next_validators_hash: Bytes32
    parameters_hash: Bytes32
    last_certificate_hash: Bytes32
    transaction_count: Counter
    event_count: Counter
    protocol_version: Counter


class Block(Canonical):
    """A header, what its parent rests on, and transactions.

    `last_certificate` is the encoded quorum certificate of the parent (empty at heights 0 and 1), or, in the
    first block of an epoch that operators began, the encoded recovery (`ledger.recovery`).
    """

    header: Header
    last_certificate: Annotated[bytes, Meta(max_length=RECOVERY_BYTES_MAX)]
    transactions: Annotated[tuple[bytes, ...], Meta(max_length=BLOCK_TRANSACTIONS_MAX)]


def block_id(header: Header) -> BlockId:
    """The block's id: the tagged hash of its header (32 bytes)."""
    return BlockId(hash_tagged(Tag.HEADER, encode(header)))


def decode_block(data: bytes) -> Block:
    """The block in `data`; nothing about it is checked but its form.

    Raises:
        LedgerError: an `encoding.*` code.
    """
    return decode(data, Block, ENCODED_BYTES_MAX)


def certificate_hash(certificate: bytes) -> Hash:
    """What a header says of its parent's certificate: zeros where there is none."""
    return Hash(hash_tagged(Tag.CERTIFICATE, certificate) if certificate else ZERO_HASH)


def transactions_root(transactions: Sequence[bytes]) -> bytes:
    """RFC 9162 tree head over the transactions' bytes."""
    return log.root(transactions)
