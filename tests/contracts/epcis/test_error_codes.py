from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_every_code_is_documented_and_every_documented_code_exists() -> None:
    """The codes in the source and the codes in the first column of the reference are the same."""
    quoted = re.compile(r'"((?:json|xml|epcis|identifier)\.[a-z_]+)"')
    paths = [
        path for folder in ("contracts/epcis", "node/epcis_xml") for path in (ROOT / folder).glob("*.py")
    ]
    used = {code for path in paths for code in quoted.findall(path.read_text())}
    page = (ROOT / "docs/reference/epcis-errors.md").read_text()
    documented = set(re.findall(r"^\| `((?:json|xml|epcis|identifier)\.[a-z_]+)` \|", page, re.MULTILINE))
    assert used == documented


def test_the_limits_in_the_reference_are_those_of_the_code() -> None:
    """Numbers that the page names are the constants."""
    from contracts.epcis.canonical_json import DEPTH_MAX, NUMBER_DIGITS_MAX, NUMBER_LITERAL_MAX
    from contracts.epcis.captured import EVENT_BYTES_MAX
    from contracts.epcis.document import DOCUMENT_BYTES_MAX, DOCUMENT_EVENTS_MAX
    from contracts.epcis.identifiers import IDENTIFIER_BYTES_MAX
    from contracts.epcis.prefixes import PREFIXES_MAX
    from contracts.epcis.problems import PROBLEMS_MAX
    from node.epcis_xml import reading, tree

    page = (ROOT / "docs/reference/epcis-errors.md").read_text()
    for words in (
        f"more than {DEPTH_MAX} arrays",
        f"more than {NUMBER_DIGITS_MAX} digits",
        f"more than {NUMBER_LITERAL_MAX} characters",
        f"document ({DOCUMENT_BYTES_MAX >> 20} MiB) or an event ({EVENT_BYTES_MAX >> 10} KiB)",
        f"more than {DOCUMENT_EVENTS_MAX:,} events",
        f"of at most {IDENTIFIER_BYTES_MAX} bytes",
        f"more than {PREFIXES_MAX} prefixes",
        f"at most {PROBLEMS_MAX}",
        f"more than {tree.DEPTH_MAX} elements inside",
        f"more than {tree.ATTRIBUTES_MAX:,} attributes",
        f"more than {reading.EVENT_NODES_MAX:,} elements and attributes",
        f"more than {tree.NODES_MAX:,} elements, attributes",
        f"more than {tree.PREFIXES_IN_SCOPE_MAX} namespace declarations",
        f"more than {tree.ATTRIBUTE_LENGTH_MAX:,} characters",
    ):
        assert words in page, words
