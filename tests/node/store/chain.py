"""A chain of small real blocks for store tests: each writes some keys and remembers its transactions."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.block import Block, Header, block_id, certificate_hash, transactions_root
from ledger.codec import encode
from ledger.crypto import key_pair
from ledger.epoch import EpochStart
from ledger.genesis import Parameters
from ledger.merkle import log
from ledger.receipt import Receipt, Status, receipt_bytes
from ledger.state import Overlay
from ledger.transition import REPLAYS, Execution, Replays, Tip, replay_slot
from ledger.types import BlockId, ChainId, Height, TxId
from ledger.validators import Validator, ValidatorSet
from ledger.world import Layer
from node.store.database import Database
from node.store.state import genesis_root
from node.store.stores import FinalizedBlock, Stores, fill_databases

CHAIN = ChainId(bytes(range(32)))
WINDOW = 10
PARAMETERS = Parameters(replay_window_blocks=WINDOW)
GENESIS_WRITES = {b"organisations\0farm": b"Farm", b"organisations\0shop": b"Shop"}
VALIDATORS = ValidatorSet((Validator(key_pair(bytes(32)).public, 1, "node-0"),))
GOVERNING = (PARAMETERS, VALIDATORS, EpochStart(1, 0, 0), VALIDATORS)
DEPTH = 4


def header(height: int, parent: bytes, state_root: bytes, history_root: bytes, **changes: object) -> Header:
    fields: dict[str, object] = {
        "version": 1, "chain_id": CHAIN, "height": height, "epoch": 1, "parent_id": parent,
        "time_ms": 1_000 + height, "transactions_root": log.EMPTY_ROOT, "receipts_root": log.EMPTY_ROOT,
        "events_root": log.EMPTY_ROOT, "state_root": state_root, "history_root": history_root,
        "validators_hash": bytes(32), "next_validators_hash": bytes(32), "parameters_hash": bytes(32),
        "last_certificate_hash": bytes(32), "transaction_count": 0, "event_count": 0, "protocol_version": 1,
    }  # fmt: skip
    return Header(**(fields | changes))  # type: ignore[arg-type]  # the fields are named above


def genesis_block(writes: Mapping[bytes, bytes] = GENESIS_WRITES) -> Block:
    return Block(header(0, bytes(32), genesis_root(writes), log.EMPTY_ROOT), b"", ())


def fill(blocks: Database, state: Database, writes: Mapping[bytes, bytes] = GENESIS_WRITES) -> None:
    fill_databases(blocks, state, CHAIN, genesis_block(writes), writes, tree_depth=DEPTH)


def tip_of(stores: Stores) -> Tip:
    """The tip that the stores hold."""
    head = stores.state.head
    return Tip(head.header, BlockId(head.block_id), stores.state, head.history, *GOVERNING)


def transaction_id(height: int, index: int) -> TxId:
    return TxId(height.to_bytes(16, "big") + index.to_bytes(16, "big"))


def next_execution(
    tip: Tip,
    writes: Mapping[bytes, bytes | None],
    transactions: int = 1,
    certificate: bytes = b"",
    epoch: int = 1,
) -> Execution:
    """A block above `tip` that makes these writes and holds so many transactions."""
    height = Height(tip.header.height + 1)
    overlay = Overlay(tip.world)
    for key, value in writes.items():
        overlay.delete(key) if value is None else overlay.put(key, value)
    ids = tuple(transaction_id(height, index) for index in range(transactions))
    REPLAYS.put(overlay, replay_slot(height, PARAMETERS), Replays(height, ids))
    layer = Layer(tip.world, overlay.writes, frozenset(ids))
    raws = tuple(b"transaction" + each for each in ids)
    receipts = tuple(Receipt(each, Status.ACCEPTED, "", "", b"", ()) for each in ids)
    made = header(
        height,
        tip.id,
        layer.update.root,
        tip.history.root(),
        epoch=epoch,
        transactions_root=transactions_root(raws),
        receipts_root=log.root([receipt_bytes(each) for each in receipts]),
        last_certificate_hash=certificate_hash(certificate),
        transaction_count=len(raws),
    )
    history = tip.history.append(log.leaf_hash(block_id(made)))
    following = Tip(made, block_id(made), layer, history, *GOVERNING)
    return Execution(Block(made, certificate, raws), following, layer, (), receipts)


def story(height: int, writes: int = 2) -> dict[bytes, bytes | None]:
    """What the block at a height writes: the same in every run."""
    return {b"items\0%d" % ((height * 7 + each) % 23): b"value %d" % height for each in range(writes)}


async def extend(
    stores: Stores,
    count: int,
    *,
    finalize_each: int = 1,
    transactions: int = 1,
    writes: int = 2,
    epoch: int = 1,
) -> list[Execution]:
    """Commit `count` blocks; every `finalize_each`-th has a certificate of its own."""
    made = []
    for _ in range(count):
        tip = tip_of(stores)
        height = tip.header.height + 1
        execution = next_execution(tip, story(height, writes), transactions, epoch=epoch)
        finalization = encode(("final", height)) if height % finalize_each == 0 else b""
        await stores.commit(FinalizedBlock(execution, finalization, encode(("why", height))))
        made.append(execution)
    return made
