"""Play scenarios: a network for each group, load, the fault, everybody well again, a stop, and the checker.

A scenario is over when every node has taken a transaction that became final, all stand at one height with one
root, every validator votes, and every process has stopped cleanly. Then the checker reads the disks.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Final

from ledger.consensus.timeouts import ConsensusParameters
from ledger.crypto import KeyPair, key_pair
from ledger.errors import LedgerError
from ledger.genesis import Parameters, StakingParameters, chain_id
from network.chaos.audit import Auditor, Violation
from network.chaos.cluster import Cluster
from network.chaos.history import History, Outcome, now
from network.chaos.load import Load
from network.chaos.namespaces import NamespaceWire
from network.chaos.proxies import ProxyWire
from network.chaos.remains import read_remains
from network.chaos.report import Report, Result, longest_gap
from network.chaos.sandbox import missing
from network.chaos.scenario import Scenario
from network.chaos.stage import LEADER, READY_SECONDS, Stage, targets_of
from network.chaos.wire import Wire
from network.testnet.members import ORGANISATIONS
from node.keys import read_seed
from node.store.failure import StoreError

VALIDATORS: Final = 4
OBSERVERS: Final = 1
STAKES: Final = {LEADER: 130}  # the others have 100: any three are a quorum, no two are
# Epochs turn many times in a run. Nobody is jailed for having been broken here.
PARAMETERS: Final = Parameters(
    consensus=ConsensusParameters(epoch_blocks=40), staking=StakingParameters(attendance_min_permille=0)
)
BEGIN_SECONDS: Final = 60.0
FINAL_MIN: Final = 8  # a scenario in which clients saw less shows nothing
SECONDS: Final = 5.0  # how long a fault is held beyond what it needs to be seen

Tell = Callable[[Result], None]


def play(
    scenarios: Sequence[Scenario],
    *,
    seed: int,
    seconds: float = SECONDS,
    is_inside: bool,
    folder: Path | None = None,
    tell: Tell = lambda result: None,
) -> Report:
    """Play scenarios in their order.

    Args:
        seconds: how long a fault is held.
        is_inside: whether this process lives in namespaces of its own (`network.chaos.sandbox`).
        folder: where to keep the networks; None: they are removed, but for those of a group that broke.
        tell: is given each result as it comes.
    """
    report = Report(seed)
    for _, group in groupby(scenarios, lambda each: each.group):
        todo = list(group)
        while todo:  # a network on which a rule was broken is not played on again
            wire = NamespaceWire() if is_inside and not todo[0].is_by_relays else ProxyWire(seed)
            with Theatre(wire, seed, seconds, is_inside, folder) as theatre:
                while todo and theatre.is_sound:
                    result = theatre.play(todo.pop(0))
                    report.results.append(result)
                    tell(result)
                report.statements += theatre.statements
    return report


class Theatre:
    """One network, on which scenarios are played until one breaks it."""

    def __init__(self, wire: Wire, seed: int, seconds: float, is_inside: bool, folder: Path | None) -> None:
        self._seed = seed
        self._seconds = seconds
        self._is_inside = is_inside
        self._wire = wire
        self._is_kept = folder is not None
        self._folder = Path(tempfile.mkdtemp(prefix="farmgate-chaos-", dir=folder))
        self._history = History()
        self._kept_logs: dict[str, list[Path]] = {}
        self._liars: set[str] = set()
        self._parts: tuple[Cluster, Auditor, KeyPair] | None = None
        self.is_sound = True

    def __enter__(self) -> Theatre:
        return self

    def __exit__(self, *_: object) -> None:
        if self._parts is not None:
            self._parts[0].kill_all()
            self._wire.close()
        if self.is_sound and not self._is_kept:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def statements(self) -> int:
        """How many signed statements the checker has compared."""
        return 0 if self._parts is None else self._parts[1].statements

    def play(self, scenario: Scenario) -> Result:
        """One scenario from beginning to end."""
        reasons = [missing(need, is_inside=self._is_inside) for need in scenario.needs]
        if any(reasons):
            return Result(scenario.name, skipped="; ".join(filter(None, reasons)))
        began = time.monotonic()
        cluster, auditor, key = self._network()
        targets = targets_of(cluster)
        chance = random.Random(f"{self._seed} {scenario.name}")
        load = Load(targets, auditor.chain.chain_id, key, self._history, chance.random())
        stage = Stage(
            cluster,
            self._wire,
            load,
            self._history,
            chance,
            self._seconds,
            self._kept_logs,
            self._liars,
            affected=self._wire.affected(),
        )
        result = Result(
            scenario.name,
            wire=self._wire.kind,
            height_first=auditor.chain.height,
            epoch_first=auditor.chain.epoch,
        )
        broken = [*_demands(stage, scenario, result), *self._audit(cluster, auditor, key)]
        if not broken and (stage.faults == 0 or result.final < FINAL_MIN):
            broken.append(Violation("empty", f"{stage.faults} faults, {result.final} transactions final"))
        result.violations = tuple(broken)
        result.faults, result.notes = stage.faults, tuple(stage.notes)
        result.height_last, result.epoch_last = auditor.chain.height, auditor.chain.epoch
        result.seconds = time.monotonic() - began
        self.is_sound = result.is_green
        if not self.is_sound:
            result.notes += (f"kept in {self._folder}",)
        return result

    def _network(self) -> tuple[Cluster, Auditor, KeyPair]:
        if self._parts is None:
            plan = self._wire.plan(self._folder / "net", VALIDATORS, OBSERVERS, STAKES)
            plan = replace(plan, parameters=PARAMETERS)
            self._wire.open()
            cluster = Cluster.found(plan, self._wire)
            path = plan.folder / "profiles" / "keys" / f"{ORGANISATIONS[0].id}.key"
            self._parts = cluster, Auditor(cluster.genesis), key_pair(read_seed(path))
        return self._parts

    def _audit(self, cluster: Cluster, auditor: Auditor, key: KeyPair) -> Iterator[Violation]:
        chain = chain_id(cluster.genesis)
        remains = []
        for name in cluster.names:
            try:
                remains.append(
                    read_remains(name, cluster.home(name), chain, tuple(self._kept_logs.get(name, ())))
                )
            except StoreError as problem:
                yield Violation("unreadable", f"{name}: {problem}")
            if "Traceback" in cluster.log(name):
                yield Violation("untidy", f"{name} wrote a traceback: {cluster.log_path(name)}")
        if remains:
            yield from auditor.audit(
                remains,
                self._history.operations,
                self._history.sightings,
                frozenset({key.public}),
                frozenset(self._liars),
            )


def _demands(stage: Stage, scenario: Scenario, result: Result) -> Iterator[Violation]:
    """Play the fault, then see that everybody is well; afterwards every process has ended."""
    began = now()
    with ExitStack() as ending:
        ending.callback(stage.cluster.kill_all)
        ending.callback(stage.wire.heal)
        try:
            stage.start_many(stage.cluster.names)
            stage.load.start()
            ending.callback(stage.load.stop)
            stage.goes_on(seconds=BEGIN_SECONDS)
            scenario.play(stage)
            stage.wire.heal()
            mended = now()
            stage.cluster.wait_answers(stage.cluster.names, READY_SECONDS)
            stage.each_takes_one()
            result.recovery_seconds = now() - mended
            stage.votes(
                *stage.validators
            )  # under load: a quarantine ends by blocks, and an idle chain makes none
            stage.load.stop()
            stage.stand_equal()
            stage.stop_all()
        except LedgerError as refusal:
            yield Violation(refusal.code, refusal.message)
    mine = [each for each in stage.history.operations if each.invoked >= began]
    result.final = sum(each.outcome is Outcome.FINAL for each in mine)
    result.unknown = sum(each.outcome is Outcome.UNKNOWN for each in mine)
    result.refused = sum(each.outcome is Outcome.REFUSED for each in mine)
    moments = [each.completed for each in mine if each.outcome is Outcome.FINAL]
    if moments:
        result.gap_seconds = longest_gap(moments, min(moments), max(moments))
