"""What happens in a run of whole nodes, step by step: counted, taken into the trace, shown to who watches."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.codec import encode
from ledger.consensus.events import Effect, EpochBegun, Input, Persist, Started
from network.simulator.event_log import Watch
from network.simulator.whole.incidents import Incident
from network.simulator.whole.loop import VirtualLoop
from network.simulator.whole.site import SimulatedSite
from network.simulator.whole.words import place_of, said


class Tape:
    """One run's steps: those of each node's consensus, and what befalls the nodes from outside."""

    def __init__(self, loop: VirtualLoop, watch: Watch | None) -> None:
        self.steps = 0
        self._loop = loop
        self._watch = watch
        self._is_over = False

    def stepped(self, site: SimulatedSite, event: Input, effects: Sequence[Effect]) -> None:
        """Consensus took a step; what it says to others is noted on the wire."""
        kinds = ",".join(type(effect).__name__ for effect in effects)
        self._loop.note(b"step", bytes([site.index]), type(event).__name__.encode(), kinds.encode())
        for effect in effects:
            if isinstance(effect, Persist):
                self._loop.note(encode(effect.records))
        self._take(site.index, event, [*effects, *_seats(site, event)])

    def begins(self, incident: Incident) -> None:
        """Something goes wrong from now on."""
        self._loop.note(b"incident", repr(incident).encode())
        self._take(place_of(incident.what), said(incident), ())

    def tell(self, site: SimulatedSite | None, words: str, *led_to: str) -> None:
        """Something that no machine hears or does, in one line."""
        self._take(None if site is None else site.index, " ".join(words.split()), led_to)

    def stop(self) -> None:
        """The run is over: what its judges do with the nodes is no step of it."""
        self._is_over = True

    def _take(self, place: int | None, event: Input | str, effects: Sequence[Effect | str]) -> None:
        """Count a step and show it. Who watches is no part of the node in which this happens: what it raises
        goes past that."""
        if self._is_over:
            return
        self.steps += 1
        if self._watch is None:
            return
        try:
            self._watch(self.steps, place, event, effects)
        except Exception as enough:  # noqa: BLE001 - whatever it is, it is for whoever watches
            self._watch = None
            self._loop.end(enough)


def _seats(site: SimulatedSite, event: Input) -> list[str]:
    """Whose number is which, where that begins to hold: peers are named by their numbers."""
    if site.consensus is None or not isinstance(event, Started | EpochBegun):
        return []
    members = site.consensus.state.validators.validators
    return [f"VALIDATORS {', '.join(f'{number} {each.node}' for number, each in enumerate(members))}"]
