"""What is printed: data and hints apart, colours where they are wanted, no control code of a stranger."""

from __future__ import annotations

import io
import json

import pytest

from cli.failure import Failure
from cli.output import PROGRESS_AFTER_SECONDS, Output, printable
from cli.wording import counted, event_time, instant, place_of, short_id, step_words
from contracts.epcis.scan import parse_scan


class Terminal(io.StringIO):
    """A stream that claims to be one."""

    def isatty(self) -> bool:
        return True


def output(**settings: bool) -> tuple[Output, io.StringIO, io.StringIO]:
    out, err = Terminal(), Terminal()
    return Output(stdout=out, stderr=err, **settings), out, err


def test_data_and_notes_are_apart() -> None:
    """Data goes to one stream and notes to the other."""
    found, out, err = output()
    found.data({"a": 1}, lambda: "a is 1")
    found.note("a hint")
    assert (out.getvalue(), err.getvalue()) == ("a is 1\n", "a hint\n")


def test_json_is_one_document() -> None:
    """With --json only the document is printed, in letters as they are."""
    found, out, _ = output(is_json=True)
    found.line("for people")
    found.data({"town": "Zürich"}, lambda: "no")
    assert json.loads(out.getvalue()) == {"town": "Zürich"}
    assert "Zürich" in out.getvalue()


def test_quiet() -> None:
    """--quiet keeps hints back, and no error."""
    found, _, err = output(is_quiet=True)
    found.note("a hint")
    found.failure(Failure("some.problem", "words"))
    assert "a hint" not in err.getvalue()
    assert "some.problem" in err.getvalue()


@pytest.mark.parametrize("reason", ["flag", "NO_COLOR", "no terminal"])
def test_no_colours(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No escape is printed where the flag, the variable or the stream says so."""
    if reason == "NO_COLOR":
        monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO() if reason == "no terminal" else Terminal()
    found = Output(is_plain=reason == "flag", stdout=stream, stderr=stream)
    found.line(found.status("accepted") + found.styled("x", "bold"))
    found.failure(Failure("some.problem", "words", advice="try this"))
    assert "\x1b" not in stream.getvalue()


def test_colours_on_a_terminal() -> None:
    """A terminal gets colours, and a table is as wide with them as without."""
    found, out, _ = output()
    found.line(found.table(("node", "state", "last"), [("n", "running", "x"), ("m", "stopped", "y")]))
    text = out.getvalue()
    assert "\x1b[32mrunning" in text
    assert "\x1b[31mstopped" in text


@pytest.mark.parametrize("text", ["\x1b[2Jcleared", "a\nb", "a\rb", "\x9b31m", "\u202eabc", "\x07"])
def test_control_codes_are_escaped(text: str) -> None:
    """Foreign text cannot steer a terminal or fake a line, in a table or among fields."""
    found = Output(stdout=io.StringIO(), stderr=io.StringIO())
    shown = found.table(("x",), [(text,)]).split("\n", 1)[1] + found.fields([("x", text)])
    assert all(each.isprintable() for each in shown)
    assert printable("Zürich 日本") == "Zürich 日本"


def test_long_cells_are_cut() -> None:
    """A cell of a table has a bounded width."""
    found = Output(stdout=io.StringIO(), stderr=io.StringIO())
    assert len(found.table(("x",), [("y" * 10_000,)])) < 500


def test_progress_waits_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """No bar is shown for quick work; one is for what takes longer, and it is taken away again."""
    now = [0.0]
    monkeypatch.setattr("cli.output.time.monotonic", lambda: now[0])
    found, out, err = output()
    with found.progress("working", 3) as step:
        step()
        assert err.getvalue() == ""
        now[0] += PROGRESS_AFTER_SECONDS + 0.1
        step()
        step()
    assert "working" in err.getvalue()
    assert out.getvalue() == ""


def test_no_progress_into_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that is no terminal gets no bar, however long it takes."""
    now = [0.0]
    monkeypatch.setattr("cli.output.time.monotonic", lambda: now[0])
    err = io.StringIO()
    with Output(stdout=io.StringIO(), stderr=err).progress("working", 2) as step:
        now[0] += 60
        step()
    assert err.getvalue() == ""


@pytest.mark.parametrize(
    ("uri", "label"),
    [
        ("https://id.gs1.org/01/09521001001106/10/N-0504", "(01)09521001001106(10)N-0504"),
        ("https://id.gs1.org/00/095210020000007015", "(00)095210020000007015"),
        ("https://id.gs1.org/01/09521001001106/10/A%28B%2FC", r"(01)09521001001106(10)A\(B/C"),
        ("urn:farmgate:test:1", "urn:farmgate:test:1"),
        ("https://example.org/01/x", "https://example.org/01/x"),
    ],
)
def test_labels_can_be_typed_in_again(uri: str, label: str) -> None:
    """The short form of an identifier is read back as the same one."""
    assert short_id(uri) == label
    assert parse_scan(label) == uri


def test_words() -> None:
    """Times, places, steps and counts as people read them, whatever a stranger wrote."""
    assert instant(0) == "1970-01-01 00:00Z"
    assert instant(-(2**53)) == instant(2**60) == "-"
    assert event_time({"eventTime": "2026-05-04T09:30:00.000+02:00"}) == "2026-05-04 09:30"
    assert step_words({"bizStep": "retail_selling"}) == "retail selling"
    assert step_words({"bizStep": "https://ref.gs1.org/cbv/BizStep-shipping"}) == "shipping"
    assert step_words({"type": "ObjectEvent"}) == "object"
    assert place_of({"readPoint": {"id": "a"}, "bizLocation": {"id": "b"}}) == "a"
    assert place_of({"readPoint": "a", "bizLocation": {"id": 5}}) == ""
    assert (counted(1, "event"), counted(0, "event")) == ("1 event", "0 events")


@pytest.mark.parametrize(("encoding", "shown"), [("utf-8", "Zürich\\udcff"), ("ascii", "Z\\xfcrich\\udcff")])
def test_any_stream_takes_any_text(encoding: str, shown: str) -> None:
    """A locale without a letter, or a name that is no text, can't end a command: letters are escaped."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    found = Output(stdout=stream, stderr=stream)
    found.line("Zürich\udcff")
    assert raw.getvalue().decode() == shown + "\n"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_json_is_json_on_any_stream(encoding: str) -> None:
    """What the stream can't hold is escaped as JSON has it, beyond the basic plane too."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    Output(is_json=True, stdout=stream).data(["Zürich 🍅", "\udcff"], str)
    assert json.loads(raw.getvalue()) == ["Zürich 🍅", "\udcff"]
