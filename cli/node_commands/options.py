"""Options that several commands of `ledger-node` share, and where a node's own ports are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from cli.exit_code import ExitCode
from cli.failure import Failure

if TYPE_CHECKING:
    from cli.client import Client
    from node.settings import Config

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

HOME: Final = Path("node")
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # what to dial where a node listens so

home_option = click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    default=HOME,
    show_default="./node",
    help="The folder that the node lives in.",
)


def check_address(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Refuse what is no host:port while the command line is read."""
    from node.settings import parse_address

    for each in value if isinstance(value, tuple) else (value,):
        try:
            if each is not None:
                parse_address(each)
        except ValueError as problem:
            raise click.BadParameter(f"{each[:100]!r}: {problem}", context, parameter) from None
    return value


def _address(*names: str, words: str, many: bool = False) -> Callable[[Decorated], Decorated]:
    return click.option(*names, metavar="HOST:PORT", multiple=many, callback=check_address, help=words)


peer_option = _address("--peer", "peers", words="Another node to dial; may be repeated.", many=True)
address_option = _address(
    "--address", "addresses", words="Where other nodes reach this one; may be repeated.", many=True
)


def listen_options(command: Decorated) -> Decorated:
    """Where a node listens."""
    for option in (
        _address("--p2p", words="Address to listen on for other nodes."),
        _address("--admin", words="Address of the admin port."),
        _address("--listen", words="Address of the public REST interface."),
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
