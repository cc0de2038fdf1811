"""`ledger-node`: for the operators of a site. Every command lives in a module of its own."""

from __future__ import annotations

from typing import Final

from cli.entry import run
from cli.group import Lazy, NodeGroup

COMMANDS: Final = {
    "init": Lazy("cli.node_commands.init:init", "Make the home of a validator, or found a new network."),
    "join": Lazy("cli.node_commands.join:join", "Make the home of a node that follows a network."),
    "run": Lazy("cli.node_commands.run:run_command", "Run the node until it is told to stop."),
    "status": Lazy("cli.node_commands.status:status", "Where the node stands."),
    "peers": Lazy("cli.node_commands.status:peers", "The other nodes, as this one sees them."),
    "doctor": Lazy("cli.node_commands.doctor:doctor", "Say why the chain does not advance."),
    "repair": Lazy("cli.node_commands.repair:repair", "Check the stores of a stopped node and mend them."),
    "history": Lazy("cli.node_commands.history:history", "Move a validator's record to another host."),
    "recovery": Lazy("cli.node_commands.recovery:recovery", "Bring a chain back that lost its records."),
    "token": Lazy("cli.node_commands.token:token", "Tokens for clients of this site."),
    "key": Lazy("cli.node_commands.key:key", "The public halves of the node's keys."),
    "failpoints": Lazy("cli.node_commands.failpoints:failpoints", "Places where a test can end the process."),
    "version": Lazy("cli.node_commands.version:version", "Print the version."),
}

ledger_node: Final = NodeGroup(
    name="ledger-node",
    help="Run one node of a Farmgate network.",
    epilog="Begin with: ledger-node init --help",
    lazy=COMMANDS,
    lists_options=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    no_args_is_help=True,
)


def main() -> int:
    """The console script."""
    return run(ledger_node, "ledger-node")
