"""The ledger's vocabulary: identifiers, counters, and every protocol limit.

A limit here bounds bytes that a stranger can send. Limits that one consortium
may choose for itself are parameters of its genesis (`ledger.genesis`).
"""

from __future__ import annotations

from typing import Annotated, Final, NewType

from msgspec import Meta

# --- limits -----------------------------------------------------------------

HEIGHT_MAX: Final = 2**53 - 1  # exact in JSON readers that know only doubles
STAKE_MAX: Final = 2**48  # of one validator: a sum over VALIDATORS_MAX stays below 2**57
VALIDATORS_MAX: Final = 128
EPOCHS_KEPT_MAX: Final = 1024  # validator sets and unbonding entries are kept for so many epochs at most
QUORUM_CERTIFICATE_BYTES_MAX: Final = 16 << 10  # VALIDATORS_MAX signers at 68 bytes, the vote, room to spare
RECOVERY_BYTES_MAX: Final = 2 << 20  # VALIDATORS_MAX reports, each with such a certificate, and approvals
TRANSACTION_BYTES_MAX: Final = 1 << 20  # one signed capture of a large EPCIS document
BLOCK_BYTES_MAX: Final = 8 << 20
BLOCK_TRANSACTIONS_MAX: Final = 5_000  # their ids fit one replay record (160 kB)
ARGUMENTS_BYTES_MAX: Final = TRANSACTION_BYTES_MAX - 1024  # leaves room for the envelope
NAME_LENGTH_MAX: Final = 64  # contract, method, organisation and node names
STATE_KEY_BYTES_MAX: Final = 1024
STATE_VALUE_BYTES_MAX: Final = 256 << 10
CODE_LENGTH_MAX: Final = 96  # of an error code inside a receipt
RESULT_BYTES_MAX: Final = 512 << 10  # what a contract method may answer
GENESIS_BYTES_MAX: Final = 4 << 20

HASH_BYTES: Final = 32
PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
NONCE_BYTES: Final = 16

ZERO_HASH: Final = bytes(HASH_BYTES)

# --- names ------------------------------------------------------------------

ChainId = NewType("ChainId", bytes)  # 32 bytes: the tagged hash of the genesis
BlockId = NewType("BlockId", bytes)  # 32 bytes: the tagged hash of the header
TxId = NewType("TxId", bytes)  # 32 bytes: the tagged hash of the unsigned body
PublicKey = NewType("PublicKey", bytes)  # 32 bytes, Ed25519
Signature = NewType("Signature", bytes)  # 64 bytes, Ed25519
Hash = NewType("Hash", bytes)  # 32 bytes, SHA-256
Height = NewType("Height", int)  # genesis is 0
View = NewType("View", int)  # counted within an epoch; 0 is the finalized end of the epoch before
Epoch = NewType("Epoch", int)
Stake = NewType("Stake", int)
TimeMs = NewType("TimeMs", int)  # milliseconds since 1970-01-01T00:00:00Z

# --- the same names as they stand in signed bytes, with their exact sizes ----

Bytes16 = Annotated[bytes, Meta(min_length=16, max_length=16)]
Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
Bytes64 = Annotated[bytes, Meta(min_length=64, max_length=64)]
Counter = Annotated[int, Meta(ge=0, le=HEIGHT_MAX)]
StakeUnits = Annotated[int, Meta(ge=0, le=STAKE_MAX)]
Name = Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH_MAX, pattern="^[a-z0-9][a-z0-9_.-]*\\Z")]
Code = Annotated[str, Meta(max_length=CODE_LENGTH_MAX)]
