"""Any proposals, votes, retractions, waits and turns in any order, against a model that counts for itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from contracts.governance.ballots import (
    OPEN_BY_ONE_MAX,
    BallotStatus,
    ballot_count,
    open_ballots,
    status_at,
)
from contracts.governance.changes import AddSeat, Change, GrantUnits, RemoveSeat, RemoveValidator
from ledger.errors import LedgerError
from tests.contracts.chain import DAY_MS
from tests.contracts.governance.council import SEATED, Council, make_council
from tests.contracts.staking.stage import voter

organisation = st.sampled_from(SEATED)


@dataclass
class Model:
    """What a person at the table would write down."""

    proposer: str
    change: Change
    closes_ms: int
    said: dict[str, bool] = field(default_factory=dict)
    ended: BallotStatus | None = None


class Ballots(RuleBasedStateMachine):
    """Five organisations; the model knows votes and seats, and derives every verdict anew from them."""

    council: Council

    @initialize()
    def begin(self) -> None:
        self.council = make_council()
        self.seats = set(SEATED)
        self.next_seats = set(SEATED)
        self.models: list[Model] = []
        self.granted = 0

    # --- what organisations do ------------------------------------------------------------------

    @rule(by=organisation, units=st.integers(1, 9), days=st.integers(1, 20))
    def propose_a_grant(self, by: str, units: int, days: int) -> None:
        self._propose(by, GrantUnits("shop", units), days)

    @rule(by=organisation, of=organisation, is_added=st.booleans(), days=st.integers(5, 20))
    def propose_a_seat(self, by: str, of: str, is_added: bool, days: int) -> None:
        self._propose(by, AddSeat(of) if is_added else RemoveSeat(of), days)

    @rule(by=organisation, number=st.integers(0, 3), days=st.integers(5, 20))
    def propose_a_removal(self, by: str, number: int, days: int) -> None:
        self._propose(by, RemoveValidator(voter(number).public), days)

    def _propose(self, by: str, change: Change, days: int) -> None:
        now = self.council.time_ms + 1000
        open_of_mine = [m for m in self.models if m.proposer == by and m.ended is None and m.closes_ms > now]
        may = by in self.seats and len(open_of_mine) < OPEN_BY_ONE_MAX
        closes_ms = self.council.time_ms + days * DAY_MS
        refusal = self._refusal(lambda: self.council.propose(by, change, days=days))
        if refusal is not None:
            assert not may or refusal.pointer.startswith("/change")  # only the change itself can be to blame
            return
        assert may
        self._expire()
        self.models.append(Model(by, change, closes_ms, {by: True}))
        self._settle(len(self.models))

    def _refusal(self, action: Callable[[], object]) -> LedgerError | None:
        """What the action is refused with; it must have changed nothing then."""
        before = dict(self.council.state.values)
        try:
            action()
        except LedgerError as refusal:
            assert self.council.state.values == before
            return refusal
        return None

    @rule(by=organisation, number=st.integers(1, 12), is_yes=st.sampled_from((True, True, True, False)))
    def vote(self, by: str, number: int, is_yes: bool) -> None:
        self._vote(by, number, is_yes)

    @rule(number=st.integers(1, 12), away=st.sets(organisation, max_size=2))
    def everybody_votes_yes(self, number: int, away: set[str]) -> None:
        for by in SEATED:
            if by not in away:
                self._vote(by, number, is_yes=True)

    def _vote(self, by: str, number: int, is_yes: bool) -> None:
        model = self.models[number - 1] if number <= len(self.models) else None
        now = self.council.time_ms + 1000
        may = (
            model is not None
            and model.ended is None
            and now < model.closes_ms
            and by in self.seats
            and by not in model.said
        )
        refusal = self._refusal(lambda: self.council.vote(by, number, is_yes=is_yes))
        assert may is (refusal is None)
        if not may or model is None:
            return
        model.said[by] = is_yes
        self._settle(number)

    @rule(by=organisation, number=st.integers(1, 12))
    def retract(self, by: str, number: int) -> None:
        model = self.models[number - 1] if number <= len(self.models) else None
        may = model is not None and model.ended is None and model.proposer == by and by in self.seats
        may = may and model is not None and self.council.time_ms + 1000 < model.closes_ms
        refusal = self._refusal(lambda: self.council.retract(by, number))
        assert may is (refusal is None)
        if may and model is not None:
            assert self.council.ballot(number).status is BallotStatus.RETRACTED
            model.ended = BallotStatus.RETRACTED

    # --- time -------------------------------------------------------------------------------------

    @rule(days=st.integers(1, 4))
    def wait(self, days: int) -> None:
        self.council.time_ms += days * DAY_MS

    @rule()
    def turn(self) -> None:
        self.council.turn()
        self.seats = set(self.next_seats)
        self._expire()
        for number, model in enumerate(self.models, 1):
            if model.ended is None:
                model.said = {name: said for name, said in model.said.items() if name in self.seats}
                self._settle(number)

    # --- the model's own count ------------------------------------------------------------------------

    def _expire(self) -> None:
        for model in self.models:
            if model.ended is None and self.council.time_ms >= model.closes_ms:
                model.ended = BallotStatus.EXPIRED

    def _settle(self, number: int) -> None:
        """Hold the chain's verdict on a ballot that was just counted to the model's."""
        model, record = self.models[number - 1], self.council.ballot(number)
        yes = sum(model.said.values())
        no = len(model.said) - yes
        if 3 * yes > 2 * len(self.seats):
            assert record.status in (BallotStatus.ENACTED, BallotStatus.FAILED)
            assert (record.status is BallotStatus.FAILED) is bool(record.code)
            model.ended = record.status
            if record.status is BallotStatus.ENACTED:
                self._enacted(model.change)
        elif 3 * (len(self.seats) - no) <= 2 * len(self.seats):
            assert record.status is BallotStatus.REJECTED
            model.ended = BallotStatus.REJECTED
        else:
            assert record.status is BallotStatus.OPEN

    def _enacted(self, change: Change) -> None:
        match change:
            case GrantUnits(units=units):
                self.granted += units
            case AddSeat(organisation=name):
                assert name not in self.next_seats
                self.next_seats.add(name)
            case RemoveSeat(organisation=name):
                assert name in self.next_seats
                self.next_seats.remove(name)

    # --- what always holds ---------------------------------------------------------------------------------

    @invariant()
    def every_record_says_what_the_model_says(self) -> None:
        """Status and votes of each ballot; what ended stays ended."""
        state, now = self.council.state, self.council.time_ms
        assert ballot_count(state) == len(self.models)
        for number, model in enumerate(self.models, 1):
            record = self.council.ballot(number)
            ended = model.ended
            if ended is None and now >= model.closes_ms:
                ended = BallotStatus.EXPIRED
            assert status_at(record, now) is (ended or BallotStatus.OPEN)
            if model.ended is None:
                assert {**dict.fromkeys(record.yes, True), **dict.fromkeys(record.no, False)} == model.said

    @invariant()
    def only_enacted_ballots_changed_anything(self) -> None:
        """Units and seats are those of the ballots that were enacted, each once."""
        assert self.council.held("shop") == self.granted
        assert set(self.council.seated) == self.seats
        assert set(self.council.next_seated) == self.next_seats
        assert self.next_seats

    @invariant()
    def the_list_holds_what_is_open(self) -> None:
        """Every ballot without an end is on the list, and nothing else."""
        listed = [each.number for each in open_ballots(self.council.state)]
        assert listed == [
            number
            for number in range(1, len(self.models) + 1)
            if self.council.ballot(number).status is BallotStatus.OPEN
        ]

    @invariant()
    def the_books_balance(self) -> None:
        """No ballot loses or makes a unit besides those that it grants."""
        self.council.check_books()


Ballots.TestCase.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
test_ballots = Ballots.TestCase
