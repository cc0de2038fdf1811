"""A capture is recorded once and answered in order, or refused as a whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.epcis.captured import CapturedEvent
from contracts.provenance import capture as capturing
from contracts.provenance import register
from contracts.provenance.capture import EVENTS_MAX, CaptureArguments
from contracts.provenance.events import VERSIONS_MAX, EventKey
from contracts.provenance.queries import events_called, history
from ledger.codec import decode, encode
from ledger.errors import LedgerError
from ledger.receipt import Status
from ledger.types import RESULT_BYTES_MAX
from tests.contracts.chain import START_MS
from tests.contracts.provenance.events import (
    Books,
    Json,
    amount,
    captured,
    commission,
    flags,
    lot,
    objects,
    pack,
    results,
    sscc,
    unit,
    unpack,
)

UNIT = unit("farm", "1")
ORIGINAL = commission(10, UNIT, eventID="urn:uuid:0d5a1e2c-7b8f-4a61-8e59-3f9b2f5a1c01")


def declared(event: Json, **fields: object) -> Json:
    declaration = {"declarationTime": "2026-01-02T00:00:00.000Z", "reason": "incorrect_data"}
    return event | {"errorDeclaration": declaration | fields}


@pytest.fixture
def books() -> Books:
    return Books()


class TestOnce:
    def test_a_recorded_event_is_answered_with_its_place_and_commitment(self, books: Books) -> None:
        """The result names the event, and the outcome lists its commitment for the header's events root."""
        outcome = books.outcome("farm", ORIGINAL)
        found = results(outcome)
        assert outcome.status is found[0].status is Status.ACCEPTED
        assert outcome.events == (found[0].commitment,)
        assert found[0].event_id == ORIGINAL["eventID"]
        version = events_called(books.state, found[0].event_id)[0]
        assert version.ref.key == EventKey(1, 0, 0)
        assert version.organisation == "farm"

    def test_the_same_event_again_names_the_first(self, books: Books) -> None:
        """A capture of nothing new is a duplicate, writes nothing and records no event, whoever sends it."""
        first = books.capture("farm", ORIGINAL)
        before = dict(books.state.values)
        for organisation in ("farm", "packer"):
            outcome = books.outcome(organisation, ORIGINAL)
            (again,) = results(outcome)
            assert outcome.status is again.status is Status.DUPLICATE
            assert outcome.events == again.flags == ()
            assert again.first is not None
            assert (again.first.height, again.first.event_index) == (1, 0)
            assert (again.event_id, again.commitment) == (first[0].event_id, first[0].commitment)
        assert books.state.values == before

    def test_a_duplicate_among_new_events_is_answered_alone(self, books: Books) -> None:
        """The others are recorded; the second of two equal events in one capture is a duplicate."""
        books.capture("farm", ORIGINAL)
        new = commission(11, unit("farm", "2"))
        outcome = books.outcome("farm", ORIGINAL, new, new)
        assert [each.status for each in results(outcome)] == [
            Status.DUPLICATE,
            Status.ACCEPTED,
            Status.DUPLICATE,
        ]
        assert outcome.status is Status.ACCEPTED
        assert len(outcome.events) == 1
        second = results(outcome)[2].first
        assert second is not None
        assert second.key == EventKey(2, 0, 1)

    def test_white_space_and_record_time_make_no_new_event(self, books: Books) -> None:
        """What the capturing repository adds is no part of an event's identity."""
        books.capture("farm", ORIGINAL)
        again = ORIGINAL | {"recordTime": "2026-01-05T00:00:00.000Z"}
        assert books.capture("farm", again)[0].status is Status.DUPLICATE

    def test_one_event_id_for_two_events_is_flagged(self, books: Books) -> None:
        """Both are recorded and found under the id."""
        books.capture("farm", ORIGINAL)
        other = commission(12, unit("farm", "2"), eventID=ORIGINAL["eventID"])
        assert books.flagged("farm", other) == ["event_id.reused"]
        assert len(events_called(books.state, ORIGINAL["eventID"])) == 2

    def test_an_event_id_is_used_a_bounded_number_of_times(self, books: Books) -> None:
        """The record of an id can't be grown without end."""
        for number in range(VERSIONS_MAX):
            books.capture("farm", commission(10, unit("farm", f"v{number}"), eventID="urn:x:1"))
        more = captured(commission(10, unit("farm", "more"), eventID="urn:x:1"))
        assert books.refusal("farm/operator", "provenance", "capture", more).code == "event_id.overused"


class TestDeclaration:
    def test_a_declaration_marks_its_original_and_changes_nothing_else(self, books: Books) -> None:
        """The original's line in the history names the declaration; the item stands as before."""
        books.capture("farm", ORIGINAL)
        before = books.see(UNIT)
        assert books.flagged("farm", declared(ORIGINAL)) == []
        page = history(books.state, UNIT)
        assert page is not None
        assert [line.declared_by for line in page.lines] == [EventKey(2, 0, 0), None]
        after = books.see(UNIT)
        assert (after.status, after.custody, after.place) == (before.status, before.custody, before.place)
        assert after.history.event_count == 2

    def test_a_declaration_of_an_event_that_the_ledger_named(self, books: Books) -> None:
        """The declaration carries the given eventID, the original did not: they are the same event still."""
        nameless = commission(10, UNIT)
        (found,) = books.capture("farm", nameless)
        assert books.flagged("farm", declared(nameless | {"eventID": found.event_id})) == []

    def test_a_declaration_joins_every_history(self, books: Books) -> None:
        """Of things, lots and containers alike, and books no quantity twice."""
        grain, box = lot("farm", "A"), sscc("farm", 1)
        books.clean("farm", commission(5, UNIT, q=[amount(grain, 10)]))
        packed = pack(10, box, UNIT, q=[amount(grain, 4)], eventID="urn:x:pack")
        books.clean("farm", packed, declared(packed))
        assert [books.see(each).history.event_count for each in (UNIT, grain, box)] == [3, 3, 2]
        assert (books.loose(grain, "farm"), books.see(box).children) == ("6", 2)

    def test_a_declaration_without_an_original(self, books: Books) -> None:
        """It is recorded and flagged; the original, captured later, is wrong from the start."""
        assert "error_declaration.no_original" in books.flagged("farm", declared(ORIGINAL))
        assert "event_id.reused" not in books.flagged("farm", ORIGINAL)
        page = history(books.state, UNIT)
        assert page is not None
        assert [line.declared_by for line in page.lines] == [None, EventKey(1, 0, 0)]

    def test_a_declaration_by_somebody_else(self, books: Books) -> None:
        """Only the capturer may say that its event was wrong."""
        books.capture("farm", ORIGINAL)
        assert books.flagged("packer", declared(ORIGINAL)) == ["error_declaration.not_capturer"]

    def test_a_declaration_that_says_something_else(self, books: Books) -> None:
        """A declaration repeats its original field by field."""
        books.capture("farm", ORIGINAL)
        other = declared(ORIGINAL | {"bizStep": "encoding"})
        assert books.flagged("farm", other) == ["error_declaration.differs"]

    def test_a_second_declaration_leaves_the_first_one_named(self, books: Books) -> None:
        """The first word on an error stays the one that is shown."""
        books.capture("farm", ORIGINAL)
        books.capture("farm", declared(ORIGINAL))
        books.capture("farm", declared(ORIGINAL, reason="did_not_occur"))
        page = history(books.state, UNIT)
        assert page is not None
        assert page.lines[0].declared_by == EventKey(2, 0, 0)


class TestRefusal:
    @pytest.mark.parametrize(
        ("change", "code", "pointer"),
        [
            ({"type": "HarvestEvent"}, "epcis.unknown_kind", "/events/1/type"),
            ({"action": "ERASE"}, "epcis.unknown_action", "/events/1/action"),
            ({"eventTime": "yesterday"}, "epcis.bad_time", "/events/1/eventTime"),
            ({"epcList": ["a b"]}, "epcis.bad_uri", "/events/1/epcList/0"),
            (
                {"quantityList": [{"epcClass": UNIT, "quantity": "1"}]},
                "",
                "/events/1/quantityList/0/quantity",
            ),
        ],
    )
    def test_one_malformed_event_refuses_them_all(
        self, books: Books, change: Json, code: str, pointer: str
    ) -> None:
        """The pointer names event and field, and not even the good event is written."""
        arguments = captured(ORIGINAL, commission(11, unit("farm", "2")) | change)
        refused = books.refusal("farm/operator", "provenance", "capture", arguments)
        assert refused.pointer == pointer
        assert not code or refused.code == code

    def test_a_body_in_another_spelling_is_refused(self, books: Books) -> None:
        """One event has one encoding in a transaction."""
        body = captured(ORIGINAL).events[0].body
        arguments = CaptureArguments((CapturedEvent((), body.replace(b":", b": ", 1)),))
        refused = books.refusal("farm/operator", "provenance", "capture", arguments)
        assert (refused.code, refused.pointer) == ("epcis.not_canonical", "/events/0")

    @pytest.mark.parametrize("number", [0, EVENTS_MAX + 1])
    def test_the_number_of_events_is_bounded(self, books: Books, number: int) -> None:
        """No event, and one too many, are malformed arguments."""
        event = captured(ORIGINAL).events[0]
        data = encode([[event] * number])
        refused = books.refusal("farm/operator", "provenance", "capture", data)
        assert (refused.code, refused.pointer) == ("arguments.malformed", "/events")

    def test_the_largest_result_fits_a_receipt(self, books: Books) -> None:
        """As many events as there may be, with ids as long as they may be, each a duplicate."""
        long_id = "urn:x:" + "i" * (512 - 10)
        events = [
            objects("OBSERVE", 10, eventID=f"{long_id}{number:04}", bizStep="storing") | {"epcList": []}
            for number in range(EVENTS_MAX)
        ]
        books.capture("farm", *events)
        assert len(books.outcome("farm", *events).result) <= RESULT_BYTES_MAX

    def test_the_items_of_a_capture_are_bounded(self, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a container holds counts when it is emptied at once, so that no small capture costs much."""
        monkeypatch.setattr(register, "PARTS_MAX", 10)
        box = sscc("farm", 1)
        for start in (0, 6):
            inside = [unit("farm", f"{number}") for number in range(start, start + 6)]
            books.capture("farm", commission(10, *inside))
            books.capture("farm", pack(11, box, *inside))
        arguments = captured(unpack(12, box))
        refused = books.refusal("farm/operator", "provenance", "capture", arguments)
        assert refused.code == "capture.too_many_items"

    @pytest.mark.parametrize("sender", ["farm/admin"])
    def test_only_operators_and_gateways_capture(self, books: Books, sender: str) -> None:
        """An admin key is no scanner."""
        refused = books.refusal(sender, "provenance", "capture", captured(ORIGINAL))
        assert refused.code == "sender.role"

    @given(data=st.binary(max_size=400))
    def test_garbage_for_a_body_is_refused_with_a_code(self, data: bytes) -> None:
        """Whatever bytes stand where an event should, the answer is a refusal that names the event."""
        with pytest.raises(LedgerError) as refused:
            capturing._read(CapturedEvent((), b"\x00" + data), "/events/0")
        assert refused.value.code.startswith(("json.", "epcis."))
        assert refused.value.pointer.startswith("/events/0")

    def test_a_pointer_is_bounded(self, books: Books) -> None:
        """A long key in an event does not make a long receipt."""
        bad = ORIGINAL | {"x:" + "k" * 2000: float("1.5"), "eventTime": "x"}
        bad = {"k" * 2000: 1} | bad
        refused = books.refusal("farm/operator", "provenance", "capture", captured(bad))
        assert len(refused.pointer) <= capturing.POINTER_LENGTH_MAX


class TestTimes:
    def test_an_event_from_the_future_is_flagged(self, books: Books) -> None:
        """Beyond block time and the skew that genesis allows; up to there it is not."""
        skew = books.genesis.parameters.event_time_skew_ms
        at = (books.time_ms + 1000 + skew - START_MS) // 1000
        assert books.flagged("farm", commission(at, UNIT)) == []
        assert books.flagged("farm", commission(at + 2, unit("farm", "2"))) == ["time.future"]

    def test_an_event_older_than_the_last_of_its_item_is_flagged(self, books: Books) -> None:
        """Late capture shows; equal times are in order."""
        books.clean(
            "farm",
            commission(10, UNIT),
            objects("OBSERVE", 20, UNIT),
            objects("OBSERVE", 20, UNIT, bizStep="storing"),
        )
        assert books.flagged("farm", objects("OBSERVE", 15, UNIT)) == ["time.before_last"]


def test_identifier_flags_come_with_their_pointer(books: Books) -> None:
    """A GS1 key with a wrong check digit stays the URI that was read, and is flagged."""
    wrong = "https://id.gs1.org/01/09520000000012/21/1"
    (found,) = books.capture("farm", objects("ADD", 10, wrong))
    assert [(flag.code, flag.subject) for flag in found.flags] == [
        ("identifier.check_digit", "/events/0/epcList/0")
    ]


def test_a_flag_counts_what_it_concerns(books: Books) -> None:
    """A code stands once, with its first subject and how many there are."""
    strangers = [unit("farm", f"{number}") for number in range(5)]
    (found,) = books.capture("farm", objects("OBSERVE", 10, *strangers))
    assert [(flag.code, flag.subject, flag.count) for flag in found.flags] == [
        ("item.unknown", strangers[0], 5)
    ]


def test_a_flagged_event_flags_the_capture(books: Books) -> None:
    """One flagged event among clean ones gives the word flagged to the transaction."""
    outcome = books.outcome("farm", commission(10, UNIT), objects("OBSERVE", 11, unit("farm", "x")))
    assert outcome.status is Status.FLAGGED
    assert flags(results(outcome)) == ["item.unknown"]


def test_a_result_decodes_to_what_was_encoded(books: Books) -> None:
    """Receipts carry the canonical record."""
    outcome = books.outcome("farm", ORIGINAL)
    assert encode(decode(outcome.result, capturing.CaptureResult, RESULT_BYTES_MAX)) == outcome.result
