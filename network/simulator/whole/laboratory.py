"""One run of whole nodes: a network made from a plan, its faults, its recovery, and the verdict.

Four phases: faults, until the planned time; recovery, until every site has committed PROGRESS_HEIGHTS more;
then the clients fall silent and the chain has to settle; then it has to stay quiet. Afterwards every client
asks again, and the chain is run again from genesis. A run ends where it first breaks a rule. One in which no
fault hit anything or no client was answered has shown nothing, and fails.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import Final

from ledger.block import Header
from ledger.consensus.events import Effect, Input
from ledger.consensus.messages import decode_message
from ledger.epoch import validators_in_force
from ledger.errors import LedgerError
from network.simulator.event_log import Watch
from network.simulator.floors import PROGRESS_HEIGHTS
from network.simulator.report import RunReport
from network.simulator.whole.assembly import Assembly
from network.simulator.whole.clients import Clients
from network.simulator.whole.disk import Contents, founded
from network.simulator.whole.followers import Followers
from network.simulator.whole.founding import consortium_of
from network.simulator.whole.havoc import Havoc
from network.simulator.whole.incidents import DataLoss
from network.simulator.whole.judge import Judge
from network.simulator.whole.liar import LIES
from network.simulator.whole.loop import LoopOverrun, VirtualLoop
from network.simulator.whole.scenario import Plan, plan_of
from network.simulator.whole.site import Death, SimulatedSite
from network.simulator.whole.tape import Tape
from network.simulator.whole.wire import Wire
from node.assemble import RunningNode
from node.p2p.messages import CompactProposal, Consensus
from node.p2p.messages import decode_message as decode_peer_message

LOOK_SECONDS: Final = 0.1
PROGRESS_SECONDS: Final = 40.0
SETTLE_SECONDS: Final = 30.0
JUSTIFY_SECONDS: Final = 120.0  # one peer is asked every five seconds, and one may lack what another has
DECIDE_SECONDS: Final = 60.0  # for some ballots, one after the other
LEVEL_SECONDS: Final = 60.0
TURNS_SECONDS: Final = 60.0  # for some epochs of a few blocks
FAR_PATIENCE: Final = 2  # so many times as long, where each epoch begins with views too short for one hop
QUIET_SECONDS: Final = 6.0  # more than one beacon, far less than a heartbeat
QUIET_BLOCKS_MAX: Final = 2
# Where a finalization takes longer than the first delay, leaders help each block with an empty one above it.
QUIET_BLOCKS_FAR_MAX: Final = 5
HELD_PER_NODE_MAX: Final = 500  # transactions, bodies, messages and records that a node keeps, for each site
BUGS: Final = (AssertionError, LookupError, ValueError, TypeError, AttributeError, RuntimeError)


def run_whole(seed: int, nodes: int, scenario: str) -> RunReport:
    """Run one seed of a scenario of whole nodes.

    Raises:
        LedgerError: `sim.unknown_scenario`, `sim.nodes`.
    """
    return WholeLaboratory(plan_of(seed, nodes, scenario)).run()


class WholeLaboratory:
    """One network of whole nodes under one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._faults: Counter[str] = Counter()
        # Whoever is jailed makes the others heavier: a liar, or a site that loses its data, just below a
        # third of the stake would be above it.
        is_patient = plan.loses_data or (plan.scenario.has_ballots and plan.liar is not None)
        self._consortium = consortium_of(plan.stakes, plan.epoch_blocks, plan.late, is_patient=is_patient)
        self._loop = VirtualLoop()
        self.judge = Judge(self._consortium.genesis)
        self._is_over = False
        self._recovery_ms = 0
        self._most_remembered = 0
        self._tape = Tape(self._loop, None)
        self._sites: list[SimulatedSite] = []

    @property
    def sites(self) -> Sequence[SimulatedSite]:
        """Every site, in order; none before the run."""
        return self._sites

    @property
    def now_ms(self) -> int:
        """Virtual time since the run began."""
        return self._loop.now_ms

    def run(self, watch: Watch | None = None) -> RunReport:
        """Run the plan to its end; answer what came of it. `watch` sees each step, its number first; what it
        raises ends the run."""
        self._tape = Tape(self._loop, watch)
        with quiet_logs():
            try:
                self._loop.run(self._main())
            except LoopOverrun as overrun:
                self.judge.violated("overrun", str(overrun))
            except BUGS as bug:  # a bug of the code under test is a finding with a seed
                self.judge.violated("bug", _shown(bug))
        for problem in self._loop.problems[:3]:
            self.judge.violated("bug", _shown(problem))
        return self._report()

    async def _main(self) -> None:
        plan, consortium, loop = self._plan, self._consortium, self._loop
        self._wire = Wire(loop, plan.random("wire"), plan.links, self._heard, self._faults)
        self._sites = [
            SimulatedSite(
                loop,
                self._wire,
                consortium.genesis,
                member,
                index,
                plan.random(f"site {index}"),
                self,
                LIES[plan.lie](plan.random("lie")) if index == plan.liar else None,
            )
            for index, member in enumerate(consortium.members)
        ]
        self._havoc = Havoc(
            loop, plan.random("havoc"), self._wire, self._sites, self.judge, self._faults,
            self._tape.begins,
        )  # fmt: skip
        self._clients = Clients(
            loop, plan.random("clients"), consortium, self._sites, self.judge, plan.transaction_every_ms,
            plan.has_stake_moves,
        )  # fmt: skip
        self._followers = Followers(loop, self._wire, self._sites, plan, self._havoc)
        self._assembly = Assembly(plan.random("assembly"), consortium, self._clients, self._followers.join)
        for site in self._present:
            loop.call_later(plan.random("start").uniform(0, 0.2), site.start)
        self._decisions = loop.create_task(self._assembly.decide(plan.agenda.amid_faults))
        incidents = [loop.create_task(self._havoc.run(incident)) for incident in plan.incidents]
        everybody = loop.create_task(self._clients.run())
        await self._phases(incidents)
        everybody.cancel()
        self._is_over = True
        self._tape.stop()
        if not self.judge.violations:
            self._judge_end()

    async def _phases(self, incidents: list[asyncio.Task[None]]) -> None:
        await self._pass(self._plan.faults_end_ms / 1000, lambda: False)
        for incident in incidents:
            await incident
        self._havoc.inspect()
        self._tape.tell(None, "the faults are over")
        await self._recover()
        await self._govern()
        self._clients.is_silent = True
        self._tape.tell(None, "the clients fall silent")
        await self._settle()
        before = self._highest
        await self._pass(QUIET_SECONDS, lambda: False)
        limit = QUIET_BLOCKS_FAR_MAX if self._plan.distance == "far" else QUIET_BLOCKS_MAX
        # A liar that was kept away comes back with what its own clients handed in.
        if self._plan.liar is None and self._highest > before + limit:
            self.judge.violated("quiet", f"{self._highest - before} blocks with nothing to say")
        await self._settle()
        await self._justify()

    async def _govern(self) -> None:
        """With all well the organisations come to their decisions, and who has a seat then votes."""
        agenda, liar = self._plan.agenda, self._plan.liar
        if not agenda.amid_faults:
            return
        patience = FAR_PATIENCE if self._plan.distance == "far" else 1
        if not await self._pass(patience * DECIDE_SECONDS, self._decisions.done):
            self.judge.violated("progress", f"the organisations don't come to decide: {self._standing()}")
            return
        # Who comes from genesis passes an epoch a second: epochs of three blocks must not be made as fast.
        self._clients.is_resting = True
        if not await self._pass(patience * LEVEL_SECONDS, self._is_level):
            self.judge.violated("progress", f"not all come along: {self._standing()}")
        self._clients.is_resting = False
        self.judge.well([] if liar is None else [self._sites[liar].member.validator.public])
        later = self._loop.create_task(self._assembly.decide(agenda.afterwards))
        if not await self._pass(patience * DECIDE_SECONDS, later.done):
            self.judge.violated("progress", f"the organisations don't come to decide: {self._standing()}")
        if agenda.afterwards:
            await self._turn(patience * TURNS_SECONDS)

    def _is_level(self) -> bool:
        """Whether every site takes part and has all blocks."""
        return all(_takes_part(site) and site.height == self._highest for site in self._honest)

    async def _turn(self, seconds: float) -> None:
        """Some epochs more, until everybody who has a seat after the last decision has been heard."""
        goal = self.judge.roll.epoch + 1
        if not await self._pass(seconds, lambda: self.judge.heard_from >= goal):
            self.judge.violated("progress", f"epochs above {goal} do not come: {self._standing()}")

    async def _justify(self) -> None:
        """Every site comes to hold what settled each view: with it a fork would name who made it."""
        if not await self._pass(JUSTIFY_SECONDS, lambda: not self._unsettled()):
            self.judge.violated("justified", "; ".join(self._unsettled()))

    def _unsettled(self) -> list[str]:
        views = {site.member.name: self.judge.unsettled(site) for site in self._sites if site.is_up}
        return [f"{name} can't show {missing[:3]}" for name, missing in views.items() if missing]

    async def _recover(self) -> None:
        """After the last fault every site commits so many more heights, and signs again, in bounded time."""
        goal, began_ms = self._highest + PROGRESS_HEIGHTS, self._loop.now_ms
        is_there = await self._pass(
            PROGRESS_SECONDS, lambda: all(_takes_part(site) and site.height >= goal for site in self._honest)
        )
        self._recovery_ms = self._loop.now_ms - began_ms
        if not is_there:
            self.judge.violated("progress", f"goal {goal} not reached after the faults: {self._standing()}")

    async def _settle(self) -> None:
        """With silent clients all sites come to one head with nothing waiting."""
        if not await self._pass(SETTLE_SECONDS, self._is_settled):
            self.judge.violated("progress", f"not settled: {self._standing()}")

    async def _pass(self, seconds: float, is_done: Callable[[], bool]) -> bool:
        """Let time pass until something is done, or a rule is broken; False if it was not done in time."""
        end = self._loop.time() + seconds
        while self._loop.time() < end and not self.judge.violations:
            if is_done():
                return True
            await asyncio.sleep(LOOK_SECONDS)
            self._look()
        return bool(self.judge.violations) or is_done()

    def _look(self) -> None:
        """What a node keeps in memory is bounded; followers that lag come along."""
        self._followers.look()
        for site in self._present:
            if site.is_up and site.node is not None:
                held = sum(site.node.held().values())
                self._most_remembered = max(self._most_remembered, held)
                if held > HELD_PER_NODE_MAX * len(self._sites):
                    self.judge.violated("memory", f"{site.member.name} holds {site.node.held()}")

    @property
    def _present(self) -> list[SimulatedSite]:
        return self._followers.present

    @property
    def _honest(self) -> list[SimulatedSite]:
        """Who has to come along: a liar may be kept away by its peers for as long as it lies."""
        return [site for site in self._present if site.lie is None]

    @property
    def _highest(self) -> int:
        return max(site.height for site in self._sites)

    def _is_settled(self) -> bool:
        nodes = [site.node for site in self._honest if site.is_up and site.node is not None]
        heads = {node.site.head() for node in nodes}
        return (
            len(nodes) == len(self._honest)
            and len(heads) == 1
            and not any(node.site.status().pending_transactions for node in nodes)
        )

    def _standing(self) -> str:
        return "; ".join(
            f"{site.member.name} {'up' if site.is_up else 'down'} at {site.height}"
            + (f", waiting {status.pending_transactions}, {status.reason or 'votes'}" if status else "")
            for site in self._sites
            for status in [site.node.site.status() if site.is_up and site.node is not None else None]
        )

    def _judge_end(self) -> None:
        """All the same everywhere, nothing lost, and genesis leads to the same state."""
        for site in self._honest:
            assert site.node is not None
            self.judge.judge_history(site)
        states = [site.contents.state.entries for site in self._honest]
        if any(state != states[0] for state in states):
            self.judge.violated("roots", "the state databases differ")
        self._judge_again(self._honest[0])

    def _judge_again(self, site: SimulatedSite) -> None:
        """A node that has the blocks and no state runs them again, to the same state."""
        head = None if site.node is None else site.node.site.head()
        fresh = founded(self._consortium.genesis, None, site.generation, bytes(16))
        site.die(Death.KILLED, "end")
        mind = site.consensus
        live, site.contents = site.contents, Contents(fresh.files, site.contents.blocks, fresh.state)
        site.start()
        site.consensus = mind  # where it stood when the run ended
        if (
            site.node is None
            or site.node.site.head() != head
            or site.contents.state.entries != live.state.entries
        ):
            self.judge.violated("roots", "run again from genesis, the chain leads to another state")

    # --- what is heard -------------------------------------------------------------------

    def _heard(self, sender: int, receiver: int, frame: bytes, data: bytes | None) -> None:
        self._loop.note(b"frame", bytes([sender, receiver]), frame)
        site = self._sites[sender]
        self.judge.counted(site, len(self._sites) - 1, self._loop.now_ms)
        if data is None:
            return
        try:
            message = decode_peer_message(data)
            if isinstance(message, Consensus | CompactProposal):
                self.judge.sent(site, decode_message(message.payload))
            elif site in self._honest:
                self.judge.served(site, message)
        except LedgerError:
            pass  # of the handshake

    def started(self, site: SimulatedSite, node: RunningNode) -> None:
        """A node begins."""
        self._loop.note(b"started", bytes([site.index]))
        self._tape.tell(site, "starts from its disk", f"UP at height {node.site.head()[0]}")
        self.judge.started(site, node)

    def stepped(self, site: SimulatedSite, event: Input, effects: Sequence[Effect]) -> None:
        """Consensus took a step."""
        self._tape.stepped(site, event, effects)

    def committed(self, site: SimulatedSite, node: RunningNode, header: Header) -> None:
        """A block became final."""
        self._loop.note(b"committed", bytes([site.index]), header.state_root)
        words = f"height {header.height} is final, {header.transaction_count} transactions"
        self._tape.tell(site, words, f"STATE {header.state_root[:8].hex()}")
        self.judge.committed(site, node, header)

    def died(self, site: SimulatedSite, why: str) -> None:
        """A process has ended."""
        self._loop.note(b"died", bytes([site.index]), why.encode())
        self._tape.tell(site, f"dies: {why}", f"DOWN at height {site.height}")
        if not self._is_over:
            self._faults[why.partition(":")[0]] += 1
            self._havoc.bring_back(site)

    def refused(self, site: SimulatedSite, problem: Exception) -> None:
        """A node does not start, or ended itself."""
        self._loop.note(b"refused", bytes([site.index]), str(problem).encode())
        self._tape.tell(site, f"stops by itself: {type(problem).__name__}: {problem}")
        self._havoc.refused(site, problem)

    def misused(self, site: SimulatedSite, what: str) -> None:
        """A process went on with a disk that had failed."""
        self.judge.violated("poison", f"{site.member.name}: {what}")

    def lost_synced(self, site: SimulatedSite) -> None:
        """What a disk had said to be durable is gone."""
        self._loop.note(b"lost", bytes([site.index]))
        self._tape.tell(site, "loses what its disk had said to be durable")
        self._faults[DataLoss.UNSYNCED.value] += 1
        self.judge.restored(site)

    # --- the result ---------------------------------------------------------------------------

    def _report(self) -> RunReport:
        plan = self._plan
        self._judge_emptiness()
        return RunReport(
            seed=plan.seed,
            scenario=plan.scenario.name,
            stakes=tuple(stake for stake in plan.stakes if stake),
            adversaries=(plan.lie,) if plan.lie else (),
            heights=tuple(site.height for site in self._sites),
            faults=dict(sorted(self._faults.items())),
            lies=self._lies,
            violations=tuple(self.judge.violations),
            virtual_ms=self._loop.now_ms,
            recovery_ms=self._recovery_ms,
            steps=self._tape.steps,
            messages=self._wire.frames,
            busiest_window=self.judge.busiest,
            most_remembered=self._most_remembered,
            trace_hash=self._loop.trace_hash,
            floors=plan.scenario.floors.as_dict(),
            changes=self._changes,
        )

    @property
    def _changes(self) -> dict[str, int]:
        """What became of the membership, where it changes."""
        if not self._plan.agenda.amid_faults:
            return {}
        outcomes = Counter({"epochs": self.judge.roll.epoch, "caught up": self._followers.caught_up})
        outcomes += self._assembly.outcomes
        return dict(sorted(outcomes.items()))

    @property
    def _lies(self) -> dict[str, int]:
        told = [site.lie.told for site in self._sites if site.lie is not None]
        return {self._plan.lie: sum(told)} if told else {}

    def _judge_emptiness(self) -> None:
        if not self.judge.told:
            self.judge.violated("empty", "no client was told that its transaction is final")
        if self.judge.violations:
            return  # floors are of runs that came to their end
        if self._plan.followers and not self._followers.caught_up:
            self.judge.violated("empty", "no follower had to catch up, and did")
        if self._followers.absent:
            self.judge.violated("empty", "nobody joined")
        if self._plan.scenario.has_ballots and not self.judge.roll.passed:
            self.judge.violated("empty", "no ballot was carried")
        lowest, lies = min(site.height for site in self._honest), sum(self._lies.values())
        floors = self._plan.scenario.floors
        if self._plan.lie and not lies:
            self.judge.violated("empty", f"the site with {self._plan.lie} told no lie")
            return
        for shortfall in floors.shortfalls(lowest, self._faults.total(), lies, self._faults):
            self.judge.violated("empty", shortfall)


def _takes_part(site: SimulatedSite) -> bool:
    """Whether a node signs, or has no stake to sign with."""
    if not site.is_up or site.node is None:
        return False
    key = site.member.validator.public
    has_stake = validators_in_force(site.node.site.state()).index_of(key) is not None
    return site.node.site.status().is_voting or not has_stake


@contextmanager
def quiet_logs() -> Iterator[None]:
    """What the nodes of a run log goes nowhere."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _shown(bug: BaseException | str) -> str:
    """What went wrong, and in which line."""
    if isinstance(bug, str):
        return bug
    trace = bug.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = (
        "" if trace is None else f" ({PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})"
    )
    return f"{type(bug).__name__}: {bug}{place}"
