"""Who signed a block: its certificate with every signature that is held, late ones too.

A certificate is formed by the first quorum. The next block carries one for its parent, and the
chain counts by it who takes part; so its leader adds the votes that came after the quorum.

Source: docs/spec/consensus.md, rules L7, T4.
"""

from __future__ import annotations

from ledger.consensus.events import Peer
from ledger.consensus.state import State
from ledger.errors import LedgerError
from ledger.types import Signature
from ledger.vote import Certificate, SignedVote, Vote, VoteKind, verify_vote


class Attendance:
    """Keeps late votes for the final block; they are verified when they are used, by the one who leads."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._late: dict[tuple[VoteKind, int], SignedVote] = {}

    def came_late(self, peer: Peer, signed: SignedVote) -> None:
        """Keep a vote for the block that is final already; from its own validator alone, so that nobody
        displaces another's. At most two a validator are held."""
        certificates, vote = self._state.certificates, signed.vote
        is_own = peer == signed.validator and signed.validator < len(self._state.validators)
        if is_own and vote.view == certificates.final_view and vote.block_id == certificates.final_id:
            self._late[vote.kind, signed.validator] = signed

    def finalized(self) -> None:
        """Another view is final: what came late for the one before no longer matters."""
        self._late.clear()

    def fullest(self, certificate: Certificate) -> Certificate:
        """The certificate of this block and view that most signed, as notarization or finalization."""
        assert certificate.block_id is not None
        other = VoteKind.NOTARIZE if certificate.kind is VoteKind.FINALIZE else VoteKind.FINALIZE
        filled = self._filled(certificate.vote, _signatures(certificate))
        of_other = self._filled(self._state.vote(certificate.view, other, certificate.block_id), {})
        stake = sum(self._state.validators.stake(index) for index, _ in of_other.signatures)
        is_fuller = len(of_other.signatures) > len(filled.signatures)
        return of_other if is_fuller and self._state.validators.is_quorum(stake) else filled

    def _filled(self, vote: Vote, signatures: dict[int, Signature]) -> Certificate:
        """The vote with these signatures, the counted ones and the late ones, indices ascending."""
        counted = self._state.tally.signatures(vote)
        late = {
            signed.validator: Signature(signed.signature)
            for signed in self._late.values()
            if signed.vote == vote and signed.validator not in counted and self._is_valid(signed)
        }
        return Certificate(vote, tuple(sorted({**late, **counted, **signatures}.items())))

    def _is_valid(self, signed: SignedVote) -> bool:
        state = self._state
        try:
            verify_vote(signed, state.chain_id, state.epoch, state.validators, state.verdicts.is_valid)
        except LedgerError:
            return False
        return True


def _signatures(certificate: Certificate) -> dict[int, Signature]:
    return {index: Signature(signature) for index, signature in certificate.signatures}
