"""Getting and checking the bodies of blocks: fetch, then check on a valid parent, oldest first.

What is missing is pending, never invalid. It is looked for at the proposer, then at the
signers of its certificate in turn; a certified block's ancestors are fetched one by one.

Source: docs/spec/consensus.md, rules D1-D6.
"""

from __future__ import annotations

from typing import assert_never

from ledger.block import Header, block_id
from ledger.consensus.blocks import ANCESTORS_FETCHED_MAX, BodyState, KnownBlock
from ledger.consensus.events import Check, Fetch, Peer, Verdict
from ledger.consensus.messages import ProposalMessage
from ledger.consensus.state import State
from ledger.types import BlockId, View
from ledger.vote import Certificate


class Bodies:
    """Moves each known block from wanted to valid or invalid."""

    def __init__(self, state: State) -> None:
        self._state = state

    # --- how a block becomes known ---------------------------------------------------

    def proposed(self, message: ProposalMessage, *, is_kept: bool = False) -> None:
        """A leader proposed a block; its body is fetched once its place is proved."""
        proposed = BlockId(message.signed.proposal.block_id)
        if proposed == self._state.blocks.committed.block_id:
            return
        known = self._state.blocks.note(proposed, View(message.signed.proposal.view))
        known.learn(message.header)
        known.is_kept = known.is_kept or is_kept
        self._add_sources(known, (message.signed.validator,), first=True)

    def certified(self, certificate: Certificate) -> None:
        """A quorum vouches for a block: whoever signed had its body."""
        assert certificate.block_id is not None
        if certificate.block_id == self._state.blocks.committed.block_id:
            return
        known = self._state.blocks.note(certificate.block_id, certificate.view)
        known.is_certified = known.may_be_checked = True
        self._add_sources(known, tuple(index for index, _ in certificate.signatures))

    def keep(self, wanted: BlockId) -> None:
        """Make a valid body durable, once, in the same sync as the vote that rests on it."""
        known = self._state.blocks.get(wanted)
        if known is not None and not known.is_kept:
            known.is_kept = True
            self._state.out.keep_body(wanted)

    def built(self, header: Header, view: View) -> None:
        """This node's own block: it was executed as it was built."""
        known = self._state.blocks.note(block_id(header), view)
        known.learn(header)
        known.state, known.may_be_checked = BodyState.VALID, True

    def _add_sources(self, known: KnownBlock, validators: tuple[int, ...], *, first: bool = False) -> None:
        fresh = tuple(
            Peer(index)
            for index in validators
            if index != self._state.me and Peer(index) not in known.sources
        )
        known.sources = (*fresh, *known.sources) if first else (*known.sources, *fresh)

    # --- answers of the driver -----------------------------------------------------------

    def fetched(self, header: Header) -> None:
        """A body is at hand."""
        known = self._state.blocks.get(block_id(header))
        if known is not None and known.state is BodyState.WANTED:
            known.learn(header)
            known.state, known.is_waiting = BodyState.AT_HAND, False

    def checked(self, executed: BlockId, verdict: Verdict) -> None:
        """A body was executed, or could not be for now."""
        known = self._state.blocks.get(executed)
        if known is None or known.state is not BodyState.CHECKING:
            return
        match verdict:
            case Verdict.VALID:
                known.state = BodyState.VALID
            case Verdict.INVALID:
                known.state = BodyState.INVALID
            case Verdict.PENDING:
                known.state, known.is_waiting = BodyState.AT_HAND, True
            case _:
                assert_never(verdict)

    # --- what to do next --------------------------------------------------------------

    def advance(self) -> bool:
        """Ask for what can be asked for now. True if a block's fate was settled by its parent's."""
        is_changed = False
        for known in self._state.blocks.all():
            if known.is_waiting or not known.may_be_checked:
                continue
            match known.state:
                case BodyState.WANTED:
                    self._fetch(known)
                case BodyState.AT_HAND:
                    is_changed = self._check(known) or is_changed
                case BodyState.CHECKING | BodyState.VALID | BodyState.INVALID:
                    pass
                case _:
                    assert_never(known.state)
        return is_changed

    def retry(self) -> None:
        """Ask again for what did not come, beginning with another source."""
        for known in self._state.blocks.all():
            known.is_waiting = False

    def _fetch(self, known: KnownBlock) -> None:
        turn = known.attempts % max(1, len(known.sources))
        known.attempts += 1
        known.is_waiting = True
        self._state.out.emit(Fetch(known.block_id, (*known.sources[turn:], *known.sources[:turn])))

    def _check(self, known: KnownBlock) -> bool:
        blocks, facts = self._state.blocks, known.facts
        assert facts is not None, "a body at hand has a header"
        parent = blocks.facts(facts.parent_id)
        if parent is not None and self._state.is_last(parent):
            known.state = BodyState.INVALID  # nothing of this epoch follows its last block
            return True
        if blocks.is_valid(facts.parent_id):
            known.state = BodyState.CHECKING
            self._state.out.emit(Check(known.block_id))
            return False
        if blocks.is_invalid(facts.parent_id) or facts.height <= blocks.committed.height + 1:
            known.state = BodyState.INVALID  # beside the committed chain, or on an invalid block
            return True
        self._want_parent(known, facts.parent_id, facts.height - blocks.committed.height)
        return False

    def _want_parent(self, known: KnownBlock, parent_id: BlockId, distance: int) -> None:
        """A quorum vouched for the child, so an honest validator saw its parent certified."""
        if not known.is_certified or distance > ANCESTORS_FETCHED_MAX:
            return
        parent = self._state.blocks.note(parent_id, known.view)
        if not parent.may_be_checked:
            parent.is_certified = parent.may_be_checked = True
            self._add_sources(parent, known.sources)
            self._fetch(parent)
