"""Who votes, and with what weight.

A validator is a key with stake. Stake is a number of units that genesis or governance
assigned; there is no coin. Quorums are compared in integers: `3 * w > 2 * W`.

Source: docs/spec/consensus.md, rules V1-V4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Final

from msgspec import Meta

from ledger.codec import Canonical, encode
from ledger.crypto import Tag, check_public_key, hash_tagged
from ledger.errors import LedgerError
from ledger.types import (
    STAKE_MAX,
    VALIDATORS_MAX,
    Bytes32,
    ChainId,
    Epoch,
    Hash,
    Name,
    PublicKey,
    Stake,
    View,
)

SCHEDULE_SLOTS: Final = 1024  # at eight times VALIDATORS_MAX, shares of stake are met within a percent or so
SCHEDULES_CACHED: Final = 16  # of the epoch in force and the last ones, and room for simulated chains


class Validator(Canonical):
    """One key with stake: `node` is the name of the node that holds the key."""

    public_key: Bytes32
    stake: Annotated[int, Meta(ge=1, le=STAKE_MAX)]
    node: Name


@dataclass(frozen=True, slots=True)
class ValidatorSet:
    """The validators of one epoch, in the order that gives each its index (0 to 127).

    Raises:
        LedgerError: `validators.empty`, `validators.too_many`, `validators.stake`,
            `validators.duplicate` or `key.invalid`.
    """

    validators: tuple[Validator, ...]
    total_stake: Stake = field(init=False)
    _indices: dict[bytes, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_validators(self.validators)
        indices = {validator.public_key: index for index, validator in enumerate(self.validators)}
        if len(indices) != len(self.validators):
            raise LedgerError("validators.duplicate", "one key is listed twice")
        object.__setattr__(self, "total_stake", Stake(sum(v.stake for v in self.validators)))
        object.__setattr__(self, "_indices", indices)

    def __len__(self) -> int:
        return len(self.validators)

    def index_of(self, public_key: bytes) -> int | None:
        """The index of the validator with this key, or None."""
        return self._indices.get(public_key)

    def public_key(self, index: int) -> PublicKey:
        """The key of the validator at `index`; the caller has checked the range."""
        return PublicKey(self.validators[index].public_key)

    def stake(self, index: int) -> Stake:
        """The stake of the validator at `index`; the caller has checked the range."""
        return Stake(self.validators[index].stake)

    def is_quorum(self, stake: int) -> bool:
        """Whether `stake` is more than two thirds of the total."""
        return 3 * stake > 2 * self.total_stake

    @property
    def quorum_stake(self) -> Stake:
        """The least stake that is a quorum."""
        return Stake(2 * self.total_stake // 3 + 1)

    def is_blocking(self, stake: int) -> bool:
        """Whether `stake` is more than one third of the total: some honest validator is among it."""
        return 3 * stake > self.total_stake


def _check_validators(validators: Sequence[Validator]) -> None:
    if not validators:
        raise LedgerError("validators.empty", "a chain needs at least one validator")
    if len(validators) > VALIDATORS_MAX:
        raise LedgerError("validators.too_many", f"{len(validators)}, at most {VALIDATORS_MAX} are allowed")
    for index, validator in enumerate(validators):
        if not 1 <= validator.stake <= STAKE_MAX:
            raise LedgerError(
                "validators.stake", f"{validator.stake}, expected 1 to {STAKE_MAX}", f"/{index}/stake"
            )
        check_public_key(validator.public_key)


def validators_hash(validators: ValidatorSet) -> Hash:
    """What a header says of the set that votes on it."""
    return hash_tagged(Tag.VALIDATORS, encode(validators.validators))


def leader(chain_id: ChainId, epoch: Epoch, view: View, validators: ValidatorSet) -> int:
    """The index of the validator that may propose in this view: a pure function, so usurping is provable."""
    return _schedule(chain_id, epoch, validators.validators)[view % SCHEDULE_SLOTS]


@lru_cache(maxsize=SCHEDULES_CACHED)
def _schedule(chain_id: ChainId, epoch: Epoch, validators: tuple[Validator, ...]) -> tuple[int, ...]:
    """The leader of each slot: smooth weighted round robin, ties in a seeded order, from a seeded slot on.

    The seed is hash(chain, epoch): nothing that anyone could grind. Slots are not shuffled:
    a shuffle brings runs of one dead leader back. The round begins with the heaviest, so in epochs of a
    few views nobody else would ever lead, did they all begin there.
    """
    weights = slots_by_stake([validator.stake for validator in validators])
    seed = hash_tagged(Tag.LEADERS, encode((chain_id, epoch)))
    ranks = [hash_tagged(Tag.LEADERS, seed + validator.public_key) for validator in validators]
    order = sorted(range(len(validators)), key=lambda index: ranks[index])
    credit = [0] * len(validators)
    slots = []
    for _ in range(SCHEDULE_SLOTS):
        for index in order:
            credit[index] += weights[index]
        chosen = max(order, key=lambda index: credit[index])  # the first of equals in the seeded order
        credit[chosen] -= SCHEDULE_SLOTS
        slots.append(chosen)
    start = int.from_bytes(seed) % SCHEDULE_SLOTS
    return tuple(slots[start:] + slots[:start])


def slots_by_stake(stakes: Sequence[int]) -> list[int]:
    """How many of the SCHEDULE_SLOTS each stake leads: largest remainder, each at least one."""
    spare = SCHEDULE_SLOTS - len(stakes)  # one slot each is given out first
    total = sum(stakes)
    slots = [1 + stake * spare // total for stake in stakes]
    by_remainder = sorted(range(len(stakes)), key=lambda index: (-(stakes[index] * spare % total), index))
    for index in by_remainder[: SCHEDULE_SLOTS - sum(slots)]:
        slots[index] += 1
    return slots
