"""The four spellings of a CBV term, and the one that is stored.

`shipping`, `urn:epcglobal:cbv:bizstep:shipping`, `https://ref.gs1.org/cbv/BizStep-shipping` and
`cbv:BizStep-shipping` are one business step; stored is the bare word. A term of another vocabulary is stored
as its absolute identifier. The lists of the CBV are closed: a bare word, or a name in the CBV's spellings,
that is not on them is no term (`is_term`). Names that merely stand in a namespace of GS1's and have none of
these forms are terms of other vocabularies.

Source: CBV 2.0 section 7; EPCIS 2.0 section 10.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from contracts.epcis.prefixes import expand


class Vocabulary(Enum):
    """A list of terms of the CBV: its name in URNs, and the head of its names in the web vocabulary."""

    BIZ_STEP = ("bizstep", "BizStep-")
    DISPOSITION = ("disp", "Disp-")
    BIZ_TRANSACTION_TYPE = ("btt", "BTT-")
    SOURCE_DESTINATION_TYPE = ("sdt", "SDT-")
    ERROR_REASON = ("er", "ER-")
    COMPONENT = ("comp", "Comp-")


WORDS: Final = {
    Vocabulary.BIZ_STEP: frozenset(
        """
        accepting arriving assembling collecting commissioning consigning creating_class_instance
        cycle_counting decommissioning departing destroying disassembling dispensing encoding
        entering_exiting holding inspecting installing killing loading other packing picking receiving
        removing repackaging repairing replacing reserving retail_selling sampling sensor_reporting
        shipping staging_outbound stock_taking stocking storing transporting unloading unpacking
        void_shipping
        """.split()
    ),
    Vocabulary.DISPOSITION: frozenset(
        """
        active available completeness_inferred completeness_verified conformant container_closed
        container_open damaged destroyed dispensed disposed encoded expired in_progress in_transit
        inactive mismatch_class mismatch_instance mismatch_quantity needs_replacement no_pedigree_match
        non_conformant non_sellable_other partially_dispensed recalled reserved retail_sold returned
        sellable_accessible sellable_not_accessible stolen unavailable unknown
        """.split()
    ),
    Vocabulary.BIZ_TRANSACTION_TYPE: frozenset(
        "bol cert desadv inv pedigree po poc prodorder recadv rma testprd testres upevt".split()
    ),
    Vocabulary.SOURCE_DESTINATION_TYPE: frozenset("location owning_party possessing_party".split()),
    Vocabulary.ERROR_REASON: frozenset("did_not_occur incorrect_data".split()),
    Vocabulary.COMPONENT: frozenset(
        """
        altitude axial_distance azimuth easting elevation_angle height latitude longitude northing
        polar_angle spherical_radius x y z
        """.split()
    ),
}


_WEB = re.compile(r"https?://(?:ref|ns)\.gs1\.org/cbv/([A-Za-z]+-)([A-Za-z0-9_]+)")
_URN = re.compile(r"urn:epcglobal:cbv:([a-z]+):([A-Za-z0-9_]+)")


def stored_term(text: str, vocabulary: Vocabulary, bound: dict[str, str]) -> str:
    """The bare word of a CBV term in any of its spellings, else the absolute identifier of another term."""
    if ":" not in text:
        return text
    full = expand(text, bound)
    found = _WEB.fullmatch(full) or _URN.fullmatch(full)
    return found.group(2) if found is not None and found.group(1) in vocabulary.value else full


def is_term(text: str, vocabulary: Vocabulary, bound: dict[str, str]) -> bool:
    """Whether the text is a word of the vocabulary in any spelling, or a term of somebody else's."""
    if ":" not in text:
        return text in WORDS[vocabulary]
    full = expand(text, bound)
    found = _WEB.fullmatch(full) or _URN.fullmatch(full)
    if found is None or not any(found[1] in each.value for each in Vocabulary):
        return True
    return found[1] in vocabulary.value and found[2] in WORDS[vocabulary]
