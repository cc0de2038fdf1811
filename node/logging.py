"""One line a request and a block, `key=value` or JSON, units in the keys; never keys or payloads.

Fields are named where the line is written: `log(LOGGER, INFO, "request", method=..., duration_ms=...)`.
A field whose name says that it holds a secret or a payload is replaced, whatever it is; long
values are cut, and no value can start a new line.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, TextIO

ROOT: Final = "farmgate"
VALUE_LENGTH_MAX: Final = 500
FIELDS_MAX: Final = 40
REDACTED: Final = "[redacted]"
LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

_SECRET_NAME = re.compile(
    r"(^|_)(secret|seed|password|passphrase|token|authorization|cookie|private|payload|body|arguments|raw)(_|$)"
)
_TOKEN_TEXT = re.compile(r"\bfgt_[A-Za-z0-9_-]{8,}|\b[Bb]earer\s+\S+")
_PRIVATE_PEM = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@+*-]+")


class Form(Enum):
    """How a line is written."""

    KEY_VALUE = "key_value"
    JSON = "json"


def logger(area: str) -> logging.Logger:
    """The logger of one part of the node, such as `api` or `driver`."""
    return logging.getLogger(f"{ROOT}.{area}")


def log(to: logging.Logger, level: int, event: str, **fields: Any) -> None:
    """Write one line: what happened, in one or two words, and its fields."""
    if to.isEnabledFor(level):
        to.log(level, event, extra={"fields": fields})


def configure(level: str = "info", form: Form = Form.KEY_VALUE, stream: TextIO | None = None) -> None:
    """Send the node's log to `stream` (default: standard error). Calling it again replaces what was set."""
    root = logging.getLogger(ROOT)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter(form))
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.propagate = False
    set_level(level)
    for name in ("aiohttp", "asyncio"):  # their own words come in the same form, and only when they matter
        theirs = logging.getLogger(name)
        theirs.handlers = [handler]
        theirs.propagate = False
        theirs.setLevel(logging.WARNING)


def set_level(level: str) -> None:
    """Log from this level on: debug, info, warning or error."""
    logging.getLogger(ROOT).setLevel(LEVELS[level])


def level() -> str:
    """The level from which the node logs."""
    number = logging.getLogger(ROOT).getEffectiveLevel()
    return min(LEVELS, key=lambda name: abs(LEVELS[name] - number))


class LineFormatter(logging.Formatter):
    """Writes a record as one line."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "area": record.name.removeprefix(ROOT + "."),
            "event": clean("event", record.getMessage()),
        }
        fields: dict[str, Any] = getattr(record, "fields", {})
        for name in list(fields)[:FIELDS_MAX]:
            line.setdefault(name, clean(name, fields[name]))
        if record.exc_info:
            line["traceback"] = clean(
                "traceback", self.formatException(record.exc_info), 20 * VALUE_LENGTH_MAX
            )
        if self._form is Form.JSON:
            return json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        return " ".join(f"{name}={_written(value)}" for name, value in line.items())


def clean(name: str, value: Any, length_max: int = VALUE_LENGTH_MAX) -> Any:
    """A field's value as it may be logged: no secret, no payload, of bounded length, on one line."""
    if _SECRET_NAME.search(name):
        return REDACTED
    match value:
        case None | bool() | int():
            return value
        case float():
            return round(value, 3)
        case bytes() | bytearray():
            return REDACTED  # an id is logged as the hexadecimal text that the caller chose to show
        case _:
            text = _PRIVATE_PEM.sub(REDACTED, str(value))
            text = _TOKEN_TEXT.sub(REDACTED, text)
            return text if len(text) <= length_max else text[: length_max - 1] + "…"


def _written(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            text = str(value)
            return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=True)
