"""The reference says what the code does: a code, a metric or a route that it lacks turns this red."""

from __future__ import annotations

import re
from pathlib import Path

from node.api.problems import status_of
from tests.error_codes import codes_in, undocumented

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
ERROR_PAGES = ("errors.md", "epcis-errors.md")
_ROW = re.compile(r"^\| `([a-z][a-z0-9_]*\.[a-z0-9_]+)` \| (?:(\d{3}|-) \| )?", re.MULTILINE)


def documented_codes() -> dict[str, list[str]]:
    """Each code of the error pages, and the statuses that stand beside it."""
    found: dict[str, list[str]] = {}
    for page in ERROR_PAGES:
        for code, status in _ROW.findall((REFERENCE / page).read_text("utf-8")):
            found.setdefault(code, []).append(status)
    return found


def test_error_codes() -> None:
    """Every error code in the source is in docs/reference, with its HTTP status."""
    found, documented = codes_in(ROOT), documented_codes()
    assert len(found) > 200, "the search reads real code"
    assert not undocumented(found, set(documented)), "\n".join(undocumented(found, set(documented)))
    for code, statuses in documented.items():
        for status in statuses:
            if status.isdigit():
                assert int(status) == status_of(code), code


def test_documented_codes_exist() -> None:
    """The reference lists no code that the source never mentions."""
    source = "\n".join(
        path.read_text("utf-8")
        for floor in ("ledger", "contracts", "node", "network", "cli")
        for path in (ROOT / floor).rglob("*.py")
    )
    unknown = [code for code in documented_codes() if code not in source]
    assert not unknown, unknown


def test_codes_of_the_interface_have_a_status() -> None:
    """What the HTTP interface itself refuses stands with a status: never behind a dash."""
    documented = documented_codes()
    starts = {"api.port_taken", "token.expiry", "token.file_damaged", "token.file_open", "token.label",
              "token.scopes", "token.too_many", "token.unknown"}  # fmt: skip
    for code, paths in codes_in(ROOT).items():
        if any(path.startswith("node/api/") for path in paths) and code not in starts:
            assert any(status.isdigit() for status in documented[code]), code


def test_planted_code_is_found(tmp_path: Path) -> None:
    """A code that only a new line of source has is reported, however it is passed."""
    for number, line in enumerate(
        (
            "raise LedgerError('planted.one', 'x')",
            "class Failure(Exception):\n    def __init__(self, code): ...\nraise Failure('planted.two')",
            "def refuse(code, x): ...\nrefuse(code='planted.three', x=1)",
            "raise LedgerError('planted.four' if x else 'planted.five', 'x')",
        )
    ):
        folder = tmp_path / "ledger"
        folder.mkdir(exist_ok=True)
        (folder / "errors.py").write_text(
            "class LedgerError(Exception):\n    def __init__(self, code, message): ..."
        )
        (folder / f"planted_{number}.py").write_text(line)
    assert set(codes_in(tmp_path)) == {
        "planted.one", "planted.two", "planted.three", "planted.four", "planted.five",
    }  # fmt: skip
    assert undocumented(codes_in(tmp_path), {"planted.one"})[0] == "planted.five (ledger/planted_3.py)"
