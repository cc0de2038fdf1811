"""Evidence gets into a block: reported in turns, by whoever holds a gateway key, until it is final."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from random import Random

import msgspec

from contracts.staking.records import OFFENCES
from contracts.staking.reporting import is_reported
from ledger.crypto import KeyPair
from ledger.errors import LedgerError
from ledger.evidence import Evidence, evidence_of
from ledger.transaction import decode_transaction
from ledger.transition import Tip
from ledger.types import BlockId, TimeMs
from ledger.validators import Validator, ValidatorSet
from ledger.vote import Proposal, SignedProposal, sign_proposal
from node.reporting import AGAIN_MS, TELL_MS, TURN_MS, TURNS_MAX, Reporter
from tests.contracts.chain import key_of
from tests.node.api.fakes import GATEWAY, FakeNode
from tests.node.api.test_evidence import accuse


class Site:
    """A reporter beside a chain with the real contracts, and a clock in the test's hand."""

    def __init__(
        self, gateway: KeyPair | None = GATEWAY, name: str = "node-0", window: int | None = None
    ) -> None:
        self.node = FakeNode()
        self.window = window
        self.tried = 0
        self.held: list[Evidence] = []
        self.sent: list[bytes] = []
        self.told: list[Sequence[Evidence]] = []
        self.now_ms = 1_000_000
        self.reporter = Reporter(
            lambda: self.held,
            self._tip,
            gateway,
            lambda: name,
            self._submit,
            self.told.append,
            self,
            Random(1),
        )

    def _tip(self) -> Tip:
        head = self.node.stores.state.head
        tip = Tip.restored(head.header, BlockId(head.block_id), self.node.stores.state, head.history)
        if self.window is None:
            return tip
        parameters = msgspec.structs.replace(tip.parameters, replay_window_blocks=self.window)
        return dataclasses.replace(tip, parameters=parameters)

    def _submit(self, raw: bytes) -> None:
        self.tried += 1
        answer = self.node.submit(raw)
        if answer.status == "refused":
            raise LedgerError(answer.code, answer.message)
        self.sent.append(raw)

    def wall_ms(self) -> TimeMs:
        return TimeMs(0)

    def monotonic_ms(self) -> int:
        return self.now_ms

    def turn(self, evidence: Evidence, names: Sequence[str]) -> int:
        """How many turns this node waits where these are the validators' nodes."""
        validators = tuple(Validator(key_of(name).public, 1, name) for name in names)
        tip = dataclasses.replace(self._tip(), validators=ValidatorSet(validators))
        return self.reporter.turn(evidence, tip)

    def passes(self, milliseconds: int) -> None:
        self.now_ms += milliseconds
        self.reporter.look()


async def test_evidence_is_reported_and_the_culprit_slashed() -> None:
    """EV13: the first in turn sends it at once; once it is final, the key slashed, nothing more is sent."""
    site = Site()
    evidence = accuse(site.node)
    site.held = [evidence]
    site.reporter.look()
    assert len(site.sent) == 1
    assert not is_reported(site.node.state(), evidence)
    record = await site.node.seal()
    assert [receipt.code for receipt in record.receipts] == [""]
    assert OFFENCES.get(site.node.state(), key_of("vote-0").public) is not None
    assert is_reported(site.node.state(), evidence)
    site.passes(10 * AGAIN_MS)
    assert len(site.sent) == 1


async def test_a_second_piece_of_the_same_epoch_is_not_sent() -> None:
    """EV13: who was slashed for an epoch is not reported for it again, whatever else it signed there."""
    site = Site()
    site.held = [accuse(site.node)]
    site.reporter.look()
    await site.node.seal()
    site.held = [accuse(site.node, view=9)]
    site.passes(10 * AGAIN_MS)
    assert len(site.sent) == 1


def test_a_lost_report_is_sent_again() -> None:
    """EV13: as long as no block holds it, and never twice within the time that a report may take."""
    site = Site()
    site.held = [accuse(site.node)]
    site.reporter.look()
    site.passes(AGAIN_MS - 1)
    assert len(site.sent) == 1
    site.passes(1)
    assert len(set(site.sent)) == 2, "another transaction: the first one may have expired"


def test_who_is_no_validator_waits_for_those_who_are() -> None:
    """EV14: a node outside of the set goes after all nodes in it."""
    site = Site(name="observer")
    site.held = [accuse(site.node)]
    site.reporter.look()
    assert site.sent == []
    site.passes(TURN_MS - 1)
    assert site.sent == []
    site.passes(1)
    assert len(site.sent) == 1


def test_the_order_of_turns_is_drawn_by_the_evidence() -> None:
    """EV14: one order at every node, another one for other evidence, and nobody waits for ever."""
    site = Site()
    names = [f"node-{number}" for number in range(40)]
    orders = []
    for view in (3, 4):
        evidence = accuse(site.node, view=view)
        turns = {name: Site(name=name).turn(evidence, names) for name in names}
        assert sorted(turns.values()) == [*range(TURNS_MAX), *([TURNS_MAX] * (40 - TURNS_MAX))]
        orders.append(turns)
    assert orders[0] != orders[1]


def test_a_node_without_a_gateway_key_passes_it_on_all_the_same() -> None:
    """EV13, EV14: it can't report; it tells the peers, now and every half minute."""
    site = Site(gateway=None)
    evidence = accuse(site.node)
    site.held = [evidence]
    site.reporter.look()
    site.passes(TELL_MS - 1)
    assert site.told == [[evidence]]
    site.passes(1)
    assert site.told == [[evidence], [evidence]]
    assert site.sent == []


def test_a_refused_report_is_tried_again() -> None:
    """EV13: a key that may not write yet, or a full mempool, ends nothing: five seconds on it tries again."""
    site = Site(gateway=key_of("stranger"))
    site.held = [accuse(site.node)]
    site.reporter.look()
    site.passes(TURN_MS - 1)
    assert (site.sent, site.tried) == ([], 1)
    site.passes(1)
    assert (site.sent, site.tried) == ([], 2)


def test_a_report_fits_a_short_replay_window() -> None:
    """EV13: on a chain that remembers ten blocks a report may not be valid for a hundred."""
    site = Site(window=10)
    site.held = [accuse(site.node)]
    site.reporter.look()
    assert decode_transaction(site.sent[0]).body.valid_until == 5


def test_what_accuses_nobody_known_is_never_reported() -> None:
    """Evidence against an index beyond the set is unreported for ever, and breaks nothing."""
    site = Site()
    content = Proposal(site.node.chain_id, 0, 3, 1, bytes(32))
    proposal = SignedProposal(content, 5, sign_proposal(key_of("vote-0"), content))
    assert not is_reported(site.node.state(), evidence_of(proposal, None))
