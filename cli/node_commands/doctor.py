"""`ledger-node doctor`: one sentence on why the chain does not advance, and what was looked at."""

from __future__ import annotations

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
from node.home import Home, SpaceLimits, SpaceVerdict, judge_space, read_space
from node.settings import Config

WATCH_SECONDS: Final = 3.0
CONNECT_SECONDS: Final = 1.0
CLOCK_SLACK_MS: Final = 2_000  # as a voter allows by default (`drift_ms`)


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
    yield _space(Home(home), config)
    client = own_client(config)
    try:
        status = client.get("/v1/status", Status)
    except Failure as problem:
        yield _process(home, config, problem)
        return
    yield Finding("process", f"{status.node} answers, version {status.version}")
    if genesis is not None and status.chain_id != genesis:
        yield Finding(
            "chain",
            status.chain_id,
            f"a node of another chain answers at {config.api.listen}: chain {status.chain_id[:16]}, "
            f"this home is of {genesis[:16]}",
        )
        return
    yield _clock(status)
    yield _peers(home, status)
    yield _progress(client, status, sleep)


def _home(home: Home) -> Generator[Finding, None, str | None]:
    """The chain, the keys and the certificate: what a start needs. Answers the id of the chain."""
    from ledger.genesis import chain_id
    from node.genesis_file import read_genesis
    from node.keys import KeyName, read_key

    found = None
    try:
        genesis = read_genesis(home.genesis)
        found = chain_id(genesis).hex()
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
    return found


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
    limits = config.free_space
    try:
        space = read_space(home.root)
    except OSError as problem:
        return Finding("disk", str(problem), f"the disk can't be looked at: {problem.strerror}")
    verdict = judge_space(
        space, SpaceLimits(limits.admit_percent_min, limits.admit_bytes_min, limits.vote_bytes_min)
    )
    said = f"{space.free_bytes >> 20} MiB of {space.total_bytes >> 20} MiB free"
    match verdict:
        case SpaceVerdict.ENOUGH:
            return Finding("disk", said)
        case SpaceVerdict.STOP_ADMITTING:
            return Finding("disk", said, "the disk is nearly full, so this node takes in no transactions")
        case SpaceVerdict.STOP_VOTING:
            return Finding("disk", said, "the disk is nearly full, so this node does not vote")


def _process(home: Path, config: Config, problem: Failure) -> Finding:
    """No node answered: is there a process at all, and why did the last one end?"""
    holder, place = lock_holder(Home(home)), Home(home)
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
        last = place.halted.read_text("utf-8", "replace").strip() if place.halted.is_file() else ""
        if last:
            return Finding("process", "halted", f"the node stopped itself: {last}")
        return Finding("process", "none", f"the node does not run: ledger-node run --home {home}")
    return Finding(
        "process",
        problem.message,
        f"process {holder} holds the home and does not answer: is it paused, or was it started with another "
        "--listen?",
    )


def _is_open(listen: str) -> bool:
    """Whether anything takes a connection where the node would."""
    host, _, port = reachable(listen).rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _clock(status: Status) -> Finding:
    """A block's time is that of its proposer, within 2 s of a quorum's clocks: ours can't be before it."""
    ahead_ms = status.time_ms - time.time_ns() // 1_000_000
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


def _progress(client: Client, before: Status, sleep: Callable[[float], None]) -> Finding:
    """Watch the chain for a moment, unless the node itself says what is wrong."""
    if before.reason:
        return Finding("agreement", f"height {before.height}", before.reason)
    if before.lag_blocks or before.pending_transactions:
        sleep(WATCH_SECONDS)
    try:
        after = client.get("/v1/status", Status)
    except Failure as problem:
        return Finding("agreement", problem.message, "the node stopped answering")
    said = f"height {after.height}, view {after.view}, {after.pending_transactions} transactions wait"
    if after.reason:
        return Finding("agreement", said, after.reason)
    grown = after.height - before.height
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
    if not after.pending_transactions:
        return Finding(
            "agreement",
            said,
            note="nothing is wrong: no transaction waits, so the chain rests until then or its heartbeat",
        )
    if grown > 0:
        return Finding("agreement", said)
    return Finding(
        "agreement",
        said,
        f"transactions wait and no block became final for {WATCH_SECONDS:.0f} s, now in view {after.view} "
        f"led by {after.leader}",
    )
