"""The sites that begin without stake: when the late one starts, and whether those that lag come along."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from network.simulator.whole.havoc import Havoc
from network.simulator.whole.loop import VirtualLoop
from network.simulator.whole.members import links_of
from network.simulator.whole.scenario import Plan
from network.simulator.whole.site import SimulatedSite
from network.simulator.whole.wire import Wire

BEHIND_HEIGHTS_MIN: Final = 3  # a follower that lags so far was away
LONELY_SECONDS: Final = 8.0  # for a newcomer to be told a lie
LOOK_SECONDS: Final = 0.1


class Followers:
    """Who follows. `absent`: who has not joined; `caught_up`: how often one that lagged came along."""

    def __init__(
        self, loop: VirtualLoop, wire: Wire, sites: Sequence[SimulatedSite], plan: Plan, havoc: Havoc
    ) -> None:
        self.absent = dict.fromkeys(plan.late)
        self.caught_up = 0
        self._loop = loop
        self._wire = wire
        self._sites = sites
        self._plan = plan
        self._havoc = havoc
        self._behind: dict[int, int] = {}  # who lags, and the height that it has to come to

    @property
    def present(self) -> list[SimulatedSite]:
        """The sites that have joined."""
        return [site for site in self._sites if site.index not in self.absent]

    def look(self) -> None:
        """Note who is behind, and count it when it has all blocks that there were then."""
        for index in self._plan.followers:
            height = self._sites[index].height
            if height >= self._behind.get(index, self._highest + 1):
                del self._behind[index]
                self.caught_up += 1
            elif index not in self.absent and self._highest - height >= BEHIND_HEIGHTS_MIN:
                self._behind.setdefault(index, self._highest)

    async def join(self, index: int) -> None:
        """A registered site starts when it has something to catch up with; it knows nothing but genesis."""
        while self._highest < self._plan.join_heights:  # noqa: ASYNC110 - heights have no event to wait for
            await asyncio.sleep(LOOK_SECONDS)
        del self.absent[index]
        self._havoc.bring_back(self._sites[index])
        if self._plan.liar is not None:
            self._loop.create_task(self._introduce(index, self._sites[self._plan.liar]))

    async def _introduce(self, index: int, liar: SimulatedSite) -> None:
        """Whom a newcomer meets first is a liar, and nobody else until it has lied."""
        assert liar.lie is not None
        links = links_of(index, [site.index for site in self._sites if site is not liar])
        told, end = liar.lie.told, self._loop.time() + LONELY_SECONDS
        self._wire.cut(links)
        while liar.lie.told == told and self._loop.time() < end:  # noqa: ASYNC110 - lies have none either
            await asyncio.sleep(LOOK_SECONDS)
        self._wire.mend(links)

    @property
    def _highest(self) -> int:
        return max(site.height for site in self._sites)
