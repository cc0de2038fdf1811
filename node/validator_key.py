"""A key that votes, for a node that followed the chain until now.

The first record of its signer goes into the consensus log before the key is there, at the place of the last
final block: the key is new, so nothing was ever signed with it, and it will sign nothing at or below that
place. A key that somebody puts there by hand has no record, and its signer stays quarantined.
"""

from __future__ import annotations

import os
from contextlib import closing

from ledger.consensus.records import SignerFloor, encode_record
from ledger.crypto import KeyPair, key_pair
from ledger.genesis import Genesis, chain_id
from ledger.types import Epoch, View
from node.consensus_log import RECORD
from node.founding import host_generation
from node.home import Home, HomeLock
from node.keys import SEED_BYTES, KeyName, read_key, write_seed
from node.resume import finalization_of_head
from node.store.disk import LocalDisk
from node.store.journal import Journal
from node.store.stores import open_stores


def validator_key(home: Home, genesis: Genesis) -> tuple[KeyPair, bool]:
    """The home's key that votes, and whether it was made now; the node must be stopped for that.

    Raises:
        LedgerError: `home.missing`, `home.in_use`, a `key_file.*` code.
        StoreError, OSError
    """
    if (home.keys / KeyName.VALIDATOR.value).exists():
        return read_key(home.keys, KeyName.VALIDATOR), False
    with HomeLock(home):
        seed = os.urandom(SEED_BYTES)
        key = key_pair(seed)
        epoch, view = _head_place(home, genesis)
        floor = SignerFloor(chain_id(genesis), key.public, host_generation(home), epoch, view)
        journal, _ = Journal.open(LocalDisk(), home.consensus_log)
        with closing(journal):
            journal.append(RECORD, encode_record(floor))
            journal.sync()
        write_seed(home.keys / KeyName.VALIDATOR.value, seed)
    return key, True


def _head_place(home: Home, genesis: Genesis) -> tuple[Epoch, View]:
    """Epoch and view of the finalization that covers the last final block."""
    with closing(open_stores(home.data, chain_id(genesis))) as stores:
        final = finalization_of_head(stores)
    return (Epoch(0), View(0)) if final is None else (Epoch(final.vote.epoch), final.view)
