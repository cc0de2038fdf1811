"""A node in an epoch of two blocks, for the tests of last blocks and of turns."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.block import block_id
from ledger.consensus.events import (
    Broadcast,
    DropRecords,
    Effect,
    Report,
)
from ledger.consensus.messages import (
    ProposalMessage,
)
from ledger.consensus.records import (
    Record,
    decode_record,
    encode_record,
    record_position,
)
from ledger.consensus.timeouts import ConsensusParameters, delay_ms
from ledger.vote import Certificate
from tests.ledger.consensus.lockstep import BASE
from tests.ledger.consensus.subject import (
    FINALIZE,
    NOTARIZE,
    NULLIFY,
    Subject,
    block_on,
    of,
    records_in,
)

PARAMETERS = ConsensusParameters(epoch_blocks=2)
D_MS = delay_ms(PARAMETERS, 1)  # in view 3, with view 1 final
FIRST = block_on(BASE)
LAST = block_on(FIRST)
LAST_ID = block_id(LAST)
LEADERS = [Subject(me=None).leader(view) for view in range(8)]


def subject(
    me: int | None = LEADERS[7],
    stakes: Sequence[int] = (1, 1, 1, 1),
    later: Sequence[Sequence[int]] = (),
    *,
    has_bodies: bool = True,
) -> Subject:
    """A node in an epoch of two blocks, that knows both of them; it leads none of the first views."""
    made = Subject(stakes, me, PARAMETERS, has_bodies=has_bodies, later=later)
    made.headers.update({block_id(FIRST): FIRST, LAST_ID: LAST})
    return made


def with_last_notarized(node: Subject) -> Certificate:
    """View 1 made the first block final, view 2 notarized the last one; answers that notarization."""
    node.hear_proposal(1, FIRST)
    node.hear_certificates(node.certificate(FINALIZE, 1, FIRST))
    node.hear_proposal(2, LAST, 1)
    notarization = node.certificate(NOTARIZE, 2, LAST)
    node.hear_certificates(notarization)
    assert node.view == 3
    return notarization


def ended(node: Subject) -> Certificate:
    """The epoch ended in view 2; answers the finalization."""
    with_last_notarized(node)
    finalization = node.certificate(FINALIZE, 2, LAST)
    node.hear_certificates(finalization)
    return finalization


def nullify_below(node: Subject, view: int) -> list[Effect]:
    """The node comes to this view by nullifications."""
    return [e for each in range(1, view) for e in node.hear_certificates(node.certificate(NULLIFY, each))]


def proposals_in(effects: Sequence[Effect]) -> list[ProposalMessage]:
    messages = [effect.message for effect in of(effects, Broadcast)]
    return [message for message in messages if isinstance(message, ProposalMessage)]


def reports_in(effects: Sequence[Effect]) -> list[str]:
    return [report.code for report in of(effects, Report)]


def log_of(node: Subject) -> list[Record]:
    """What a disk would hold: every record, less what was dropped, through its encoding."""
    records: list[Record] = [node.floor(0), *records_in(node.effects)]
    for drop in of(node.effects, DropRecords):
        records = [record for record in records if record_position(record) >= (drop.epoch, drop.view)]
    return [decode_record(encode_record(record)) for record in records]
