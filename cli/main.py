"""`farmgate`: for staff, auditors and contract authors. Every command lives in a module of its own."""

from __future__ import annotations

from typing import Final

from cli.entry import run
from cli.group import Group, Lazy

COMMANDS: Final = {
    "demo": Lazy(
        "cli.commands.demo:demo", "Play a story from farm to shop on four validators, and trace it."
    ),
    "testnet": Lazy("cli.commands.testnet:testnet", "Run a local network of real node processes."),
    "capture": Lazy("cli.commands.capture:capture", "Record the events of EPCIS documents."),
    "record": Lazy("cli.commands.record:record", "Record one event: commission, pack, ship, receive ..."),
    "event": Lazy("cli.commands.event:event", "What can be said of events in files, asking nobody."),
    "item": Lazy("cli.commands.item:item", "What is known of an item, its history, and where it came from."),
    "barcode": Lazy("cli.commands.barcode:barcode", "What a scanned code holds."),
    "tx": Lazy("cli.commands.tx:tx", "Transactions and what became of them."),
    "outbox": Lazy("cli.commands.outbox:outbox", "Transactions that were signed and are not final yet."),
    "key": Lazy("cli.commands.key:key", "Keys on this machine, and those of your organisation."),
    "org": Lazy("cli.commands.org:org", "Organisations, their keys, sites and nodes."),
    "gov": Lazy("cli.commands.gov:gov", "What the members decide together: ballots, seats, parameters."),
    "validator": Lazy(
        "cli.commands.validator:validator", "Who votes with what weight, and how that changes."
    ),
    "evidence": Lazy("cli.commands.evidence:evidence", "Who signed against the rules, and the proof."),
    "profile": Lazy("cli.commands.profile:profile", "Whom to act for, and which nodes to ask."),
    "config": Lazy("cli.commands.config:config", "Settings for all commands."),
    "bench": Lazy("cli.commands.bench:bench", "Measure a local network of real processes."),
    "sim": Lazy("cli.commands.sim:sim", "Run seeded networks of the real consensus, with faults and liars."),
    "chaos": Lazy("cli.commands.chaos:chaos", "Break a local network of real processes, and check it."),
    "doctor": Lazy("cli.commands.doctor:doctor", "Find out what is wrong between here and the network."),
    "explain": Lazy("cli.commands.explain:explain", "Explain a record, a field, a flag or an exit code."),
    "completion": Lazy("cli.commands.completion:completion", "Print the completion script of a shell."),
    "version": Lazy("cli.commands.version:version", "Print the version."),
}

farmgate: Final = Group(
    name="farmgate",
    help="Follow goods from farm to shop on a ledger that its members run together.",
    epilog="Begin with: farmgate demo",
    lazy=COMMANDS,
    lists_options=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    no_args_is_help=True,
)


def main() -> int:
    """The console script."""
    return run(farmgate, "farmgate")
