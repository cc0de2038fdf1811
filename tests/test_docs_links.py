"""Links in the documents lead somewhere, and every rule that the source cites stands in its specification.

What the reference must list of the code (error codes, metrics, routes) is the matter of test_docs.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parent.parent
SPEC = ROOT / "docs" / "spec"
FLOORS = ("ledger", "contracts", "node", "network", "cli")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])

_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_CITED_PAGE = re.compile(r"\bdocs/[a-z-]+/[A-Za-z0-9_.-]+\.md")
_CITED_RULES = re.compile(
    r"\b(docs/spec/[a-z0-9-]+\.md), rules? ((?:[A-Z]{1,2}\d+(?:-[A-Z]{0,2}\d+)?(?:, | and )?)+)"
)
_RANGE = re.compile(r"([A-Z]{1,2})(\d+)(?:-[A-Z]{0,2}(\d+))?")
# A rule is defined where a list item or a table row begins with it.
_DEFINED = re.compile(r"^(?:- \*\*|\| )([A-Z]{1,2}\d+)(?:\*\*| \|)", re.MULTILINE)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def links(text: str) -> list[str]:
    """The targets of a page's links, code left out."""
    return _LINK.findall(_CODE.sub("", text))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the usual renderers make them."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text("utf-8")))
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in kept}


def broken_links(page: Path, text: str) -> Iterator[str]:
    """The relative links of a page that lead nowhere, or to a heading that is not there."""
    for target in links(text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = unquote(target).partition("#")
        found = (page.parent / file).resolve() if file else page
        if not found.exists() or (anchor and found.suffix == ".md" and anchor not in anchors(found)):
            yield target


def cited_rules(text: str) -> list[tuple[str, str]]:
    """Each (page, rule) that a source file cites; `T1-T3` are three rules."""
    found = []
    for page, rules in _CITED_RULES.findall(" ".join(text.split())):
        for letter, first, last in _RANGE.findall(rules):
            found += [(page, f"{letter}{number}") for number in range(int(first), int(last or first) + 1)]
    return found


def sources() -> Iterator[tuple[Path, str]]:
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            yield path, path.read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file that is there, and a heading that is in it."""
    assert list(broken_links(page, page.read_text("utf-8"))) == []


def test_cited_pages_exist() -> None:
    """A docstring that names a page of docs does not send its reader to nothing."""
    missing = [
        f"{name_of(path)}: {page}"
        for path, text in sources()
        for page in _CITED_PAGE.findall(text)
        if not (ROOT / page).is_file()
    ]
    assert missing == []


def test_cited_rules_are_defined() -> None:
    """`Source: docs/spec/x.md, rules A1-A4` finds each of the four defined on that page."""
    cited = [(name_of(path), *each) for path, text in sources() for each in cited_rules(text)]
    defined = {name_of(page): _DEFINED.findall(page.read_text("utf-8")) for page in SPEC.glob("*.md")}
    assert len(cited) > 50, "the search reads real citations"
    assert [each for each in cited if each[2] not in defined.get(each[1], ())] == []


@pytest.mark.parametrize("page", sorted(SPEC.glob("*.md")), ids=name_of)
def test_no_rule_is_defined_twice(page: Path) -> None:
    """Within a page a rule's id means one thing."""
    ids = _DEFINED.findall(page.read_text("utf-8"))
    assert len(ids) == len(set(ids))


def test_every_decision_is_in_the_index() -> None:
    """docs/adr/README.md lists the pages beside it, each once."""
    folder = ROOT / "docs" / "adr"
    listed = links((folder / "README.md").read_text("utf-8"))
    assert sorted(listed) == sorted(path.name for path in folder.glob("0*.md"))


def test_every_page_is_reached_from_the_readme() -> None:
    """No page of docs is an orphan: whoever follows links from README.md finds them all."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md" or not page.is_file():
            continue
        seen.add(page)
        targets = (unquote(each).partition("#")[0] for each in links(page.read_text("utf-8")))
        waiting += [(page.parent / each).resolve() for each in targets if each and ":" not in each]
    assert [name_of(page) for page in sorted((ROOT / "docs").rglob("*.md")) if page not in seen] == []


def test_planted_faults_are_found() -> None:
    """A link and a citation are read as they are written, ranges and lists too; a broken one is named."""
    assert links("see [a](b.md#c) and `[x](y)`\n```\n[z](w)\n```\n") == ["b.md#c"]
    assert cited_rules("Source: docs/spec/p2p.md, rules T1-T2 and\n  W5.") == [
        ("docs/spec/p2p.md", "T1"), ("docs/spec/p2p.md", "T2"), ("docs/spec/p2p.md", "W5"),
    ]  # fmt: skip
    text = "[a](missing.md) [b](README.md#no-such) [c](https://example.org) [d](README.md#two-commands)"
    assert list(broken_links(ROOT / "README.md", text)) == ["missing.md", "README.md#no-such"]
