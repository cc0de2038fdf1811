"""A node's settings as they are in force, where each came from, and a clear word about each that is wrong.

A flag comes before the environment (`FARMGATE_` and the key in capitals, dots as underscores), that
before node.toml, and that before the default. A key that is not known is an error, with the nearest one
that is.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_origin

from pydantic import ValidationError

from ledger.errors import LedgerError
from node.settings import ENVIRONMENT_PREFIX, SECTIONS, SETTINGS, Config, Setting, check_known, suggestion

FILE_BYTES_MAX: Final = 1 << 20
FLAG, FILE = "flag", "node.toml"


def load_config(
    file: Path | None, environment: Mapping[str, str], flags: Mapping[str, Any] | None = None
) -> Config:
    """The settings of a node.

    Args:
        file: node.toml; None: there is none.
        environment: the process's variables.
        flags: settings by dotted key, as the command line gave them; None values were not given.

    Raises:
        LedgerError: `config.missing`, `config.unreadable`, `config.malformed`, `config.unknown_key`,
            `config.wrong_value`.
    """
    in_file = {} if file is None else dict(_of_file(file))
    in_environment, variables = _of_environment(environment)
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    for key in given:
        check_known(key, FLAG)
    values = in_file | in_environment | given
    origins = dict.fromkeys(in_file, FILE) | variables | dict.fromkeys(given, FLAG)
    try:
        config = Config.model_validate(_nested(values))
    except ValidationError as problem:
        raise _wrong_value(problem, origins) from None
    config.note_origins(origins)
    return config


# --- sources ------------------------------------------------------------------------


def _of_file(file: Path) -> Iterator[tuple[str, Any]]:
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise LedgerError("config.missing", f"{file} is not there") from None
    except OSError as problem:
        raise LedgerError("config.unreadable", f"{file}: {problem.strerror}") from None
    if len(data) > FILE_BYTES_MAX:
        raise LedgerError("config.malformed", f"{file}: more than {FILE_BYTES_MAX} bytes")
    try:
        document = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as problem:
        raise LedgerError("config.malformed", f"{file}: {problem}") from None
    yield from _flat(document, "", str(file))


def _flat(table: Mapping[str, Any], prefix: str, place: str) -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        key = prefix + name
        if isinstance(value, dict) and key in SECTIONS:
            yield from _flat(value, f"{key}.", place)
        else:
            check_known(key, place)
            yield key, tuple(value) if isinstance(value, list) else value


def _of_environment(environment: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Settings in the environment, and the variable that each came from.

    A variable that begins like a section and is none of its settings is refused.
    """
    known = {setting.variable: setting for setting in SETTINGS.values()}
    starts = tuple(f"{ENVIRONMENT_PREFIX}{section.upper()}_" for section in SECTIONS)
    origins: dict[str, str] = {}
    values: dict[str, Any] = {}
    for variable, text in environment.items():
        if variable in known:
            setting = known[variable]
            origins[setting.key] = variable
            values[setting.key] = value_of_text(setting, text, variable)
        elif variable.startswith(starts):
            raise LedgerError(
                "config.unknown_key", f"{variable} is no setting{suggestion(variable, list(known))}"
            )
    return values, origins


def value_of_text(setting: Setting, text: str, place: str) -> Any:
    """The value that the text of a variable or flag stands for; `place` names it in a refusal.

    Raises:
        LedgerError: `config.wrong_value`.
    """
    kind = setting.field.annotation
    if get_origin(kind) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind is bool:
        if text not in ("true", "false"):
            raise LedgerError("config.wrong_value", f"{place} is {text!r}, expected true or false")
        return text == "true"
    if kind is int:
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise LedgerError("config.wrong_value", f"{place} is {text!r}, expected a whole number")
        return int(text)
    return text


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in values.items():
        section, dot, name = key.partition(".")
        if dot:
            nested.setdefault(section, {})[name] = value
        else:
            nested[key] = value
    return nested


def _wrong_value(problem: ValidationError, origins: Mapping[str, str]) -> LedgerError:
    """The first thing that is wrong, by its key and origin. What was given is not repeated in full."""
    first = problem.errors(include_url=False, include_context=False)[0]
    place = [str(part) for part in first["loc"]]
    key = next((each for each in (".".join(place[:2]), place[0]) if each in SETTINGS), ".".join(place))
    shown = repr(first["input"])[:100]
    words = first["msg"].removeprefix("Value error, ")
    return LedgerError("config.wrong_value", f"{key} is {shown} (from {origins.get(key, FILE)}): {words}")
