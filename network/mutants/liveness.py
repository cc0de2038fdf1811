"""Bugs in timers and repair: nothing wrong is ever agreed on, and one day nothing at all."""

from __future__ import annotations

from typing import Any, Final

from ledger.consensus import repair
from ledger.consensus.certificates import CertificateStore
from ledger.consensus.machine import Consensus
from ledger.consensus.pacemaker import Pacemaker
from ledger.consensus.repair import Repair
from ledger.consensus.state import State
from ledger.consensus.tally import Tally
from ledger.types import View
from network.mutants.planting import Mutant, Patches


def _jump_without_body(patches: Patches) -> None:
    def entry(self: CertificateStore, at_least: Any, is_valid: Any) -> Any:
        return original(self, at_least, lambda block_id: True)

    original = patches.replace(CertificateStore, "entry", entry)


def _timers_never_grow(patches: Patches) -> None:
    def distance(self: State) -> int:
        return 0

    patches.replace(State, "distance", property(distance))


def _timers_never_reset(patches: Patches) -> None:
    def distance(self: State) -> View:
        return self.view

    patches.replace(State, "distance", property(distance))


def _nothing_resent(patches: Patches) -> None:
    patches.replace(Repair, "resend", lambda self: None)


def _entry_not_resent(patches: Patches) -> None:
    def without_entry(name: str) -> None:
        def act(self: Repair, *arguments: Any) -> None:
            entry, self._state.entry = self._state.entry, None
            original(self, *arguments)
            self._state.entry = entry

        original = patches.replace(Repair, name, act)

    without_entry("resend")
    without_entry("answer_status")
    patches.replace(repair, "RESENDS_PER_PAGE", 1_000_000)


def _lagging_unanswered(patches: Patches) -> None:
    patches.replace(Repair, "answer_old_vote", lambda self, peer, view: None)
    patches.replace(Repair, "answer_status", lambda self, peer, status: None)


def _retry_never_armed(patches: Patches) -> None:
    patches.replace(Repair, "is_unfinished", lambda self: False)


def _resend_without_pause(patches: Patches) -> None:
    patches.replace(Pacemaker, "is_retry_due", lambda self, now_ms: True)


def _never_nullify(patches: Patches) -> None:
    patches.replace(Consensus, "_vote_nullify", lambda self: None)


def _nothing_pruned(patches: Patches) -> None:
    patches.replace(Tally, "prune", lambda self, view: None)
    patches.replace(CertificateStore, "prune", lambda self, view: None)
    patches.replace(State, "prune", lambda self, view: None)


LIVENESS: Final = (
    Mutant("jump-without-body", "a notarization moves a node only with a valid body", _jump_without_body),
    Mutant(
        "timers-never-grow",
        "delays grow with the distance to the last final view",
        _timers_never_grow,
        "hour-of-nothing",
    ),
    Mutant("timers-never-reset", "delays fall back when a view is final", _timers_never_reset),
    Mutant("nothing-resent", "the unfinished is said again", _nothing_resent),
    Mutant("retry-never-armed", "t_retry runs while anything is unfinished", _retry_never_armed),
    Mutant("entry-not-resent", "the entry certificate is said again", _entry_not_resent, "silent"),
    Mutant(
        "lagging-unanswered", "old votes and old places are answered by the finalization", _lagging_unanswered
    ),
    Mutant("resend-without-pause", "resend traffic has a bound", _resend_without_pause),
    Mutant("never-nullify", "a lost view is left", _never_nullify),
    Mutant("nothing-pruned", "what is final is forgotten", _nothing_pruned, "false-pages"),
)
