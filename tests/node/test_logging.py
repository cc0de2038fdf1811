"""The log: one line an entry, whatever is in it, and no secret."""

from __future__ import annotations

import io
import json
import logging as stdlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import logging
from node.logging import REDACTED, VALUE_LENGTH_MAX, Form, LineFormatter, clean

SECRET = "fgt_" + "Z" * 43
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END PRIVATE KEY-----"


def line(form: Form, event: str, **fields: object) -> str:
    record = stdlib.LogRecord("farmgate.api", stdlib.INFO, "f", 1, event, None, None)
    record.fields = fields
    return LineFormatter(form).format(record)


def test_key_value_line() -> None:
    """Fields come in the order in which they are named, quoted where they need it."""
    text = line(
        Form.KEY_VALUE, "request", route="/v1/status", duration_ms=1.23456, note="two words", none=None
    )
    assert text.split(" ", 1)[1] == (
        'level=info area=api event=request route=/v1/status duration_ms=1.235 note="two words" none=-'
    )


def test_json_line() -> None:
    """The same as one JSON object."""
    found = json.loads(line(Form.JSON, "block", height=5, ok=True))
    assert (found["event"], found["height"], found["ok"], found["area"]) == ("block", 5, True, "api")
    assert found["time"].endswith("Z")


@pytest.mark.parametrize("form", Form)
def test_secrets_never_reach_the_log(form: Form) -> None:
    """Tokens, keys, payloads and raw bytes are replaced, by their field's name or by their look."""
    text = line(
        form,
        "request " + SECRET,
        authorization="Bearer abc",
        header=f"Bearer {SECRET}",
        key_seed="0" * 64,
        private_key="1" * 64,
        password="hunter2",
        body="goods",
        raw=b"goods",
        data=b"\x01" * 64,
        found=PEM,
        request_body="goods",
    )
    for secret in (SECRET, "abc", "0" * 64, "1" * 64, "hunter2", "goods", "MC4CAQ", "\\x01", "0101"):
        assert secret not in text
    assert REDACTED in text


@given(st.text(), st.text(), st.sampled_from(Form))
def test_no_value_starts_a_line(event: str, value: str, form: Form) -> None:
    """Whatever a value holds, an entry is one line of bounded length: nobody can forge another entry."""
    text = line(form, event, value=value)
    assert "\n" not in text
    assert "\r" not in text
    assert len(text) < 14 * VALUE_LENGTH_MAX
    if form is Form.JSON:
        assert json.loads(text)["area"] == "api"


def test_traceback_stays_on_its_line() -> None:
    """A fault's traceback is one field."""
    try:
        raise RuntimeError("x\ny")
    except RuntimeError as bug:
        record = stdlib.LogRecord("farmgate.api", stdlib.ERROR, "f", 1, "bug", None, (type(bug), bug, None))
    text = LineFormatter(Form.KEY_VALUE).format(record)
    assert "\n" not in text
    assert "RuntimeError" in text


def test_long_values_are_cut() -> None:
    """A value is cut at its limit."""
    assert len(clean("name", "x" * 10_000)) == VALUE_LENGTH_MAX


@pytest.fixture
def _restored() -> Iterator[None]:
    root = stdlib.getLogger(logging.ROOT)
    handlers, level, propagate = list(root.handlers), root.level, root.propagate
    theirs = {name: list(stdlib.getLogger(name).handlers) for name in ("aiohttp", "asyncio")}
    yield
    root.handlers, root.propagate = handlers, propagate
    root.setLevel(level)
    for name, before in theirs.items():
        stdlib.getLogger(name).handlers = before
        stdlib.getLogger(name).propagate = True
        stdlib.getLogger(name).setLevel(stdlib.NOTSET)


@pytest.mark.usefixtures("_restored")
def test_level_decides_what_is_written() -> None:
    """Below the level nothing is written; set again, the old stream is left alone."""
    first, second = io.StringIO(), io.StringIO()
    logging.configure("info", stream=first)
    log = logging.logger("driver")
    logging.log(log, stdlib.DEBUG, "vote", view=1)
    logging.log(log, stdlib.INFO, "block", height=1)
    logging.configure("debug", Form.JSON, stream=second)
    logging.log(log, stdlib.DEBUG, "vote", view=2)
    assert "event=block height=1" in first.getvalue()
    assert "vote" not in first.getvalue()
    assert json.loads(second.getvalue())["view"] == 2
    assert logging.level() == "debug"
