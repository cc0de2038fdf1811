"""The books of a lot: exact, in double entry, flagged below zero."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.provenance.items import UNITS_MAX, Total
from contracts.provenance.lots import PAGE_ACCOUNTS
from contracts.provenance.quantities import add, quantity_of, quantity_text, subtract
from contracts.provenance.queries import HOLDINGS_MAX
from tests.contracts.provenance.events import (
    Books,
    amount,
    commission,
    lot,
    objects,
    pack,
    sscc,
    transform,
)

LOT, OUTPUT = lot("farm", "A"), lot("packer", "B")
digits = st.integers(-(10**38), 10**38)


@pytest.fixture
def books() -> Books:
    found = Books()
    found.clean("farm", commission(10, q=[amount(LOT, 100)]))
    return found


class TestQuantities:
    @given(left=digits, right=digits, scale=st.integers(-38, 0))
    def test_sums_are_exact(self, left: int, right: int, scale: int) -> None:
        """Addition is that of integers over a common scale; no digit is lost."""
        total = add(Decimal(f"{left}E{scale}"), Decimal(f"{right}E{scale}"))
        assert total == Decimal(f"{left + right}E{scale}")
        assert subtract(total, Decimal(f"{right}E{scale}")) == Decimal(f"{left}E{scale}")

    @given(value=digits, scale=st.integers(-38, 10))
    def test_a_value_has_one_text(self, value: int, scale: int) -> None:
        """Plain digits without trailing zeros, the same for every spelling, and back to the same value."""
        quantity = Decimal(f"{value}E{scale}")
        text = quantity_text(quantity)
        assert quantity_of(text) == quantity
        assert quantity_text(Decimal(f"{value}0E{scale - 1}")) == text
        assert "E" not in text
        assert text == "0" or not (("." in text) and text.endswith("0"))

    @pytest.mark.parametrize(
        ("quantity", "text"),
        [("0", "0"), ("-0", "0"), ("0.000", "0"), ("1E+3", "1000"), ("1.500", "1.5"), ("-0.10", "-0.1")],
    )
    def test_texts(self, quantity: str, text: str) -> None:
        """Some that people would write otherwise."""
        assert quantity_text(Decimal(quantity)) == text


class TestBooks:
    def test_thirds_and_tenths_stay_exact(self, books: Books) -> None:
        """Ten times a tenth is one, and very small and very large amounts stand in one account."""
        books.clean("farm", *(commission(20 + n, q=[amount(LOT, "0.1")]) for n in range(10)))
        assert books.loose(LOT, "farm") == "101"
        tiny, large = "0." + "0" * 37 + "1", "9" * 28
        books.clean("farm", commission(40, q=[amount(LOT, tiny)]), commission(41, q=[amount(LOT, large)]))
        assert books.loose(LOT, "farm") == str(int(large) + 101) + tiny[1:]

    def test_units_are_counted_apart(self, books: Books) -> None:
        """Kilograms and pieces of one lot are two sums; nothing is converted."""
        books.clean("farm", commission(20, q=[amount(LOT, 7, None), amount(LOT, 3, "LBR")]))
        assert [books.loose(LOT, "farm", uom) for uom in ("KGM", "", "LBR")] == ["100", "7", "3"]
        assert [total.uom for total in books.see(LOT).totals] == ["KGM", "", "LBR"]

    def test_the_number_of_units_is_bounded(self, books: Books) -> None:
        """One lot can't be counted in ever more units."""
        for number in range(UNITS_MAX - 1):
            books.clean("farm", commission(20, q=[amount(LOT, 1, f"A{number:02}")]))
        assert books.flagged("farm", commission(21, q=[amount(LOT, 1, "ZZ")])) == ["lot.too_many_units"]

    def test_one_lot_twice_in_one_list(self, books: Books) -> None:
        """Both amounts count; the event stands once in the history."""
        books.clean("farm", commission(20, q=[amount(LOT, 1), amount(LOT, 2)]))
        assert books.loose(LOT, "farm") == "103"
        assert books.see(LOT).history.event_count == 2

    @pytest.mark.parametrize(
        ("quantity", "code"),
        [(None, "lot.unspecified_quantity"), (0, "lot.not_positive"), (-5, "lot.not_positive")],
    )
    def test_an_amount_that_can_not_be_booked(self, books: Books, quantity: int | None, code: str) -> None:
        """Flagged, recorded in the history, and the books stay."""
        assert books.flagged("farm", commission(20, q=[amount(LOT, quantity)])) == [code]
        assert books.loose(LOT, "farm") == "100"
        assert books.see(LOT).history.event_count == 2

    def test_a_lot_in_a_list_of_things(self, books: Books) -> None:
        """It has no quantity there."""
        flag = ["lot.unspecified_quantity"]
        assert books.flagged("farm", objects("OBSERVE", 20, LOT)) == flag
        fields = {"outputs": ["https://farm.example/x"]}
        assert books.flagged("farm", transform(21, inputs=[LOT], **fields)) == flag
        assert books.flagged("farm", transform(22, iq=[amount(LOT, 1)], outputs=[lot("farm", "D")])) == flag
        assert books.see(lot("farm", "D")).maker == "farm"

    def test_observing_changes_no_sum(self, books: Books) -> None:
        """Whatever quantity is seen, and without one as well."""
        books.clean("farm", objects("OBSERVE", 20, q=[amount(LOT, 5000)], bizStep="stock_taking"))
        books.clean("farm", objects("OBSERVE", 21, q=[amount(LOT)], bizStep="stock_taking"))
        assert books.loose(LOT, "farm") == "100"

    @pytest.mark.parametrize(
        ("action", "step", "total"),
        [
            ("DELETE", "destroying", Total("KGM", "100", "0", "30", "0")),
            ("DELETE", "decommissioning", Total("KGM", "100", "0", "30", "0")),
            ("OBSERVE", "retail_selling", Total("KGM", "100", "0", "0", "30")),
        ],
    )
    def test_what_is_gone_is_counted(self, books: Books, action: str, step: str, total: Total) -> None:
        """The holder has less, and the lot says why."""
        books.clean("farm", objects(action, 20, q=[amount(LOT, 30)], bizStep=step))
        assert books.loose(LOT, "farm") == "70"
        assert books.see(LOT).totals == (total,)

    def test_a_transformation_uses_up_and_brings_forth(self, books: Books) -> None:
        """Inputs leave one lot, outputs enter another; to use more than there is, is flagged."""
        event = transform(20, iq=[amount(LOT, 60)], oq=[amount(lot("farm", "C"), 55)])
        books.clean("farm", event)
        assert (books.loose(LOT, "farm"), books.loose(lot("farm", "C"), "farm")) == ("40", "55")
        again = transform(21, iq=[amount(LOT, 60)], oq=[amount(lot("farm", "C"), 55)])
        assert books.flagged("farm", again) == ["lot.negative_balance"]

    def test_each_holder_has_an_account(self, books: Books) -> None:
        """What another one has can't be used: the books of an organisation are its own."""
        assert books.flagged("packer", objects("DELETE", 20, q=[amount(LOT, 1)])) == ["lot.negative_balance"]
        assert (books.loose(LOT, "farm"), books.loose(LOT, "packer")) == ("100", "-1")

    def test_packed_is_still_there(self, books: Books) -> None:
        """Packing moves nothing out of the lot, but loose stock is less."""
        box = sscc("farm", 1)
        books.clean("farm", pack(20, box, q=[amount(LOT, 60)]))
        assert books.loose(LOT, "farm") == "40"
        assert sum(holding.quantity for holding in books.see(LOT).holdings) == 100
        assert books.flagged("farm", pack(21, box, q=[amount(LOT, 60)])) == ["lot.negative_balance"]

    def test_a_lot_in_very_many_places(self, books: Books) -> None:
        """Accounts are listed over pages; what a view leaves off, it counts."""
        number = HOLDINGS_MAX + PAGE_ACCOUNTS + 3
        for start in range(0, number, 300):
            boxes = range(start, min(start + 300, number))
            books.capture("farm", *(pack(20, sscc("farm", n + 1), q=[amount(LOT, "0.01")]) for n in boxes))
        found = books.see(LOT)
        assert len(found.holdings) == HOLDINGS_MAX
        assert found.holdings_left_off == number + 1 - HOLDINGS_MAX
        containers = [holding.container for holding in found.holdings if holding.container]
        assert containers == [sscc("farm", n + 1) for n in range(HOLDINGS_MAX - 1)]
