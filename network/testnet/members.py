"""The organisations of a local network: one link each of the chain from a farm to a shop.

Their GS1 company prefixes begin with 952, which GS1 keeps for examples, so no real product is meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contracts.epcis.identifiers import canonical_id


@dataclass(frozen=True, slots=True)
class DemoSite:
    """A place of a demo organisation. `reference` is the location part of its GLN (five digits)."""

    reference: str
    title: str


@dataclass(frozen=True, slots=True)
class DemoOrganisation:
    """A member of a local network. `prefix` is its GS1 company prefix (seven digits)."""

    id: str
    title: str
    prefix: str
    sites: tuple[DemoSite, ...]

    @property
    def party(self) -> str:
        """Its canonical party identifier (PGLN)."""
        return canonical_id(f"urn:epc:id:pgln:{self.prefix}.00000")

    def place(self, reference: str) -> str:
        """The canonical identifier (GLN) of one of its places."""
        return canonical_id(f"urn:epc:id:sgln:{self.prefix}.{reference}.0")


ORGANISATIONS: Final = (
    DemoOrganisation(
        "green-valley-farm",
        "Green Valley Farm",
        "9521001",
        (DemoSite("00001", "North field"), DemoSite("00002", "South field"), DemoSite("00003", "Farm yard")),
    ),
    DemoOrganisation("fresh-pack", "Fresh Pack", "9521002", (DemoSite("00001", "Packing house"),)),
    DemoOrganisation(
        "swift-haul",
        "Swift Haul Logistics",
        "9521003",
        (DemoSite("00001", "Truck 7"), DemoSite("00002", "Distribution centre")),
    ),
    DemoOrganisation("corner-market", "Corner Market", "9521004", (DemoSite("00001", "High Street shop"),)),
)
REGISTRAR: Final = ORGANISATIONS[0].id  # its key may also admit further organisations
