"""Bugs at the turn of an epoch: it never ends, ends for some only, or begins in the wrong shape."""

from __future__ import annotations

from typing import Any, Final

from ledger.consensus import place
from ledger.consensus.epochs import Epochs
from ledger.consensus.leading import Leading
from ledger.consensus.signer import Signer
from ledger.consensus.state import State
from network.mutants.planting import Mutant, Patches


def _last_blocks_unknown(patches: Patches) -> None:
    patches.replace(State, "is_last", lambda self, facts: False)


def _last_block_not_repeated(patches: Patches) -> None:
    patches.replace(Leading, "_repeat", lambda self, parent: None)


def _repeated_block_refused(patches: Patches) -> None:
    patches.replace(place, "is_repeated", lambda state, message: False)


def _old_epochs_unanswered(patches: Patches) -> None:
    patches.replace(Epochs, "_tell_what_ended", lambda self, now_ms, peer, message, epoch: [])


def _index_of_the_first_set(patches: Patches) -> None:
    def begin(self: Signer, *arguments: Any) -> None:
        before = self._index
        original(self, *arguments)
        self._index = self._index if before is None else before

    original = patches.replace(Signer, "begin_epoch", begin)


TURNING: Final = (
    Mutant("last-blocks-unknown", "nothing of an epoch follows its last block", _last_blocks_unknown),
    Mutant(
        "last-block-not-repeated", "leaders propose a last block until it is final", _last_block_not_repeated
    ),
    Mutant("repeated-block-refused", "a repeated block is voted on like any other", _repeated_block_refused),
    Mutant(
        "old-epochs-unanswered", "who speaks of an old epoch is told what ended it", _old_epochs_unanswered
    ),
    Mutant("index-of-the-first-set", "a validator's index is of the set in force", _index_of_the_first_set),
)
