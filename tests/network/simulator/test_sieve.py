"""A sieve takes what it is meant to take, and nothing else."""

from __future__ import annotations

from ledger.consensus.messages import CertificatesMessage, StatusMessage, VotesMessage
from ledger.vote import Certificate, SignedVote, Vote, VoteKind
from network.simulator.mail import ChainRequest, Gossip, Statement
from network.simulator.sieve import Content, Mute, ViewCuts, view_of

BLOCK = b"b" * 32


def signed(kind: VoteKind, view: int = 3) -> SignedVote:
    block = None if kind is VoteKind.NULLIFY else BLOCK
    return SignedVote(Vote(b"c" * 32, 0, view, kind, block), 0, b"s" * 64)


def certificate(kind: VoteKind, view: int = 3) -> Certificate:
    return Certificate(signed(kind, view).vote, ((0, b"s" * 64),))


BOTH = Statement(VotesMessage((signed(VoteKind.NOTARIZE), signed(VoteKind.FINALIZE))))
STATUS = Statement(StatusMessage(0, 7, 5, 6))


def test_votes_of_one_kind_are_taken_out_of_their_page() -> None:
    """The neighbour passes; a page of nothing does not; another kind is untouched."""
    mute = Mute((Content.FINALIZE,))
    assert mute.passes(0, 1, BOTH) == Statement(VotesMessage((signed(VoteKind.NOTARIZE),)))
    assert Mute((Content.FINALIZE, Content.NOTARIZE)).passes(0, 1, BOTH) is None
    assert Mute((Content.NULLIFY,)).passes(0, 1, BOTH) == BOTH


def test_a_hearer_hears_all() -> None:
    """Only the one that is named."""
    mute = Mute((Content.FINALIZE, Content.NOTARIZE), (2,))
    assert mute.passes(0, 2, BOTH) is BOTH
    assert mute.passes(2, 0, BOTH) is None


def test_certificates_are_no_votes() -> None:
    """To lose the votes of a kind is not to lose its certificate, and the other way round."""
    mail = Statement(CertificatesMessage((certificate(VoteKind.FINALIZE), certificate(VoteKind.NULLIFY))))
    assert Mute((Content.FINALIZE,)).passes(0, 1, mail) == mail
    left = Mute((Content.FINALIZATION,)).passes(0, 1, mail)
    assert left == Statement(CertificatesMessage((certificate(VoteKind.NULLIFY),)))


def test_gossip_and_status_have_their_own_fate() -> None:
    """A status is never muted; gossip only by name."""
    everything = Mute(tuple(each for each in Content if each is not Content.GOSSIP))
    assert everything.passes(0, 1, STATUS) is STATUS
    assert everything.passes(0, 1, Gossip((b"t",))) is not None
    assert Mute((Content.GOSSIP,)).passes(0, 1, Gossip((b"t",))) is None


def test_a_view_has_its_partition() -> None:
    """View 7 parts two places that view 6 leaves together; what speaks of no view passes."""
    cuts = ViewCuts(((0, 0, 1), (0, 1, 1)))
    assert cuts.passes(0, 1, STATUS) is None
    assert cuts.passes(1, 2, STATUS) is STATUS
    early = Statement(VotesMessage((signed(VoteKind.NULLIFY, view=6),)))
    assert cuts.passes(0, 1, early) is early
    assert cuts.passes(0, 2, Gossip((b"t",))) is not None


def test_mail_speaks_of_its_highest_view() -> None:
    """A page of votes, a finalization in a request."""
    page = Statement(VotesMessage((signed(VoteKind.NULLIFY, 2), signed(VoteKind.NULLIFY, 9))))
    assert view_of(page) == 9
    assert view_of(ChainRequest(4, certificate(VoteKind.FINALIZE, 11))) == 11
    assert view_of(Gossip(())) is None
