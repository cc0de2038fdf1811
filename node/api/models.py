"""The JSON of `/v1`: one pydantic model a shape, from which openapi.json is written.

Hashes, ids, keys and signatures are lower-case hexadecimal; heights and times are integers
(time in milliseconds since 1970 UTC); every integer is at most 2**53-1.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from contracts.staking.standing import Status as Standing

Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
SignatureHex = Annotated[str, Field(pattern="^[0-9a-f]{128}$")]
CbvEventHash = Annotated[str, Field(pattern=r"^ni:///sha-256;[0-9a-f]{64}\?ver=CBV2\.0$")]
Count = Annotated[int, Field(ge=0)]


class Model(BaseModel):
    """What every shape has in common: nothing is added or changed behind its back."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Status(StrEnum):
    """What became of a transaction."""

    ACCEPTED = "accepted"
    FLAGGED = "flagged"
    REFUSED = "refused"
    DUPLICATE = "duplicate"
    PENDING = "pending"


class ProblemFault(Model):
    """One place of a document that is wrong."""

    code: str
    detail: str
    pointer: str = ""


class Problem(Model):
    """A refusal (RFC 9457). `code` is stable, `detail` is for people, `pointer` is a JSON pointer."""

    type: str
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    code: str
    detail: str
    request_id: str
    pointer: str = ""
    errors: list[ProblemFault] = []


# --- transactions ------------------------------------------------------------


class ReceiptModel(Model):
    """What became of a transaction in its block. `result` is what the contract method answered."""

    transaction_id: Hash
    status: Status
    code: str
    pointer: str
    result: Annotated[str, Field(pattern="^([0-9a-f]{2})*$")]
    events: list[Hash]


class TransactionModel(Model):
    """A transaction that waits (height, index and receipt null) or stands in a final block."""

    id: Hash
    status: Status
    height: Count | None
    index: Count | None
    receipt: ReceiptModel | None
    sender: Hash
    contract: str
    method: str
    valid_until: Count
    size_bytes: Count


class SubmittedModel(Model):
    """The answer to a transaction; with `Prefer: wait=S` where it stands by then."""

    id: Hash
    status: Status
    height: Count | None = None
    index: Count | None = None
    receipt: ReceiptModel | None = None


class BatchResultModel(Model):
    """The answer to one transaction of a batch. `id` is null where the bytes are no transaction."""

    id: Hash | None
    status: Status
    code: str
    detail: str = ""
    pointer: str = ""
    height: Count | None = None
    index: Count | None = None
    receipt: ReceiptModel | None = None


class BatchModel(Model):
    """The answers to a batch, in its order."""

    results: list[BatchResultModel]


# --- the chain -----------------------------------------------------------------


class PeerModel(Model):
    """A member node as this node sees it. `problem` is the code of the last refusal, or empty."""

    name: str
    role: str
    public_key: Hash
    connected: bool
    problem: str


class StatusModel(Model):
    """Where this node stands. `lag_blocks` counts final blocks that are not here yet, `unsettled_views` those
    views of the dispute period that no certificate here accounts for."""

    chain_id: Hash
    network: str
    node: str
    organisation: str
    role: str
    height: Count
    block_id: Hash
    state_root: Hash
    time_ms: Count
    epoch: Count
    view: Count
    leader: str
    lag_blocks: Count
    pending_transactions: Count
    unsettled_views: Count
    peers: list[PeerModel]
    is_voting: bool
    reason: str
    version: str


class HeaderModel(Model):
    """What a block id covers; `state_root` is the root after this block."""

    version: Count
    chain_id: Hash
    height: Count
    epoch: Count
    parent_id: Hash
    time_ms: Count
    transactions_root: Hash
    receipts_root: Hash
    events_root: Hash
    state_root: Hash
    history_root: Hash
    validators_hash: Hash
    next_validators_hash: Hash
    parameters_hash: Hash
    last_certificate_hash: Hash
    transaction_count: Count
    event_count: Count
    protocol_version: Count


class CertificateSignature(Model):
    """One validator's signature; `validator` is its index in the set."""

    validator: Count
    node: str
    signature: SignatureHex


class CertificateModel(Model):
    """The votes that make a block final: of this block, or of a descendant (`block_id` says which)."""

    kind: str
    epoch: Count
    view: Count
    block_id: Hash
    signatures: list[CertificateSignature]
    bytes: Annotated[str, Field(pattern="^([0-9a-f]{2})*$")]


class BlockTransaction(Model):
    """One transaction of a block and what became of it."""

    id: Hash
    index: Count
    sender: Hash
    contract: str
    method: str
    size_bytes: Count
    status: Status
    code: str
    events: list[Hash]


class BlockModel(Model):
    """A final block. The genesis block has no certificate, nor has one that is final by a recovery."""

    id: Hash
    header: HeaderModel
    certificate: CertificateModel | None
    transactions: list[BlockTransaction]


class BlockSummary(Model):
    """A line of the list of blocks."""

    id: Hash
    height: Count
    time_ms: Count
    state_root: Hash
    transaction_count: Count
    event_count: Count


class BlockPage(Model):
    """Blocks from the newest down. `next` is the path of the next page, or null on the last."""

    blocks: list[BlockSummary]
    next: str | None


class UnbondingModel(Model):
    """Units that go to the organisation at the turn into `release_epoch`, and are slashable until then."""

    release_epoch: Count
    units: Count


class StandingModel(Model):
    """How a validator stands now. `next_stake` is what a turn would give it if it came now.

    `signed` counts the certificates of this epoch that it signed, `absences` its absent epochs in a row;
    `jailed_until` is the epoch from which it may ask for the way back.
    """

    organisation: str
    status: Standing
    next_stake: Count
    bonded: Count
    leaving: Count
    unbonding: list[UnbondingModel]
    signed: Count
    absences: Count
    jailed_until: Count | None = None


class ValidatorModel(Model):
    """A key with stake. `index` is its place in the set, null outside of it."""

    index: Count | None
    node: str
    public_key: Hash
    stake: Count
    standing: StandingModel | None = None


class OffencesModel(Model):
    """A key that was slashed; `evidence` is the id of what proved it first, reported at `height`."""

    public_key: Hash
    node: str
    evidence: Hash
    height: Count
    burned: Count


class ValidatorsModel(Model):
    """Who votes on the block at `height`; `quorum_stake` is the least stake that makes a certificate.

    Of the next block it says more: how each stands, who is on the roll without weight (`others`), who was
    ever `slashed`, and how many `certificates` of this epoch were counted so far.
    """

    height: Count
    epoch: Count
    total_stake: Count
    quorum_stake: Count
    certificates: Count | None = None
    validators: list[ValidatorModel]
    others: list[ValidatorModel] = []
    slashed: list[OffencesModel] = []


class GenesisModel(Model):
    """The document that every member signed up to. `bytes` is what `chain_id` is the hash of."""

    chain_id: Hash
    genesis: dict[str, Any]
    bytes: Annotated[str, Field(pattern="^([0-9a-f]{2})*$")]


# --- members ---------------------------------------------------------------------


class OrganisationModel(Model):
    """A member of the consortium."""

    id: str
    title: str
    gs1_prefixes: list[str]


class OrganisationsModel(Model):
    """Members in the order in which they were admitted. `next` is the path of the next page, or null."""

    organisations: list[OrganisationModel]
    next: str | None


class KeyModel(Model):
    """A key of an organisation; `revoked_height` 0 means that it is in force."""

    public_key: Hash
    organisation: str
    label: str
    roles: list[str]
    added_height: Count
    revoked_height: Count


class KeysModel(Model):
    """The keys of an organisation that are in force, ascending."""

    keys: list[KeyModel]


class SiteModel(Model):
    """A place of an organisation, by its canonical identifier."""

    id: str
    organisation: str
    title: str


class SitesModel(Model):
    """Sites in the order in which they were registered. `next` is the path of the next page, or null."""

    sites: list[SiteModel]
    next: str | None


class NodeModel(Model):
    """A node that may connect, and whether this one is connected to it."""

    name: str
    organisation: str
    role: str
    public_key: Hash
    addresses: list[str]
    is_connected: bool


class NodesModel(Model):
    """Every node that may connect, by identity."""

    nodes: list[NodeModel]


# --- evidence ------------------------------------------------------------------------


class EvidenceModel(Model):
    """A validator that signed against the rules. `bytes` is the proof, in the one encoding.

    `is_reported`: a final block holds it, and the validator was slashed for that epoch.

    `node` and `public_key` are empty where the validators of that epoch are no longer kept.
    """

    id: Hash
    epoch: Count
    view: Count
    offence: str
    validator: Count
    node: str
    public_key: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]
    is_reported: bool
    bytes: Annotated[str, Field(pattern="^([0-9a-f]{2})+$")]


class EvidencePage(Model):
    """By ascending epoch and validator; `next` is the path of the page after this one."""

    evidence: list[EvidenceModel]
    next: str | None


# --- the node's own answers ---------------------------------------------------------


class HealthModel(Model):
    """The process answers."""

    status: str


class ReadyModel(Model):
    """Whether this node should be asked: caught up, and connected to a quorum of stake."""

    ready: bool
    height: Count
    lag_blocks: Count
    connected_stake: Count
    total_stake: Count
    reason: str


class LogLevelModel(Model):
    """The level from which the node logs."""

    level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")]
