"""The chain to its readers: where this node stands, blocks, the genesis."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

from aiohttp import web

from ledger.codec import decode, encode
from ledger.errors import LedgerError
from ledger.readable import to_readable
from ledger.receipt import Receipt
from ledger.recovery import is_recovery
from ledger.transaction import decode_transaction
from ledger.types import QUORUM_CERTIFICATE_BYTES_MAX, BlockId, Epoch, Height
from ledger.vote import Certificate
from node.api.answers import bytes_answer, check_at, json_answer
from node.api.context import Api
from node.api.models import (
    BlockModel,
    BlockPage,
    BlockSummary,
    BlockTransaction,
    CertificateModel,
    CertificateSignature,
    GenesisModel,
    HeaderModel,
    PeerModel,
    Status,
    StatusModel,
)
from node.api.parameters import (
    AT,
    HEIGHT_SCHEMA,
    LIMIT,
    PAGE_DEFAULT,
    Parameter,
    read_height,
    read_height_or_hash,
)
from node.api.routes import Answer, Call, Route
from node.api.tokens import Scope
from node.service import BlockRecord

BLOCK_MEDIA: Final = "application/vnd.farmgate.block"

BLOCK: Final = Parameter(
    "block",
    "path",
    read_height_or_hash,
    {"type": "string", "pattern": "^([0-9]{1,16}|[0-9a-f]{64})$"},
    "A height in decimal digits, or a block id (64 hexadecimal digits).",
)
BEFORE: Final = Parameter(
    "before",
    "query",
    read_height,
    HEIGHT_SCHEMA,
    "List blocks below this height; without it from the last one.",
)


def release() -> str:
    """The release that runs."""
    try:
        return version("farmgate")
    except PackageNotFoundError:
        return "unknown"


async def status(api: Api, call: Call) -> web.StreamResponse:
    """Where this node stands."""
    now = api.service.status()
    model = StatusModel(
        chain_id=now.chain_id.hex(),
        network=api.service.genesis.network,
        node=now.node,
        organisation=api.service.organisation,
        role=now.role,
        height=now.height,
        block_id=now.block_id.hex(),
        state_root=now.state_root.hex(),
        time_ms=now.time_ms,
        epoch=now.epoch,
        view=now.view,
        leader=now.leader,
        lag_blocks=now.lag_blocks,
        pending_transactions=now.pending_transactions,
        unsettled_views=now.unsettled_views,
        peers=[
            PeerModel(
                name=peer.name,
                role=peer.role,
                public_key=peer.public_key.hex(),
                connected=peer.connected,
                problem=peer.problem,
            )
            for peer in now.peers
        ],
        is_voting=now.is_voting,
        reason=now.reason,
        version=release(),
    )
    return json_answer(call, model, now.height)


async def block(api: Api, call: Call) -> web.StreamResponse:
    """One final block, as JSON or as its canonical bytes."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    head = api.service.head()[0]
    _check_at(call, head)
    named = call.need(BLOCK)
    height = api.service.height_of(BlockId(named)) if isinstance(named, bytes) else named
    record = None if height is None else api.service.block(height)
    at = call.get(AT)
    if record is None or (at is not None and record.block.header.height > at):
        raise LedgerError("block.unknown", f"no final block here; the last one is {head}")
    if BLOCK_MEDIA in call.request.headers.get("Accept", ""):
        return bytes_answer(call, encode(record.block), head, media_type=BLOCK_MEDIA)
    return json_answer(call, block_model(api, record), head)


async def blocks(api: Api, call: Call) -> web.StreamResponse:
    """A page of blocks, the newest first."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    head = api.service.head()[0]
    _check_at(call, head)
    at, before, limit = call.get(AT), call.get(BEFORE), call.get(LIMIT) or PAGE_DEFAULT
    newest = head if at is None else at
    if before is not None:
        newest = Height(min(newest, before - 1))
    records = (api.service.block(Height(height)) for height in range(newest, max(newest - limit, -1), -1))
    listed = [_summary(record) for record in records if record is not None]
    last = listed[-1].height if listed else 0
    bound = "" if at is None else f"&at={at}"
    page = BlockPage(blocks=listed, next=f"/v1/blocks?before={last}&limit={limit}{bound}" if last else None)
    return json_answer(call, page, head)


async def genesis(api: Api, call: Call) -> web.StreamResponse:
    """The document that every member signed up to."""
    document = api.service.genesis
    model = GenesisModel(
        chain_id=api.service.chain_id.hex(), genesis=to_readable(document), bytes=encode(document).hex()
    )
    return json_answer(call, model, api.service.head()[0])


def block_model(api: Api, record: BlockRecord) -> BlockModel:
    """A block as JSON."""
    header = record.block.header
    return BlockModel(
        id=record.id.hex(),
        header=HeaderModel.model_validate(to_readable(header)),
        certificate=_certificate(api, record),
        transactions=[
            _transaction(index, raw, receipt)
            for index, (raw, receipt) in enumerate(
                zip(record.block.transactions, record.receipts, strict=True)
            )
        ],
    )


def _transaction(index: int, raw: bytes, receipt: Receipt) -> BlockTransaction:
    body = decode_transaction(raw).body
    return BlockTransaction(
        id=receipt.transaction_id.hex(),
        index=index,
        sender=body.sender.hex(),
        contract=body.contract,
        method=body.method,
        size_bytes=len(raw),
        status=Status(receipt.status.word),
        code=receipt.code,
        events=[commitment.hex() for commitment in receipt.events],
    )


def _certificate(api: Api, record: BlockRecord) -> CertificateModel | None:
    if not record.finalization or is_recovery(record.finalization):
        return None
    certificate = decode(record.finalization, Certificate, QUORUM_CERTIFICATE_BYTES_MAX)
    voters = api.service.validators(Height(record.block.header.height))
    names = [] if voters is None else [each.node for each in voters.validators]
    return CertificateModel(
        kind=certificate.kind.name.lower(),
        epoch=Epoch(certificate.vote.epoch),
        view=certificate.view,
        block_id=(certificate.block_id or b"").hex(),
        signatures=[
            CertificateSignature(
                validator=index, node=names[index] if index < len(names) else "", signature=signature.hex()
            )
            for index, signature in certificate.signatures
        ],
        bytes=record.finalization.hex(),
    )


def _summary(record: BlockRecord) -> BlockSummary:
    header = record.block.header
    return BlockSummary(
        id=record.id.hex(),
        height=header.height,
        time_ms=header.time_ms,
        state_root=header.state_root.hex(),
        transaction_count=header.transaction_count,
        event_count=header.event_count,
    )


def _check_at(call: Call, head: Height) -> None:
    """Blocks are kept at every height, so that only the future is refused."""
    at = call.get(AT)
    if at is not None and at > head:
        check_at(call, head)


ROUTES: Final[tuple[Route[Api], ...]] = (
    Route("GET", "/v1/status", status, "Where this node stands", (Answer(200, "Its status.", StatusModel),)),
    Route(
        "GET",
        "/v1/blocks",
        blocks,
        "Final blocks, the newest first",
        (Answer(200, "A page.", BlockPage),),
        parameters=(BEFORE, LIMIT, AT),
        errors=(404,),
    ),
    Route(
        "GET",
        "/v1/blocks/{block}",
        block,
        "One final block with its certificate",
        (
            Answer(200, "The block.", BlockModel),
            Answer(200, "Its canonical bytes, where `Accept` asks for them.", media_type=BLOCK_MEDIA),
        ),
        parameters=(BLOCK, AT),
        errors=(404,),
    ),
    Route(
        "GET",
        "/v1/genesis",
        genesis,
        "The genesis of the chain",
        (Answer(200, "The document and its bytes.", GenesisModel),),
    ),
)
