"""Bugs in what is believed: of a block, of a peer, of one's own record."""

from __future__ import annotations

from typing import Any, Final

from ledger.consensus import intake, machine, tally
from ledger.consensus.bodies import Bodies
from ledger.consensus.events import Verdict
from ledger.consensus.leading import Leading
from ledger.consensus.machine import Consensus
from ledger.consensus.messages import StatusMessage
from ledger.consensus.pacemaker import Pacemaker
from ledger.consensus.recovery import Whereabouts
from ledger.consensus.signer import Signer
from ledger.types import Stake, View
from ledger.validators import ValidatorSet
from ledger.vote import Vote, VoteKind
from network.mutants.planting import Mutant, Patches
from network.simulator import node


def _invalid_blocks_voted(patches: Patches) -> None:
    def checked(self: Bodies, executed: Any, verdict: Verdict) -> None:
        original(self, executed, Verdict.VALID if verdict is Verdict.INVALID else verdict)

    original = patches.replace(Bodies, "checked", checked)


def _time_not_checked(patches: Patches) -> None:
    patches.replace(machine, "is_timely", lambda state, message: True)


def _bodies_not_compared(patches: Patches) -> None:
    patches.replace(node, "is_body_of", lambda block: True)


def _synced_unproved(patches: Patches) -> None:
    patches.replace(node, "verify_certificate", lambda *arguments: None)


def _stake_ignored(patches: Patches) -> None:
    patches.replace(ValidatorSet, "stake", lambda self, index: Stake(self.total_stake // len(self)))


def _notarize_then_nullify_accused(patches: Patches) -> None:
    def offence(first: Vote, second: Vote) -> Any:
        kinds = {first.kind, second.kind}
        return original(first, second) or (kinds == {VoteKind.NOTARIZE, VoteKind.NULLIFY} or None)

    original = patches.replace(tally, "vote_offence", offence)


def _status_moves(patches: Patches) -> None:
    def receive(self: Consensus, peer: Any, status: StatusMessage) -> None:
        if self._state.view < status.view < self._state.view + 1_000:
            self._enter(View(status.view), None)
        original(self, peer, status)

    original = patches.replace(Consensus, "_receive_status", receive)


def _votes_kept_however_far_ahead(patches: Patches) -> None:
    patches.replace(intake, "VIEWS_AHEAD_MAX", 1 << 60)


def _quarantine_skipped(patches: Patches) -> None:
    patches.replace(Signer, "_distrust", lambda self, last, store: "")


def _quarantine_ends_at_once(patches: Patches) -> None:
    patches.replace(Whereabouts, "is_quarantine_over", lambda self: True)


def _signs_unheard(patches: Patches) -> None:
    patches.replace(Whereabouts, "is_heard", lambda self: True)


def _empty_blocks_always(patches: Patches) -> None:
    patches.replace(Leading, "_is_empty_block_due", lambda self, parent: True)


def _finalize_before_notarization(patches: Patches) -> None:
    def vote(self: Consensus) -> None:
        original(self)
        promises = self._state.promises(self._state.view)
        if promises.notarize is not None and promises.finalize is None and promises.nullify is None:
            self._cast(self._state.view, VoteKind.FINALIZE, promises.notarized_hash)

    original = patches.replace(Consensus, "_vote_notarize", vote)
    patches.replace(Signer, "_check_notarization", lambda self, vote, notarization: None)


def _timers_without_cap(patches: Patches) -> None:
    def timeout(times: int) -> Any:
        def at(self: Pacemaker, distance: int) -> int | None:
            if self.awake_at_ms is None:
                return None
            return self.awake_at_ms + times * int(500 * 3 ** min(distance, 40) // 2 ** min(distance, 40))

        return at

    patches.replace(Pacemaker, "leader_timeout_at_ms", timeout(2))
    patches.replace(Pacemaker, "advance_timeout_at_ms", timeout(3))


BELIEF: Final = (
    Mutant(
        "invalid-blocks-voted",
        "a block is executed before it is voted for",
        _invalid_blocks_voted,
        "bad-root",
    ),
    Mutant("time-not-checked", "a block of tomorrow waits", _time_not_checked, "bad-time"),
    Mutant("bodies-not-compared", "a body is its header's", _bodies_not_compared, "false-pages"),
    Mutant("synced-unproved", "a sync is proved by a finalization", _synced_unproved, "false-pages"),
    Mutant("stake-ignored", "votes weigh as much as their stake", _stake_ignored, "traitors"),
    Mutant(
        "notarize-then-nullify-accused",
        "who notarizes may nullify after it",
        _notarize_then_nullify_accused,
        "faults",
    ),
    Mutant("status-moves", "a status moves nothing by itself", _status_moves, "lying-peer"),
    Mutant("votes-far-ahead-kept", "votes far ahead are not kept", _votes_kept_however_far_ahead, "flooder"),
    Mutant("quarantine-skipped", "Q3: a doubtful record does not sign", _quarantine_skipped, "other-disk"),
    Mutant(
        "quarantine-ends-at-once",
        "Q4: it waits for what it may have signed",
        _quarantine_ends_at_once,
        "older-disk",
    ),
    Mutant(
        "finalize-before-notarization",
        "S3: finalize only what is notarized",
        _finalize_before_notarization,
        "faults",
    ),
    Mutant("signs-unheard", "Q7: a start listens before it signs", _signs_unheard, "older-disk"),
    Mutant("empty-blocks-always", "an idle chain is quiet", _empty_blocks_always, "calm"),
    Mutant("timers-without-cap", "timers have a cap", _timers_without_cap, "hour-of-nothing"),
)
