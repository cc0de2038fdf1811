"""The typed view of an event that is known to be valid."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from contracts.epcis.event import (
    Action,
    Epcs,
    ErrorDeclaration,
    Event,
    Flag,
    Kind,
    Quantities,
    Quantity,
    Typed,
)
from contracts.epcis.identifiers import resolve
from contracts.epcis.instant import parse_time
from contracts.epcis.prefixes import expand
from contracts.epcis.vocabulary import Vocabulary, stored_term
from ledger.errors import LedgerError


def view(fields: dict[str, Any], kind: Kind, bound: dict[str, str], pointer: str) -> Event:
    """The event that checked fields say; `bound` are the prefixes in force, `pointer` where it stands."""
    read = _Reader(fields, bound, pointer)
    persistent = fields.get("persistentDisposition", {})
    action = fields.get("action")
    return Event(
        kind=kind,
        action=Action(action) if action is not None else None,
        event_time_ms=parse_time(fields["eventTime"]),
        event_time_zone_offset=fields["eventTimeZoneOffset"],
        event_id=fields.get("eventID"),
        biz_step=read.term("bizStep", Vocabulary.BIZ_STEP),
        disposition=read.term("disposition", Vocabulary.DISPOSITION),
        persistent_set=read.terms(persistent.get("set", ())),
        persistent_unset=read.terms(persistent.get("unset", ())),
        read_point=read.place("readPoint"),
        biz_location=read.place("bizLocation"),
        epcs=read.ids("epcList"),
        quantities=read.quantities("quantityList"),
        parent=read.id("parentID"),
        children=read.ids("childEPCs"),
        child_quantities=read.quantities("childQuantityList"),
        inputs=read.ids("inputEPCList"),
        input_quantities=read.quantities("inputQuantityList"),
        outputs=read.ids("outputEPCList"),
        output_quantities=read.quantities("outputQuantityList"),
        transformation_id=read.id("transformationID"),
        biz_transactions=read.typed("bizTransactionList", "bizTransaction", Vocabulary.BIZ_TRANSACTION_TYPE),
        sources=read.typed("sourceList", "source", Vocabulary.SOURCE_DESTINATION_TYPE),
        destinations=read.typed("destinationList", "destination", Vocabulary.SOURCE_DESTINATION_TYPE),
        error_declaration=read.error_declaration(),
        has_ilmd="ilmd" in fields,
        sensors=len(fields.get("sensorElementList", ())),
        flags=tuple(read.flags),
    )


class _Reader:
    """Reads fields of one event, gathering the flags of its identifiers."""

    def __init__(self, fields: dict[str, Any], bound: dict[str, str], pointer: str) -> None:
        self.fields = fields
        self.bound = bound
        self.pointer = pointer
        self.flags: list[Flag] = []

    def resolved(self, text: str, path: str) -> str:
        try:
            found = resolve(expand(text, self.bound))
        except LedgerError as problem:  # too long once its prefix is written out
            raise LedgerError("epcis.bad_uri", problem.message, f"{self.pointer}/{path}") from None
        if found.flag:
            self.flags.append(Flag(found.flag, f"{self.pointer}/{path}"))
        return found.uri

    def id(self, name: str) -> str | None:
        text = self.fields.get(name)
        return None if text is None else self.resolved(text, name)

    def ids(self, name: str) -> Epcs:
        items = self.fields.get(name)
        if not items:
            return ()
        return tuple(
            dict.fromkeys([self.resolved(text, f"{name}/{index}") for index, text in enumerate(items)])
        )

    def place(self, name: str) -> str | None:
        place = self.fields.get(name)
        return None if place is None else self.resolved(place["id"], f"{name}/id")

    def quantities(self, name: str) -> Quantities:
        items = self.fields.get(name)
        if not items:
            return ()
        return tuple(
            [
                Quantity(
                    self.resolved(item["epcClass"], f"{name}/{index}/epcClass"),
                    _amount(item),
                    item.get("uom"),
                )
                for index, item in enumerate(items)
            ]
        )

    def typed(self, name: str, what: str, vocabulary: Vocabulary) -> tuple[Typed, ...]:
        items = self.fields.get(name)
        if not items:
            return ()
        return tuple(
            [
                Typed(
                    stored_term(item.get("type", ""), vocabulary, self.bound),
                    self.resolved(item[what], f"{name}/{index}/{what}"),
                )
                for index, item in enumerate(items)
            ]
        )

    def term(self, name: str, vocabulary: Vocabulary) -> str | None:
        text = self.fields.get(name)
        return None if text is None else stored_term(text, vocabulary, self.bound)

    def terms(self, words: list[str] | tuple[()]) -> tuple[str, ...]:
        return tuple([stored_term(word, Vocabulary.DISPOSITION, self.bound) for word in words])

    def error_declaration(self) -> ErrorDeclaration | None:
        declared = self.fields.get("errorDeclaration")
        if declared is None:
            return None
        reason = declared.get("reason")
        return ErrorDeclaration(
            parse_time(declared["declarationTime"]),
            None if reason is None else stored_term(reason, Vocabulary.ERROR_REASON, self.bound),
            tuple(declared.get("correctiveEventIDs", ())),
        )


def _amount(item: dict[str, Any]) -> Decimal | None:
    amount = item.get("quantity")
    return None if amount is None else Decimal(amount)
