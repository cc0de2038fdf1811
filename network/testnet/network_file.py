"""network.json: what scripts and people need to know of a local network, always current."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import msgspec

from ledger.errors import LedgerError
from node.store.disk import LocalDisk, replace_file

FILE_NAME: Final = "network.json"
FILE_BYTES_MAX: Final = 1 << 20


class NodeEntry(msgspec.Struct, frozen=True):
    """One node. `api` and `admin` are URLs, `p2p` is host:port, `pid` is null while it is stopped."""

    name: str
    role: Literal["validator", "observer"]
    organisation: str
    api: str
    admin: str
    p2p: str
    home: str
    pid: int | None
    log: str


class NetworkFile(msgspec.Struct, frozen=True):
    """The whole document. `profiles` gives the path of each organisation's profile."""

    chain_id: str
    nodes: tuple[NodeEntry, ...]
    profiles: dict[str, str]

    def node(self, name: str) -> NodeEntry:
        """The node of this name.

        Raises:
            LedgerError: `testnet.unknown_node`.
        """
        for entry in self.nodes:
            if entry.name == name:
                return entry
        names = ", ".join(entry.name for entry in self.nodes)
        raise LedgerError("testnet.unknown_node", f"no node is called {name}; there are {names}")

    def with_pid(self, name: str, pid: int | None) -> NetworkFile:
        """The same network with another process behind a node."""
        nodes = tuple(
            msgspec.structs.replace(entry, pid=pid) if entry.name == name else entry for entry in self.nodes
        )
        return msgspec.structs.replace(self, nodes=nodes)


def write_network_file(folder: Path, network: NetworkFile) -> None:
    """Replace network.json as a whole.

    Raises:
        OSError
    """
    data = msgspec.json.format(msgspec.json.encode(network), indent=2) + b"\n"
    replace_file(LocalDisk(), folder / FILE_NAME, data)


def read_network_file(folder: Path) -> NetworkFile:
    """The network in a folder.

    Raises:
        LedgerError: `testnet.missing`, `testnet.damaged`.
    """
    path = folder / FILE_NAME
    try:
        data = LocalDisk().read(path, FILE_BYTES_MAX)
    except (FileNotFoundError, NotADirectoryError):
        raise LedgerError(
            "testnet.missing", f"there is no local network in {folder}; `farmgate testnet up` makes one"
        ) from None
    except OSError as problem:
        raise LedgerError("testnet.damaged", f"{path}: {problem.strerror}") from None
    try:
        if len(data) > FILE_BYTES_MAX:
            raise ValueError(f"more than {FILE_BYTES_MAX} bytes")
        return msgspec.json.decode(data, type=NetworkFile)
    except (ValueError, msgspec.MsgspecError) as problem:
        raise LedgerError("testnet.damaged", f"{path}: {problem}") from None
