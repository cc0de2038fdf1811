"""Links in the documents lead somewhere, and every rule that the source cites stands in its specification."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FLOORS = ("ledger", "contracts", "node", "network", "cli")

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CITED_PAGE = re.compile(r"\bdocs/[a-z-]+/[A-Za-z0-9_.-]+\.md")
_CITED_RULES = re.compile(r"\b(docs/spec/[a-z0-9-]+\.md), rules? ((?:[A-Z]\d+(?:-[A-Z]?\d+)?(?:, | and )?)+)")
_RANGE = re.compile(r"([A-Z])(\d+)(?:-[A-Z]?(\d+))?")


def links(text: str) -> list[str]:
    """The targets of a page's links, code left out."""
    return _LINK.findall(_CODE.sub("", _FENCE.sub("", text)))


def cited_rules(text: str) -> list[tuple[str, str]]:
    """Each (page, rule) that a source file cites; `T1-T3` are three rules."""
    found = []
    for page, rules in _CITED_RULES.findall(" ".join(text.split())):
        for letter, first, last in _RANGE.findall(rules):
            found += [(page, f"{letter}{number}") for number in range(int(first), int(last or first) + 1)]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file or folder that is there."""
    broken = [
        target
        for target in links(page.read_text("utf-8"))
        if not target.startswith(("http://", "https://", "mailto:", "#"))
        and not (page.parent / target.partition("#")[0]).exists()
    ]
    assert not broken, broken


def test_cited_pages_and_rules_exist() -> None:
    """A page that the source cites is there, and holds each rule that is cited of it."""
    missing: set[str] = set()
    cited = 0
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            text = path.read_text("utf-8")
            missing |= {
                f"{path.name}: {page}" for page in _CITED_PAGE.findall(text) if not (ROOT / page).exists()
            }
            for page, rule in cited_rules(text):
                cited += 1
                held = (ROOT / page).read_text("utf-8") if (ROOT / page).exists() else ""
                if not re.search(rf"\b{rule}\b", held):
                    missing.add(f"{path.name}: {page} {rule}")
    assert cited > 50, "the search reads real citations"
    assert not missing, sorted(missing)


def test_planted_faults_are_found() -> None:
    """A link and a citation are read as they are written, ranges and lists too."""
    assert links("see [a](b.md#c) and `[x](y)`\n```\n[z](w)\n```\n") == ["b.md#c"]
    assert cited_rules("Source: docs/spec/p2p.md, rules T1-T2 and\n  W5.") == [
        ("docs/spec/p2p.md", "T1"), ("docs/spec/p2p.md", "T2"), ("docs/spec/p2p.md", "W5"),
    ]  # fmt: skip
