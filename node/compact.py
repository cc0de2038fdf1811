"""Bodies on their way: whole, or put together from what is here and what a proposer sends.

A compact proposal names the block's transactions by their leaf hashes. The header commits to the list,
so a wrong one is refused before anything is asked for; and a hash covers the signature, so nothing but
the block's own bytes is ever taken for a part of it, whoever sends it. Names by id would not do: whoever
holds a body can send it under another signature, and every block would fail where such a copy is.

Nothing comes to hand that consensus did not ask for: what peers make up waits in their own share, and
pushes no body out that a vote is about to rest on.

Source: docs/spec/p2p.md, rules P1-P6.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ledger.block import Block, Header, block_id, certificate_hash
from ledger.errors import LedgerError
from ledger.merkle.log import leaf_hash, root_of_hashes
from ledger.types import BLOCK_BYTES_MAX, BlockId, Hash, PublicKey
from node.bodies import Bodies

ASSEMBLIES_OF_PEER_MAX: Final = 2  # blocks that one sender has named; its own oldest goes first
WANTED_MAX: Final = 256  # blocks that were asked for last and did not come: an answer may be late

FindTransaction = Callable[[Hash], bytes | None]


class Assembly:
    """One block in the making.

    Raises:
        LedgerError: `proposal.wrong_body`: the header does not commit to this list and certificate,
            or the list names a transaction twice.
    """

    def __init__(self, header: Header, last_certificate: bytes, hashes: Sequence[Hash]) -> None:
        if (
            header.transaction_count != len(hashes)
            or len(set(hashes)) != len(hashes)
            or certificate_hash(last_certificate) != header.last_certificate_hash
            or root_of_hashes(hashes) != header.transactions_root
        ):
            raise LedgerError("proposal.wrong_body", "not the transactions that the header commits to")
        self._header = header
        self._last_certificate = last_certificate
        self._found: dict[Hash, bytes | None] = dict.fromkeys(hashes)
        self._size_bytes = 0

    def add(self, of: Hash, raw: bytes) -> bool:
        """Take the transaction with this leaf hash; whether the block lacked it.

        What is above a block's size is not kept: no valid block has it.
        """
        is_lacking = of in self._found and self._found[of] is None
        if not is_lacking or self._size_bytes + len(raw) > BLOCK_BYTES_MAX:
            return False
        self._found[of] = raw
        self._size_bytes += len(raw)
        return True

    def missing(self) -> tuple[int, ...]:
        """The places of the transactions that did not come yet, ascending."""
        return tuple(place for place, raw in enumerate(self._found.values()) if raw is None)

    def block(self) -> Block | None:
        """The block, once every transaction came."""
        found = tuple(raw for raw in self._found.values() if raw is not None)
        return Block(self._header, self._last_certificate, found) if len(found) == len(self._found) else None


class Incoming:
    """What peers send of blocks, on its way to the bodies at hand."""

    def __init__(self, bodies: Bodies, find: FindTransaction) -> None:
        self._bodies = bodies
        self._find = find
        self._assemblies: dict[BlockId, Assembly] = {}
        self._of_peer: dict[PublicKey, OrderedDict[BlockId, None]] = {}
        self._wanted: OrderedDict[BlockId, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._assemblies)

    def want(self, of: BlockId) -> bool:
        """Consensus asks for a block: let it come to hand. Whether it is here or being put together."""
        if self._bodies.get(of) is not None:
            return True
        self._wanted[of] = None
        self._wanted.move_to_end(of)
        if len(self._wanted) > WANTED_MAX:
            self._wanted.popitem(last=False)
        return self._finish(of) or of in self._assemblies

    def is_wanted(self, of: BlockId) -> bool:
        """Whether consensus has asked for this block, and it did not come yet."""
        return of in self._wanted

    def begin(
        self, sender: PublicKey, of: BlockId, header: Header, last_certificate: bytes, hashes: Sequence[Hash]
    ) -> tuple[int, ...]:
        """Begin a block whose header this is, or go on with it; the places of what to ask its sender for.

        Every sender of a block is asked: one that does not answer must not keep the others' answers out.

        Raises:
            LedgerError: `proposal.wrong_body`.
        """
        assembly = self._assemblies.get(of)
        if assembly is None:
            assembly = Assembly(header, last_certificate, hashes)
            for each in hashes:
                raw = self._find(each)
                if raw is not None:
                    assembly.add(each, raw)
            self._assemblies[of] = assembly
        self._note_sender(sender, of)
        self._finish(of)
        return assembly.missing()

    def add(self, raws: Iterable[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Take the transactions that blocks lack; answers these, and the rest.

        Both may be admitted: a block that is being put together may never become final.
        """
        if not self._assemblies:
            return [], list(raws)
        hashes = {leaf_hash(raw): raw for raw in raws}
        taken: set[Hash] = set()
        for of, assembly in list(self._assemblies.items()):
            wanted = [each for each, raw in hashes.items() if assembly.add(each, raw)]
            taken.update(wanted)
            if wanted:
                self._finish(of)
        rest = [raw for each, raw in hashes.items() if each not in taken]
        return [hashes[each] for each in hashes if each in taken], rest

    def take(self, block: Block) -> bool:
        """Take a whole block that was asked for, unless its body does not belong to its header."""
        if not self._bodies.offer(block):
            return False
        self._came(block_id(block.header))
        return True

    def disconnected(self, sender: PublicKey) -> None:
        """Forget a sender, and what it alone has named."""
        for of in self._of_peer.pop(sender, ()):
            self._drop_unless_named(of)

    def _finish(self, of: BlockId) -> bool:
        assembly = self._assemblies.get(of)
        block = assembly.block() if assembly is not None and of in self._wanted else None
        if block is None:
            return False
        self._bodies.put(block)
        self._came(of)
        return True

    def _came(self, of: BlockId) -> None:
        self._wanted.pop(of, None)
        self._assemblies.pop(of, None)
        for named in self._of_peer.values():
            named.pop(of, None)

    def _note_sender(self, sender: PublicKey, of: BlockId) -> None:
        named = self._of_peer.setdefault(sender, OrderedDict())
        named[of] = None
        if len(named) > ASSEMBLIES_OF_PEER_MAX:
            oldest, _ = named.popitem(last=False)
            self._drop_unless_named(oldest)

    def _drop_unless_named(self, of: BlockId) -> None:
        if not any(of in named for named in self._of_peer.values()):
            self._assemblies.pop(of, None)
