"""A chain in memory for tests of the ledger: state in a dictionary, one small contract, blocks at will."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, TypeVar

import msgspec

from ledger.block import HEADER_VERSION, PROTOCOL_VERSION, Block, Header, block_id
from ledger.codec import encode
from ledger.crypto import KeyPair, key_pair
from ledger.epoch import FIRST_EPOCH, EpochStart, begin_epoch, parameters_in_force
from ledger.errors import LedgerError
from ledger.genesis import Parameters, parameters_hash
from ledger.members import KEYS, Key, Role
from ledger.merkle import log
from ledger.merkle.tree import StateTree
from ledger.receipt import Status
from ledger.state import Overlay, full_key
from ledger.transaction import Transaction, TransactionBody, sign_transaction
from ledger.transition import REPLAYS, Call, Execution, Outcome, Replays, Tip, apply_block, execute
from ledger.types import ZERO_HASH, BlockId, ChainId, Height, PublicKey, TimeMs, TxId
from ledger.validators import Validator, ValidatorSet, validators_hash
from ledger.vote import Certificate, Vote, VoteKind, sign_vote
from ledger.world import Layer

Result = TypeVar("Result")

CHAIN = ChainId(b"c" * 32)
WINDOW = 10
START_MS = 1_767_225_600_000
FARM, SHOP, REVOKED, STRANGER = (key_pair(bytes([number]) * 32) for number in (1, 2, 3, 4))
VOTERS = [key_pair(bytes([number]) * 32) for number in (11, 12, 13, 14)]
MEMBERS = {
    "farm": Key(FARM.public, "farm", "scanner", (Role.OPERATOR,), 0, 0),
    "shop": Key(SHOP.public, "shop", "scanner", (Role.OPERATOR,), 0, 0),
    "revoked": Key(REVOKED.public, "shop", "lost scanner", (Role.OPERATOR,), 0, 3),
}


def drained(work: Generator[None, None, Result]) -> Result:
    """A generator's value."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # StopIteration.value is untyped


class MemoryState:
    """Committed state in a dictionary, with a state tree of its own."""

    def __init__(self, values: Mapping[bytes, bytes]) -> None:
        self.values: dict[bytes, bytes] = {}
        self.pages: dict[int, bytes] = {}
        self.tree = StateTree(3, self, ())
        changes = {sha256(key).digest(): sha256(value).digest() for key, value in values.items()}
        self._take(values, self.tree.preview(changes))

    def _take(self, writes: Mapping[bytes, bytes | None], update) -> None:  # type: ignore[no-untyped-def]
        self.pages.update(update.pages)
        self.tree.commit(update)
        self.values.update({key: value for key, value in writes.items() if value is not None})
        for key in [key for key, value in writes.items() if value is None]:
            self.values.pop(key, None)

    def commit(self, layer: Layer) -> None:
        """Take in the layer of a block that stands directly on this state."""
        self._take(layer.writes, layer.update)

    def page(self, bucket: int) -> bytes | None:
        return self.pages.get(bucket)

    def get(self, key: bytes) -> bytes | None:
        return self.values.get(key)

    def is_recent(self, transaction_id: TxId) -> bool:
        return any(transaction_id in record.transaction_ids for record in self.replays())

    def replays(self) -> list[Replays]:
        """The replay records, by slot."""
        slots = (REPLAYS.get(self, slot.to_bytes(4, "big")) for slot in range(100))
        return [record for record in slots if record is not None]


class Notes:
    """Rules of one contract, `notes`: it writes what it is told and refuses when it is told.

    write: sets key (the arguments before "=") to value, under the sender's organisation.
    spoil: the same, then refuses. flag: the same, flagged. event: records a commitment.
    It notes who signed the last counted certificate, and gives each epoch its set by `voters_of`.
    """

    def check(self, transaction: Transaction, sender: Key) -> None:
        if transaction.body.contract != "notes":
            raise LedgerError("contract.unknown", "only notes are kept here", "/contract")

    def execute(self, call: Call, transaction: Transaction, state: Overlay) -> Outcome:
        name, _, value = transaction.body.arguments.partition(b"=")
        key = full_key("notes", call.sender.organisation.encode() + b"/" + name)
        state.put(key, value) if value else state.delete(key)
        match transaction.body.method:
            case "spoil":
                raise LedgerError("notes.spoiled", "as asked", "/arguments")
            case "flag":
                return Outcome(Status.FLAGGED, b"look")
            case "event":
                return Outcome(Status.ACCEPTED, b"", (sha256(value).digest(),))
            case _:
                return Outcome(Status.ACCEPTED, encode((call.height, call.index)))

    def begin_block(self, signers: Sequence[int], state: Overlay) -> None:
        state.put(SIGNERS, bytes(signers))

    def end_epoch(self, following: EpochStart, state: Overlay) -> tuple[ValidatorSet, Parameters]:
        chosen = parameters_in_force(state)
        skew_ms = chosen.event_time_skew_ms + 1
        return voters_of(following.epoch), msgspec.structs.replace(chosen, event_time_skew_ms=skew_ms)


SIGNERS = full_key("notes", b"signers")


def voters_of(epoch: int) -> ValidatorSet:
    """The set of an epoch: the voters in another order, with other stakes, in each."""
    turn = epoch % len(VOTERS)
    order = [*range(turn, len(VOTERS)), *range(turn)]
    return ValidatorSet(tuple(Validator(VOTERS[index].public, epoch + 1, f"node-{index}") for index in order))


def note_key(organisation: str, name: str) -> bytes:
    """The full key that `notes.write` sets."""
    return full_key("notes", f"{organisation}/{name}".encode())


def make_transaction(
    key: KeyPair = FARM,
    nonce: int = 0,
    valid_until: int = 5,
    method: str = "write",
    arguments: bytes = b"a=1",
    chain: ChainId = CHAIN,
    contract: str = "notes",
) -> Transaction:
    """A signed call of the notes contract."""
    body = TransactionBody(
        chain, key.public, nonce.to_bytes(16, "big"), valid_until, contract, method, arguments
    )
    return sign_transaction(body, key)


def genesis_tip(**parameters: Any) -> Tip:
    """The tip of a new chain with the members of this page."""
    chosen = Parameters(**({"replay_window_blocks": WINDOW} | parameters))
    writes = Overlay(MemoryState({}))
    for member in MEMBERS.values():
        KEYS.put(writes, member.public_key, member)
    begin_epoch(writes, EpochStart(FIRST_EPOCH, 0, START_MS), voters_of(FIRST_EPOCH), chosen)
    state = MemoryState({key: value for key, value in writes.writes.items() if value is not None})
    voters = validators_hash(voters_of(FIRST_EPOCH))
    header = Header(
        HEADER_VERSION, CHAIN, 0, 0, ZERO_HASH, START_MS, log.EMPTY_ROOT, log.EMPTY_ROOT, log.EMPTY_ROOT,
        state.tree.root, log.EMPTY_ROOT, voters, voters, parameters_hash(chosen), ZERO_HASH, 0, 0,
        PROTOCOL_VERSION,
    )  # fmt: skip
    identifier = block_id(header)
    history = log.EMPTY_FRONTIER.append(log.leaf_hash(identifier))
    return Tip.restored(header, identifier, state, history)


def certificate_of(
    identifier: BlockId,
    view: int = 1,
    signers: Sequence[int] = (0, 1, 2),
    kind: VoteKind = VoteKind.NOTARIZE,
    epoch: int = FIRST_EPOCH,
) -> bytes:
    """The encoded certificate of a block by these validators of the epoch's set."""
    vote = Vote(CHAIN, epoch, view, kind, identifier)
    keys = {key.public: key for key in VOTERS}
    names = [keys[PublicKey(each.public_key)] for each in voters_of(epoch).validators]
    return encode(Certificate(vote, tuple((index, sign_vote(names[index], vote)) for index in signers)))


def parent_certificate(tip: Tip) -> bytes:
    """What a block on this tip carries of its parent."""
    height = tip.header.height
    return b"" if height == 0 else certificate_of(tip.id, height, epoch=tip.header.epoch)


def build(tip: Tip, *transactions: Transaction, time_ms: int | None = None) -> Execution:
    """The block that a proposer makes of these transactions."""
    at = TimeMs(tip.header.time_ms + 1000 if time_ms is None else time_ms)
    return drained(execute(tip, at, parent_certificate(tip), transactions, Notes()))


def apply(tip: Tip, block: Block) -> Execution:
    """The same block as another validator runs it."""
    return drained(apply_block(tip, block, Notes(), {}))


def commit(tip: Tip, execution: Execution) -> Tip:
    """Make a block on committed state final; answers the tip that the next one stands on."""
    state = tip.world
    assert isinstance(state, MemoryState)
    state.commit(execution.layer)
    return replace(execution.tip, world=state)


def grow(tip: Tip, blocks: int) -> Tip:
    """So many empty final blocks."""
    for _ in range(blocks):
        tip = commit(tip, build(tip))
    return tip


def height_of(tip: Tip) -> Height:
    """The height of a tip."""
    return Height(tip.header.height)
