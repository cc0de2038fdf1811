"""What a scenario plays on: the running network under load, the means to hurt it, and what it may demand."""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from ledger.consensus.signer import LISTENING
from ledger.errors import LedgerError
from network.chaos.cluster import POLL_SECONDS, Cluster, Ended, Start, is_validator, until
from network.chaos.history import History, Outcome, now
from network.chaos.load import Load, Target
from network.chaos.wire import Wire
from network.testnet.testnet import node_command
from node.home import Home
from node.store.failure import EXIT_STORE_FAILED

LEADER: Final = "node-0"  # has the most stake, so it leads the most views
VALIDATOR: Final = "node-2"
OBSERVER: Final = "node-4"
ROLES: Final = {"leader": LEADER, "validator": VALIDATOR, "observer": OBSERVER}

# Bounds, not measurements: a machine that is busy with other things must stay below them.
READY_SECONDS: Final = 60.0
RECOVERY_SECONDS: Final = 90.0
STOP_SECONDS: Final = 20.0  # the scenario `sigterm` holds a stop to the five seconds that are promised
REPAIR_SECONDS: Final = 120.0
SETTLE_SECONDS: Final = 3.0  # what was on its way when links were cut may still become final
QUARANTINED: Final = re.compile(r"event=signer is_signing=false reason=(signer\.\w+)")
GOES_ON: Final = 4  # transactions that clients begin during a fault and see become final


@dataclass(slots=True)
class Stage:
    """One scenario's view. Every method that hurts counts what it did."""

    cluster: Cluster
    wire: Wire
    load: Load
    history: History
    chance: random.Random
    seconds: float
    kept_logs: dict[str, list[Path]]
    liars: set[str] = field(default_factory=set)  # validators that lied on this network
    faults: int = 0
    affected: int = 0  # packets or pieces, by the wire
    notes: list[str] = field(default_factory=list)

    # --- the cast -----------------------------------------------------------------

    @property
    def validators(self) -> tuple[str, ...]:
        """All nodes whose stake nobody has taken from them."""
        names = (name for name, node in self.cluster.nodes.items() if is_validator(node))
        return tuple(name for name in names if name not in self.liars)

    def home(self, name: str) -> Home:
        """The home of a node."""
        return self.cluster.home(name)

    # --- processes ------------------------------------------------------------------

    def hurt(self, what: str) -> None:
        """Count a fault and say what it was."""
        self.faults += 1
        self.notes.append(what)

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.cluster.kill(name)
        self.hurt(f"killed {name}")

    def stop(self, name: str, seconds: float = STOP_SECONDS) -> None:
        """SIGTERM; the node has to close cleanly."""
        ended = self.cluster.stop(name, seconds)
        if ended.code != 0:
            raise LedgerError("chaos.exit_code", f"{name} stopped with code {ended.code}, expected 0")

    def start(self, name: str, how: Start | None = None) -> None:
        """Start a node and wait until it answers."""
        self.cluster.start(name, how)
        self.cluster.wait_answers((name,), READY_SECONDS)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a node."""
        self.cluster.send_signal(name, number)
        self.hurt(f"sent {number.name} to {name}")

    def ends(self, name: str, code: int, seconds: float = READY_SECONDS) -> Ended:
        """The node ends by itself, with this exit code (negative: a signal).

        Raises:
            LedgerError: `chaos.late`, `chaos.exit_code`.
        """
        ended = self.cluster.wait_ended(name, seconds)
        if ended.code != code:
            lines = ended.said.strip().splitlines()[-3:]
            raise LedgerError(
                "chaos.exit_code", f"{name} ended with {ended.code}, expected {code}: {' | '.join(lines)}"
            )
        return ended

    def ends_saying(self, name: str, code: int, *words: str) -> None:
        """The node ends by itself, with this code, and its last line holds these words.

        Raises:
            LedgerError: `chaos.late`, `chaos.exit_code`, `chaos.unclear`.
        """
        lines = self.ends(name, code).said.strip().splitlines() or [""]
        lacking = [word for word in words if word not in lines[-1]]
        if lacking:
            raise LedgerError(
                "chaos.unclear", f"{name} said {lines[-1][:300]!r}, expected {', '.join(lacking)} in it"
            )
        self.notes.append(f"{name} ended with code {code}")

    def refuses_to_open(self, name: str, *words: str) -> None:
        """Started on what its disk holds now, the node ends with the code of a failed store."""
        self.cluster.start(name)
        self.ends_saying(name, EXIT_STORE_FAILED, *words, "ledger-node repair")

    def repair(self, name: str) -> None:
        """What an operator does then.

        Raises:
            LedgerError: `chaos.command`.
        """
        words = (*node_command(), "repair", "--home", str(self.home(name).root))
        done = subprocess.run(  # noqa: S603  # our own command
            words, capture_output=True, text=True, check=False, timeout=REPAIR_SECONDS
        )
        if done.returncode:
            raise LedgerError("chaos.command", f"ledger-node repair of {name}: {done.stderr.strip()[-300:]}")
        self.notes.append(f"repaired {name}")

    def keep_log(self, name: str) -> None:
        """Put a consensus log aside before it is damaged: what it says was signed all the same."""
        log = self.home(name).consensus_log
        kept = self.kept_logs.setdefault(name, [])
        target = self.cluster.plan.folder / f"{name}-kept-{len(kept)}.log"
        shutil.copyfile(log, target)
        kept.append(target)

    # --- demands --------------------------------------------------------------------

    def goes_on(self, count: int = GOES_ON, seconds: float = RECOVERY_SECONDS) -> None:
        """Clients that begin now see their transactions become final.

        Raises:
            LedgerError: `chaos.late`, `chaos.ended`.
        """
        moment = now()

        def enough() -> bool:
            self.cluster.check_alive()
            return len(self.history.final_since(moment)) >= count

        until(enough, seconds, f"fewer than {count} new transactions became final")

    def stands_still(self, names: Sequence[str], seconds: float) -> None:
        """Nothing becomes final at these nodes, and they go on answering reads.

        Raises:
            LedgerError: `chaos.moved`, `chaos.late`, `chaos.ended`.
        """
        self.rest(SETTLE_SECONDS)
        before = {name: self._height(name) for name in names}
        self.rest(seconds)
        after = {name: self._height(name) for name in names}
        if before != after:
            raise LedgerError("chaos.moved", f"without a quorum heights went from {before} to {after}")

    def rest(self, seconds: float) -> None:
        """Let time pass; a node that ends meanwhile is noticed."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.cluster.check_alive()
            time.sleep(POLL_SECONDS)

    def catches_up(self, *names: str, seconds: float = RECOVERY_SECONDS) -> None:
        """These nodes reach the height that any node has now.

        Raises:
            LedgerError: `chaos.late`, `chaos.ended`.
        """
        goal = max(status["height"] for status in self.statuses().values())

        def reached() -> bool:
            self.cluster.check_alive()
            found = self.statuses(names)
            return len(found) == len(names) and all(each["height"] >= goal for each in found.values())

        until(reached, seconds, f"{', '.join(names)} did not reach height {goal}")

    def votes(self, *names: str, seconds: float = RECOVERY_SECONDS) -> None:
        """These validators vote (again).

        Raises:
            LedgerError: `chaos.late`, `chaos.ended`.
        """

        def voting() -> bool:
            self.cluster.check_alive()
            found = self.statuses(names)
            return len(found) == len(names) and all(each["is_voting"] for each in found.values())

        until(voting, seconds, f"{', '.join(names)} did not vote")

    def starts_in_quarantine(self, name: str) -> None:
        """Start a validator whose record can't be trusted: it says so, catches up, and votes again later.

        Raises:
            LedgerError: `chaos.votes` where it never says so; `chaos.late`, `chaos.ended`.
        """
        self.start(name)
        self.catches_up(name)
        self.votes(name)
        reasons = set(QUARANTINED.findall(self.cluster.said(name))) - {LISTENING}
        if not reasons:
            raise LedgerError("chaos.votes", f"{name} trusted a record that it must not trust")
        self.notes.append(f"{name} did not sign at first: {', '.join(sorted(reasons))}")

    def mend_links(self) -> None:
        """The wire is whole again; a fault of it that met nothing is none.

        Raises:
            LedgerError: `chaos.unplayable`.
        """
        affected = self.wire.affected() - self.affected
        self.wire.heal()
        self.affected += affected
        self.notes.append(f"{affected} lost, held back or slowed")
        if affected == 0:
            raise LedgerError("chaos.unplayable", "nothing came by where the wire was broken")

    def each_takes_one(self, seconds: float = RECOVERY_SECONDS) -> None:
        """Every node takes a client's transaction, and it becomes final.

        Raises:
            LedgerError: `chaos.late`, `chaos.ended`.
        """
        names = self.cluster.names

        with ThreadPoolExecutor(len(names)) as pool:
            done = list(pool.map(lambda name: self.load.send_to(name, seconds), names))
        self.cluster.check_alive()
        for each in done:
            if each.outcome is not Outcome.FINAL:
                raise LedgerError(
                    "chaos.late",
                    f"what {each.node} was given is {each.outcome.value} {each.status} after {seconds:.0f} s",
                )

    def stand_equal(self, seconds: float = RECOVERY_SECONDS) -> None:
        """With nothing more to do, all nodes stand at one height with one root; each head is written down.

        Raises:
            LedgerError: `chaos.late`, `chaos.ended`.
        """
        targets = targets_of(self.cluster)

        def equal() -> bool:
            self.cluster.check_alive()
            seen = [self.load.look(target) for target in targets]
            return None not in seen and len({(each.height, each.state_root) for each in seen if each}) == 1

        until(equal, seconds, "the nodes did not come to stand at one height with one root")

    def statuses(self, names: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
        """What these nodes say of themselves, asked at once; who does not answer is left out."""
        asked = self.cluster.names if names is None else names
        with ThreadPoolExecutor(max(1, len(asked))) as pool:
            found = dict(zip(asked, pool.map(self.cluster.status, asked), strict=True))
        return {name: status for name, status in found.items() if status is not None}

    def _height(self, name: str) -> int:
        """The height that a node shows; it has to answer."""
        found: list[int] = []

        def answers() -> bool:
            status = self.cluster.status(name)
            if status is not None:
                found.append(status["height"])
            return bool(found)

        until(answers, READY_SECONDS, f"{name} answers no read")
        return found[0]

    # --- parts of a scenario that many share ---------------------------------------------

    def restart(self, name: str, how: Start | None = None) -> None:
        """Stop a node and start it another way."""
        self.stop(name)
        self.start(name, how)

    def start_many(self, names: Sequence[str]) -> None:
        """Start nodes at the same time."""
        for name in names:
            self.cluster.start(name)
        self.cluster.wait_answers(names, READY_SECONDS)

    def stop_all(self) -> float:
        """Stop every node at the same time; how long the slowest took, in seconds.

        Raises:
            LedgerError: `chaos.late`, `chaos.exit_code`.
        """
        began = time.monotonic()
        names = self.cluster.running
        if names:
            with ThreadPoolExecutor(len(names)) as pool:
                for _ in pool.map(partial(self.stop, seconds=STOP_SECONDS), names):
                    pass
        return time.monotonic() - began


def targets_of(cluster: Cluster) -> tuple[Target, ...]:
    """The nodes as clients know them."""
    return tuple(Target(name, f"http://{node.api}") for name, node in cluster.nodes.items())
