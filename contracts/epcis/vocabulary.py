"""The four spellings of a CBV term, and the one that is stored.

`shipping`, `urn:epcglobal:cbv:bizstep:shipping`, `https://ref.gs1.org/cbv/BizStep-shipping` and
`cbv:BizStep-shipping` are one business step; stored is the bare word. A term of another vocabulary is stored
as its absolute identifier. Whether the word is one that the CBV defines is not asked here.

Source: CBV 2.0 section 7; EPCIS 2.0 section 10.
"""

from __future__ import annotations

import re
from enum import Enum

from contracts.epcis.prefixes import expand


class Vocabulary(Enum):
    """A list of terms of the CBV: its name in URNs, and the head of its names in the web vocabulary."""

    BIZ_STEP = ("bizstep", "BizStep-")
    DISPOSITION = ("disp", "Disp-")
    BIZ_TRANSACTION_TYPE = ("btt", "BTT-")
    SOURCE_DESTINATION_TYPE = ("sdt", "SDT-")
    ERROR_REASON = ("er", "ER-")


_WEB = re.compile(r"https?://(?:ref|ns)\.gs1\.org/cbv/([A-Za-z]+-)([A-Za-z0-9_]+)")
_URN = re.compile(r"urn:epcglobal:cbv:([a-z]+):([A-Za-z0-9_]+)")


def stored_term(text: str, vocabulary: Vocabulary, bound: dict[str, str]) -> str:
    """The bare word of a CBV term in any of its spellings, else the absolute identifier of another term."""
    if ":" not in text:
        return text
    full = expand(text, bound)
    found = _WEB.fullmatch(full) or _URN.fullmatch(full)
    return found.group(2) if found is not None and found.group(1) in vocabulary.value else full
