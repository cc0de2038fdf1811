"""Who votes in which epoch of a run, and by which number a node knows another then."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ledger.consensus.events import FIRST_OBSERVER, Peer
from ledger.crypto import KeyPair, key_pair
from ledger.validators import Validator, ValidatorSet


@cache
def keys_of(count: int) -> tuple[KeyPair, ...]:
    """The keys of the simulated nodes: public knowledge."""
    return tuple(key_pair(bytes([index + 1]) * 32) for index in range(count))


@cache
def validators_of(stakes: tuple[int, ...]) -> ValidatorSet:
    """The set of the nodes with stake."""
    pairs = enumerate(zip(keys_of(len(stakes)), stakes, strict=True))
    return ValidatorSet(
        tuple(Validator(key.public, stake, f"node-{node}") for node, (key, stake) in pairs if stake)
    )


@dataclass(frozen=True, slots=True)
class Roll:
    """The stakes of all nodes by epoch; the last ones hold for ever. Who has none is not in the set."""

    stakes: tuple[tuple[int, ...], ...]

    def stakes_in(self, epoch: int) -> tuple[int, ...]:
        """What each node's vote weighs."""
        return self.stakes[min(epoch, len(self.stakes) - 1)]

    def validators(self, epoch: int) -> ValidatorSet:
        """The set of an epoch."""
        return validators_of(self.stakes_in(epoch))

    def members(self, epoch: int) -> tuple[int, ...]:
        """The nodes in the set, in its order."""
        return _members(self.stakes_in(epoch))

    def peer(self, epoch: int, node: int) -> Peer:
        """The number of a node: its index in the set, or an observer's."""
        members = self.members(epoch)
        return Peer(members.index(node)) if node in members else Peer(FIRST_OBSERVER + node)

    def node(self, epoch: int, peer: int) -> int:
        """The node with a number; no node where nobody has it."""
        members = self.members(epoch)
        if peer >= FIRST_OBSERVER:
            return peer - FIRST_OBSERVER
        return members[peer] if peer < len(members) else len(self.stakes[0])


@cache
def _members(stakes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(node for node, stake in enumerate(stakes) if stake)
