"""What peers say of the next epoch a moment before this node is there.

Whoever sees the last block final first goes on at once, so its first words may outrun what lets
the others follow. They are kept, a bounded number of bytes a peer, and heard when the epoch begins;
what finds no room is said again by the resends.

Source: docs/spec/consensus.md, rule E13.
"""

from __future__ import annotations

from typing import Final

from ledger.consensus.events import Peer
from ledger.consensus.messages import (
    MESSAGE_BYTES_MAX,
    CertificatesMessage,
    Message,
    ProposalMessage,
    VotesMessage,
    encode_message,
)

EARLY_MESSAGES_MAX: Final = 32  # of one peer: its votes and certificates of a few views
EARLY_BYTES_MAX: Final = MESSAGE_BYTES_MAX  # of one peer, so that one message always finds room
EARLY_PEERS_MAX: Final = 256  # twice the largest set: 64 MiB at the very most


class EarlyMessages:
    """Keeps what states something. Who asks or reports its place will do so again, under its new number."""

    def __init__(self) -> None:
        self._of_peer: dict[Peer, list[Message]] = {}
        self._bytes: dict[Peer, int] = {}

    def keep(self, peer: Peer, message: Message) -> None:
        """Keep a message, if the peer has room left."""
        if not isinstance(message, ProposalMessage | VotesMessage | CertificatesMessage):
            return
        if peer not in self._of_peer and len(self._of_peer) >= EARLY_PEERS_MAX:
            return
        kept, size = self._of_peer.setdefault(peer, []), len(encode_message(message))
        if len(kept) < EARLY_MESSAGES_MAX and self._bytes.get(peer, 0) + size <= EARLY_BYTES_MAX:
            kept.append(message)
            self._bytes[peer] = self._bytes.get(peer, 0) + size

    def take(self) -> tuple[Message, ...]:
        """All that was kept, each peer's in its order; nothing is left."""
        messages = tuple(message for kept in self._of_peer.values() for message in kept)
        self._of_peer, self._bytes = {}, {}
        return messages

    def __len__(self) -> int:
        return sum(len(kept) for kept in self._of_peer.values())
