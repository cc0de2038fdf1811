"""`farmgate demo`: four validators, a story from farm to shop, and its trace."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from cli.commands.testnet import run_until_interrupted, stop_undisturbed, stopping_on_signals
from cli.failure import Failure
from cli.group import Command
from cli.session import Session, with_session
from cli.wording import counted, short_hash, short_id

if TYPE_CHECKING:
    from cli.answers import Trace
    from cli.capturing import EventFate
    from cli.story import Step, Story
    from cli.tracing import Stage
    from network.testnet.network_file import NetworkFile
    from network.testnet.testnet import NodeState, Testnet

VALIDATORS = 4
AGREE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Played:
    """One step of the story as it came to stand in the chain."""

    step: Step
    fates: list[EventFate]
    seconds: float


@click.command(cls=Command)
@click.option("--once", is_flag=True, help="Stop the network at the end of the story.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the network in this folder.  [default: a temporary one, deleted at the end]",
)
@click.option(
    "--base-port",
    type=click.IntRange(1024, 65_000),
    metavar="N",
    help="First port of the network.  [default: the first free one from 26600]",
)
@with_session
def demo(session: Session, once: bool, folder: Path | None, base_port: int | None) -> None:
    """Start four validators, play a story from farm to shop on them, and trace it.

    Every signature, block and socket is a real one. Ctrl-C stops the network.
    """
    from cli.story import read_story
    from network.testnet.testnet import Testnet

    story = read_story()
    place = folder or Path(tempfile.mkdtemp(prefix="farmgate-demo-"))
    network = Testnet(place)
    with stopping_on_signals():
        try:
            _play(session, network, story, base_port)
            if once:
                session.output.note("The network is stopped now; without --once it runs until Ctrl-C.")
            else:
                run_until_interrupted(network, session.output)
        finally:
            if network.exists():
                stop_undisturbed(network)
            if folder is None:
                shutil.rmtree(place, ignore_errors=True)


def _play(session: Session, network: Testnet, story: Story, base_port: int | None) -> None:
    output = session.output
    output.line(output.styled(story.title, "bold"))
    began = time.monotonic()
    _start(network, base_port)
    file = network.file()
    ready = time.monotonic() - began
    output.line(f"{len(file.nodes)} validators, one at each organisation, are up after {ready:.1f} s.\n\n")
    rows = [(node.name, node.organisation, node.api) for node in file.nodes]
    output.line(output.table(("node", "organisation", "listens on"), rows))
    output.line(
        "\nThe story. Each step is signed by its organisation, sent to its own node, and final on all:\n"
    )
    played = [_tell_step(session, file, number, step) for number, step in enumerate(story.steps, 1)]
    _show_end(session, network, file, story, played)


def _start(network: Testnet, base_port: int | None) -> None:
    """Make the network, or start again the one that an earlier demo left in the folder."""
    from network.testnet.plan import BASE_PORT_DEFAULT, free_base_port, plan_network

    if not network.exists():
        port = base_port or free_base_port(VALIDATORS, BASE_PORT_DEFAULT)
        network.create(plan_network(network.folder, validators=VALIDATORS, observers=0, base_port=port))
    network.start()


def _tell_step(session: Session, file: NetworkFile, number: int, step: Step) -> Played:
    played = _capture(session, file, step)
    fate = played.fates[0]
    words = f"{number:>3}  {step.organisation:<18} {step.says}"
    session.output.line(f"{words}\n     {'':<18} {_dim(session, _fate_words(played, fate))}")
    return played


def _fate_words(played: Played, fate: EventFate) -> str:
    events = counted(len(played.fates), "event")
    return f"{events} {fate.status} at height {fate.height} after {played.seconds:.2f} s"


def _capture(session: Session, file: NetworkFile, step: Step) -> Played:
    """Capture a step's document as its organisation would: with its own profile, key and node."""
    from cli.capturing import batches, capture_batch, read_events
    from cli.sending import Sender

    choices = replace(session.choices, profile=file.profiles[step.organisation], nodes=(), is_quiet=True)
    acting = Session(replace(choices, is_waiting=True, is_dry_run=False))
    events, problems = read_events(step.file.name, step.file.read_bytes())
    if problems:
        raise Failure(problems[0].code, problems[0].message, problems[0].origin.pointer)
    began = time.monotonic()
    sender = Sender(acting)
    fates = [fate for batch in batches(events) for fate in capture_batch(sender, batch)]
    refused = next((fate for fate in fates if fate.status == "refused"), None)
    if refused is not None:
        raise Failure(refused.code, f"{step.file.name}: {refused.message}", refused.origin.pointer)
    return Played(step, fates, time.monotonic() - began)


def _show_end(
    session: Session, network: Testnet, file: NetworkFile, story: Story, played: list[Played]
) -> None:
    from cli.answers import Trace
    from cli.client import Client
    from cli.tracing import Places, journey, journey_text, tree_text

    states = _agreed(network)
    last = next(node for node in file.nodes if node.organisation == played[-1].step.organisation)
    client = Client([last.api], session.timeout_seconds)
    query = f"/v1/items/trace?id={quote(story.trace, safe='')}&direction=up"
    trace = client.get(query, Trace)
    stages = journey(client, trace)
    output, places = session.output, Places(client)
    output.line(f"\nWhere {short_id(story.trace)} came from, read from {last.name} in the shop:\n\n")
    output.line(tree_text(output, places, trace))
    output.line("\nIts journey, every event of it signed and final:\n\n")
    output.line(journey_text(output, places, stages))
    state = states[0]
    names = ", ".join(each.name for each in states)
    output.line(
        f"\n{names} hold the same state at height {state.height}: {short_hash(state.state_root or '')}"
    )
    commands = _next_commands(file, network.folder, story)
    urls = _urls(file, last.api, last.admin, query, stages[-1].line.place.height)
    output.line("\nOpen:\n" + "\n".join(f"  {url}" for url in urls))
    output.line("\nNext, in another terminal:\n" + "\n".join(f"  {command}" for command in commands) + "\n")
    if output.is_json:
        output.data(_readable(file, story, played, trace, stages, states, urls, commands), str)


def _agreed(network: Testnet) -> list[NodeState]:
    """The states of all nodes once they stand at one height.

    Raises:
        Failure: `demo.no_agreement`.
    """
    end = time.monotonic() + AGREE_SECONDS
    while True:
        states = network.status()
        if len({(state.height, state.block_id, state.state_root) for state in states}) == 1:
            return states
        if time.monotonic() > end:
            heights = ", ".join(f"{state.name}: {state.height}" for state in states)
            raise Failure("demo.no_agreement", f"the nodes do not come to stand at one height: {heights}")
        time.sleep(0.1)


def _urls(file: NetworkFile, api: str, admin: str, query: str, height: int) -> list[str]:
    return [
        f"{api}{query}",
        f"{api}/v1/blocks/{height}",
        f"{file.nodes[0].api}/v1/status",
        f"{admin}/metrics",
    ]


def _next_commands(file: NetworkFile, folder: Path, story: Story) -> list[str]:
    profile = file.profiles[story.steps[-1].organisation]
    return [
        f"farmgate --profile {profile} item trace '{short_id(story.trace)}' --up --events",
        f"farmgate --profile {profile} item history '{short_id(story.trace)}'",
        f"farmgate testnet status --dir {folder}",
    ]


def _readable(
    file: NetworkFile,
    story: Story,
    played: list[Played],
    trace: Trace,
    stages: list[Stage],
    states: list[NodeState],
    urls: list[str],
    commands: list[str],
) -> dict[str, Any]:
    import msgspec

    return {
        "title": story.title,
        "chain_id": file.chain_id,
        "steps": [
            {
                "organisation": each.step.organisation,
                "says": each.step.says,
                "seconds": round(each.seconds, 3),
                "events": [fate.readable for fate in each.fates],
            }
            for each in played
        ],
        "trace": msgspec.to_builtins(trace),
        "journey": [
            {
                "height": stage.line.place.height,
                "organisation": stage.line.organisation,
                "transaction_id": stage.line.transaction_id,
                "event_id": stage.line.event_id,
                "items": list(stage.items),
            }
            for stage in stages
        ],
        "nodes": [
            {"name": each.name, "height": each.height, "state_root": each.state_root} for each in states
        ],
        "urls": urls,
        "next": commands,
    }


def _dim(session: Session, text: str) -> str:
    return session.output.styled(text, "dim")
