"""`ledger-node run`: run the node of a home."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.group import NodeCommand
from cli.node_commands.options import home_option, listen_options, peer_option


@click.command("run", cls=NodeCommand)
@home_option
@click.option("--name", help="The node's name, as the chain lists it.")
@listen_options
@peer_option
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="What is logged.")
@click.option(
    "--set",
    "given",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any other setting, as in mempool.transactions_max=1000; may be repeated.",
)
def run_command(
    home: Path,
    name: str | None,
    listen: str | None,
    admin: str | None,
    p2p: str | None,
    peers: tuple[str, ...],
    log_level: str | None,
    given: tuple[str, ...],
) -> int:
    """Run the node until SIGTERM or Ctrl-C.

    Settings come from these flags, then from FARMGATE_* variables, then from node.toml. Exit codes: 0
    stopped as told, 1 could not run or disagrees with its network, 75 its disk failed or a store is
    damaged: look at the disk before it is started again, 78 another process signs with this validator's key.
    """
    from node.process import run_node

    flags: dict[str, Any] = {
        "name": name,
        "api.listen": listen,
        "admin.listen": admin,
        "p2p.listen": p2p,
        "peers": peers or None,
        "log.level": log_level,
    }
    settings = _settings(given) | {key: value for key, value in flags.items() if value is not None}
    _check_home(home)
    return run_node(home, settings)


def _settings(given: tuple[str, ...]) -> dict[str, Any]:
    """The settings in `--set KEY=VALUE`.

    Raises:
        LedgerError: `config.unknown_key`, `config.wrong_value`.
    """
    from node.config import value_of_text
    from node.settings import SETTINGS, check_known

    settings: dict[str, Any] = {}
    for each in given:
        key, equals, text = each.partition("=")
        if not equals:
            raise click.BadParameter(f"{each!r} is not KEY=VALUE", param_hint="--set")
        check_known(key, "--set")
        settings[key] = value_of_text(SETTINGS[key], text, f"--set {key}")
    return settings


def _check_home(home: Path) -> None:
    """Refuse a folder that is no home before anything is opened. A supervisor sees 1, not a code of its own.

    Raises:
        Failure: `home.missing`.
    """
    from node.home import Home

    place = Home(home)
    for needed in (place.settings, place.genesis, place.data):
        if not needed.exists():
            raise Failure(
                "home.missing",
                f"{home} is no node's home: {needed} is not there",
                advice="ledger-node join --help, or for a founder of a new network ledger-node init --help",
                exit_code=ExitCode.FAILED,
            )
