"""docs/reference/cli.md from the commands themselves: `python -m tests.cli.reference_page` writes it anew.

What stands above the mark is written by hand and stays.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from cli.exit_code import MEANINGS
from cli.main import farmgate
from cli.node_main import ledger_node

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli.md"
MARK = "<!-- from here on written by `python -m tests.cli.reference_page` -->\n"


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """A command and all below it, with their full names, in the order of help."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, f"{path} {name}")


def text() -> str:
    """The part below the mark."""
    lines = ["", "## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {code.value} | {words} |" for code, words in MEANINGS.items()]
    for root, name in ((farmgate, "farmgate"), (ledger_node, "ledger-node")):
        lines += ["", f"## {name}", "", root.help or "", "", "Options of every command:", ""]
        lines += _options(root)
        for path, command in commands(root, name):
            if command is not root:
                lines += _command(path, command)
    return "\n".join(lines) + "\n"


def _command(path: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    pieces = " ".join(command.collect_usage_pieces(context)).replace("[OPTIONS]", "").strip()
    help_text = (command.help or "").replace("\b\n", "")
    yield from ("", f"### {path}", "", "```", f"{path} {pieces}".strip(), "```", "")
    for paragraph in re.split(r"\n\s*\n", help_text):
        is_listing = any(re.search(r"\S {2,}\S", line) for line in paragraph.splitlines())
        yield from (["```", paragraph, "```", ""] if is_listing else [" ".join(paragraph.split()), ""])
    rows = _options(command)
    if len(rows) > 2:
        yield from rows


def _options(command: click.Command) -> list[str]:
    """A table of what help lists; the options of every command are hidden in all but the root."""
    rows = ["| option | what |", "|---|---|"]
    context = click.Context(command)
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            names, words = (re.sub(r"\s+", " ", each).replace("|", "\\|") for each in record)
            rows.append(f"| `{names}` | {words} |")
    return rows


def page() -> str:
    """The whole page: what is written by hand, and the rest."""
    head, _, _ = PAGE.read_text("utf-8").partition(MARK)
    return head + MARK + text()


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    sys.stderr.write(f"wrote {PAGE}\n")
