"""Commands whose modules are imported when they run, so that help comes at once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple

import click

from cli.choices import all_options, looks_options

OPTIONS_NOTE: Final = "Options such as --json and --profile are accepted here too: see farmgate --help."
NODE_OPTIONS_NOTE: Final = "Options such as --json and --quiet are accepted here too: see ledger-node --help."


class Lazy(NamedTuple):
    """A command that is not imported yet: `module:attribute`, and the line that help shows for it."""

    target: str
    summary: str


class _GlobalOptions(click.Command):
    """A command that also takes the global options."""

    make_options: Callable[..., list[click.Option]] = staticmethod(all_options)
    note = OPTIONS_NOTE

    def __init__(self, *arguments: Any, lists_options: bool = False, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        own = {name for parameter in self.params for name in parameter.opts}
        added = type(self).make_options(is_listed=lists_options)
        self.params += [option for option in added if own.isdisjoint(option.opts)]
        if not lists_options and self.epilog is None:
            self.epilog = self.note


class Command(_GlobalOptions):
    """A command of `farmgate`."""


class Group(_GlobalOptions, click.Group):
    """A group of commands, some of which may be imported later."""

    command_class: type[click.Command] | None = Command

    def __init__(self, *arguments: Any, lazy: Mapping[str, Lazy] | None = None, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order in which they are useful, not by the alphabet."""
        return [*self.lazy, *(name for name in self.commands if name not in self.lazy)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.lazy[cmd_name].target.partition(":")
        found = getattr(import_module(module), attribute)
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with the name that was probably meant where there is none."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as problem:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            if near and not args[0].startswith("-"):
                raise click.UsageError(
                    f"No such command {args[0]!r}. Did you mean {near[0]!r}?", ctx
                ) from None
            raise problem from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing them."""
        rows = []
        for name in self.list_commands(ctx):
            lazy = self.lazy.get(name)
            command = None if lazy else self.commands[name]
            summary = lazy.summary if lazy else (command.get_short_help_str(80) if command else "")
            rows.append((name, summary))
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


Group.group_class = Group


class NodeCommand(_GlobalOptions):
    """A command of `ledger-node`."""

    make_options = staticmethod(looks_options)
    note = NODE_OPTIONS_NOTE


class NodeGroup(Group):
    """A group of commands of `ledger-node`."""

    command_class = NodeCommand
    make_options = staticmethod(looks_options)
    note = NODE_OPTIONS_NOTE


NodeGroup.group_class = NodeGroup
