"""A transaction: one signed call of one contract method by one key.

The id covers the unsigned body, so a second signature over the same body is the
same transaction. A random nonce and an expiry height, not a counter, keep replays
out, so several devices of one organisation can send at the same time.

Source: docs/spec/ledger.md, rules T1-T6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.codec import Canonical, decode, encode
from ledger.crypto import KeyPair, Tag, hash_tagged, is_signature, sign
from ledger.errors import LedgerError
from ledger.types import (
    SIGNATURE_BYTES,
    TRANSACTION_BYTES_MAX,
    Bytes16,
    Bytes32,
    Bytes64,
    ChainId,
    Counter,
    Height,
    Name,
    TxId,
)

_SIGNATURE_PART_BYTES: Final = 2 + SIGNATURE_BYTES  # the MessagePack bin8 header and the signature


class TransactionBody(Canonical):
    """What the sender signs.

    `arguments` is the canonical encoding of the method's own argument record;
    `valid_until` is the last height at which the transaction may stand in a block.
    """

    chain_id: Bytes32
    sender: Bytes32
    nonce: Bytes16
    valid_until: Counter
    contract: Name
    method: Name
    arguments: bytes


class SignedBody(Canonical):
    """The bytes that travel: a body and the sender's signature over it."""

    body: TransactionBody
    signature: Bytes64


@dataclass(frozen=True, slots=True)
class Transaction:
    """A decoded transaction with the bytes it came as and its id."""

    id: TxId
    raw: bytes
    body: TransactionBody
    signature: bytes


def sign_transaction(body: TransactionBody, key: KeyPair) -> Transaction:
    """Sign a body with its sender's key."""
    assert body.sender == key.public, "the body names another sender"
    unsigned = encode(body)
    signature = sign(key, Tag.TRANSACTION, unsigned)
    raw = encode(SignedBody(body, signature))
    return Transaction(TxId(hash_tagged(Tag.TRANSACTION, unsigned)), raw, body, signature)


def decode_transaction(raw: bytes) -> Transaction:
    """The transaction in `raw`, its signature not yet verified.

    Raises:
        LedgerError: `transaction.too_large`, or an `encoding.*` code.
    """
    if len(raw) > TRANSACTION_BYTES_MAX:
        raise LedgerError(
            "transaction.too_large", f"{len(raw)} bytes, at most {TRANSACTION_BYTES_MAX} are allowed"
        )
    signed = decode(raw, SignedBody, TRANSACTION_BYTES_MAX)
    unsigned = raw[1:-_SIGNATURE_PART_BYTES]  # between the array header and the signature
    return Transaction(TxId(hash_tagged(Tag.TRANSACTION, unsigned)), raw, signed.body, signed.signature)


def verify_signature(transaction: Transaction) -> None:
    """Refuse a transaction that its sender's key did not sign.

    Raises:
        LedgerError: `transaction.bad_signature`.
    """
    unsigned = transaction.raw[1:-_SIGNATURE_PART_BYTES]
    if not is_signature(transaction.body.sender, Tag.TRANSACTION, unsigned, transaction.signature):
        raise LedgerError(
            "transaction.bad_signature", "the signature does not belong to this body and sender"
        )


def check_scope(body: TransactionBody, chain_id: ChainId, height: Height, window_blocks: int) -> None:
    """Refuse what does not belong on this chain at this height.

    Its id is remembered for `window_blocks`, so a later expiry could be replayed: it is refused.

    Raises:
        LedgerError: `transaction.wrong_chain`, `transaction.expired`, `transaction.too_far_ahead`.
    """
    if body.chain_id != chain_id:
        raise LedgerError("transaction.wrong_chain", f"signed for chain {body.chain_id.hex()}")
    if body.valid_until < height:
        raise LedgerError("transaction.expired", f"valid until height {body.valid_until}, now at {height}")
    if body.valid_until >= height + window_blocks:
        raise LedgerError(
            "transaction.too_far_ahead",
            f"valid until height {body.valid_until}, at most {height + window_blocks - 1} is allowed",
        )
