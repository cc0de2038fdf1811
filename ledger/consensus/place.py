"""Where a proposal stands: what its place in the chain still lacks, and whether its time has come.

A proposal names a view, and the block that is certified there tells what it is: the parent of the
proposed block, or that block itself, the last of its epoch, proposed again until it is final.

Source: docs/spec/consensus.md, rules N1-N6, E5-E7.
"""

from __future__ import annotations

from ledger.consensus.blocks import facts_of
from ledger.consensus.messages import ProposalMessage, Want
from ledger.consensus.state import State
from ledger.errors import LedgerError
from ledger.types import BlockId, View
from ledger.vote import VoteKind


def missing_for(state: State, message: ProposalMessage) -> list[Want]:
    """The certificates that a proposal's place still lacks here: its parent's, and one for every gap view.

    Raises:
        LedgerError: `proposal.wrong_place`: no certificate can give it this place any more.
    """
    certificates, proposal = state.certificates, message.signed.proposal
    parent_view, parent_id = View(proposal.parent_view), BlockId(message.header.parent_id)
    if parent_view < certificates.final_view:
        raise LedgerError("proposal.wrong_place", "its parent lies below the last finalized view")
    missing = []
    if is_repeated(state, message):
        if not state.is_last(facts_of(message.header)):
            raise LedgerError("proposal.wrong_place", "a block is proposed again, and is no last one")
    else:
        _check_parent(state, message, parent_view, parent_id)
        if parent_view > certificates.final_view and certificates.of_block(parent_view, parent_id) is None:
            missing.append(Want(parent_view, VoteKind.NOTARIZE))
    gap = range(parent_view + 1, proposal.view)
    missing.extend(Want(view, VoteKind.NULLIFY) for view in gap if not certificates.nullification(View(view)))
    return missing


def is_repeated(state: State, message: ProposalMessage) -> bool:
    """Whether the proposed block itself is the one that a certificate names in the proposal's parent view."""
    proposal = message.signed.proposal
    return state.certificates.of_block(View(proposal.parent_view), BlockId(proposal.block_id)) is not None


def _check_parent(state: State, message: ProposalMessage, parent_view: View, parent_id: BlockId) -> None:
    if parent_view == state.certificates.final_view and parent_id != state.certificates.final_id:
        raise LedgerError("proposal.wrong_place", "its parent is not the finalized block")
    parent = state.blocks.facts(parent_id)
    if parent is None:
        return
    if message.header.height != parent.height + 1:
        raise LedgerError("proposal.wrong_place", "its height does not follow its parent's")
    if state.is_last(parent):
        raise LedgerError("proposal.after_last_block", "its parent is the last block of the epoch")


def is_timely(state: State, message: ProposalMessage) -> bool:
    """parent.time < b.time <= max(parent.time + 1 ms, now + drift): gates nothing but one's own notarize.

    A block from the near future is pending until its time comes, not invalid. A block that is proposed
    again was timely when a quorum first voted for it.
    """
    if is_repeated(state, message):
        return True
    parent = state.blocks.facts(BlockId(message.header.parent_id))
    if parent is None or message.header.time_ms <= parent.time_ms:
        return False
    wall_ms = state.now_ms + state.wall_ahead_ms
    early_ms = message.header.time_ms - max(parent.time_ms + 1, wall_ms + state.parameters.drift_ms)
    state.timely_at_ms = state.now_ms + early_ms if early_ms > 0 else None
    return early_ms <= 0
