"""A chain of one process without consensus: genesis, state in a dictionary, calls through the real rules."""

from __future__ import annotations

from hashlib import sha256

from contracts.arguments import encode_arguments
from contracts.genesis import genesis_block
from contracts.runtime import CoreRules
from ledger.codec import Canonical
from ledger.crypto import KeyPair, key_pair
from ledger.errors import LedgerError
from ledger.genesis import Genesis, Parameters
from ledger.members import Key, Node, NodeRole, Organisation, Role, Site, key_in_force
from ledger.state import Overlay
from ledger.transaction import TransactionBody, sign_transaction
from ledger.transition import Call, Outcome
from ledger.types import ChainId, Height, TimeMs, TxId
from ledger.validators import Validator

START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
DAY_MS = 86_400_000


def key_of(name: str) -> KeyPair:
    """The same key for the same name, in every run."""
    return key_pair(sha256(name.encode()).digest())


class MemoryState:
    """Committed state in a dictionary."""

    def __init__(self, values: dict[bytes, bytes] | None = None) -> None:
        self.values = dict(values or {})

    def get(self, key: bytes) -> bytes | None:
        return self.values.get(key)

    def is_recent(self, transaction_id: TxId) -> bool:
        return False

    def commit(self, overlay: Overlay) -> int:
        """Take over an overlay's writes; how many there were."""
        for key, value in overlay.writes.items():
            if value is None:
                self.values.pop(key, None)
            else:
                self.values[key] = value
        return len(overlay.writes)


# Each organisation of the story: its id, its GS1 prefix, and its sites.
STORY = {
    "farm": ("952000", ("https://id.gs1.org/414/9520000000011",)),
    "packer": ("952001", ("https://id.gs1.org/414/9520010000018",)),
    "carrier": ("952002", ()),
    "center": ("952003", ("https://id.gs1.org/414/9520030000012",)),
    "shop": ("952004", ("https://id.gs1.org/414/9520040000019",)),
}


def make_genesis(organisations: dict[str, tuple[str, tuple[str, ...]]] | None = None) -> Genesis:
    """Each organisation has an admin key and an operator key; the first one is registrar too."""
    members = organisations or STORY
    first = next(iter(members))
    keys = []
    for name in members:
        roles = (Role.REGISTRAR, Role.ADMIN) if name == first else (Role.ADMIN,)
        keys.append(Key(key_of(f"{name}/admin").public, name, "admin", roles, 0, 0))
        keys.append(Key(key_of(f"{name}/operator").public, name, "operator", (Role.OPERATOR,), 0, 0))
    return Genesis(
        version=1,
        network="story",
        title="Story",
        is_test_network=True,
        time_ms=START_MS,
        parameters=Parameters(),
        organisations=tuple(Organisation(name, name.title(), (held[0],)) for name, held in members.items()),
        keys=tuple(keys),
        sites=tuple(Site(site, name, site) for name, held in members.items() for site in held[1]),
        nodes=(Node(key_of("node-0").public, first, "node-0", NodeRole.VALIDATOR, b"certificate", ()),),
        validators=(Validator(key_of("vote-0").public, 1, "node-0"),),
    )


class Chain:
    """Sends calls one a block, as the transition would run them."""

    def __init__(self, genesis: Genesis | None = None) -> None:
        self.genesis = genesis or make_genesis()
        self.header, writes = genesis_block(self.genesis)
        self.chain_id = ChainId(self.header.chain_id)
        self.state = MemoryState(dict(writes))
        self.rules = CoreRules()
        self.height = 0
        self.time_ms = START_MS
        self.last_writes = 0

    def send(self, sender: str, contract: str, method: str, arguments: Canonical | bytes) -> Outcome:
        """Run one call in a block of its own; a LedgerError leaves the state as it was.

        Args:
            sender: name of a key (`key_of`), such as "farm/admin".
        """
        self.height += 1
        self.time_ms += 1000
        key = key_of(sender)
        data = arguments if isinstance(arguments, bytes) else encode_arguments(arguments)
        nonce = self.height.to_bytes(16, "big")
        body = TransactionBody(self.chain_id, key.public, nonce, self.height + 10, contract, method, data)
        transaction = sign_transaction(body, key)
        record = key_in_force(self.state, key.public)
        self.rules.check(transaction, record)
        call = Call(self.chain_id, Height(self.height), TimeMs(self.time_ms), transaction.id, 0, record)
        overlay = Overlay(self.state)
        outcome = self.rules.execute(call, transaction, overlay)
        self.last_writes = self.state.commit(overlay)
        return outcome

    def refusal(self, sender: str, contract: str, method: str, arguments: Canonical | bytes) -> LedgerError:
        """The error of a call that must be refused and change nothing."""
        before = dict(self.state.values)
        try:
            self.send(sender, contract, method, arguments)
        except LedgerError as error:
            assert self.state.values == before
            return error
        raise AssertionError(f"{contract}.{method} was not refused")
