"""Record: the event is what was meant, and every bad word is refused before anything is sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cli.events import Setting, aggregation_event, object_event
from cli.exit_code import ExitCode
from cli.things import is_organisation_name, parse_amount, parse_party, parse_place
from tests.cli.shell import Site, shell

CASE = "(01)09521002002102(21)77"
CASE_URI = "https://id.gs1.org/01/09521002002102/21/77"
LOT = "(01)09521001001106(10)N-0504"
LOT_URI = "https://id.gs1.org/01/09521001001106/10/N-0504"
PALLET = "(00)095210020000007015"
PALLET_URI = "https://id.gs1.org/00/095210020000007015"
PLACE = "9521002000016"
PLACE_URI = "https://id.gs1.org/414/9521002000016"
TIME = "2025-12-01T08:00:00+02:00"


def event_of(*words: str, site: Site | None = None) -> Any:
    """The event that a command would send."""
    profile = ("--profile", site.profile("farm")) if site else ()
    said = shell(*profile, "record", *words, "--dry-run", "--json", "--yes")
    assert said.code == ExitCode.OK, said.err
    return said.json


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ("commission", CASE),
            {"type": "ObjectEvent", "action": "ADD", "bizStep": "commissioning", "epcList": [CASE_URI]},
        ),
        (
            ("commission", "--lot", LOT, "500KGM"),
            {"quantityList": [{"epcClass": LOT_URI, "quantity": 500, "uom": "KGM"}]},
        ),
        (
            ("pack", "--into", PALLET, CASE),
            {"type": "AggregationEvent", "action": "ADD", "parentID": PALLET_URI, "childEPCs": [CASE_URI]},
        ),
        (
            ("unpack", "--from", PALLET, CASE),
            {"action": "DELETE", "bizStep": "unpacking", "childEPCs": [CASE_URI]},
        ),
        (("unpack", "--from", PALLET), {"action": "DELETE", "childEPCs": []}),
        (
            ("ship", "--to", "9521004000007", CASE),
            {
                "bizStep": "shipping",
                "disposition": "in_transit",
                "destinationList": [
                    {"type": "possessing_party", "destination": "https://id.gs1.org/417/9521004000007"}
                ],
            },
        ),
        (
            ("receive", "--from", "9521001000000", CASE),
            {
                "bizStep": "receiving",
                "sourceList": [
                    {"type": "possessing_party", "source": "https://id.gs1.org/417/9521001000000"}
                ],
            },
        ),
        (
            ("transform", "--in-lot", LOT, "5.5KGM", "--out", CASE),
            {
                "type": "TransformationEvent",
                "inputQuantityList": [{"epcClass": LOT_URI, "quantity": 5.5, "uom": "KGM"}],
                "outputEPCList": [CASE_URI],
            },
        ),
        (("observe", CASE, "--step", "stocking"), {"action": "OBSERVE", "bizStep": "stocking"}),
        (("destroy", CASE), {"action": "DELETE", "bizStep": "destroying", "disposition": "destroyed"}),
    ],
    ids=lambda each: each[0] if isinstance(each, tuple) else "",
)
def test_the_event_is_what_was_meant(words: tuple[str, ...], expected: dict[str, Any]) -> None:
    """Each verb makes the EPCIS event that the standard has for it."""
    event = event_of(*words)
    assert expected.items() <= event.items()


DATED = "(01)09521001001106(10)N-0504(15)301200(7007)260501260503"


def test_dates_on_labels_of_new_goods_become_master_data() -> None:
    """What all labels agree on; a month without a day means its last; goods that are only seen get none."""
    harvest = {"cbvmda:harvestStartDate": "2026-05-01", "cbvmda:harvestEndDate": "2026-05-03"}
    whole = {"cbvmda:bestBeforeDate": "2030-12-31"} | harvest
    assert event_of("commission", "--lot", DATED, "5KGM")["ilmd"] == whole
    other = DATED.replace("(15)301200", "(15)301130").replace("N-0504", "N-0505")
    assert event_of("commission", "--lot", DATED, "5KGM", "--lot", other, "5KGM")["ilmd"] == harvest
    assert "ilmd" not in event_of("commission", "--lot", DATED, "5KGM", CASE)
    assert "ilmd" not in event_of("observe", "--lot", DATED, "5KGM")
    made = event_of("transform", "--in-lot", LOT, "5KGM", "--out-lot", DATED, "5KGM")
    assert made["ilmd"] == whole
    assert "ilmd" not in event_of("transform", "--in-lot", DATED, "5KGM", "--out", CASE)


@pytest.mark.parametrize(
    ("extra", "element"),
    [
        ("(3103)000500", {"quantity": 0.5, "uom": "KGM"}),
        ("(3100)000500", {"quantity": 500, "uom": "KGM"}),
        ("(3202)001250(17)301231", {"quantity": 12.5, "uom": "LBR"}),
        ("(30)00040", {"quantity": 40}),
    ],
)
def test_the_quantity_that_the_label_says(extra: str, element: dict[str, Any]) -> None:
    """A weight with its decimals and unit, or a count."""
    event = event_of("commission", "--lot", LOT + extra, "label")
    assert event["quantityList"] == [{"epcClass": LOT_URI} | element]


@pytest.mark.parametrize("extra", ["", "(3103)000000", "(3103)000500(30)4", "(400)7"])
def test_a_label_that_says_no_one_quantity(extra: str) -> None:
    """None, nothing, or two of them: the person has to type it."""
    said = shell("--json", "--no-input", "record", "commission", "--lot", LOT + extra, "label")
    assert (said.code, said.error["code"]) == (ExitCode.USAGE, "usage.wrong_quantity")
    assert "type it" in said.error["message"]


def test_time_place_and_papers() -> None:
    """When, where and which paper stand in the event as they were said."""
    event = event_of(
        "observe", CASE, "--time", TIME, "--at", PLACE, "--document", "po=urn:epcglobal:cbv:bt:1:2"
    )
    assert event["eventTime"] == "2025-12-01T08:00:00.000+02:00"
    assert event["eventTimeZoneOffset"] == "+02:00"
    assert event["readPoint"] == event["bizLocation"] == {"id": PLACE_URI}
    assert event["bizTransactionList"] == [{"type": "po", "bizTransaction": "urn:epcglobal:cbv:bt:1:2"}]


def test_leaving_goods_have_no_place_afterwards() -> None:
    """What is shipped was read at the place and is not there afterwards."""
    event = event_of("ship", "--to", "9521004000007", CASE, "--at", PLACE)
    assert event["readPoint"] == {"id": PLACE_URI}
    assert "bizLocation" not in event


def test_now_has_a_zone() -> None:
    """Without --time the event happens now, in this machine's zone."""
    event = event_of("observe", CASE)
    at = datetime.fromisoformat(event["eventTime"])
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60


def test_recorded(site: Site) -> None:
    """An event that is recorded is found in the item's history."""
    profile = site.profile("farm")
    said = shell("--profile", profile, "record", "commission", "urn:x:crate-1", "--time", TIME, "--json")
    assert said.code == ExitCode.OK
    assert said.json["events"][0]["status"] == "accepted"
    found = shell("--profile", profile, "item", "history", "urn:x:crate-1", "--json")
    assert [line["event_id"] for line in found.json["lines"]] == [said.json["events"][0]["event_id"]]


def test_site_by_its_title(site: Site) -> None:
    """A place may be named by the title of one of the organisation's own sites."""
    event = event_of("observe", CASE, "--at", "https://id.gs1.org/414/9520000000011", site=site)
    again = event_of("observe", CASE, "--at", "HTTPS://ID.GS1.ORG/414/9520000000011".lower(), site=site)
    assert event["readPoint"] == again["readPoint"]
    said = shell("--profile", site.profile("farm"), "record", "observe", CASE, "--at", "nowhere", "--json")
    assert (said.code, said.error["code"]) == (ExitCode.NOT_FOUND, "site.unknown")


def test_recipient_by_its_name(site: Site) -> None:
    """An organisation with one site is named by its name; one with none has to be told apart."""
    event = event_of("ship", "--to", "packer", CASE, site=site)
    assert event["destinationList"] == [
        {"type": "location", "destination": "https://id.gs1.org/414/9520010000018"}
    ]
    said = shell("--profile", site.profile("farm"), "record", "ship", "--to", "carrier", CASE, "--json")
    assert (said.code, said.error["code"]) == (ExitCode.USAGE, "site.ambiguous")
    said = shell("--profile", site.profile("farm"), "record", "ship", "--to", "nobody", CASE, "--json")
    assert (said.code, said.error["code"]) == (ExitCode.NOT_FOUND, "organisation.unknown")


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (("commission",), ExitCode.USAGE, "usage.wrong"),
        (("pack", CASE), ExitCode.USAGE, "usage.wrong"),
        (("pack", "--into", PALLET), ExitCode.USAGE, "usage.wrong"),
        (("ship", CASE), ExitCode.USAGE, "usage.wrong"),
        (("transform", "--in", CASE), ExitCode.USAGE, "usage.wrong"),
        (("commission", "--lot", LOT), ExitCode.USAGE, "usage.wrong"),
        (("commission", "--lot", LOT, "many"), ExitCode.USAGE, "usage.wrong_quantity"),
        (("commission", "--lot", LOT, "0"), ExitCode.USAGE, "usage.wrong_quantity"),
        (("commission", "--lot", LOT, "-3KGM"), ExitCode.USAGE, "usage.wrong_quantity"),
        (("commission", "--lot", LOT, "1e9"), ExitCode.USAGE, "usage.wrong_quantity"),
        (("observe", CASE, "--time", "yesterday"), ExitCode.USAGE, "usage.wrong_time"),
        (("observe", CASE, "--time", "2025-12-01T08:00:00"), ExitCode.USAGE, "usage.wrong_time"),
        (("observe", CASE, "--document", "po"), ExitCode.USAGE, "usage.wrong_document"),
        (("observe", "(01)09521002002103(21)77"), ExitCode.REJECTED, "identifier.invalid"),
        (("observe", "case 7"), ExitCode.REJECTED, "identifier.not_recognised"),
        (("destroy", CASE), ExitCode.USAGE, "usage.not_confirmed"),
    ],
)
def test_bad_words(words: tuple[str, ...], exit_code: ExitCode, code: str) -> None:
    """Each bad word is refused with its code, before a profile or a node is needed."""
    said = shell("--json", "--no-input", "record", *words)
    assert (said.code, said.error["code"]) == (exit_code, code)


def test_without_a_profile_nothing_is_signed() -> None:
    """A sound event without a profile is refused as such."""
    said = shell("record", "observe", CASE, "--json")
    assert (said.code, said.error["code"]) == (ExitCode.USAGE, "profile.incomplete")


def test_amounts_are_exact() -> None:
    """A quantity keeps every digit; a whole one is written as such."""
    assert (
        parse_amount(LOT, "0.1KGM").element["quantity"] == parse_amount(LOT, "0.10 KGM").element["quantity"]
    )
    assert parse_amount(LOT, "40").element == {"epcClass": LOT_URI, "quantity": 40}
    assert (
        str(parse_amount(LOT, "12345678901234567890.123456789012KGM").quantity)
        == "12345678901234567890.123456789012"
    )


def test_places_and_parties() -> None:
    """A bare GLN is a place or a party, as it is meant; a name is neither."""
    assert parse_place(PLACE) == PLACE_URI
    assert parse_party(PLACE) == "https://id.gs1.org/417/9521002000016"
    assert parse_place("urn:epc:id:sgln:9521002.00001.0") == PLACE_URI
    assert is_organisation_name("fresh-pack")
    assert not is_organisation_name(PLACE)
    assert not is_organisation_name("urn:x:y")


def test_offsets() -> None:
    """The offset of a zone west of Greenwich is written with its sign."""
    at = datetime.fromisoformat("2025-12-01T08:00:00-03:30")
    event = object_event("OBSERVE", Setting(at), {"epcList": ["urn:x:1"]})
    assert event["eventTimeZoneOffset"] == "-03:30"
    assert aggregation_event("ADD", "urn:x:p", Setting(at), {})["parentID"] == "urn:x:p"
