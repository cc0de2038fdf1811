"""What a person can set once for all commands: config.toml, the environment, and what is in force."""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.user_folder import user_folder

FILE_BYTES_MAX: Final = 64 << 10
DEFAULT: Final = "default"


class Setting(NamedTuple):
    """One setting. Its variable comes before config.toml; a flag comes before both."""

    key: str
    variable: str
    default: str | int | bool
    description: str


class InForce(NamedTuple):
    """A value and where it came from: the variable's name, `config.toml` or `default`."""

    value: str | int | bool
    origin: str


SETTINGS: Final = {
    setting.key: setting
    for setting in (
        Setting("profile", "FARMGATE_PROFILE", "", "The profile in use where --profile names none."),
        Setting("timeout", "FARMGATE_TIMEOUT", 30, "Seconds to wait for answers and for finality."),
        Setting("wait", "FARMGATE_WAIT", True, "Whether to wait until a transaction is final."),
        Setting("color", "FARMGATE_COLOR", True, "Whether a terminal gets colours; NO_COLOR overrules it."),
    )
}


def config_path() -> Path:
    """config.toml of this person."""
    return user_folder() / "config.toml"


def in_force(key: str) -> InForce:
    """A setting as it counts now.

    Raises:
        Failure: `config.unknown_key`, `config.wrong_value`, `config.malformed`.
    """
    setting = _known(key)
    text = os.environ.get(setting.variable)
    if text:
        return InForce(_of_text(setting, text, setting.variable), setting.variable)
    written = read_config()
    if key in written:
        return InForce(written[key], config_path().name)
    return InForce(setting.default, DEFAULT)


def read_config() -> Mapping[str, str | int | bool]:
    """What config.toml says; empty where there is none.

    Raises:
        Failure: `config.malformed`, `config.unknown_key`, `config.wrong_value`.
    """
    path = config_path()
    try:
        data = path.read_bytes()[: FILE_BYTES_MAX + 1]
    except FileNotFoundError:
        return {}
    try:
        document: dict[str, Any] = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as problem:
        raise Failure("config.malformed", f"{path}: {problem}") from None
    for key, value in document.items():
        if type(value) is not type(_known(key, f" in {path}").default):
            raise _wrong(SETTINGS[key], repr(value), str(path))
    return document


def set_value(key: str, text: str) -> None:
    """Write one setting into config.toml.

    Raises:
        Failure: as `read_config`; OSError.
    """
    from node.store.disk import LocalDisk, replace_file

    value = _of_text(_known(key), text, "the command line")
    values = {**read_config(), key: value}
    lines = [f"{name} = {json.dumps(each, ensure_ascii=False)}\n" for name, each in values.items()]
    config_path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(LocalDisk(), config_path(), "".join(lines).encode())


def _known(key: str, place: str = "") -> Setting:
    if key not in SETTINGS:
        near = difflib.get_close_matches(key, list(SETTINGS), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(SETTINGS)}"
        raise Failure("config.unknown_key", f"{key!r}{place} is no setting{hint}", exit_code=ExitCode.USAGE)
    return SETTINGS[key]


def _of_text(setting: Setting, text: str, place: str) -> str | int | bool:
    match setting.default:
        case bool():
            if text in ("true", "false"):
                return text == "true"
        case int():
            if text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 86_400 and len(text) <= 6:
                return int(text)
        case str():
            return text
    raise _wrong(setting, repr(text[:100]), place)


def _wrong(setting: Setting, shown: str, place: str) -> Failure:
    expected = {bool: "true or false", int: "a whole number from 1 to 86400", str: "a string"}
    words = expected[type(setting.default)]
    return Failure(
        "config.wrong_value",
        f"{setting.key} is {shown} ({place}), expected {words}",
        exit_code=ExitCode.USAGE,
    )
