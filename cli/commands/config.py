"""`farmgate config`: settings for all commands."""

from __future__ import annotations

import click

from cli.group import Command, Group
from cli.session import Session, with_session


@click.group(cls=Group)
def config() -> None:
    """Settings for all commands. A flag comes first, then the environment, then config.toml."""


@config.command(cls=Command)
@click.argument("key")
@with_session
def get(session: Session, key: str) -> None:
    """The value of one setting."""
    from cli.settings import in_force

    found = in_force(key)
    session.output.data({key: found.value}, lambda: _word(found.value))


@config.command("set", cls=Command)
@click.argument("key")
@click.argument("value")
@with_session
def set_(session: Session, key: str, value: str) -> None:
    """Set a value for all commands to come."""
    from cli.settings import config_path, in_force, set_value

    set_value(key, value)
    found = in_force(key)
    session.output.data({key: found.value}, lambda: f"{key} = {_word(found.value)} in {config_path()}")
    if found.origin != config_path().name:
        session.output.note(f"the variable {found.origin} overrules it here")


@config.command(cls=Command)
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@with_session
def show(session: Session, origin: bool) -> None:
    """Every setting that is in force."""
    from cli.settings import SETTINGS, in_force

    found = {key: in_force(key) for key in SETTINGS}
    headings = ("setting", "value", "from", "what it is") if origin else ("setting", "value", "what it is")
    rows = [
        (key, _word(each.value), *((each.origin,) if origin else ()), SETTINGS[key].description)
        for key, each in found.items()
    ]
    said = {
        key: {"value": each.value, "origin": each.origin} if origin else each.value
        for key, each in found.items()
    }
    session.output.data(said, lambda: session.output.table(headings, rows))


def _word(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
