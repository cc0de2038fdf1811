"""The verified certificates that still matter: above the last committed view, and the highest finalization.

Notarizations are kept by (view, hash), nullifications by view. A view may hold both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ledger.evidence import vote_offence
from ledger.types import BlockId, View
from ledger.vote import Certificate, SignedVote, VoteKind


class CertificateStore:
    """What quorums said. Everything in it was verified.

    `final` is the highest finalization; `final_view` its view, or the view that the epoch began with.
    """

    def __init__(self, base_id: BlockId) -> None:
        self._base_id = base_id
        self._notarizations: dict[View, dict[BlockId, Certificate]] = {}
        self._nullifications: dict[View, Certificate] = {}
        self._finalizations: dict[View, Certificate] = {}
        self.final: Certificate | None = None

    @property
    def final_view(self) -> View:
        """The highest view known to be final; 0 is final from the start."""
        return View(0) if self.final is None else self.final.view

    @property
    def final_id(self) -> BlockId:
        """The block that is final in `final_view`."""
        if self.final is None:
            return self._base_id
        assert self.final.block_id is not None
        return self.final.block_id

    @property
    def highest_view(self) -> View:
        """The highest view of which anything is certified here."""
        return max((self.final_view, *self._all_views()))

    def holds(self, certificate: Certificate) -> bool:
        """Whether a certificate of the same vote is held, whoever signed it."""
        held = self._find(certificate.view, certificate.kind, certificate.block_id)
        return held is not None

    def add(self, certificate: Certificate) -> None:
        """Keep a verified certificate."""
        view, block_id = certificate.view, certificate.block_id
        match certificate.kind:
            case VoteKind.NOTARIZE:
                assert block_id is not None
                self._notarizations.setdefault(view, {})[block_id] = certificate
            case VoteKind.NULLIFY:
                self._nullifications[view] = certificate
            case VoteKind.FINALIZE:
                self._finalizations[view] = certificate
                if view > self.final_view:
                    self.final = certificate

    def nullification(self, view: View) -> Certificate | None:
        """What allows to leave this view without a block."""
        return self._nullifications.get(view)

    def notarizations(self, view: View) -> tuple[Certificate, ...]:
        """The notarizations of this view; two only if more than a third of the stake lied."""
        return tuple(self._notarizations.get(view, {}).values())

    def notarization(self, view: View, block_id: BlockId) -> Certificate | None:
        """The notarization of this block in this view."""
        return self._notarizations.get(view, {}).get(block_id)

    def of_block(self, view: View, block_id: BlockId) -> Certificate | None:
        """A notarization or finalization of this block in this view: what a child may stand on."""
        finalization = self._finalizations.get(view)
        if finalization is not None and finalization.block_id == block_id:
            return finalization
        return self.notarization(view, block_id)

    def any_of_block(self, block_id: BlockId) -> Certificate | None:
        """A notarization or finalization of this block in its latest certified view."""
        views = sorted(self._notarizations.keys() | self._finalizations.keys(), reverse=True)
        held = (self.of_block(view, block_id) for view in views)
        return next((certificate for certificate in held if certificate is not None), None)

    def settling(self, view: View, chain: Sequence[BlockId]) -> Certificate | None:
        """A certificate that settled this view for a chain: of one of its blocks, or a nullification."""
        of_blocks = (self.of_block(view, block_id) for block_id in chain)
        held = next((certificate for certificate in of_blocks if certificate is not None), None)
        return self.nullification(view) if held is None else held

    def against(self, signed: SignedVote) -> SignedVote | None:
        """A vote of the same validator in a certificate that no correct validator casts besides this one."""
        for certificate in self._of_view(View(signed.vote.view)):
            if vote_offence(certificate.vote, signed.vote) is None:
                continue
            for index, signature in certificate.signatures:
                if index == signed.validator:
                    return SignedVote(certificate.vote, index, signature)
        return None

    def of_kind(self, view: View, kind: VoteKind) -> Certificate | None:
        """One certificate of this view and kind, whatever its block: what a peer may ask for."""
        match kind:
            case VoteKind.NOTARIZE:
                return next(iter(self.notarizations(view)), None) or self._finalizations.get(view)
            case VoteKind.NULLIFY:
                return self._nullifications.get(view)
            case VoteKind.FINALIZE:
                return self._finalizations.get(view)

    def entry(self, at_least: View, is_valid: Callable[[BlockId], bool]) -> Certificate | None:
        """The certificate of the highest view, from `at_least` up, that allows to leave that view.

        A notarization allows it only with a valid body; nullification and finalization do by themselves.
        """
        views = sorted(
            {view for view in self._all_views() if view >= at_least},
            reverse=True,
        )
        for view in views:
            leaving = self._finalizations.get(view) or self._nullifications.get(view)
            if leaving is not None:
                return leaving
            for notarization in self.notarizations(view):
                assert notarization.block_id is not None
                if is_valid(notarization.block_id):
                    return notarization
        return None

    def above(self, view: View) -> tuple[Certificate, ...]:
        """All certificates above a view, by ascending view."""
        found: list[Certificate] = []
        for held in sorted({held for held in self._all_views() if held > view}):
            found.extend(self._of_view(held))
        return tuple(found)

    def notarized_above(self, view: View) -> tuple[Certificate, ...]:
        """All notarizations above a view, by ascending view."""
        views = sorted(held for held in self._notarizations if held > view)
        return tuple(certificate for held in views for certificate in self.notarizations(held))

    def has_above(self, view: View) -> bool:
        """Whether anything is certified above a view."""
        return any(held > view for held in self._all_views())

    def prune(self, view: View) -> None:
        """Forget what lies below a committed view; the finalization of that view itself stays."""
        for old in [held for held in self._notarizations if held < view]:
            del self._notarizations[old]
        for old in [held for held in self._nullifications if held < view]:
            del self._nullifications[old]
        for old in [held for held in self._finalizations if held < view]:
            del self._finalizations[old]

    def _find(self, view: View, kind: VoteKind, block_id: BlockId | None) -> Certificate | None:
        if kind is VoteKind.NOTARIZE and block_id is not None:
            return self.notarization(view, block_id)
        held = self.of_kind(view, kind)
        return held if held is not None and held.block_id == block_id else None

    def _of_view(self, view: View) -> Iterator[Certificate]:
        yield from self.notarizations(view)
        for settled in (self._nullifications.get(view), self._finalizations.get(view)):
            if settled is not None:
                yield settled

    def _all_views(self) -> tuple[View, ...]:
        return (*self._notarizations, *self._nullifications, *self._finalizations)
