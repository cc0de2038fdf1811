"""Bugs in what is durable and remembered: each waits for a crash."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ledger.consensus.bodies import Bodies
from ledger.consensus.outbox import Outbox
from ledger.consensus.records import HeldCertificate, OwnProposal, OwnVote, Record
from ledger.consensus.signer import Signer
from ledger.types import Epoch, View
from network.mutants.planting import Mutant, Patches


def _send_before_persist(patches: Patches) -> None:
    def drain(self: Outbox) -> Any:
        effects = original(self)
        return [*effects[1:], *effects[:1]]

    original = patches.replace(Outbox, "drain", drain)


def _restart_forgets(*kinds: type[Record]) -> Any:
    def plant(patches: Patches) -> None:
        def restore(self: Signer, records: Iterable[Record], store: Any) -> None:
            original(self, [each for each in records if not isinstance(each, kinds)], store)

        original = patches.replace(Signer, "restore", restore)

    return plant


def _votes_not_recorded(patches: Patches) -> None:
    def persist(self: Outbox, *records: Record) -> None:
        original(self, *(each for each in records if not isinstance(each, OwnVote)))

    original = patches.replace(Outbox, "persist", persist)


def _certificates_not_recorded(patches: Patches) -> None:
    def persist(self: Outbox, *records: Record) -> None:
        original(self, *(each for each in records if not isinstance(each, HeldCertificate)))

    original = patches.replace(Outbox, "persist", persist)


def _pruning_erases_flags(patches: Patches) -> None:
    def write(self: Signer, epoch: Epoch, view: View) -> Any:
        self._promises.clear()
        return original(self, epoch, view)

    original = patches.replace(Signer, "_write_floor", write)


def _floor_not_raised(patches: Patches) -> None:
    patches.replace(Signer, "raise_floor", lambda self, epoch, view: None)


def _bodies_not_kept(patches: Patches) -> None:
    patches.replace(Bodies, "keep", lambda self, block_id: None)


MEMORY: Final = (
    Mutant("send-before-persist", "S4: durable before it leaves", _send_before_persist),
    Mutant("votes-not-recorded", "S4: durable before it leaves", _votes_not_recorded),
    Mutant("restart-forgets-votes", "a restart remembers every vote", _restart_forgets(OwnVote)),
    Mutant("restart-forgets-proposals", "a restart remembers its proposal", _restart_forgets(OwnProposal)),
    Mutant(
        "certificates-not-recorded",
        "a certificate is durable before the move that rests on it",
        _certificates_not_recorded,
    ),
    Mutant("pruning-erases-flags", "S6: promises are forgotten only below the floor", _pruning_erases_flags),
    Mutant("floor-not-raised", "S7: the floor rises before the store commits", _floor_not_raised),
    Mutant("bodies-not-kept", "a body is durable with the vote for it", _bodies_not_kept, "crash-all"),
)
