"""The whole protocol: from a block and the world before it to the world after it.

`apply_block` reads top to bottom: check the block's place, open its transactions, run them,
compare the header that follows with the header that came. A proposer and a verifier run the
same `execution`, so a proposer checks its own block by building it.

Source: docs/spec/ledger.md, rules X1-X13.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ledger.block import (
    HEADER_VERSION,
    PROTOCOL_VERSION,
    Block,
    Header,
    block_id,
    certificate_hash,
    transactions_root,
)
from ledger.codec import Canonical, decode
from ledger.epoch import (
    EpochStart,
    begin_epoch,
    epoch_in_force,
    is_last_block,
    parameters_in_force,
    validators_in_force,
    validators_of,
)
from ledger.errors import LedgerError
from ledger.genesis import Parameters, parameters_hash
from ledger.members import Key, key_in_force
from ledger.merkle import log
from ledger.receipt import Receipt, Status, receipt_bytes
from ledger.recovery import begin_recovered, is_recovery
from ledger.state import Overlay, StateView, Table
from ledger.transaction import Transaction, check_scope, decode_transaction, verify_signature
from ledger.types import (
    QUORUM_CERTIFICATE_BYTES_MAX,
    BlockId,
    Bytes32,
    ChainId,
    Counter,
    Epoch,
    Height,
    TimeMs,
    TxId,
)
from ledger.validators import ValidatorSet, validators_hash
from ledger.vote import Certificate, verify_certificate
from ledger.world import Layer, World


@dataclass(frozen=True, slots=True)
class Call:
    """What a contract method may know about the transaction that calls it."""

    chain_id: ChainId
    height: Height
    time_ms: TimeMs
    transaction_id: TxId
    index: int
    sender: Key


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a contract method answers: its record, flags raised or not, and the events it recorded."""

    status: Status
    result: bytes
    events: tuple[bytes, ...] = ()


class Rules(Protocol):
    """The contracts, as the ledger calls them."""

    def check(self, transaction: Transaction, sender: Key) -> None:
        """Refuse an unknown contract or method, wrong arguments, or a role that may not (LedgerError)."""

    def execute(self, call: Call, transaction: Transaction, state: Overlay) -> Outcome:
        """Run the method; a LedgerError refuses the transaction and drops its writes."""

    def begin_block(self, signers: Sequence[int], state: Overlay) -> None:
        """Count who signed the parent's certificate, by index in the set; before any transaction runs.

        Not called where there is no certificate, nor where the parent is of another epoch.
        """

    def end_epoch(self, following: EpochStart, state: Overlay) -> tuple[ValidatorSet, Parameters]:
        """Settle an epoch after the transactions of its last block; answers what governs the next one.

        `following` is the epoch that begins on this block; `state` is of the one that ends.
        It can't refuse: the block would be invalid for ever, and with it every chain that reaches it.
        """


@dataclass(frozen=True, slots=True)
class Tip:
    """A block that others may follow: its header, the world after it, and what governs its children.

    `epoch`, `validators` and `parameters` are those of its children: another epoch's than its own where
    it is the last block of one. `voters` is the set of its own epoch, which signs its certificates.
    `history` is the frontier over the ids of all headers up to and with this one.
    `recovery` is what operators approved, encoded, where they begin an epoch on this block: its children
    carry it in the place of a certificate.
    """

    header: Header
    id: BlockId
    world: World
    history: log.Frontier
    parameters: Parameters
    validators: ValidatorSet
    epoch: EpochStart
    voters: ValidatorSet
    recovery: bytes = b""

    @classmethod
    def restored(cls, header: Header, identifier: BlockId, world: World, history: log.Frontier) -> Tip:
        """The tip of a block whose world is stored: what governs its children stands in that world."""
        epoch, validators = epoch_in_force(world), validators_in_force(world)
        voters = validators if header.epoch == epoch.epoch else validators_of(world, header.epoch)
        assert voters is not None, "the set of an epoch outlives the last block of it"
        parameters = parameters_in_force(world)
        return cls(header, identifier, world, history, parameters, validators, epoch, voters)

    def recovered(self, recovery: bytes) -> Tip:
        """The same block as the base of the epoch that an approved recovery begins on it.

        Raises:
            LedgerError: `recovery.*`, `certificate.*` or `encoding.*`: it begins none here.
        """
        start = begin_recovered(self.header, self.id, self.world, recovery)
        return replace(self, epoch=start, recovery=recovery)


@dataclass(frozen=True, slots=True)
class Execution:
    """A block that was run: the tip it makes, its receipts, and the transactions in order."""

    block: Block
    tip: Tip
    layer: Layer
    transactions: tuple[Transaction, ...]
    receipts: tuple[Receipt, ...]


def apply_block(
    tip: Tip, block: Block, rules: Rules, opened: Mapping[bytes, Transaction]
) -> Generator[None, None, Execution]:
    """Run a block that somebody proposed and hold it to every rule.

    `opened` holds transactions by their raw bytes whose signature is known to be valid.
    A generator, so that a long block need not hold the caller: it yields after each transaction.

    Raises:
        LedgerError: `block.*` or `transaction.*`: the block is invalid, for ever.
    """
    tip = governed(tip, block)
    check_place(tip, block)
    check_size(block.transactions, tip.parameters)
    transactions = []
    for raw in block.transactions:
        transactions.append(open_transaction(raw, opened))
        yield
    execution = yield from execute(
        tip, TimeMs(block.header.time_ms), block.last_certificate, transactions, rules
    )
    check_same(execution.block.header, block.header)
    return execution


def execute(
    tip: Tip, time_ms: TimeMs, last_certificate: bytes, transactions: Sequence[Transaction], rules: Rules
) -> Generator[None, None, Execution]:
    """Build the block that follows `tip` with these transactions, and the world after it.

    Raises:
        LedgerError: a transaction that may not stand in this block (scope, replay, twice), or sizes.
    """
    height = Height(tip.header.height + 1)
    raws = tuple(transaction.raw for transaction in transactions)
    check_size(raws, tip.parameters)
    overlay = Overlay(tip.world)
    if tip.recovery:
        begin_epoch(overlay, tip.epoch, tip.validators, tip.parameters)
    signers = _signers(tip, last_certificate)
    if signers:
        rules.begin_block(signers, overlay)
    quotas = Quotas(tip.parameters)
    ids: dict[TxId, None] = {}
    receipts = []
    for index, transaction in enumerate(transactions):
        check_scope(
            transaction.body, ChainId(tip.header.chain_id), height, tip.parameters.replay_window_blocks
        )
        check_new(transaction.id, tip.world, ids)
        ids[transaction.id] = None
        receipts.append(_run(tip, Height(height), time_ms, index, transaction, overlay, quotas, rules))
        yield
    quotas.write(overlay)
    REPLAYS.put(overlay, replay_slot(height, tip.parameters), Replays(height, tuple(ids)))
    epoch, validators, parameters = _governing(tip, height, time_ms, overlay, rules)
    layer = Layer(tip.world, overlay.writes, frozenset(ids))
    events = [commitment for receipt in receipts for commitment in receipt.events]
    header = Header(
        version=HEADER_VERSION,
        chain_id=tip.header.chain_id,
        height=height,
        epoch=tip.epoch.epoch,
        parent_id=tip.id,
        time_ms=time_ms,
        transactions_root=transactions_root(raws),
        receipts_root=log.root([receipt_bytes(receipt) for receipt in receipts]),
        events_root=log.root(events),
        state_root=layer.update.root,
        history_root=tip.history.root(),
        validators_hash=tip.header.next_validators_hash,
        next_validators_hash=validators_hash(validators),
        parameters_hash=parameters_hash(tip.parameters),
        last_certificate_hash=certificate_hash(last_certificate),
        transaction_count=len(raws),
        event_count=len(events),
        protocol_version=PROTOCOL_VERSION,
    )
    block = Block(header, last_certificate, raws)
    next_tip = Tip(
        header=header,
        id=block_id(header),
        world=layer,
        history=tip.history.append(log.leaf_hash(block_id(header))),
        parameters=parameters,
        validators=validators,
        epoch=epoch,
        voters=tip.validators,
    )
    return Execution(block, next_tip, layer, tuple(transactions), tuple(receipts))


def _run(
    tip: Tip,
    height: Height,
    time_ms: TimeMs,
    index: int,
    transaction: Transaction,
    state: Overlay,
    quotas: Quotas,
    rules: Rules,
) -> Receipt:
    """One transaction: its writes are taken over as a whole, or it leaves a refusal."""
    attempt = Overlay(state)
    try:
        sender = key_in_force(state, transaction.body.sender)
        quotas.charge(state, sender.organisation, height, len(transaction.raw))
        rules.check(transaction, sender)
        call = Call(ChainId(tip.header.chain_id), height, time_ms, transaction.id, index, sender)
        outcome = rules.execute(call, transaction, attempt)
    except LedgerError as refusal:
        return Receipt(transaction.id, Status.REFUSED, refusal.code, refusal.pointer, b"", ())
    state.absorb(attempt)
    return Receipt(transaction.id, outcome.status, "", "", outcome.result, outcome.events)


def _signers(tip: Tip, last_certificate: bytes) -> tuple[int, ...]:
    """Who signed the parent's certificate, by index; nobody where it is of another epoch, or block 0."""
    if not last_certificate or tip.header.epoch != tip.epoch.epoch:
        return ()
    certificate = decode(last_certificate, Certificate, QUORUM_CERTIFICATE_BYTES_MAX)
    return tuple(index for index, _ in certificate.signatures)


def _governing(
    tip: Tip, height: Height, time_ms: TimeMs, state: Overlay, rules: Rules
) -> tuple[EpochStart, ValidatorSet, Parameters]:
    """What governs the children of the block that is being made; after a last block, the rules say."""
    if not is_last_block(tip.epoch, height, time_ms, tip.parameters.consensus):
        return tip.epoch, tip.validators, tip.parameters
    following = EpochStart(tip.epoch.epoch + 1, height, time_ms)
    validators, parameters = rules.end_epoch(following, state)
    window = parameters.replay_window_blocks
    assert window == tip.parameters.replay_window_blocks, "the ring of replays keeps its size"
    begin_epoch(state, following, validators, parameters)
    return following, validators, parameters


# --- checks -------------------------------------------------------------------


def governed(tip: Tip, block: Block) -> Tip:
    """The tip as this child of it sees it: the base of a recovered epoch, if the child brings the recovery.

    Raises:
        LedgerError: as `Tip.recovered`.
    """
    data = block.last_certificate
    if data == tip.recovery or not is_recovery(data) or block.header.parent_id != tip.id:
        return tip  # else it was verified, or `check_place` refuses
    return tip.recovered(data)


def check_place(tip: Tip, block: Block) -> None:
    """Refuse a block that does not follow the tip, before any of its transactions is looked at.

    Raises:
        LedgerError: `block.wrong_parent`, `block.wrong_time`, `block.wrong_certificate`, or a
            `certificate.*` or `encoding.*` code.
    """
    header = block.header
    if header.parent_id != tip.id:
        raise LedgerError("block.wrong_parent", f"follows {header.parent_id.hex()}, expected {tip.id.hex()}")
    if header.time_ms <= tip.header.time_ms:
        raise LedgerError(
            "block.wrong_time", f"{header.time_ms} ms is not after the parent's {tip.header.time_ms} ms"
        )
    if tip.recovery:
        if block.last_certificate != tip.recovery:
            raise LedgerError("block.wrong_certificate", "the first block of a recovered epoch brings it")
        return
    if tip.header.height == 0:
        if block.last_certificate:
            raise LedgerError("block.wrong_certificate", "the genesis block has no certificate")
        return
    certificate = decode(block.last_certificate, Certificate, QUORUM_CERTIFICATE_BYTES_MAX)
    if certificate.block_id != tip.id:
        raise LedgerError("block.wrong_certificate", "the certificate is not the parent's")
    verify_certificate(certificate, ChainId(tip.header.chain_id), Epoch(tip.header.epoch), tip.voters)


def open_transaction(raw: bytes, opened: Mapping[bytes, Transaction]) -> Transaction:
    """The transaction in `raw`, its signature verified now or earlier.

    Raises:
        LedgerError: a `transaction.*` or `encoding.*` code.
    """
    known = opened.get(raw)
    if known is not None:
        return known
    transaction = decode_transaction(raw)
    verify_signature(transaction)
    return transaction


def check_size(transactions: Sequence[bytes], parameters: Parameters) -> None:
    """Refuse more than a block may hold, by count and by the sum of the transactions' bytes.

    Raises:
        LedgerError: `block.too_many_transactions`, `block.too_large`.
    """
    if len(transactions) > parameters.block_transactions_max:
        raise LedgerError(
            "block.too_many_transactions",
            f"{len(transactions)}, at most {parameters.block_transactions_max} are allowed",
        )
    size = sum(len(raw) for raw in transactions)
    if size > parameters.block_bytes_max:
        raise LedgerError(
            "block.too_large", f"{size} bytes, at most {parameters.block_bytes_max} are allowed"
        )


def check_new(transaction_id: TxId, world: StateView, ids: Mapping[TxId, None]) -> None:
    """Refuse a transaction that this block or one inside the replay window holds already.

    Raises:
        LedgerError: `transaction.replayed`.
    """
    if transaction_id in ids or world.is_recent(transaction_id):
        raise LedgerError("transaction.replayed", f"{transaction_id.hex()} is in a block already")


def check_same(expected: Header, found: Header) -> None:
    """Refuse a header that differs from the one that execution gives, and name the first field that does.

    Raises:
        LedgerError: `block.wrong_header`, its pointer the field.
    """
    for field in Header.__struct_fields__:
        wanted, got = getattr(expected, field), getattr(found, field)
        if wanted != got:
            raise LedgerError(
                "block.wrong_header", f"{field} is {_shown(got)}, expected {_shown(wanted)}", f"/{field}"
            )


def _shown(value: bytes | int) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


# --- the two records that every transaction leaves ------------------------------


class Replays(Canonical):
    """The transactions of one block, kept for the replay window; then the slot is written again."""

    height: Counter
    transaction_ids: tuple[Bytes32, ...]


class Quota(Canonical):
    """What an organisation has used since `window_start`."""

    window_start: Counter
    units: Counter


REPLAYS = Table("ledger", b"replays", Replays)  # key: height modulo the window, 4 bytes
QUOTAS = Table("ledger", b"quota", Quota)  # key: organisation


def replay_slot(height: Height, parameters: Parameters) -> bytes:
    """The key of the record that holds this height's transaction ids."""
    return (height % parameters.replay_window_blocks).to_bytes(4, "big")


class Quotas:
    """The use of this block's organisations, read once and written once."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._used: dict[str, Quota] = {}

    def charge(self, state: StateView, organisation: str, height: Height, size_bytes: int) -> None:
        """Add a transaction's units (its bytes) to what its organisation used.

        Raises:
            LedgerError: `quota.exceeded`; nothing is charged then.
        """
        start = height - height % self._parameters.replay_window_blocks
        used = self._used.get(organisation) or QUOTAS.get(state, organisation.encode()) or Quota(start, 0)
        if used.window_start != start:
            used = Quota(start, 0)
        units = used.units + size_bytes
        if units > self._parameters.quota_units_per_window:
            raise LedgerError("quota.exceeded", f"{organisation} has used {used.units} units of this window")
        self._used[organisation] = Quota(start, units)

    def write(self, state: Overlay) -> None:
        """Write the new sums."""
        for organisation in sorted(self._used):
            QUOTAS.put(state, organisation.encode(), self._used[organisation])
