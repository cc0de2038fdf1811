"""The story that the project tells: a harvest goes from a farm over a packer and a carrier to a shop.

Two harvest lots of the farm become one packed lot of cases, ten of which travel on a pallet to the
distribution centre and, half of them, to a shop, which sells two.
"""

from __future__ import annotations

from tests.contracts.provenance.events import (
    SITES,
    Books,
    Json,
    amount,
    commission,
    lot,
    objects,
    pack,
    receive,
    ship,
    sscc,
    transform,
    unit,
    unpack,
)

HARVEST = [lot("farm", "FIELD7-0501"), lot("farm", "FIELD8-0501")]
PACKED = lot("packer", "P2305", 7)
CASES = [unit("packer", f"C{number}", 8) for number in range(10)]
PALLET = sscc("packer", 1)
SHOP_PALLET = sscc("center", 2)


def at_site(organisation: str) -> Json:
    return {"bizLocation": {"id": SITES[organisation]}, "readPoint": {"id": SITES[organisation]}}


def chapters() -> list[tuple[str, list[Json]]]:
    """Who captures what, in order. Times are seconds."""
    farm, packer, center, shop = (at_site(name) for name in ("farm", "packer", "center", "shop"))
    harvest = [amount(HARVEST[0], 120.5), amount(HARVEST[1], "80")]
    harvest[1]["quantity"] = 80
    return [
        ("farm", [commission(10, q=harvest, **farm)]),
        ("farm", [ship(20, q=harvest, to="packer", readPoint={"id": SITES["farm"]})]),
        ("packer", [receive(30, q=harvest, **packer)]),
        (
            "packer",
            [
                transform(
                    40,
                    iq=harvest,
                    oq=[amount(PACKED, 195.25)],
                    outputs=CASES,
                    **packer,
                ),
                pack(50, PALLET, *CASES, **packer),
            ],
        ),
        ("packer", [ship(60, PALLET, to="center", readPoint={"id": SITES["packer"]})]),
        ("carrier", [objects("OBSERVE", 70, PALLET, bizStep="transporting", disposition="in_transit")]),
        ("center", [receive(80, PALLET, **center), unpack(90, PALLET, **center)]),
        (
            "center",
            [
                pack(100, SHOP_PALLET, *CASES[:5], **center),
                ship(110, SHOP_PALLET, to="shop", readPoint={"id": SITES["center"]}),
            ],
        ),
        ("shop", [receive(120, SHOP_PALLET, **shop), unpack(130, SHOP_PALLET, **shop)]),
        (
            "shop",
            [
                objects(
                    "OBSERVE", 140, *CASES[:2], bizStep="retail_selling", disposition="retail_sold", **shop
                )
            ],
        ),
    ]


def told() -> Books:
    """The books after the whole story, none of which raises a flag."""
    books = Books()
    for organisation, events in chapters():
        books.clean(organisation, *events)
    return books
