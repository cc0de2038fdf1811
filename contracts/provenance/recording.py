"""One event on its way into the books: who says it, when, where it stands, what it raised so far."""

from __future__ import annotations

from contracts.epcis.event import Event
from contracts.provenance.events import EventKey
from contracts.provenance.flags import FlagCode, RaisedFlag
from contracts.provenance.history import Part
from contracts.provenance.items import (
    PERSISTENT_MAX,
    Item,
    ItemKind,
    ItemStatus,
    Sighting,
    kind_of,
    new_item,
)
from contracts.provenance.register import Register
from ledger.types import TimeMs

_FLAG_SUBJECT_LENGTH_MAX = 512


class Recording:
    """What the effects of an event share.

    `parts` is what each item is to the event, in the order of meeting; `moved` the things it moves or ends.
    """

    def __init__(self, register: Register, event: Event, key: EventKey) -> None:
        self.register = register
        self.event = event
        self.key = key
        self.parts: dict[str, Part] = {}
        self.moved = dict.fromkeys((*event.epcs, *event.inputs))
        self._flags: dict[str, RaisedFlag] = {}
        self._flagged: dict[str, None] = {}
        self._begun: dict[str, None] = {}

    @property
    def organisation(self) -> str:
        """The member that says it."""
        return self.register.organisation

    @property
    def time_ms(self) -> TimeMs:
        """When it happened, as the event has it."""
        return self.event.event_time_ms

    @property
    def flags(self) -> tuple[RaisedFlag, ...]:
        """The flags raised, in the order of their first subject."""
        return tuple(self._flags.values())

    def flag(self, code: FlagCode, subject: str) -> None:
        """Note something about an item or a place."""
        self._flagged[subject] = None
        self.flag_word(code.value, subject)

    def flag_word(self, code: str, subject: str) -> None:
        """Note something whose code or subject comes from the reading of the event."""
        known = self._flags.get(code)
        if known is None:
            self._flags[code] = RaisedFlag(code, subject[:_FLAG_SUBJECT_LENGTH_MAX], 1)
        else:
            self._flags[code] = RaisedFlag(code, known.subject, known.count + 1)

    def is_flagged(self, subject: str) -> bool:
        """Whether a flag of this event concerns this item."""
        return subject in self._flagged

    def is_new(self, item_id: str) -> bool:
        """Whether nothing was known of an item before this event."""
        return item_id in self._begun

    def meet(self, item_id: str, part: Part, is_quantity: bool = False, is_made: bool = False) -> Item:
        """The record of an item that the event names; begun where there is none.

        Args:
            is_quantity: a list of quantities names it, not a list of things.
            is_made: the event itself says that the item comes into being.
        """
        known_part = self.parts.get(item_id)
        self.parts[item_id] = part if known_part is None else known_part | part
        item = self.register.item(item_id)
        if item is None:
            item = new_item(kind_of(item_id, is_quantity), self.time_ms)
            self.register.add_item(item_id, item)
            self._begun[item_id] = None
            if not is_made and item.kind not in (ItemKind.CLASS, ItemKind.PLACE, ItemKind.PARTY):
                self.flag(FlagCode.ITEM_UNKNOWN, item_id)
        elif known_part is None and item.kind in (ItemKind.INSTANCE, ItemKind.CONTAINER):
            self._check_times(item_id, item, is_made)
        if known_part is None:
            self.register.count_part()
            item.first_ms = min(item.first_ms, self.time_ms)
            item.last_ms = max(item.last_ms, self.time_ms)
        return item

    def sight(self, item: Item) -> None:
        """Take over where the event saw an item and in what condition, and what holds from now on."""
        event = self.event
        if self.time_ms >= item.sighting.since_ms:
            item.sighting = Sighting(
                event.biz_location or event.read_point or item.sighting.place,
                event.disposition or item.sighting.disposition,
                self.time_ms,
            )
            item.persistent = tuple(each for each in item.persistent if each not in event.persistent_unset)
        # A hold that is reported late still holds; a release that is reported late releases nothing.
        both = dict.fromkeys((*item.persistent, *event.persistent_set))
        item.persistent = tuple(both)[:PERSISTENT_MAX]

    def _check_times(self, item_id: str, item: Item, is_made: bool) -> None:
        if self.time_ms < item.last_ms:
            self.flag(FlagCode.TIME_BEFORE_LAST, item_id)
        if item.status is not ItemStatus.ACTIVE and self.time_ms >= item.ended_ms and not is_made:
            self.flag(FlagCode.ITEM_AFTER_END, item_id)
