"""Who forked: from two final histories that conflict, the validators that signed for both.

A history is justified when it holds, for every view up to its finalization, the certificate that
settled the view: a nullification, or a certificate of one of its blocks. Then the lower of two
conflicting finalizations meets a certificate of its own view in the other history that conflicts
with it, and whoever signed both is guilty: more than a third of the stake, and nobody honest.

Source: docs/spec/accountability.md, rules AC1-AC6.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from ledger.block import Header, block_id
from ledger.errors import LedgerError
from ledger.evidence import Evidence, check_evidence, evidence_of, vote_offence
from ledger.types import BlockId, ChainId, Epoch, Height, PublicKey, Stake, View
from ledger.validators import ValidatorSet, validators_hash
from ledger.vote import Certificate, SignedVote, VoteKind, verify_certificate


@dataclass(frozen=True, slots=True)
class History:
    """One node's side of a fork.

    headers: consecutive, from the last block that both histories share.
    certificates: what it holds of the epoch in which they part, in any order; others are passed over.
    """

    headers: tuple[Header, ...]
    certificates: tuple[Certificate, ...]


@dataclass(frozen=True, slots=True)
class Culprit:
    """A validator that is proved guilty: its index in the set, key, node and stake, and the proof."""

    validator: int
    public_key: PublicKey
    node: str
    stake: Stake
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Fork:
    """Two blocks that were both made final at one height, and who signed for both, by index."""

    epoch: Epoch
    height: Height
    blocks: tuple[BlockId, BlockId]
    final_views: tuple[View, View]
    culprits: tuple[Culprit, ...]
    stake: Stake
    total_stake: Stake


def name_culprits(chain_id: ChainId, validators: ValidatorSet, first: History, second: History) -> Fork:
    """The fork between two histories, and more than a third of the stake that made it.

    `validators` is the set of the epoch in which they part.

    Raises:
        LedgerError: `audit.broken_history`, `audit.no_conflict`, `audit.not_final`, or
            `audit.not_justified`: the certificate that a view lacks is named.
    """
    epoch = _check_headers(chain_id, validators, first, second)
    sides = tuple(_Side.of(history, chain_id, epoch, validators) for history in (first, second))
    evidence = dict(_evidence(validators, [*sides[0].certificates, *sides[1].certificates]))
    culprits = tuple(
        Culprit(
            index,
            check_evidence(evidence[index], chain_id, epoch, validators),
            validators.validators[index].node,
            validators.stake(index),
            evidence[index],
        )
        for index in sorted(evidence)
    )
    stake = Stake(sum(culprit.stake for culprit in culprits))
    if not validators.is_blocking(stake):
        raise _not_justified(*sides)
    return Fork(
        epoch,
        Height(first.headers[1].height),
        (block_id(first.headers[1]), block_id(second.headers[1])),
        (sides[0].final.view, sides[1].final.view),
        culprits,
        stake,
        validators.total_stake,
    )


def is_settling(certificate: Certificate, blocks: Container[bytes | None]) -> bool:
    """Whether a certificate settles its view for a history of these blocks (rule AC1)."""
    return certificate.kind is VoteKind.NULLIFY or certificate.block_id in blocks


@dataclass(frozen=True, slots=True)
class _Side:
    """What is verified of one history: certificates of the epoch, and the branch's lowest finalization."""

    certificates: tuple[Certificate, ...]
    final: Certificate

    @classmethod
    def of(cls, history: History, chain_id: ChainId, epoch: Epoch, validators: ValidatorSet) -> _Side:
        """Read a history; what is no valid certificate of this epoch counts for nothing."""
        branch = {block_id(header) for header in history.headers[1:] if header.epoch == epoch}
        verified = tuple(
            certificate
            for certificate in history.certificates
            if _is_verified(certificate, chain_id, epoch, validators)
        )
        finals = [each for each in verified if each.kind is VoteKind.FINALIZE and each.block_id in branch]
        if not finals:
            raise LedgerError(
                "audit.not_final",
                f"no finalization in epoch {epoch} covers height {history.headers[1].height}",
            )
        return cls(verified, min(finals, key=lambda each: each.view))


def _is_verified(certificate: Certificate, chain_id: ChainId, epoch: Epoch, validators: ValidatorSet) -> bool:
    try:
        verify_certificate(certificate, chain_id, epoch, validators)
    except LedgerError:
        return False
    return True


def _evidence(
    validators: ValidatorSet, certificates: Sequence[Certificate]
) -> Iterator[tuple[int, Evidence]]:
    """For each validator that signed two certificates which conflict, a pair of its votes."""
    by_view: dict[View, list[Certificate]] = {}
    for certificate in certificates:
        by_view.setdefault(certificate.view, []).append(certificate)
    named: dict[int, None] = {}
    for view in sorted(by_view):
        for one, other in combinations(by_view[view], 2):
            if vote_offence(one.vote, other.vote) is None:
                continue
            others = dict(other.signatures)
            for index, signature in one.signatures:
                if index in others and index not in named:
                    named[index] = None
                    mine = SignedVote(one.vote, index, signature)
                    yield index, evidence_of(mine, SignedVote(other.vote, index, others[index]))


def _check_headers(chain_id: ChainId, validators: ValidatorSet, first: History, second: History) -> Epoch:
    """Both are chains from one block, that part at once, under this set; answers the epoch they part in."""
    for history in (first, second):
        if len(history.headers) < 2:
            raise LedgerError("audit.no_conflict", "one history ends where the other still agrees with it")
        for lower, upper in pairwise(history.headers):
            if upper.parent_id != block_id(lower) or upper.height != lower.height + 1:
                raise LedgerError("audit.broken_history", f"height {upper.height} does not follow")
    shared, other = first.headers[0], second.headers[0]
    if block_id(shared) != block_id(other) or shared.chain_id != chain_id:
        raise LedgerError("audit.broken_history", "the histories do not begin at one block of this chain")
    if block_id(first.headers[1]) == block_id(second.headers[1]):
        raise LedgerError("audit.no_conflict", f"both hold the same block at height {shared.height + 1}")
    if shared.next_validators_hash != validators_hash(validators):
        raise LedgerError("audit.broken_history", "these are not the validators that the shared block names")
    epochs = {first.headers[1].epoch, second.headers[1].epoch}
    if len(epochs) != 1:
        raise LedgerError("audit.broken_history", "the children of one block are of one epoch")
    return Epoch(first.headers[1].epoch)


def _not_justified(first: _Side, second: _Side) -> LedgerError:
    """Which history lacks the certificate of which view; with it there would be a conflict of two quorums."""
    name, view = (
        ("second", first.final.view)
        if first.final.view <= second.final.view
        else ("first", second.final.view)
    )
    return LedgerError(
        "audit.not_justified",
        f"the {name} history does not hold the certificate that settled view {view} for it",
    )
