"""The options that mean the same everywhere, accepted before and after the name of any command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import click


@dataclass(slots=True)
class Choices:
    """What the command line chose; None or empty where it said nothing."""

    profile: str | None = None
    nodes: tuple[str, ...] = ()
    is_json: bool | None = None
    is_quiet: bool | None = None
    verbosity: int = 0
    is_plain: bool | None = None
    takes_no_input: bool | None = None
    says_yes: bool | None = None
    timeout_seconds: float | None = None
    is_waiting: bool | None = None
    is_dry_run: bool | None = None


def _choose(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Note an option that was given; the one nearest to the end of the line wins."""
    is_unsaid = value is None or value == () or (type(value) is int and value == 0)
    if not is_unsaid:
        setattr(context.find_root().obj, str(parameter.name), value)


class GlobalOption(click.Option):
    """An option of every command. Help lists it once, at the top."""

    def __init__(self, declarations: Sequence[str], *, is_listed: bool, **settings: Any) -> None:
        super().__init__(
            [*declarations], expose_value=False, callback=_choose, hidden=not is_listed, **settings
        )


_FLAG: Final[dict[str, Any]] = {"is_flag": True, "default": None}
_LOOKS: Final[tuple[tuple[tuple[str, ...], dict[str, Any]], ...]] = (
    (("--json", "is_json"), {**_FLAG, "help": "Answer with one JSON document."}),
    (("-q", "--quiet", "is_quiet"), {**_FLAG, "help": "No progress and no hints."}),
    (
        ("-v", "--verbose", "verbosity"),
        {"count": True, "default": None, "help": "Say more about what is done."},
    ),
    (("--no-color", "is_plain"), {**_FLAG, "help": "No colours; the variable NO_COLOR says the same."}),
)
_CHAIN: Final[tuple[tuple[tuple[str, ...], dict[str, Any]], ...]] = (
    (
        ("--profile", "profile"),
        {"metavar": "NAME|FILE", "help": "Whom to act for: a profile by name, or the path of its file."},
    ),
    (
        ("--node", "nodes"),
        {
            "metavar": "URL",
            "multiple": True,
            "help": "Ask this node instead of the profile's; may be repeated.",
        },
    ),
    (("--no-input", "takes_no_input"), {**_FLAG, "help": "Never ask; fail where an answer is needed."}),
    (("--yes", "says_yes"), {**_FLAG, "help": "Answer every question with yes."}),
    (
        ("--timeout", "timeout_seconds"),
        {
            "type": click.FloatRange(min=0.1, max=86_400),
            "metavar": "SECONDS",
            "help": "How long to wait for answers and for finality.  [default: 30]",
        },
    ),
    (
        ("--wait/--no-wait", "is_waiting"),
        {"default": None, "help": "Wait until a transaction is final, or only send it.  [default: wait]"},
    ),
    (("--dry-run", "is_dry_run"), {**_FLAG, "help": "Check everything and send nothing."}),
)


def looks_options(*, is_listed: bool) -> list[click.Option]:
    """The options about what is printed: of both programs."""
    return [GlobalOption(names, is_listed=is_listed, **settings) for names, settings in _LOOKS]


def all_options(*, is_listed: bool) -> list[click.Option]:
    """Every global option of `farmgate`."""
    return [GlobalOption(names, is_listed=is_listed, **settings) for names, settings in (*_CHAIN, *_LOOKS)]
