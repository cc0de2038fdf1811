"""Options that several commands of `ledger-node` share, and where a node's own ports are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from cli.exit_code import ExitCode
from cli.failure import Failure

if TYPE_CHECKING:
    from cli.client import Client
    from node.settings import Config

HOME: Final = Path("node")
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # what to dial where a node listens so

home_option = click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    default=HOME,
    show_default="./node",
    help="The folder that the node lives in.",
)


def listen_options(command: Any) -> Any:
    """Where a new node listens, and under which addresses others reach it."""
    for option in reversed(
        (
            click.option("--listen", metavar="HOST:PORT", help="Address of the public REST interface."),
            click.option("--admin", metavar="HOST:PORT", help="Address of the admin port."),
            click.option("--p2p", metavar="HOST:PORT", help="Address for other nodes."),
            click.option(
                "--address",
                "addresses",
                multiple=True,
                metavar="HOST:PORT",
                help="Where other nodes reach this one, if not at --p2p; may be repeated.",
            ),
        )
    ):
        command = option(command)
    return command


def read_settings(home: Path) -> Config:
    """The settings of a home as the node would take them.

    Raises:
        LedgerError: `config.*`; Failure: `home.missing`.
    """
    from node.config import load_config

    file = home / "node.toml"
    if not file.exists():
        raise Failure(
            "home.missing",
            f"{home} is no home of a node: node.toml is not there",
            advice="ledger-node init and ledger-node join make one; --home names another",
            exit_code=ExitCode.NOT_FOUND,
        )
    return load_config(file, os.environ)


def own_client(config: Config, seconds: float = 5.0) -> Client:
    """A client for the node's own public port."""
    from cli.client import Client

    return Client([f"http://{reachable(config.api.listen)}"], seconds)


def reachable(listen: str) -> str:
    """The address by which this host reaches a listener of its own."""
    host, _, port = listen.rpartition(":")
    bare = host.strip("[]")
    found = _ANYWHERE.get(bare, bare)
    return f"[{found}]:{port}" if ":" in found else f"{found}:{port}"
