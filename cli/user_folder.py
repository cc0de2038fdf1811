"""The folder of one person's settings, profiles and keys on this machine.

config.toml           `farmgate config`
profiles/NAME.toml    `farmgate profile`, with outbox/NAME/ for what is not final yet
keys/NAME.key         `farmgate key`
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from cli.exit_code import ExitCode
from cli.failure import Failure

VARIABLE: Final = "FARMGATE_HOME"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


def user_folder() -> Path:
    """`FARMGATE_HOME`, else `farmgate` in the user's folder of configurations."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    configurations = os.environ.get("XDG_CONFIG_HOME")
    return (Path(configurations) if configurations else Path.home() / ".config") / "farmgate"


def profile_path(name: str) -> Path:
    """Where the profile of this name or path lies: a slash or `.toml` makes it a path."""
    if "/" in name or name.endswith(".toml"):
        return Path(name)
    return user_folder() / "profiles" / f"{checked_name(name, 'profile')}.toml"


def key_path(name: str) -> Path:
    """Where the key of this name or path lies: a slash or `.key` makes it a path."""
    if "/" in name or name.endswith(".key"):
        return Path(name)
    return user_folder() / "keys" / f"{checked_name(name, 'key')}.key"


def checked_name(name: str, what: str) -> str:
    """The name, if it may become a file's.

    Raises:
        Failure: `usage.wrong_name`.
    """
    if not _NAME.fullmatch(name):
        raise Failure(
            "usage.wrong_name",
            f"{name[:80]!r} is no name of a {what}: 1 to 64 of a-z 0-9 . _ -, a letter or digit first",
            exit_code=ExitCode.USAGE,
        )
    return name
