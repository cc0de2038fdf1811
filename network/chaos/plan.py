"""Every scenario, by name, in the order in which a full run plays them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final

from ledger.errors import LedgerError
from network.chaos import clocks, crashes, damage, disks, lies, links, strangers
from network.chaos.scenario import Scenario

SCENARIOS: Final = {
    each.name: each
    for module in (crashes, links, disks, damage, clocks, strangers, lies)
    for each in module.SCENARIOS
}


def chosen(names: Sequence[str]) -> tuple[Scenario, ...]:
    """The scenarios of these names or groups, in the order of the plan; all where none is named.

    Raises:
        LedgerError: `chaos.unknown`.
    """
    groups = {each.group for each in SCENARIOS.values()}
    for name in names:
        if name not in SCENARIOS and name not in groups:
            near = difflib.get_close_matches(name, [*SCENARIOS, *groups], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise LedgerError("chaos.unknown", f"no scenario or group is called {name!r}{hint}")
    return tuple(
        each for each in SCENARIOS.values() if not names or each.name in names or each.group in names
    )
