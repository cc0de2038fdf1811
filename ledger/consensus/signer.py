"""The one holder of the key, and the promises that it keeps.

The machine asks, the signer may refuse; whatever the machine believes, no two signatures
leave here that no correct validator makes both. Every answer is a record that must be
durable before the signature leaves the node.

    S1  at most one proposal and one notarize hash an (epoch, view); a proposal only in a view that it leads
    S2  never nullify and finalize in one view
    S3  finalize only with a held notarization of that hash
    S4  the record is synced before the bytes leave (the machine's `Persist` comes first)
    S5  a resend is the identical bytes
    S6  promises are forgotten only below a finalized view, and signing there is refused for ever
    S7  the floor is raised and synced before the block store commits

Source: docs/spec/consensus.md, "Signer".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from ledger.codec import encode
from ledger.consensus.records import OwnProposal, OwnVote, Record, SignerFloor
from ledger.crypto import KeyPair, Tag, hash_tagged, is_signature
from ledger.errors import LedgerError
from ledger.types import BlockId, ChainId, Epoch, PublicKey, Signature, View
from ledger.validators import ValidatorSet, leader
from ledger.vote import (
    Certificate,
    Proposal,
    SignedProposal,
    SignedVote,
    Vote,
    VoteCheck,
    VoteKind,
    is_vote_signature,
    sign_proposal,
    sign_vote,
    verify_certificate,
)


@dataclass(slots=True)
class Promises:
    """What was signed in one view: the signed bytes themselves, so that a resend is identical."""

    proposal: SignedProposal | None = None
    notarize: SignedVote | None = None
    nullify: SignedVote | None = None
    finalize: SignedVote | None = None

    def of(self, kind: VoteKind) -> SignedVote | None:
        """The vote of this kind, if one was signed."""
        match kind:
            case VoteKind.NOTARIZE:
                return self.notarize
            case VoteKind.NULLIFY:
                return self.nullify
            case VoteKind.FINALIZE:
                return self.finalize

    def votes(self) -> tuple[SignedVote, ...]:
        """All votes that were signed."""
        return tuple(vote for vote in (self.notarize, self.nullify, self.finalize) if vote is not None)

    @property
    def notarized_hash(self) -> BlockId | None:
        """The block of the notarize vote."""
        return _block_of(self.notarize)

    @property
    def finalized_hash(self) -> BlockId | None:
        """The block of the finalize vote."""
        return _block_of(self.finalize)


NOT_STARTED: Final = "signer.not_started"
LISTENING: Final = "signer.listening"
OLD_RECORD: Final = "signer.old_record"
HANDED_OVER: Final = "signer.handed_over"
SECOND_HOLDER: Final = "signer.second_holder"
GIVEN_UP: Final = {bytes(16): HANDED_OVER, b"\xff" * 16: SECOND_HOLDER}
"""Generations of no host: nothing is signed by such a record again, and why. Only an operator ends that."""

REPORTED: Final = "signer.reported"
"""The record was lost, and its owner has reported for a recovery: nothing is signed below its new epoch."""

NO_PROMISES = Promises()  # what an observer, or a view without a signature, has promised; never written to


def first_record(chain_id: ChainId, public_key: PublicKey, generation: bytes, epoch: Epoch) -> SignerFloor:
    """The record that `init` and `join` write together with the key; without it the signer is quarantined."""
    return SignerFloor(chain_id, public_key, generation, epoch, View(0))


def given_up(chain_id: ChainId, public_key: PublicKey, reason: str, epoch: Epoch, view: View) -> SignerFloor:
    """The record after which this log's owner does not sign by it again."""
    generation = next(each for each, why in GIVEN_UP.items() if why == reason)
    return SignerFloor(chain_id, public_key, generation, epoch, view)


def reported(generation: bytes) -> bytes:
    """The generation under which a host's doubtful record makes the promise of a report: no other host's
    record bears it, so a recovery ends no other quarantine than this."""
    return hash_tagged(Tag.RECOVERY_REPORT, generation)[: len(generation)]


class Signer:
    """Signs votes and proposals of one key on one chain, under S1 to S7.

    `generation` is 16 bytes that stay with the host and are in no backup of the home.
    """

    def __init__(self, chain_id: ChainId, key: KeyPair, generation: bytes) -> None:
        self._chain_id = chain_id
        self._key = key
        self._generation = generation
        self._floor = (Epoch(0), View(0))
        self._epoch = Epoch(0)
        self._validators: ValidatorSet | None = None
        self._is_valid: VoteCheck = is_vote_signature
        self._index: int | None = None
        self._promises: dict[tuple[Epoch, View], Promises] = {}
        self._restored_floor = self._floor
        self._restored: dict[tuple[Epoch, View], Promises] = {}
        self._first_signed: tuple[Epoch, View] | None = None
        self._is_listening = False
        self._heard_at = self._floor
        self.quarantine_reason = NOT_STARTED

    @property
    def public_key(self) -> PublicKey:
        """The key that others know this validator by."""
        return self._key.public

    @property
    def floor(self) -> tuple[Epoch, View]:
        """The (epoch, view) at and below which nothing is signed."""
        return self._floor

    @property
    def is_quarantined(self) -> bool:
        """Whether the record can't be trusted, so that nothing is signed."""
        return self.quarantine_reason != ""

    @property
    def may_sign(self) -> bool:
        """Whether the record is trusted, and this start has heard where the others stand."""
        return not self.is_quarantined and not self._is_listening

    def may_sign_in(self, view: View) -> bool:
        """Whether something new may be signed in this view of the epoch in force."""
        return self.may_sign and (self._epoch, view) > max(self._floor, self._heard_at)

    @property
    def is_listening(self) -> bool:
        """Whether a trusted record waits to hear where the others stand."""
        return self._is_listening and not self.is_quarantined

    @property
    def is_given_up(self) -> bool:
        """Whether no finalization ends the quarantine: another holder of the key may sign at any time."""
        return self.quarantine_reason in GIVEN_UP.values()

    @property
    def has_signed(self) -> bool:
        """Whether anything was signed since the record was read back."""
        return self._first_signed is not None

    @property
    def is_restored(self) -> bool:
        """Whether the record was read back: once, before anything is signed."""
        return self.quarantine_reason != NOT_STARTED

    def begin_epoch(self, epoch: Epoch, validators: ValidatorSet, is_valid: VoteCheck) -> None:
        """Sign in this epoch from now on, if this key is in its set, and in no other: epochs only rise."""
        assert epoch >= self._epoch, "a turn goes up"
        self._epoch, self._validators, self._is_valid = epoch, validators, is_valid
        self._index = validators.index_of(self.public_key)

    # --- the record -----------------------------------------------------------

    def restore(self, records: Iterable[Record], store: tuple[Epoch, View]) -> None:
        """Read the record back; `store` is the place of the finalization that covers the store's head.

        Quarantines itself when the record is missing, of another chain, key or host, or older than
        the store: S7 wrote the floor first, so a lower floor is a restored copy.
        """
        floors = []
        for record in records:
            match record:
                case SignerFloor():
                    floors.append(record)
                case OwnVote(signed=vote) if self._has_signed_vote(vote):
                    self._remember_vote(vote)
                case OwnProposal(signed=proposal) if self._has_signed_proposal(proposal):
                    self._remember_proposal(proposal)
                case _:
                    pass  # the machine's, or of another key or chain: no promise of this one
        bound = (self._chain_id, self.public_key)
        own = [each for each in floors if (each.chain_id, each.public_key) == bound]
        for floor in own:
            self._floor = max(self._floor, (Epoch(floor.epoch), View(floor.view)))
        self.quarantine_reason = self._distrust(floors[-1] if floors else None, store)
        self._trust_from_here()
        self._is_listening = len(floors) > 1 or self._floor[1] > 0 or bool(self._promises)

    def _distrust(self, last: SignerFloor | None, store: tuple[Epoch, View]) -> str:
        if last is None:
            return "signer.no_record"
        if last.chain_id != self._chain_id:
            return "signer.other_chain"
        if last.public_key != self.public_key:
            return "signer.other_key"
        if last.generation in GIVEN_UP:
            return GIVEN_UP[last.generation]
        if last.generation == reported(self._generation):
            return REPORTED
        if last.generation != self._generation:
            return "signer.other_host"
        if self._floor < store:
            return "signer.floor_below_store"
        return ""

    def _trust_from_here(self) -> None:
        """From this floor on the record is said to hold everything that the key signs."""
        self._restored_floor, self._first_signed = self._floor, None
        self._restored = {place: replace(made) for place, made in self._promises.items()}

    def heard(self, epoch: Epoch, view: View) -> None:
        """The others' whereabouts are known: the record, if it is trusted, may be used.

        Above the highest view that is certified, which is given: up to there a restored copy may have signed
        what its record has lost, and not every certificate of that time has come by.
        """
        self._is_listening, self._heard_at = False, (epoch, view)

    def is_foreign(self, seen: Vote | Proposal, is_new: bool) -> bool:
        """Whether this verified statement of the key was made by nobody who keeps this record.

        Then the record is older than the key's last signature, or somebody else signs with the key.
        `is_new`: it is of a view in which the key had not signed when this process started, known
        where the signer is quarantined.
        """
        place = (Epoch(seen.epoch), View(seen.view))
        if self.is_quarantined:
            return is_new and not self.is_given_up
        if place <= self._restored_floor:
            return False
        is_after = self._first_signed is not None and place >= self._first_signed
        if is_after and place <= self._floor:
            return False  # signed here, and forgotten since (S6)
        made = (self._promises if is_after else self._restored).get(place, NO_PROMISES)
        if isinstance(seen, Proposal):
            return made.proposal is None or made.proposal.proposal != seen
        own = made.of(seen.kind)
        return own is None or own.vote != seen

    def distrust(self) -> None:
        """The network holds a signature of this key from before this start that the record does not know."""
        assert not self.has_signed
        self.quarantine_reason = OLD_RECORD

    def give_up(self) -> SignerFloor:
        """Somebody else signs with this key now: sign nothing more, at no later start either."""
        self.quarantine_reason = SECOND_HOLDER
        return given_up(self._chain_id, self.public_key, SECOND_HOLDER, *self._floor)

    def raise_floor(self, epoch: Epoch, view: View) -> SignerFloor | None:
        """Promise to sign nothing at or below a finalized view, and forget what was signed there (S6, S7).

        None if the floor is there already. While quarantined nothing is written: a floor would
        be taken for a record that was never lost.
        """
        if self.is_quarantined or (epoch, view) <= self._floor:
            return None
        return self._write_floor(epoch, view)

    def give_up_epochs(self, epoch: Epoch, view: View) -> SignerFloor | None:
        """Sign nothing at or below this place: a verified recovery begins the epoch after it.

        It ends the quarantine of a key that made this very promise when its record was lost, for then the
        record holds all that the key signs above it. The key listens first, as after a start. Any other
        quarantine stays, and nothing is written.
        """
        if self.quarantine_reason == REPORTED and self._floor == (epoch, view):
            self.quarantine_reason, self._is_listening = "", True
            record = self._write_floor(epoch, view)
            self._trust_from_here()
            return record
        return self.raise_floor(epoch, view)

    def promise_for_report(self, epoch: Epoch, view: View) -> SignerFloor:
        """The record of what a report promises (K2); a quarantine goes on under it.

        Raises:
            LedgerError: `recovery.given_up`: another holder of the key may sign, whatever is promised here.
        """
        if self.is_given_up:
            raise LedgerError("recovery.given_up", f"this home gave its record up: {self.quarantine_reason}")
        generation = reported(self._generation) if self.is_quarantined else self._generation
        place = max(self._floor, (epoch, view))
        return SignerFloor(self._chain_id, self.public_key, generation, *place)

    def release(self, epoch: Epoch, view: View) -> SignerFloor:
        """End the quarantine above a finalized view; the caller has seen that it is safe."""
        assert self.is_quarantined
        assert not self.is_given_up
        assert (epoch, view) >= self._floor
        self.quarantine_reason = ""
        self._is_listening = False
        record = self._write_floor(epoch, view)
        self._trust_from_here()
        return record

    def _write_floor(self, epoch: Epoch, view: View) -> SignerFloor:
        self._floor = (epoch, view)
        for place in [place for place in self._promises if place <= self._floor]:
            del self._promises[place]
        return SignerFloor(self._chain_id, self.public_key, self._generation, epoch, view)

    def promises(self, view: View) -> Promises:
        """What was signed in this view of the epoch in force; for reading only."""
        return self._promises.get((self._epoch, view), NO_PROMISES)

    def votes(self) -> tuple[SignedVote, ...]:
        """All votes above the floor in the epoch in force, by ascending view: the bytes to resend (S5)."""
        places = sorted(place for place in self._promises if place[0] == self._epoch and place > self._floor)
        return tuple(vote for place in places for vote in self._promises[place].votes())

    def has_votes(self) -> bool:
        """Whether there are any: cheaper than to gather them, for it is asked at every step."""
        return any(
            promises.votes()
            for place, promises in self._promises.items()
            if place[0] == self._epoch and place > self._floor
        )

    def _has_signed_vote(self, signed: SignedVote) -> bool:
        is_here = signed.vote.chain_id == self._chain_id
        return is_here and is_vote_signature(
            self.public_key, encode(signed.vote), Signature(signed.signature)
        )

    def _has_signed_proposal(self, signed: SignedProposal) -> bool:
        is_here = signed.proposal.chain_id == self._chain_id
        return is_here and is_signature(
            self.public_key, Tag.PROPOSAL, encode(signed.proposal), signed.signature
        )

    def _remember_vote(self, signed: SignedVote) -> None:
        promises = self._promises_at(Epoch(signed.vote.epoch), View(signed.vote.view))
        match signed.vote.kind:
            case VoteKind.NOTARIZE:
                promises.notarize = signed
            case VoteKind.NULLIFY:
                promises.nullify = signed
            case VoteKind.FINALIZE:
                promises.finalize = signed

    def _remember_proposal(self, signed: SignedProposal) -> None:
        self._promises_at(Epoch(signed.proposal.epoch), View(signed.proposal.view)).proposal = signed

    def _promises_at(self, epoch: Epoch, view: View) -> Promises:
        return self._promises.setdefault((epoch, view), Promises())

    # --- signing --------------------------------------------------------------

    def sign_vote(self, vote: Vote, notarization: Certificate | None = None) -> OwnVote:
        """The vote, signed: the record to make durable before it leaves.

        The same vote again gives the identical bytes. A finalize vote needs the notarization.

        Raises:
            LedgerError: `signer.*`: the signature would break a promise.
        """
        index = self._check_place(vote.chain_id, Epoch(vote.epoch), View(vote.view))
        promises = self.promises(View(vote.view))
        self._check_promises(vote, promises)
        if vote.kind is VoteKind.FINALIZE:
            self._check_notarization(vote, notarization)
        signed = promises.of(vote.kind)
        if signed is None:
            self._check_fresh(View(vote.view))
            signed = SignedVote(vote, index, sign_vote(self._key, vote))
        self._remember_vote(signed)
        self._signed(Epoch(vote.epoch), View(vote.view))
        return OwnVote(signed)

    def sign_proposal(self, proposal: Proposal) -> OwnProposal:
        """The proposal, signed: the record to make durable before it leaves.

        Raises:
            LedgerError: `signer.*`: the signature would break a promise.
        """
        index = self._check_place(proposal.chain_id, Epoch(proposal.epoch), View(proposal.view))
        promises = self.promises(View(proposal.view))
        if promises.nullify is not None:
            raise LedgerError("signer.after_nullify", f"view {proposal.view} was nullified by this key")
        signed = promises.proposal
        if signed is None:
            self._check_fresh(View(proposal.view))
            self._check_turn(View(proposal.view), index)
            signed = SignedProposal(proposal, index, sign_proposal(self._key, proposal))
        if encode(signed.proposal) != encode(proposal):
            raise LedgerError(
                "signer.second_proposal", f"view {proposal.view} has another proposal by this key"
            )
        self._remember_proposal(signed)
        self._signed(Epoch(proposal.epoch), View(proposal.view))
        return OwnProposal(signed)

    def _signed(self, epoch: Epoch, view: View) -> None:
        self._first_signed = min(self._first_signed or (epoch, view), (epoch, view))

    def _check_place(self, chain_id: bytes, epoch: Epoch, view: View) -> int:
        """The index by which this key signs here."""
        if self.is_quarantined:
            raise LedgerError("signer.quarantined", f"signing is suspended: {self.quarantine_reason}")
        if self._is_listening:
            raise LedgerError("signer.listening", "not yet heard where the other validators stand")
        if chain_id != self._chain_id:
            raise LedgerError("signer.other_chain", f"chain {chain_id.hex()}, the key is bound to another")
        if epoch != self._epoch:
            raise LedgerError("signer.other_epoch", f"epoch {epoch}, the epoch in force is {self._epoch}")
        if (epoch, view) <= self._floor:
            raise LedgerError("signer.below_floor", f"epoch {epoch}, view {view} is not above {self._floor}")
        if self._index is None:
            raise LedgerError("signer.outside_set", f"this key has no stake in epoch {epoch}")
        return self._index

    def _check_fresh(self, view: View) -> None:
        if (self._epoch, view) <= self._heard_at:
            heard = f"views up to {self._heard_at} were certified when the others were heard"
            raise LedgerError("signer.below_heard", f"epoch {self._epoch}, view {view}: {heard}")

    def _check_turn(self, view: View, index: int) -> None:
        assert self._validators is not None, "the epoch in force has a set"
        if leader(self._chain_id, self._epoch, view, self._validators) != index:
            raise LedgerError("signer.out_of_turn", f"this key does not lead view {view}")

    def _check_promises(self, vote: Vote, promises: Promises) -> None:
        notarized, finalized = promises.notarized_hash, promises.finalized_hash
        match vote.kind:
            case VoteKind.NOTARIZE:
                if promises.nullify is not None and promises.notarize is None:
                    raise LedgerError("signer.after_nullify", f"view {vote.view} was nullified by this key")
                if notarized not in (None, vote.block_id) or finalized not in (None, vote.block_id):
                    raise LedgerError(
                        "signer.second_block", f"another block has this key's vote in {vote.view}"
                    )
            case VoteKind.NULLIFY:
                if promises.finalize is not None:
                    raise LedgerError(
                        "signer.after_finalize", f"view {vote.view} has a finalize vote of this key"
                    )
            case VoteKind.FINALIZE:
                if promises.nullify is not None:
                    raise LedgerError("signer.after_nullify", f"view {vote.view} was nullified by this key")
                if notarized not in (None, vote.block_id) or finalized not in (None, vote.block_id):
                    raise LedgerError(
                        "signer.second_block", f"another block has this key's vote in {vote.view}"
                    )

    def _check_notarization(self, vote: Vote, notarization: Certificate | None) -> None:
        wanted = Vote(vote.chain_id, vote.epoch, vote.view, VoteKind.NOTARIZE, vote.block_id)
        if notarization is None or notarization.vote != wanted or self._validators is None:
            raise LedgerError("signer.no_notarization", f"no notarization of this block in view {vote.view}")
        try:
            verify_certificate(notarization, self._chain_id, self._epoch, self._validators, self._is_valid)
        except LedgerError as refusal:
            raise LedgerError("signer.no_notarization", f"the notarization is invalid: {refusal}") from None


def _block_of(signed: SignedVote | None) -> BlockId | None:
    if signed is None or signed.vote.block_id is None:
        return None
    return BlockId(signed.vote.block_id)
