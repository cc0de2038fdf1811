"""`ledger-node run`: run the node of a home."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.group import NodeCommand

home_option = click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("node"),
    show_default="./node",
    help="The folder that the node lives in.",
)


@click.command("run", cls=NodeCommand)
@home_option
@click.option("--name", help="The node's name, as the chain lists it.")
@click.option("--listen", metavar="HOST:PORT", help="Address of the public REST interface.")
@click.option("--admin", metavar="HOST:PORT", help="Address of the admin port.")
@click.option("--p2p", metavar="HOST:PORT", help="Address for other nodes.")
@click.option("--peer", "peers", multiple=True, metavar="HOST:PORT", help="Another node; may be repeated.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="What is logged.")
def run_command(
    home: Path,
    name: str | None,
    listen: str | None,
    admin: str | None,
    p2p: str | None,
    peers: tuple[str, ...],
    log_level: str | None,
) -> int:
    """Run the node until SIGTERM or Ctrl-C.

    Settings come from these flags, then from FARMGATE_* variables, then from node.toml.
    """
    from node.assemble import run_node

    overrides: dict[str, Any] = {
        "name": name,
        "api.listen": listen,
        "admin.listen": admin,
        "p2p.listen": p2p,
        "peers": peers or None,
        "log.level": log_level,
    }
    return run_node(home, {key: value for key, value in overrides.items() if value is not None})
