"""The pages of docs/reference, as far as `farmgate explain` reads them: tables of codes and their meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "reference"
PAGES: Final = ("flags.md", "errors.md", "epcis-errors.md")
_ROW = re.compile(r"\| `([a-z0-9_.]+)` \|(.*)\|\s*")


def meanings(code: str, folder: Path = FOLDER) -> list[tuple[str, str]]:
    """Each page that explains a code, with its sentence; none where the pages are not installed."""
    return [(page, meaning) for page, found, meaning in _rows(folder) if found == code]


def codes(folder: Path = FOLDER) -> list[str]:
    """Every code that a page explains."""
    return sorted({found for _, found, _ in _rows(folder)})


def _rows(folder: Path) -> Iterator[tuple[str, str, str]]:
    for page in PAGES:
        path = folder / page
        if not path.is_file():
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            row = _ROW.fullmatch(line)
            if row:
                yield page.removesuffix(".md"), row[1], row[2].rpartition("|")[2].strip()
