"""`farmgate item`: what is known of an item, its history, and where it came from."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import click

from cli.group import Command, Group
from cli.session import Session, with_session

DEPTH_MAX = 64
NODES_MAX = 5_000


@click.group(cls=Group)
def item() -> None:
    """What is known of an item, its history, and where it came from.

    ID is whatever is on the label or in the file: a scanned bar code, "(01)...(10)...", a GS1 Digital
    Link, an EPC URN, or any other URI.
    """


def at_option(command: Any) -> Any:
    """The option --at."""
    return click.option(
        "--at", type=click.IntRange(min=0), metavar="HEIGHT", help="Answer as of this height."
    )(command)


@item.command(cls=Command)
@click.argument("identifier", metavar="ID")
@at_option
@with_session
def show(session: Session, identifier: str, at: int | None) -> None:
    """What is known of an item now."""
    import msgspec

    from cli.answers import Item
    from cli.tracing import Places, item_text

    answer = session.client.get_json(_path("", identifier, at=at))
    places = Places(session.client)
    session.output.data(answer, lambda: item_text(session.output, places, msgspec.convert(answer, Item)))


@item.command(cls=Command)
@click.argument("identifier", metavar="ID")
@click.option("-n", "--lines", type=click.IntRange(1, 1_000), default=100, show_default=True, help="At most.")
@with_session
def history(session: Session, identifier: str, lines: int) -> None:
    """The events of an item, oldest first."""
    import msgspec

    from cli.tracing import Places, history_of, history_text

    found = history_of(session.client, _canonical(identifier), lines)
    places = Places(session.client)
    session.output.data(
        {"id": _canonical(identifier), "lines": msgspec.to_builtins(found)},
        lambda: history_text(session.output, places, found),
    )


@item.command(cls=Command)
@click.argument("identifier", metavar="ID")
@click.option("--up", "direction", flag_value="up", help="What it came from.")
@click.option("--down", "direction", flag_value="down", help="What became of it.")
@click.option("--both", "direction", flag_value="both", default="both", help="Both ways.  [default]")
@click.option("--events", is_flag=True, help="List every event of the goods on the way.")
@click.option("--depth", type=click.IntRange(1, DEPTH_MAX), metavar="N", help="At most so many steps.")
@click.option("--nodes", type=click.IntRange(1, NODES_MAX), metavar="N", help="At most so many items.")
@at_option
@with_session
def trace(
    session: Session,
    identifier: str,
    direction: str,
    events: bool,
    depth: int | None,
    nodes: int | None,
    at: int | None,
) -> None:
    """Where an item came from and went, through packing and processing."""
    import msgspec

    from cli.answers import Trace
    from cli.tracing import Places, journey, journey_text, tree_text

    path = _path("/trace", identifier, direction=direction, depth=depth, nodes=nodes, at=at)
    answer = session.client.get_json(path)
    found = msgspec.convert(answer, Trace)
    stages = journey(session.client, found) if events else []
    places = Places(session.client)
    if events:
        answer["journey"] = [
            {"items": list(stage.items), **msgspec.to_builtins(stage.line)} for stage in stages
        ]

    def text() -> str:
        shown = tree_text(session.output, places, found)
        return shown + ("\n\n" + journey_text(session.output, places, stages) if events else "")

    session.output.data(answer, text)


def _canonical(identifier: str) -> str:
    from contracts.epcis.scan import parse_scan

    return parse_scan(identifier)


def _path(of: str, identifier: str, **parameters: Any) -> str:
    given = {name: value for name, value in parameters.items() if value is not None}
    query = urlencode({"id": _canonical(identifier), **given}, quote_via=quote)
    return f"/v1/items{of}?{query}"
