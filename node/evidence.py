"""The evidence that a node holds: verified before it is kept, durable, passed on once, listed.

One validator in one epoch is one record: what more it did there changes nothing, since it is
punished once an epoch. So the number of records is bounded by the epochs whose validator sets
the state keeps, and the liars among them can't fill anything.

Source: docs/spec/evidence.md, rules EV8-EV12.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from ledger.epoch import epoch_in_force, validators_of
from ledger.evidence import Evidence, accused, check_evidence, evidence_id, offence_of
from ledger.state import StateView
from ledger.types import ChainId, Epoch
from node.logging import log, logger
from node.store.evidence import EvidenceStore
from node.store.stores import Offload

LOG: Final = logger("evidence")

UNSAVED_MAX: Final = 256  # waiting for the disk; what comes above is refused, and its sender has it still


class EvidencePool:
    """What is known of validators that signed against the rules.

    `world` answers the state after the last final block. `on_kept` passes on what has become durable.
    """

    def __init__(
        self,
        chain_id: ChainId,
        store: EvidenceStore,
        world: Callable[[], StateView],
        offload: Offload,
        on_kept: Callable[[Sequence[Evidence]], None],
    ) -> None:
        self._chain_id = chain_id
        self._store = store
        self._world = world
        self._offload = offload
        self._on_kept = on_kept
        self._held = {_slot(evidence): evidence for evidence in store.load()}
        self._unsaved: list[Evidence] = []
        self._ready = asyncio.Event()
        self._ready.set()  # a start looks for what is too old

    def held(self) -> tuple[Evidence, ...]:
        """Everything that is held, by ascending epoch and validator."""
        return tuple(self._held[slot] for slot in sorted(self._held))

    def take(self, evidence: Evidence) -> bool:
        """Keep evidence, if it is new and its epoch's validators are known; whether it was kept.

        Raises:
            LedgerError: it proves nothing: as `check_evidence`.
        """
        place = accused(evidence)
        world = self._world()
        if _slot(evidence) in self._held or place.epoch > epoch_in_force(world).epoch:
            return False  # known, or ahead of this node: whoever has it says it again
        validators = validators_of(world, place.epoch)
        if validators is None or len(self._unsaved) >= UNSAVED_MAX:
            return False
        check_evidence(evidence, self._chain_id, place.epoch, validators)
        self._held[_slot(evidence)] = evidence
        self._unsaved.append(evidence)
        self._ready.set()
        culprit = validators.validators[place.validator]
        log(
            LOG,
            logging.WARNING,
            "evidence",
            evidence=evidence_id(evidence).hex(),
            node=culprit.node,
            epoch=place.epoch,
            view=place.view,
            offence=offence_of(evidence).value,
        )
        return True

    def turned(self) -> None:
        """An epoch may have begun: look for what is too old."""
        self._ready.set()

    async def run(self) -> None:
        """Make durable what was taken, then pass it on; forget what is too old. Runs until cancelled."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            await self.save()

    async def save(self) -> None:
        """Make durable what was taken and not written yet; also when a node stops, or halts on a fork."""
        added, dropped = list(self._unsaved), self._outdated()
        if added or dropped:
            await self._offload(partial(self._store.write, added, dropped))
        del self._unsaved[: len(added)]
        for evidence in dropped:
            self._held.pop(_slot(evidence), None)
        if added:
            self._on_kept(added)

    def _outdated(self) -> list[Evidence]:
        """Whose epoch's validators the state has forgotten: nobody can report it any more."""
        world = self._world()
        return [
            evidence for (epoch, _), evidence in self._held.items() if validators_of(world, epoch) is None
        ]


def _slot(evidence: Evidence) -> tuple[Epoch, int]:
    place = accused(evidence)
    return place.epoch, place.validator
