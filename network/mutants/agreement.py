"""Bugs in what is counted, believed and signed: each endangers agreement itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ledger.consensus import intake, machine
from ledger.consensus.epochs import Epochs
from ledger.consensus.events import Commit, Received
from ledger.consensus.intake import Intake
from ledger.consensus.machine import Consensus
from ledger.consensus.messages import ProposalMessage
from ledger.consensus.outbox import Outbox
from ledger.consensus.signer import Signer
from ledger.consensus.tally import Tally
from ledger.errors import LedgerError
from ledger.types import BlockId, View
from ledger.validators import ValidatorSet
from ledger.vote import SignedVote, VoteKind
from network.mutants.planting import Mutant, Patches


def _quorum_of_two_thirds(patches: Patches) -> None:
    def is_quorum(self: ValidatorSet, stake: int) -> bool:
        return 3 * stake >= 2 * self.total_stake

    patches.replace(ValidatorSet, "is_quorum", is_quorum)


def _quorum_of_half(patches: Patches) -> None:
    def is_quorum(self: ValidatorSet, stake: int) -> bool:
        return 2 * stake > self.total_stake

    patches.replace(ValidatorSet, "is_quorum", is_quorum)


def _tally_counts_duplicates(patches: Patches) -> None:
    def add(self: Tally, signed: SignedVote, certified: SignedVote | None = None) -> Any:
        stakes = self._views[View(signed.vote.view)].stakes if View(signed.vote.view) in self._views else {}
        key = (signed.vote.kind, signed.vote.block_id)
        before = stakes.get(key)
        found = original(self, signed, certified)
        stakes = self._views[View(signed.vote.view)].stakes
        if before is not None and stakes.get(key) == before:
            stakes[key] = before + self._validators.stake(signed.validator)
        return found

    original = patches.replace(Tally, "add", add)
    patches.replace(Tally, "holds", lambda self, signed: False)


def _forgiving(name: str, *codes: str) -> Callable[[Patches], None]:
    """A check of the intake that lets some refusals pass."""

    def plant(patches: Patches) -> None:
        def check(*arguments: Any) -> None:
            try:
                original(*arguments)
            except LedgerError as refusal:
                if refusal.code not in codes:
                    raise

        original = patches.replace(intake, name, check)

    return plant


def _other_chains_believed(patches: Patches) -> None:
    _forgiving("check_vote_form", "vote.wrong_chain")(patches)
    _forgiving("verify_certificate", "certificate.wrong_chain")(patches)


def _other_epochs_believed(patches: Patches) -> None:
    _forgiving("check_vote_form", "vote.wrong_epoch")(patches)
    _forgiving("verify_certificate", "certificate.wrong_epoch")(patches)
    patches.replace(Intake, "is_our_epoch", lambda self, peer, epoch: True)
    patches.replace(
        Epochs,
        "_hear_of_another_epoch",
        lambda self, now_ms, peer, message: self._run(now_ms, Received(peer, message)),
    )


def _usurper_believed(patches: Patches) -> None:
    def is_sound(self: Intake, peer: Any, message: ProposalMessage) -> bool:
        view = View(message.signed.proposal.view)
        is_out_of_turn = message.signed.validator != self._state.leader(view)
        is_sound: bool = original(self, peer, message)
        return is_sound or (is_out_of_turn and self._state.certificates.final_view < view <= self._state.view)

    original = patches.replace(Intake, "is_proposal_sound", is_sound)


def _notarize_twice(patches: Patches) -> None:
    def take(self: Consensus, message: ProposalMessage) -> None:
        held = self._state.round(View(message.signed.proposal.view))
        original_take(self, message)
        if held.proposal is not None and held.proposal.signed != message.signed:
            held.proposal = ProposalMessage(message.signed, message.header, None, ())
            self._bodies.proposed(message)

    def vote(self: Consensus) -> None:
        promises, message = (
            self._state.promises(self._state.view),
            self._state.round(self._state.view).proposal,
        )
        held = promises.notarize
        if held is None or message is None or held.vote.block_id == message.signed.proposal.block_id:
            original_vote(self)
            return
        promises.notarize = None
        original_vote(self)
        if promises.notarize is None:
            promises.notarize = held

    original_take = patches.replace(Consensus, "_take_proposal", take)
    original_vote = patches.replace(Consensus, "_vote_notarize", vote)


def _no_promises_kept(patches: Patches) -> None:
    patches.replace(Signer, "_check_promises", lambda self, vote, promises: None)


def _finalize_after_nullify(patches: Patches) -> None:
    def vote(self: Consensus) -> None:
        state = self._state
        for notarization in state.certificates.notarized_above(state.certificates.final_view):
            block = BlockId(notarization.block_id or b"")
            if state.blocks.is_valid(block) and state.promises(notarization.view).finalize is None:
                self._cast(notarization.view, VoteKind.FINALIZE, block, notarization)

    _no_promises_kept(patches)
    patches.replace(Consensus, "_vote_finalize", vote)


def _nullify_after_finalize(patches: Patches) -> None:
    def vote(self: Consensus) -> None:
        state = self._state
        if state.me is None or state.promises(state.view).nullify is not None:
            return
        if self._is_view_lost():
            self._cast(state.view, VoteKind.NULLIFY, None)
            below = View(state.view - 1)
            if below > state.certificates.final_view and state.promises(below).finalize is not None:
                self._cast(below, VoteKind.NULLIFY, None)

    _no_promises_kept(patches)
    patches.replace(Consensus, "_vote_nullify", vote)


def _gap_not_checked(patches: Patches) -> None:
    patches.replace(machine, "missing_for", lambda state, message: [])


def _commit_without_ancestors(patches: Patches) -> None:
    def drain(self: Outbox) -> Any:
        effects = original(self)
        commits = [effect for effect in effects if isinstance(effect, Commit)]
        return [effect for effect in effects if effect not in commits[:-1]]

    original = patches.replace(Outbox, "drain", drain)


AGREEMENT: Final = (
    Mutant("quorum-of-two-thirds", "a quorum is more than two thirds of the stake", _quorum_of_two_thirds),
    Mutant("quorum-of-half", "a quorum is more than two thirds of the stake", _quorum_of_half),
    Mutant("tally-counts-duplicates", "a validator's stake counts once", _tally_counts_duplicates),
    Mutant(
        "certificate-signatures-unverified",
        "every listed signature is valid",
        _forgiving("verify_certificate", "certificate.wrong_signature"),
    ),
    Mutant(
        "certificate-stake-unweighed",
        "a certificate holds a quorum",
        _forgiving("verify_certificate", "certificate.too_little_stake"),
    ),
    Mutant(
        "certificate-signers-repeated",
        "signers are strictly ascending",
        _forgiving("verify_certificate", "certificate.signers_not_ascending"),
    ),
    Mutant(
        "certificate-signers-unknown",
        "signers are of the set",
        _forgiving("verify_certificate", "certificate.unknown_signer"),
    ),
    Mutant(
        "vote-signatures-unverified",
        "a vote is signed by the validator that it names",
        _forgiving("verify_vote", "vote.wrong_signature"),
    ),
    Mutant("other-chains-believed", "signatures bind the chain", _other_chains_believed),
    Mutant("other-epochs-believed", "signatures bind the epoch", _other_epochs_believed),
    Mutant("usurper-believed", "only the leader proposes", _usurper_believed),
    Mutant("notarize-twice", "S1: one notarize vote a view", _notarize_twice),
    Mutant("finalize-after-nullify", "S2: never finalize after nullify", _finalize_after_nullify),
    Mutant("nullify-after-finalize", "S2: never nullify after finalize", _nullify_after_finalize),
    Mutant("gap-not-checked", "every view between parent and block is nullified", _gap_not_checked, "forker"),
    Mutant("commit-without-ancestors", "ancestors are committed first", _commit_without_ancestors),
)
