"""Any calls, decisions, faults and turns in any order: the books balance and the set keeps its promises."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from contracts.staking.records import BONDS, bonds, is_slashed, supply_units
from ledger.epoch import validators_of
from ledger.errors import LedgerError
from ledger.types import VALIDATORS_MAX
from tests.contracts.staking.stage import OWNERS, SPARE, STAKING, Stage, double_vote, make_stage, voter

NUMBERS = (0, 1, 2, 3, SPARE + 2, SPARE + 4)
number = st.sampled_from(NUMBERS)
units = st.integers(1, 250)


class Books(RuleBasedStateMachine):
    """One chain of four validators, two spare nodes, and everything that can be done to stake."""

    stage: Stage

    @initialize(
        stakes=st.lists(st.integers(1, 200), min_size=4, max_size=4),
        penalty=st.sampled_from((0, 1, 333, 1000)),
        absence=st.sampled_from((0, 500, 1000)),
        reward=st.sampled_from((0, 3)),
    )
    def begin(self, stakes: list[int], penalty: int, absence: int, reward: int) -> None:
        self.stage = make_stage(
            stakes,
            equivocation_penalty_permille=penalty,
            absence_penalty_permille=absence,
            reward_units=reward,
        )
        self.supply = sum(stakes)
        self.slashed: dict[bytes, int] = {}  # key -> its weight at the last turn

    def _try(self, action: Callable[[], object], change: int = 0) -> bool:
        """Do it, or be refused and change nothing; `change` is what it does to the supply."""
        before = dict(self.stage.state.values)
        try:
            action()
        except LedgerError:
            assert self.stage.state.values == before
            return False
        self.supply += change
        return True

    # --- calls and decisions ------------------------------------------------------------

    @rule(number=number, units=units)
    def bond(self, number: int, units: int) -> None:
        self._try(lambda: self.stage.bond(f"{OWNERS[number % SPARE]}/admin", number, units))

    @rule(number=number, units=units)
    def unbond(self, number: int, units: int) -> None:
        self._try(lambda: self.stage.unbond(f"{OWNERS[number % SPARE]}/admin", number, units))

    @rule(number=number)
    def unjail(self, number: int) -> None:
        self._try(lambda: self.stage.unjail(f"{OWNERS[number % SPARE]}/admin", number))

    @rule(number=number, units=units)
    def grant(self, number: int, units: int) -> None:
        self._try(lambda: self.stage.grant(OWNERS[number % SPARE], units), units)

    @rule(number=number, units=units)
    def admit(self, number: int, units: int) -> None:
        self._try(lambda: self.stage.admit(number, units), units)

    @rule(number=number, units=units)
    def set_weight(self, number: int, units: int) -> None:
        bond = BONDS.get(self.stage.state, voter(number).public)
        more = max(0, units - bond.bonded_units) if bond else 0
        self._try(lambda: self.stage.set_weight(number, units), more)

    @rule(number=number)
    def remove(self, number: int) -> None:
        self._try(lambda: self.stage.remove(number))

    @rule(number=number, ago=st.integers(0, 3))
    def report(self, number: int, ago: int) -> None:
        key, epoch = voter(number), self.stage.epoch - ago
        validators = validators_of(self.stage.state, epoch) if epoch >= 0 else None
        index = None if validators is None else validators.index_of(key.public)
        if validators is None or index is None:
            return
        bond = BONDS.get(self.stage.state, key.public)
        evidence = double_vote(self.stage.chain_id, key, epoch, validators)
        if self._try(lambda: self.stage.report(evidence)):
            left = BONDS.get(self.stage.state, key.public)
            self.supply -= (bond.units if bond else 0) - (left.units if left else 0)
            self.slashed.setdefault(key.public, self.stage.voters.stake(index) if not ago else 2**60)

    # --- time ------------------------------------------------------------------------------

    @rule(certificates=st.integers(0, 6), absent=st.sets(number, max_size=2))
    def sign(self, certificates: int, absent: set[int]) -> None:
        self.stage.sign(certificates, absent)

    @rule()
    def turn(self) -> None:
        before = self.stage.voters
        supply, held = supply_units(self.stage.state), [self.stage.held(name) for name in set(OWNERS)]
        self.stage.turn()
        after = self.stage.voters
        old = {each.public_key: each.stake for each in before.validators}
        new = {each.public_key: each.stake for each in after.validators}
        keys = {**old, **new}
        assert 3 * sum(abs(new.get(key, 0) - old.get(key, 0)) for key in keys) < before.total_stake
        stayed = [key for key in old if key in new]
        assert list(new) == [*stayed, *sorted(key for key in new if key not in old)]
        for key, weight in self.slashed.items():
            assert new.get(key, 0) <= weight
            self.slashed[key] = new.get(key, 0)
        for key, weight in new.items():
            bond = BONDS.get(self.stage.state, key)
            assert bond is not None
            if weight > bond.wanted_units:  # it could not shrink further
                moved = sum(abs(new.get(each, 0) - old.get(each, 0)) for each in keys)
                assert moved == (before.total_stake - 1) // 3
        self.supply += supply_units(self.stage.state) - supply  # what the turn minted or burned
        assert all(a <= b for a, b in zip(held, [self.stage.held(n) for n in set(OWNERS)], strict=True))

    # --- what always holds --------------------------------------------------------------------

    @invariant()
    def the_books_balance(self) -> None:
        """Every unit has one place; only grants, rewards and penalties change how many there are."""
        self.stage.check_books()
        assert supply_units(self.stage.state) == self.supply

    @invariant()
    def somebody_votes_and_not_too_many(self) -> None:
        """The set is never empty, no node has two keys in it, and everyone in it is on the roll."""
        listed = self.stage.voters.validators
        assert 1 <= len(listed) <= VALIDATORS_MAX
        assert len({each.node for each in listed}) == len(listed)
        on_roll = [bond.public_key for bond in bonds(self.stage.state)]
        assert on_roll == sorted(on_roll)
        assert all(each.public_key in on_roll for each in listed)

    @invariant()
    def nothing_slashed_is_bonded(self) -> None:
        """A slashed key wants no weight, for ever."""
        for bond in bonds(self.stage.state):
            if is_slashed(self.stage.state, bond.public_key):
                assert bond.wanted_units == 0
                assert not bond.is_admitted

    @invariant()
    def weight_is_backed(self) -> None:
        """Whoever was not slashed or penalised has as many slashable units as weight, or more."""
        if self.stage.genesis.parameters.staking.absence_penalty_permille:
            return
        for each in self.stage.voters.validators:
            bond = BONDS.get(self.stage.state, each.public_key)
            assert bond is not None
            if not is_slashed(self.stage.state, each.public_key):
                assert each.stake <= bond.bonded_units + bond.leaving_units

    @invariant()
    def units_wait_for_the_whole_delay(self) -> None:
        """Nothing unbonds sooner than evidence against it expires."""
        for bond in bonds(self.stage.state):
            for each in bond.unbonding:
                assert self.stage.epoch < each.release_epoch <= self.stage.epoch + STAKING.unbonding_epochs


Books.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_books = Books.TestCase
