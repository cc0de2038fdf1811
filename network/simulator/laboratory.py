"""One run: a network made from a plan, its faults, its recovery, and the verdict.

Four phases: faults, until the planned time; recovery, until every honest node has committed
PROGRESS_HEIGHTS more; then the clients fall silent and the chain has to settle; then it has to
stay quiet. A run ends where it first breaks a rule. One that stays below a floor of its scenario, in
heights, faults or lies, has shown too little, and fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import PurePath
from random import Random
from typing import Final

from ledger.codec import encode
from ledger.consensus.epochs import Epochs
from ledger.consensus.events import Effect, Entered, EpochBegun, Input, Persist
from ledger.consensus.signer import Signer, first_record
from ledger.consensus.verdicts import SignatureCache
from ledger.epoch import FIRST_EPOCH
from ledger.errors import LedgerError
from ledger.types import ZERO_HASH, ChainId, Epoch
from ledger.vote import Certificate, Proposal, Vote, VoteKind, sign_vote
from network.adversaries.cast import CAST
from network.adversaries.flooder import FORESEEN_MAX
from network.simulator.chain import base_block, digest
from network.simulator.disk import Disk, base_of
from network.simulator.event_log import Watch
from network.simulator.floors import PROGRESS_HEIGHTS
from network.simulator.havoc import Havoc
from network.simulator.history import landing_views
from network.simulator.lying_node import LyingNode
from network.simulator.mail import Mail
from network.simulator.node import GENERATION, CrashPoint, SimulatedNode, Surroundings
from network.simulator.oracle import Oracle
from network.simulator.report import RunReport
from network.simulator.roll import Roll, keys_of
from network.simulator.scenario import REST_PERCENT, Plan, plan_of, scenario_of
from network.simulator.scheduler import Scheduler, SchedulerOverrun
from network.simulator.twin_watch import TwinWatch
from network.simulator.wire import Wire

SETTLE_MS_MAX: Final = 30_000
ALWAYS: Final = "reorder"  # even a good wire lets mail overtake: that alone is no fault
QUIET_MS: Final = 6_000  # more than one beacon, far less than a heartbeat
EVENTS_MAX: Final = 400_000  # a run that needs more is spinning; a large seed takes about 30,000
EVENTS_PER_MS: Final = 1  # more for those whose faults last an hour
WAITING_MAX: Final = 48  # a node whose mempool is full turns clients away: three blocks' worth
DELAY_CAP_MS: Final = 15_000  # what genesis fixes as the longest delay
VIEW_SLACK_MS: Final = 5_000  # for votes and certificates on their way
LOOK_MS: Final = 500  # how often memory is measured
ARCHIVE_VIEWS: Final = 48
NEVER: Final = 10_001  # an epoch; odd, so that each view has other kinds on either side
COUNTED_POINTS: Final = (CrashPoint.LOST, CrashPoint.AFTER_VOTE, CrashPoint.AFTER_NULLIFY)

# What a machine may remember for each validator: votes, certificates, rounds, blocks and records above the
# last final view. A fault phase of seconds holds few views; three times what was ever seen.
REMEMBERED_PER_NODE_MAX: Final = 45
# Where an outage leaves more views than this above the last final one, each of them may keep three votes of
# each validator, and certificates, a round, a block and records of its own. That ends with the outage.
UNSETTLED_VIEWS: Final = 8
VOTES_PER_VIEW: Final = 3
KEPT_PER_VIEW: Final = 12


class HeedlessSigner(Signer):
    """Of a liar, or of a key that runs twice: it does not mind who else signs with its key."""

    def is_foreign(self, seen: Vote | Proposal, is_new: bool) -> bool:
        """Never."""
        return False


@cache
def archive_of(chain_id: ChainId, stakes: tuple[int, ...]) -> tuple[Certificate, ...]:
    """Good certificates of the same keys, on another chain and in an epoch to which no run comes."""
    other = ChainId(digest(b"another chain", chain_id))
    places = ((other, FIRST_EPOCH), (chain_id, NEVER))
    votes = []
    for view in range(1, ARCHIVE_VIEWS + 1):
        block = digest(b"another block", view.to_bytes(4, "big"))
        for chain, epoch in places:
            kind = list(VoteKind)[(view + epoch) % 3]
            votes.append(Vote(chain, epoch, view, kind, None if kind is VoteKind.NULLIFY else block))
    keys = keys_of(len(stakes))
    return tuple(
        Certificate(vote, tuple((index, sign_vote(key, vote)) for index, key in enumerate(keys)))
        for vote in votes
    )


def run_seed(seed: int, nodes: int, scenario: str) -> RunReport:
    """Run one seed of a scenario.

    Raises:
        LedgerError: `sim.unknown_scenario`, `sim.nodes`.
    """
    return Laboratory(plan_of(seed, nodes, scenario_of(scenario))).run()


class Laboratory:
    """One network under one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._scheduler = Scheduler(EVENTS_MAX + plan.faults_end_ms * EVENTS_PER_MS)
        self._faults: Counter[str] = Counter()
        self._wire = Wire(self._scheduler, self._random("wire"), plan.weather, self._faults, plan.distances)
        self._roll = Roll((plan.stakes, *plan.later_stakes))
        self._chain_id = ChainId(digest(b"simulated chain", bytes([plan.chain])))
        self._base = base_block(self._chain_id, plan.epoch_blocks)
        landing = landing_views(len(plan.stakes)) if plan.scenario.is_landing_bounded else None
        self.oracle = Oracle(
            self._roll, self._chain_id, plan.honest, self._base.header, plan.epoch_blocks, landing
        )
        self._around = Surroundings(
            scheduler=self._scheduler,
            roll=self._roll,
            make_machine=self._make_machine,
            carry=self._carry,
            crashed=self._note_crash,
            stepped=self._note_step,
            nodes=len(plan.stakes),
        )
        self._twin_watch = TwinWatch()
        # Where each validator is plugged in: in one place, or with a key that runs twice in two.
        holders = (*range(len(plan.stakes)), *plan.twins)
        self.nodes = [self._make_node(index, place) for place, index in enumerate(holders)]
        self._places = {
            index: [place for place, holder in enumerate(holders) if holder == index] for index in holders
        }
        self._verdicts = SignatureCache()
        self._clients = self._random("clients")
        self._are_clients_silent = False
        self._transactions = 0
        self._most_remembered = 0
        self._recovery_ms = 0
        self._steps = 0
        self._watch: Watch | None = None
        self._entered_ms: dict[int, tuple[int, ...]] = {}  # the last two views of each place

    @property
    def honest(self) -> list[SimulatedNode]:
        """The nodes that keep the rules."""
        return [self.nodes[index] for index in self._plan.honest]

    def _random(self, purpose: str) -> Random:
        plan = self._plan
        return Random(f"{plan.seed}/{len(plan.stakes)}/{plan.scenario.name}/{purpose}")

    def _make_machine(self, index: int, generation: bytes, begun: EpochBegun) -> Epochs:
        kind = Signer if index in self._plan.honest else HeedlessSigner
        signer = kind(self._chain_id, keys_of(len(self._plan.stakes))[index], generation)
        # A signature is as valid here as there: computed once a run, not once a node.
        return Epochs(self._chain_id, begun, signer, self._verdicts)

    def _make_node(self, index: int, place: int) -> SimulatedNode:
        keys = keys_of(len(self._plan.stakes))
        disk = Disk(
            [base_of(self._base)],
            [first_record(self._chain_id, keys[index].public, GENERATION, Epoch(FIRST_EPOCH))],
        )
        random = self._random(f"node {place}")
        if index in self._plan.twins:
            return SimulatedNode(self._around, index, disk, random, self._twin_watch, place)
        lies = {liar.index: liar.lie for liar in self._plan.liars}
        if index not in lies:
            return SimulatedNode(self._around, index, disk, random, self.oracle)
        archive = archive_of(self._chain_id, self._plan.stakes)
        lie = lies[index]
        allies = [keys[ally] for ally, theirs in lies.items() if theirs == lie or ally == index]
        return LyingNode(self._around, index, disk, random, CAST[lie], allies, self._chain_id, archive)

    # --- the run ---------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        """Virtual time since the run began."""
        return self._scheduler.now_ms

    def run(self, watch: Watch | None = None) -> RunReport:
        """Run the plan to its end; answer what came of it. `watch` sees each step, its number first; what it
        raises ends the run."""
        self._watch = watch
        try:
            self._run_phases()
        except SchedulerOverrun as overrun:
            self.oracle.violated("overrun", str(overrun))
        except (
            LedgerError,
            AssertionError,
            KeyError,
            IndexError,
            ValueError,
            TypeError,
            AttributeError,
        ) as bug:
            # A bug of the code under test is a finding with a seed, not the end of a campaign.
            self.oracle.violated("bug", f"{type(bug).__name__}: {bug} {_place_of(bug)}")
        self._judge_emptiness()
        return self._report()

    def _run_phases(self) -> None:
        scheduler, plan = self._scheduler, self._plan
        for node in self.nodes:
            scheduler.later(self._clients.randint(0, 50), node.start)
        havoc = Havoc(scheduler, self._wire, self.nodes, plan.weather, self._faults)
        for incident in plan.incidents:
            havoc.schedule(incident)
        scheduler.later(100, self._submit)
        scheduler.later(LOOK_MS, self._look)
        if plan.has_rest:
            scheduler.at(plan.faults_end_ms * REST_PERCENT // 100, self._silence)
        self._pass(plan.faults_end_ms, lambda: False)
        if plan.scenario.is_capped:
            self._judge_cap()
        if plan.has_rest:
            self._settle()
            self._are_clients_silent = False
        self._recover()
        self._silence()
        self._settle()
        self._rest()

    def _pass(self, end_ms: int, is_done: Callable[[], bool]) -> bool:
        """Let time pass until something is done, or a rule is broken; False if it was not done in time."""
        violations = self.oracle.violations
        is_there = self._scheduler.run(end_ms, lambda: bool(violations) or is_done())
        return is_there or bool(violations)

    def _silence(self) -> None:
        self._are_clients_silent = True

    def _recover(self) -> None:
        """After the last fault every honest node must commit so many more heights in bounded time."""
        plan = self._plan
        goal = max(node.height for node in self.honest) + PROGRESS_HEIGHTS
        began_ms = self._scheduler.now_ms
        end_ms = began_ms + plan.scenario.recovery_ms_max
        is_there = self._pass(end_ms, lambda: all(node.height >= goal for node in self.honest))
        self._recovery_ms = self._scheduler.now_ms - began_ms
        if is_there:
            self._pass(
                end_ms, lambda: all(self._lies().values())
            )  # a liar may still wait for its turn to lead
        else:
            heights = [node.height for node in self.nodes]
            self.oracle.violated(
                "progress", f"heights {heights} {self._recovery_ms} ms after the last fault, goal {goal}"
            )

    def _judge_cap(self) -> None:
        """After so long each view lasts as long as a view may, and no longer: from 2 to 3 times the cap."""
        for node in self.honest:
            first_ms, second_ms = self._entered_ms[node.place]
            lasted_ms = second_ms - first_ms
            if not 2 * DELAY_CAP_MS <= lasted_ms <= 3 * DELAY_CAP_MS + VIEW_SLACK_MS:
                self.oracle.violated("cap", f"the last view of node {node.index} took {lasted_ms} ms")

    def _settle(self) -> None:
        """With silent clients all honest nodes agree on one head with nothing waiting, and rest there."""
        if not self._pass(self._scheduler.now_ms + SETTLE_MS_MAX, self._is_settled):
            heights = [node.height for node in self.nodes]
            waiting = [len(node.chain.waiting) for node in self.nodes]
            self.oracle.violated("progress", f"not settled: heights {heights}, waiting {waiting}")

    def _rest(self) -> None:
        """A settled chain with nothing to say stays quiet."""
        before = max(node.height for node in self.honest)
        self._pass(self._scheduler.now_ms + QUIET_MS, lambda: False)
        self.oracle.rested(before, is_far=self._plan.is_far)

    def _is_settled(self) -> bool:
        heads = {node.disk.head.block_id for node in self.honest}
        return len(heads) == 1 and not any(node.chain.waiting for node in self.honest)

    # --- what happens from outside -------------------------------------------------------

    def _submit(self) -> None:
        """A client hands a transaction to some node that is up."""
        self._scheduler.later(self._plan.transaction_every_ms, self._submit)
        up = [node for node in self.honest if node.is_up]
        if not up or self._are_clients_silent:
            return
        node = self._clients.choice(up)
        if len(node.chain.waiting) < WAITING_MAX:
            self._transactions += 1
            transaction = digest(b"transaction", self._transactions.to_bytes(8, "big"))[:16]
            self.oracle.submitted(transaction)
            node.submit(transaction)

    def _carry(self, sender: int, receiver: int, mail: Mail) -> None:
        """From a place to a validator, wherever that is plugged in."""
        self._scheduler.note(b"%d>%d " % (sender, receiver) + mail.trace())
        for place in self._places[receiver]:
            self._wire.carry(sender, place, mail, self._deliver)

    def _deliver(self, sender: int, receiver: int, mail: Mail) -> None:
        self._scheduler.note(b"%d<%d" % (receiver, sender))
        self.nodes[receiver].deliver(self.nodes[sender].index, mail)

    def _note_step(self, place: int, event: Input, effects: Sequence[Effect]) -> None:
        """What a machine was told and did; the mail itself is noted on the wire."""
        self._steps += 1
        if self._watch is not None:
            self._watch(self._steps, place, event, effects)
        kinds = ",".join(type(effect).__name__ for effect in effects)
        self._scheduler.note(f"{place} {type(event).__name__}: {kinds}".encode())
        for effect in effects:
            if isinstance(effect, Persist):
                self._scheduler.note(encode(effect.records))
            elif isinstance(effect, Entered):
                self._entered_ms[place] = (*self._entered_ms.get(place, ()), self._scheduler.now_ms)[-2:]

    def _note_crash(self, place: int, point: CrashPoint, is_torn: bool) -> None:
        self._scheduler.note(f"crash {place} {point.value} {is_torn}".encode())
        self._faults["crash"] += 1
        if point in COUNTED_POINTS:
            self._faults[point.value] += 1
        if is_torn:
            self._faults["torn write"] += 1

    def _look(self) -> None:
        """Memory above the last final view is bounded."""
        for node in self.honest:
            if node.machine is None:
                continue
            state = node.machine.state
            above = state.certificates.above(state.certificates.final_view)
            kept = (state.tally, state.blocks.all(), above, state.rounds, node.disk.records)
            remembered = sum(len(each) for each in kept)
            foreseen = FORESEEN_MAX * sum(liar.lie == "flooder" for liar in self._plan.liars)
            unsettled = max(0, state.distance - UNSETTLED_VIEWS) * (
                VOTES_PER_VIEW * len(self.nodes) + KEPT_PER_VIEW
            )
            limit = REMEMBERED_PER_NODE_MAX * len(self.nodes) + foreseen + unsettled
            if remembered > limit >= self._most_remembered:
                self.oracle.violated("memory", f"node {node.index} remembers {remembered} things")
            self._most_remembered = max(self._most_remembered, remembered)
        self._scheduler.later(LOOK_MS, self._look)

    # --- the verdict ---------------------------------------------------------------------------

    def _judge_emptiness(self) -> None:
        self.oracle.judge_lineage()
        self.oracle.history.judge_end({node.index: node.disk.committed for node in self.honest})
        if not any(node.height for node in self.honest):
            self.oracle.violated("empty", "nothing was committed")
        elif not self.oracle.history.transactions:
            self.oracle.violated("empty", "no transaction became final")
        if self.oracle.violations:
            return  # floors are of runs that came to their end
        lowest, lies = min(node.height for node in self.honest), self._lies()
        hits = sum(count for fault, count in self._faults.items() if fault != ALWAYS)
        floors = self._plan.scenario.floors
        for shortfall in floors.shortfalls(lowest, hits, lies.total(), self._faults):
            self.oracle.violated("empty", shortfall)
        for liar in self._plan.liars:  # one of a crowd may be silent where the others tell enough
            if lies.total() >= floors.lies and not lies[liar.lie]:
                self.oracle.violated("empty", f"the {liar.lie} told no lie")

    def _lies(self) -> Counter[str]:
        """How many lies each kind of liar told."""
        lies: Counter[str] = Counter()
        for liar in self._plan.liars:
            node = self.nodes[liar.index]
            assert isinstance(node, LyingNode)
            lies[liar.lie] += node.adversary.lies
        if self._plan.twins:
            lies["twins"] = self._twin_watch.contradictions
        return lies

    def _report(self) -> RunReport:
        plan = self._plan
        for node in self.nodes:
            self._scheduler.note(encode((node.index, node.height, node.disk.head.block_id or ZERO_HASH)))
        return RunReport(
            seed=plan.seed,
            scenario=plan.scenario.name,
            stakes=plan.stakes,
            adversaries=(*(liar.lie for liar in plan.liars), *("twins" for _ in plan.twins)),
            heights=tuple(node.height for node in self.nodes),
            faults=dict(sorted(self._faults.items())),
            lies=dict(sorted(self._lies().items())),
            violations=tuple(self.oracle.violations),
            virtual_ms=self._scheduler.now_ms,
            recovery_ms=self._recovery_ms,
            steps=self._steps,
            messages=self._wire.sent,
            busiest_window=self.oracle.traffic.busiest,
            most_resends=self.oracle.traffic.most_resends,
            transactions=self.oracle.history.transactions,
            most_remembered=self._most_remembered,
            trace_hash=self._scheduler.trace_hash,
            floors=plan.scenario.floors.as_dict(),
        )


def _place_of(bug: BaseException) -> str:
    """File and line where a bug showed itself."""
    trace = bug.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"({PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})"
