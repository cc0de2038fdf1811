"""Stranger: speaks of another epoch and of another chain, with the signatures of this chain's keys."""

from __future__ import annotations

from ledger.consensus.messages import (
    CertificateRequest,
    CertificatesMessage,
    StatusMessage,
    VotesMessage,
    Want,
)
from ledger.types import Epoch
from ledger.vote import Certificate, SignedVote, VoteKind
from network.adversaries.adversary import Adversary


class Stranger(Adversary):
    """Quorum certificates, votes, requests and statuses that were true elsewhere."""

    def moment(self) -> None:
        """One of each."""
        view = self.hands.state().view
        elsewhere = [each for each in self.hands.archive if each.view >= view] or list(self.hands.archive)
        certificate: Certificate = self.hands.random.choice(elsewhere[:12])
        self.tell_all(CertificatesMessage((certificate,)))
        votes = tuple(
            SignedVote(certificate.vote, index, signature)
            for index, signature in certificate.signatures
            if index in self.hands.keys
        )
        self.tell_all(VotesMessage(votes))
        epoch = Epoch(self.hands.random.choice((1, 7, 1 << 40)))
        self.tell_all(StatusMessage(epoch, view + 9, view + 8, view + 8))
        self.tell_all(CertificateRequest(epoch, (Want(view, VoteKind.FINALIZE),)))
