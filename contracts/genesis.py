"""Block 0: what follows from a genesis document before anybody has sent anything.

Every node computes it for itself, so it is never sent and has no certificate.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from contracts import membership
from contracts.epcis.identifiers import canonical_id
from contracts.governance.seats import found_seats
from contracts.staking.records import found_bond
from ledger.block import HEADER_VERSION, PROTOCOL_VERSION, Header, certificate_hash, transactions_root
from ledger.epoch import FIRST_EPOCH, EpochStart, begin_epoch
from ledger.errors import LedgerError
from ledger.genesis import Genesis, chain_id, check_genesis, parameters_hash
from ledger.merkle import log
from ledger.merkle.tree import StateTree
from ledger.state import Overlay
from ledger.types import ZERO_HASH, Hash, TxId
from ledger.validators import ValidatorSet, validators_hash

_TREE_DEPTH: Final = 4  # of the throw-away tree; the root is the same at every depth


def genesis_block(genesis: Genesis) -> tuple[Header, Mapping[bytes, bytes]]:
    """The header of block 0, and every key and value of the state that it commits to.

    Raises:
        LedgerError: what `check_genesis` or `genesis_writes` refuses.
    """
    check_genesis(genesis)
    writes = genesis_writes(genesis)
    voters = validators_hash(ValidatorSet(genesis.validators))
    header = Header(
        version=HEADER_VERSION,
        chain_id=chain_id(genesis),
        height=0,
        epoch=FIRST_EPOCH,
        parent_id=ZERO_HASH,
        time_ms=genesis.time_ms,
        transactions_root=transactions_root(()),
        receipts_root=log.EMPTY_ROOT,
        events_root=log.EMPTY_ROOT,
        state_root=state_root(writes),
        history_root=log.EMPTY_ROOT,
        validators_hash=voters,
        next_validators_hash=voters,
        parameters_hash=parameters_hash(genesis.parameters),
        last_certificate_hash=certificate_hash(b""),
        transaction_count=0,
        event_count=0,
        protocol_version=PROTOCOL_VERSION,
    )
    return header, writes


def genesis_writes(genesis: Genesis) -> dict[bytes, bytes]:
    """The state after block 0, in the order of writing.

    Raises:
        LedgerError: a record beyond a limit of `contracts.membership` or `contracts.staking`, more
            founders than seats (`seats.too_many`), a prefix twice, an identifier that is none, or
            `genesis.site_not_canonical`: events name places in their canonical form.
    """
    state = Overlay(_Nothing())
    start = EpochStart(FIRST_EPOCH, 0, genesis.time_ms)
    begin_epoch(state, start, ValidatorSet(genesis.validators), genesis.parameters)
    owners = {node.name: node.organisation for node in genesis.nodes}
    for validator in genesis.validators:
        found_bond(state, validator, owners[validator.node])
    for organisation in genesis.organisations:
        membership.record_organisation(state, organisation)
    found_seats(state, (organisation.id for organisation in genesis.organisations))
    for key in genesis.keys:
        membership.record_key(state, key)
    for index, site in enumerate(genesis.sites):
        if canonical_id(site.id) != site.id:
            message = f"{site.id} is no canonical identifier, expected {canonical_id(site.id)}"
            raise LedgerError("genesis.site_not_canonical", message, f"/sites/{index}/id")
        membership.record_site(state, site)
    for node in genesis.nodes:
        membership.record_node(state, node)
    return {key: value for key, value in state.writes.items() if value is not None}


def state_root(values: Mapping[bytes, bytes]) -> Hash:
    """The root of the state that holds exactly these keys."""
    changes = {sha256(key).digest(): sha256(value).digest() for key, value in values.items()}
    return StateTree(_TREE_DEPTH, _Nothing(), ()).preview(changes).root


class _Nothing:
    """The state and the pages before block 0."""

    def get(self, key: bytes) -> bytes | None:
        return None

    def is_recent(self, transaction_id: TxId) -> bool:
        return False

    def page(self, bucket: int) -> bytes | None:
        return None
