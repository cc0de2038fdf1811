"""`ledger-node doctor`: one sentence on why the chain does not advance, and what was looked at."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import click

from cli.answers import Status
from cli.client import Client
from cli.exit_code import ExitCode
from cli.failure import Failure, Finished
from cli.group import NodeCommand
from cli.node_commands.options import home_option, own_client, reachable, read_settings
from cli.node_commands.own_node import lock_holder, problem_words
from cli.session import Session, with_session
from ledger.errors import LedgerError
from ledger.genesis import Genesis, chain_id
from node.clock import VARIABLE as CLOCK_VARIABLE
from node.clock import Clock, SystemClock, clock_offset_ms
from node.home import Home, SpaceLimits, SpaceVerdict, judge_space, read_space
from node.settings import Config

WATCH_SECONDS: Final = 3.0
CONNECT_SECONDS: Final = 1.0
CLOCK_SLACK_MS: Final = 2_000  # as a voter allows by default (`drift_ms`)
FRESH_BLOCKS: Final = 3  # the last of so many that became final one after the other was made since the first


class Finding(NamedTuple):
    """One thing that was looked at. `problem` is a sentence, or "" where all is well; `note` a sentence on
    what is well and may look as if it were not."""

    what: str
    said: str
    problem: str = ""
    note: str = ""


@click.command(cls=NodeCommand)
@home_option
@with_session
def doctor(session: Session, home: Path) -> None:
    """Say in one sentence why the chain does not advance here; 0 if nothing is wrong."""
    findings = list(examine(home, time.sleep))
    problem = next((finding.problem for finding in findings if finding.problem), "")
    note = next((finding.note for finding in findings if finding.note), "")
    said = problem or note or "nothing is wrong: this node takes part and the chain advances"
    rows = [(finding.what, "wrong" if finding.problem else "well", finding.said) for finding in findings]
    session.output.data(
        {
            "healthy": not problem,
            "sentence": said,
            "findings": [finding._asdict() for finding in findings],
        },
        lambda: f"{said}\n\n{session.output.table(('looked at', 'is', 'found'), rows)}",
    )
    if problem:
        raise Finished(ExitCode.FAILED)


def examine(home: Path, sleep: Callable[[float], None]) -> Iterator[Finding]:
    """Look at the home first, then at the running node. Ends at what makes the rest pointless."""
    try:
        config = read_settings(home)
    except LedgerError as problem:
        yield Finding("settings", problem.code, f"the node can't start: {problem.message}")
        return
    yield Finding("settings", str(home / "node.toml"))
    genesis = yield from _home(Home(home))
    client = own_client(config)
    try:
        status = client.get("/v1/status", Status)
    except Failure as problem:
        yield from _stopped(home, config, problem)
        return
    last = _last_words(Home(home))
    if last:  # a start takes them away, so it is another home's node: of a copy's original, it may be
        answers = f"the node of another home answers at {config.api.listen}"
        yield Finding("process", f"halted; {answers}", f"the node stopped itself: {last}")
        return
    yield _space(Home(home), config)
    yield Finding("process", f"{status.node} answers, version {status.version}")
    if genesis is not None and status.chain_id != chain_id(genesis).hex():
        yield Finding(
            "chain",
            status.chain_id,
            f"a node of another chain answers at {config.api.listen}: chain {status.chain_id[:16]}, "
            f"this home is of {chain_id(genesis).hex()[:16]}",
        )
        return
    clock = _clock_of(genesis)
    yield _clock(status, clock)
    yield _peers(home, status)
    yield _role(Home(home), status)
    yield from _progress(client, status, clock, sleep)


def _home(home: Home) -> Generator[Finding, None, Genesis | None]:
    """The chain, the keys and the certificate: what a start needs. Answers what the chain began with."""
    from node.genesis_file import read_genesis
    from node.keys import KeyName, read_key

    genesis = None
    try:
        genesis = read_genesis(home.genesis)
    except LedgerError as problem:
        yield Finding("genesis", problem.code, f"the node can't start: {problem.message}")
    else:
        yield Finding("genesis", f"network {genesis.network}")
    names = [name for name in KeyName if name is KeyName.NODE or (home.keys / name.value).exists()]
    try:
        for name in names:
            read_key(home.keys, name)
    except LedgerError as problem:
        yield Finding("keys", problem.code, f"the node can't start: {problem.message}")
    else:
        yield Finding("keys", ", ".join(name.name.lower() for name in names))
        yield from _certificate(home)
    if not home.data.is_dir():
        yield Finding("data", "missing", f"{home.data} is not there: ledger-node init or join makes it")
    return genesis


def _certificate(home: Home) -> Iterator[Finding]:
    from node.keys import KeyName, read_seed
    from node.new_home import CERTIFICATE_FILE
    from node.p2p.identity import load_identity

    file = home.tls / CERTIFICATE_FILE
    try:
        load_identity(read_seed(home.keys / KeyName.NODE.value), file.read_bytes())
    except LedgerError as problem:
        yield Finding("certificate", problem.code, f"the node can't start: {file}: {problem.message}")
    except OSError as problem:
        yield Finding("certificate", str(problem.strerror), f"the node can't start: {file} can't be read")


def _space(home: Home, config: Config) -> Finding:
    """The room where the node writes: a volume of its own, it may be."""
    limits = config.free_space
    try:
        space = read_space(home.data if home.data.is_dir() else home.root)
    except OSError as problem:
        return Finding("disk", str(problem), f"the disk can't be looked at: {problem.strerror}")
    verdict = judge_space(
        space, SpaceLimits(limits.admit_percent_min, limits.admit_bytes_min, limits.vote_bytes_min)
    )
    said = f"{space.free_bytes >> 20} MiB of {space.total_bytes >> 20} MiB free"
    if verdict is SpaceVerdict.ENOUGH:
        return Finding("disk", said)
    what = "does not vote" if verdict is SpaceVerdict.STOP_VOTING else "takes in no transactions"
    return Finding("disk", said, f"the disk is nearly full, so this node {what}: free space at {home.data}")


def _stopped(home: Path, config: Config, problem: Failure) -> Iterator[Finding]:
    """No node answered. Its last words come first; of a disk that leaves it no room it may have had none."""
    process, space = _process(home, config, problem), _space(Home(home), config)
    if process.said == "none" and space.problem:
        yield space._replace(
            problem=f"the node does not run, and its disk is nearly full ({space.said}): free space at "
            f"{Home(home).data}, then ledger-node run --home {home}"
        )
        yield process
    else:
        yield process
        yield space


def _process(home: Path, config: Config, problem: Failure) -> Finding:
    """No node answered: is there a process at all, and why did the last one end?"""
    holder = lock_holder(Home(home))
    is_other = problem.exit_code is not ExitCode.UNREACHABLE or (
        holder is None and _is_open(config.api.listen)
    )
    if is_other:
        whose = "no process holds this home" if holder is None else f"process {holder} holds this home"
        return Finding(
            "process",
            problem.message,
            f"something that is no node answers at {config.api.listen}, and {whose}: "
            "free that port, or set another",
        )
    if holder is None:
        last = _last_words(Home(home))
        if last:
            return Finding("process", "halted", f"the node stopped itself: {last}")
        return Finding("process", "none", f"the node does not run: ledger-node run --home {home}")
    return Finding(
        "process",
        problem.message,
        f"process {holder} holds the home and does not answer: is it paused, or was it started with another "
        "--listen?",
    )


def _last_words(home: Home) -> str:
    """What the node of a home said when it stopped itself, until it is started again."""
    return home.halted.read_text("utf-8", "replace").strip() if home.halted.is_file() else ""


def _is_open(listen: str) -> bool:
    """Whether anything takes a connection where the node would."""
    host, _, port = reachable(listen).rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _clock_of(genesis: Genesis | None) -> Clock:
    """This host's clock, wrong where a test network wants its nodes' to be."""
    if genesis is None:
        return SystemClock()
    setting = os.environ.get(CLOCK_VARIABLE, "")
    return SystemClock(clock_offset_ms(setting, is_test_network=genesis.is_test_network))


def _clock(status: Status, clock: Clock) -> Finding:
    """A block's time is that of its proposer, within 2 s of a quorum's clocks: ours can't be before it."""
    ahead_ms = status.time_ms - clock.wall_ms()
    if ahead_ms > CLOCK_SLACK_MS:
        return Finding(
            "clock",
            f"the last block is {ahead_ms / 1000:.1f} s ahead of it",
            f"this host's clock is at least {ahead_ms / 1000:.1f} s late: set it by NTP",
        )
    return Finding("clock", "not behind the last block")


def _peers(home: Path, status: Status) -> Finding:
    away = [peer for peer in status.peers if not peer.connected]
    said = f"{len(status.peers) - len(away)} of {len(status.peers)} connected"
    reasons = "; ".join(f"{peer.name}: {problem_words(peer.problem)}" for peer in away if peer.problem)
    said += f" ({reasons})" if reasons else ""
    if not status.peers or len(away) < len(status.peers):
        return Finding("peers", said)
    if any(peer.problem == "peer.refused" for peer in away):
        return Finding(
            "peers",
            said,
            "peers refuse this node: it is not a member (yet, or any more); the admin of its organisation "
            f"registers it: farmgate org node add {home / 'node.json'}",
        )
    alone = status.reason or "no other node is connected"
    return Finding("peers", said, f"{alone} ({reasons})" if reasons else alone)


def _role(home: Home, status: Status) -> Finding:
    """A key that may not vote by the chain is no fault; who made it for that wants to know."""
    from node.keys import KeyName

    if status.role == "observer" and (home.keys / KeyName.VALIDATOR.value).exists():
        return Finding(
            "role",
            "observer, with a validator's key",
            note="nothing is wrong: this node follows and does not vote: its validator's key is not "
            "in the set; the consortium admits it by a ballot (farmgate validator)",
        )
    return Finding("role", status.role)


def _progress(
    client: Client, before: Status, clock: Clock, sleep: Callable[[float], None]
) -> Iterator[Finding]:
    """Watch the chain for a moment, unless the node itself says what is wrong."""
    if before.reason:
        yield Finding("agreement", f"height {before.height}", before.reason)
        return
    began_ms = clock.wall_ms()
    sleep(WATCH_SECONDS)
    try:
        after = client.get("/v1/status", Status)
    except Failure as problem:
        yield Finding("agreement", problem.message, "the node stopped answering")
        return
    yield _early(before, after, began_ms)
    yield _moved(before, after)
    yield _settled(after)


def _early(before: Status, after: Status, began_ms: int) -> Finding:
    """Blocks that were made while we watched bear a time that was over when we began: ours is not theirs."""
    early_ms = began_ms - after.time_ms
    is_seen = not after.lag_blocks and after.height - before.height >= FRESH_BLOCKS
    if is_seen and early_ms > CLOCK_SLACK_MS:
        return Finding(
            "clock",
            f"blocks that are made now are {early_ms / 1000:.1f} s behind it",
            f"this host's clock is at least {early_ms / 1000:.1f} s early: set it by NTP",
        )
    return Finding("clock", "not ahead of new blocks" if is_seen else "no new blocks to compare with")


def _settled(status: Status) -> Finding:
    """Whether this node could name who forked, in the period in which that is asked."""
    if not status.unsettled_views:
        return Finding("certificates", "every view of the dispute period is settled")
    said = f"{status.unsettled_views} views of the dispute period have no certificate here"
    return Finding(
        "certificates", said, note=f"the chain advances; {said}, and this node asks its peers for them"
    )


def _moved(before: Status, after: Status) -> Finding:
    """What the chain did while we watched."""
    said = f"height {after.height}, view {after.view}, {after.pending_transactions} transactions wait"
    grown = after.height - before.height
    if after.reason:
        return Finding("agreement", said, after.reason)
    if after.lag_blocks and grown > 0:
        rate = grown / WATCH_SECONDS
        return Finding(
            "agreement",
            said,
            note=f"this node is behind and catching up: {after.lag_blocks} blocks are left, at {rate:.0f} "
            f"a second that takes {after.lag_blocks / rate:.0f} s",
        )
    if after.lag_blocks:
        return Finding("agreement", said, f"{after.lag_blocks} final blocks are known of and do not arrive")
    if grown > 0:
        return Finding("agreement", said)
    if not after.pending_transactions:
        return Finding(
            "agreement",
            said,
            note="nothing is wrong: no transaction waits, so the chain rests until then or its heartbeat",
        )
    return Finding(
        "agreement",
        said,
        f"transactions wait and no block became final for {WATCH_SECONDS:.0f} s, now in view {after.view} "
        f"led by {after.leader}",
    )
