"""The first data of a node: block 0, its state, and the signer's first record, all or nothing."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import closing
from pathlib import Path
from typing import Final

from contracts.genesis import genesis_block
from ledger.block import Block
from ledger.consensus.records import encode_record
from ledger.consensus.signer import first_record
from ledger.genesis import Genesis, chain_id
from ledger.types import Epoch, PublicKey
from node.consensus_log import RECORD
from node.home import Home
from node.store.disk import TEMPORARY_SUFFIX, LocalDisk
from node.store.journal import Journal
from node.store.journal import Record as Entry
from node.store.leveldb import LevelDatabase
from node.store.state import StateStore
from node.store.stores import STATE_FOLDER, create_stores

MACHINE_ID: Final = Path("/etc/machine-id")


def found_data(home: Home, genesis: Genesis, validator: PublicKey | None) -> None:
    """Make `data/` of a new node. A validator's key may sign from the first view on, on this host only.

    Raises:
        LedgerError: `home.exists`, or what the genesis refuses.
    """
    header, writes = genesis_block(genesis)
    with home.new_data() as making:
        create_stores(making.data, chain_id(genesis), Block(header, b"", ()), writes)
        records = []
        if validator is not None:
            floor = first_record(chain_id(genesis), validator, host_generation(making), Epoch(0))
            records.append(Entry(RECORD, encode_record(floor)))
        Journal.create(LocalDisk(), making.consensus_log, records)


def found_state(data: Path, genesis: Genesis) -> None:
    """Put the state of block 0 where no state is, in one step: the next start runs every stored block again.

    Raises:
        StoreError, OSError
    """
    disk, making = LocalDisk(), data / f"{STATE_FOLDER}{TEMPORARY_SUFFIX}"
    shutil.rmtree(making, ignore_errors=True)  # of a try that did not come to its end
    header, writes = genesis_block(genesis)
    with closing(LevelDatabase(making, create=True)) as database:
        StateStore.create(database, chain_id(genesis), header, writes)
    disk.sync_folder(making)
    disk.rename(making, data / STATE_FOLDER)
    disk.sync_folder(data)


def host_generation(home: Home) -> bytes:
    """16 bytes that a copy of the home does not share: of this machine and of this very folder.

    Inode number and change time of the signer's folder survive restarts and a rename of the home, for
    nothing is ever written there. A restored backup or a copy has another time, which nobody can set, even
    where it got the old inode number again; its signer is quarantined.
    """
    machine = MACHINE_ID.read_bytes() if MACHINE_ID.is_file() else b""
    found = home.signer.stat()
    folder = f"{found.st_ino} {found.st_ctime_ns}".encode()
    return hashlib.sha256(b"farmgate host\0" + machine.strip() + b"\0" + folder).digest()[:16]
