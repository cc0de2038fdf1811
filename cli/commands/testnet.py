"""`farmgate testnet`: a local network of real node processes."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.group import Command, Group
from cli.session import Session, with_session

if TYPE_CHECKING:
    from cli.output import Output
    from network.testnet.network_file import NetworkFile
    from network.testnet.testnet import NodeState, Testnet

FOLDER = Path("testnet")
FOLLOW_SECONDS = 0.2
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

folder_option = click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=FOLDER,
    show_default="./testnet",
    help="The folder of the network.",
)


@click.group(cls=Group)
def testnet() -> None:
    """Run a local network of real node processes."""


@testnet.command(cls=Command)
@click.option(
    "--validators", type=click.IntRange(1, 16), default=4, show_default=True, help="Nodes that vote."
)
@click.option(
    "--observers", type=click.IntRange(0, 16), default=0, show_default=True, help="Nodes that follow."
)
@folder_option
@click.option(
    "--base-port", type=click.IntRange(1024, 65_000), help="Node i takes N+10i to N+10i+2.  [default: 26600]"
)
@click.option("--detach", is_flag=True, help="Return when the network is up, and leave it running.")
@click.option("--fresh", is_flag=True, help="Stop and delete the network in the folder first.")
@with_session
def up(
    session: Session,
    validators: int,
    observers: int,
    folder: Path,
    base_port: int | None,
    detach: bool,
    fresh: bool,
) -> None:
    """Make a network, or start again the one that is in the folder.

    Without --detach it runs until Ctrl-C, and is stopped then.
    """
    from network.testnet.plan import BASE_PORT_DEFAULT, plan_network
    from network.testnet.testnet import Testnet

    network = Testnet(folder)
    output = session.output
    if fresh:
        network.remove()
    if network.exists():
        _check_same(network.file(), validators, observers, base_port, folder)
    else:
        plan = plan_network(
            folder, validators=validators, observers=observers, base_port=base_port or BASE_PORT_DEFAULT
        )
        network.create(plan)
        output.note(f"made a network of {len(plan.nodes)} nodes in {folder}")
    with stopping_on_signals():
        try:
            found = network.start(output.note)
        except BaseException:
            stop_undisturbed(network)
            raise
        _tell_up(session, found, folder)
        if not detach:
            run_until_interrupted(network, output)


@testnet.command(cls=Command)
@folder_option
@with_session
def down(session: Session, folder: Path) -> None:
    """Stop every node, cleanly where it stops within five seconds."""
    killed = _network(folder).stop()
    session.output.data(
        {"stopped": True, "killed": killed},
        lambda: "stopped" + (f"; had to be killed: {', '.join(killed)}" if killed else ""),
    )


@testnet.command(cls=Command)
@folder_option
@with_session
def status(session: Session, folder: Path) -> None:
    """How every node does."""
    states = _network(folder).status()
    headings = ("node", "state", "height", "lag", "peers", "state root", "reason")
    session.output.data(
        {"nodes": [_readable(state) for state in states]},
        lambda: session.output.table(headings, [_row(state) for state in states]),
    )


@testnet.command(cls=Command)
@click.argument("node")
@folder_option
@with_session
def kill(session: Session, node: str, folder: Path) -> None:
    """End a node at once (SIGKILL), as a power cut would."""
    _network(folder).kill_node(node)
    session.output.data({"node": node, "state": "stopped"}, lambda: f"{node} was killed")


@testnet.command(cls=Command)
@click.argument("node")
@folder_option
@with_session
def start(session: Session, node: str, folder: Path) -> None:
    """Start a node that does not run; one that does is left alone."""
    network = _network(folder)
    is_new = network.start_node(node)
    pid = network.file().node(node).pid
    session.output.data(
        {"node": node, "state": "running", "pid": pid, "started": is_new},
        lambda: f"{node} runs as process {pid}" + ("" if is_new else ", as before"),
    )


@testnet.command(cls=Command)
@click.argument("node")
@folder_option
@with_session
def pause(session: Session, node: str, folder: Path) -> None:
    """Halt a node (SIGSTOP): its connections stay open and it says nothing."""
    _network(folder).pause_node(node)
    session.output.data({"node": node, "state": "paused"}, lambda: f"{node} is paused")


@testnet.command(cls=Command)
@click.argument("node")
@folder_option
@with_session
def resume(session: Session, node: str, folder: Path) -> None:
    """Let a paused node go on."""
    _network(folder).resume_node(node)
    session.output.data({"node": node, "state": "running"}, lambda: f"{node} goes on")


@testnet.command(cls=Command)
@click.argument("node")
@folder_option
@click.option(
    "-n", "--lines", type=click.IntRange(1, 100_000), default=50, show_default=True, help="How many."
)
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C.")
@with_session
def logs(session: Session, node: str, folder: Path, lines: int, follow: bool) -> None:
    """The last lines of a node's log."""
    entry = _network(folder).file().node(node)
    try:
        with Path(entry.log).open(encoding="utf-8", errors="replace") as file:
            session.output.raw("".join(file.readlines()[-lines:]) or "nothing was logged yet")
            while follow:
                line = file.readline()
                if line:
                    session.output.raw(line)
                else:
                    time.sleep(FOLLOW_SECONDS)
    except FileNotFoundError:
        raise Failure("testnet.no_log", f"{node} was never started", exit_code=ExitCode.NOT_FOUND) from None


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the command as Ctrl-C does, so that no node is left behind."""
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_until_interrupted(network: Testnet, output: Output) -> None:
    """Leave the network running until Ctrl-C or SIGTERM, then stop it."""
    output.note("Ctrl-C stops it")
    try:
        while True:
            time.sleep(60)
    except KeyboardInterrupt:
        output.note("stopping")
    finally:
        stop_undisturbed(network)


def stop_undisturbed(network: Testnet) -> None:
    """Stop the network to the end, however often Ctrl-C is pressed meanwhile."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _ENDING}
    try:
        network.stop()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _network(folder: Path) -> Testnet:
    from network.testnet.testnet import Testnet

    return Testnet(folder)


def _check_same(
    network: NetworkFile, validators: int, observers: int, base_port: int | None, folder: Path
) -> None:
    """Refuse to start a network that is another one than was asked for."""
    voting = sum(1 for entry in network.nodes if entry.role == "validator")
    following = len(network.nodes) - voting
    port = int(network.nodes[0].api.rpartition(":")[2])
    if (voting, following) != (validators, observers) or base_port not in (None, port):
        raise Failure(
            "testnet.another",
            f"{folder} holds a network of {voting} validators and {following} observers from port {port}",
            advice="--fresh replaces it; --dir names another folder",
            exit_code=ExitCode.CONFLICT,
        )


def _tell_up(session: Session, network: NetworkFile, folder: Path) -> None:
    import msgspec

    output = session.output
    rows = [(each.name, each.role, each.organisation, each.api, each.pid) for each in network.nodes]
    headings = ("node", "role", "organisation", "api", "process")
    output.data(msgspec.to_builtins(network), lambda: output.table(headings, rows))
    profile = next(iter(network.profiles.values()))
    output.note(f"act for an organisation:  farmgate --profile {_near(profile)} record --help")
    if folder != FOLDER:
        output.note(f"see how it does:          farmgate testnet status --dir {folder}")


def _near(path: str) -> str:
    """A path as short as it can be written from here."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path


def _readable(state: NodeState) -> dict[str, Any]:
    return {
        "name": state.name,
        "state": state.state.value,
        "height": state.height,
        "block_id": state.block_id,
        "state_root": state.state_root,
        "peers": state.peers,
        "lag_blocks": state.lag_blocks,
        "reason": state.reason,
    }


def _row(state: NodeState) -> tuple[object, ...]:
    root = state.state_root[:16] + "…" if state.state_root else None
    return (state.name, state.state.value, state.height, state.lag_blocks, state.peers, root, state.reason)
