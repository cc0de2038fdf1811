"""Getting back what was lost: resends, answers and requests, all with a bound.

Simplex implementations stall here more often than they break elsewhere. Whoever lacks a
certificate can ask for it by view and kind; whoever speaks of a settled view is told what
settled it; and whoever is stuck says again, in the identical bytes, what it said before.

Source: docs/spec/consensus.md, rules R1-R9.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from ledger.consensus.buckets import TokenBuckets
from ledger.consensus.events import Peer
from ledger.consensus.messages import (
    CERTIFICATES_PAGE_MAX,
    GAP_CERTIFICATES_MAX,
    VOTES_PAGE_MAX,
    WANTS_PAGE_MAX,
    CertificateRequest,
    CertificatesMessage,
    ProposalMessage,
    StatusMessage,
    VotesMessage,
    Want,
)
from ledger.consensus.state import State
from ledger.types import BlockId, View
from ledger.vote import Certificate

ANSWERS_BURST: Final = 64  # certificates that one peer may draw at once: four full pages
ANSWERS_PER_SECOND: Final = 16
ASKS_BURST: Final = 4
ASKS_PER_SECOND: Final = 1
RESENDS_PER_PAGE: Final = 4  # every so many resends carry a page of the other certificates
FRESH_VIEWS: Final = 2  # votes that cross their own finalization on the wire are of these views

Item = TypeVar("Item")


class Repair:
    """Says again, answers and asks. It reads the state and changes none of it."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._answers = TokenBuckets(ANSWERS_BURST, ANSWERS_PER_SECOND)
        self._asks = TokenBuckets(ASKS_BURST, ASKS_PER_SECOND)
        self._asked_at_ms: dict[Want, int] = {}
        self._resends = 0
        self._final_at_ms = 0

    # --- answers ----------------------------------------------------------------

    def may_answer(self, peer: Peer, certificates: int = 1) -> bool:
        """Whether the peer has not drawn too much lately."""
        return self._answers.take(peer, self._state.now_ms, certificates)

    def answer_old_vote(self, peer: Peer, view: View) -> None:
        """Tell a peer that speaks of a settled view what settled it: the highest finalization.

        Not if vote and finalization just crossed on the wire: then it is on its way to that peer.
        """
        final = self._state.certificates.final
        if final is None:
            return
        is_fresh = self._state.now_ms - self._final_at_ms < self._state.parameters.retry_ms
        if (is_fresh and view + FRESH_VIEWS > final.view) or not self.may_answer(peer):
            return
        self._state.out.send(peer, CertificatesMessage((final,)))

    def answer_request(self, peer: Peer, request: CertificateRequest) -> None:
        """Send what is held of what a peer lacks; for anything settled, the highest finalization."""
        certificates = self._state.certificates
        found: dict[Certificate, None] = {}
        for want in request.wants:
            view = View(want.view)
            held = (
                certificates.final
                if view <= certificates.final_view
                else certificates.of_kind(view, want.kind)
            )
            if held is not None:
                found[held] = None
        for page in _pages(tuple(found), CERTIFICATES_PAGE_MAX):
            if not self.may_answer(peer, len(page)):
                return
            self._state.out.send(peer, CertificatesMessage(page))

    def answer_status(self, peer: Peer, status: StatusMessage) -> None:
        """Lift a peer that is behind by finalization and entry certificate; ask one that is ahead."""
        state = self._state
        final, entry = state.certificates.final, state.entry
        lifting: dict[Certificate, None] = {}
        if final is not None and status.final_view < final.view:
            lifting[final] = None
        if entry is not None and status.view < state.view:
            lifting[entry] = None
        if lifting and self.may_answer(peer, len(lifting)):
            state.out.send(peer, CertificatesMessage(tuple(lifting)))
        if status.view > state.view or status.final_view > state.certificates.final_view:
            self.ask_status(peer)

    # --- questions ----------------------------------------------------------------

    def ask_status(self, peer: Peer) -> None:
        """Say where this node stands to a peer that seems to be ahead; it answers with certificates."""
        if self._asks.take(peer, self._state.now_ms):
            self._state.out.send(peer, self.status())

    def status(self) -> StatusMessage:
        """Where this node stands. After a start it may stand lower than it voted, until the bodies that its
        notarizations name are checked again: the highest certificate that it holds tells more (Q4)."""
        state = self._state
        return StatusMessage(
            state.epoch, state.view, state.certificates.final_view, state.certificates.highest_view
        )

    def request(self, wants: Sequence[Want], first: Peer | None) -> None:
        """Ask for certificates: `first` once, then everyone, each no more than once a t_retry."""
        state = self._state
        due = [want for want in wants if self._is_due(want)][:WANTS_PAGE_MAX]
        unasked = tuple(want for want in due if want not in self._asked_at_ms)
        again = tuple(want for want in due if want in self._asked_at_ms)
        for want in due:
            self._asked_at_ms[want] = state.now_ms
        if first is None:
            unasked, again = (), (*unasked, *again)
        if unasked and first is not None:
            state.out.send(first, CertificateRequest(state.epoch, unasked))
        if again:
            state.out.broadcast(CertificateRequest(state.epoch, again))

    def _is_due(self, want: Want) -> bool:
        asked_at_ms = self._asked_at_ms.get(want)
        return asked_at_ms is None or self._state.now_ms >= asked_at_ms + self._state.parameters.retry_ms

    # --- saying it again -------------------------------------------------------------

    def is_unfinished(self) -> bool:
        """Whether anything above the last finalized view is certified or voted, or a block is missing."""
        state = self._state
        final_view = state.certificates.final_view
        has_voted = state.signer is not None and state.me is not None and state.signer.has_votes()
        return (
            has_voted
            or state.certificates.has_above(final_view)
            or final_view > state.blocks.committed_view
            or any(known.is_waiting for known in state.blocks.all())
        )

    def resend(self) -> None:
        """Send own votes, own proposal, the entry certificate and the highest finalization once more.

        A page of the other certificates above the last finalized view goes with every fourth.
        What one call says is bounded: 64 votes, a proposal, two certificates and one page.
        """
        state = self._state
        if state.me is None:
            state.out.broadcast(
                self.status()
            )  # an observer has nothing to say again, but may have missed something
            return
        if state.signer is not None:
            votes = _turn(state.signer.votes(), VOTES_PAGE_MAX, self._resends)
            if votes:
                state.out.broadcast(VotesMessage(votes))
        proposal = self.own_proposal()
        if proposal is not None:
            state.out.broadcast(proposal)
        standing = {
            certificate: None
            for certificate in (state.certificates.final, state.entry)
            if certificate is not None
        }
        if standing:
            state.out.broadcast(CertificatesMessage(tuple(standing)))
        if self._resends % RESENDS_PER_PAGE == RESENDS_PER_PAGE - 1:
            above = state.certificates.above(state.certificates.final_view)
            page = _turn(above, CERTIFICATES_PAGE_MAX, self._resends // RESENDS_PER_PAGE)
            if page:
                state.out.broadcast(CertificatesMessage(page))
        self._resends += 1

    def own_proposal(self) -> ProposalMessage | None:
        """This node's proposal in the view in force, with its attachments, if it made one."""
        state = self._state
        own = state.promises(state.view).proposal
        held = state.round(state.view).proposal
        if own is None or held is None or held.signed != own:
            return None
        return self.attach(held)

    def attach(self, message: ProposalMessage) -> ProposalMessage:
        """A proposal with the certificate of its parent and the first 16 nullifications of its gap."""
        certificates = self._state.certificates
        proposal = message.signed.proposal
        parent_view = View(proposal.parent_view)
        gap = (certificates.nullification(View(view)) for view in range(parent_view + 1, proposal.view))
        held = tuple(certificate for certificate in gap if certificate is not None)
        # Of a block that is proposed again: its own earlier certificate, in the place of its parent's.
        repeated = certificates.of_block(parent_view, BlockId(proposal.block_id))
        parent = repeated or certificates.of_block(parent_view, BlockId(message.header.parent_id))
        return ProposalMessage(message.signed, message.header, parent, held[:GAP_CERTIFICATES_MAX])

    # --- bookkeeping --------------------------------------------------------------------

    def finalized(self, view: View) -> None:
        """A view is final: what was asked for below it no longer matters."""
        self._final_at_ms = self._state.now_ms
        for old in [want for want in self._asked_at_ms if want.view <= view]:
            del self._asked_at_ms[old]


def _pages(items: Sequence[Item], size: int) -> Iterable[tuple[Item, ...]]:
    for start in range(0, len(items), size):
        yield tuple(items[start : start + size])


def _turn(items: Sequence[Item], size: int, turn: int) -> tuple[Item, ...]:
    """The page whose turn it is, so that everything is said again in the end."""
    pages = list(_pages(items, size))
    return pages[turn % len(pages)] if pages else ()
