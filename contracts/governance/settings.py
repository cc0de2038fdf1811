"""Other parameters, one by one by their names, and the limits that a running chain sets them.

A ballot names what it changes and nothing else, so two ballots in one epoch do not undo each other. The
founders of a chain may begin as they like; a ballot may not leave the chain with timers under which it
stands still, clocks that never agree, or no room to send the ballot that would mend it.

Source: docs/spec/governance.md, rules G16-G18.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from ledger.codec import Canonical
from ledger.consensus.timeouts import EPOCH_BLOCKS_MIN, ConsensusParameters, delay_ms, turns_while_idle
from ledger.errors import LedgerError
from ledger.genesis import Parameters
from ledger.types import HEIGHT_MAX, TRANSACTION_BYTES_MAX, Counter

SETTINGS_MAX: Final = 32  # more than there are parameters
SETTING_NAME_LENGTH_MAX: Final = 64
_GROWTH_STEPS_MAX: Final = 64  # views after which delays must have grown as far as they go

# What a ballot may set; every other parameter has its type's limits alone.
LIMITS: Final[Mapping[str, range]] = {
    "quota_units_per_window": range(
        TRANSACTION_BYTES_MAX, HEIGHT_MAX + 1
    ),  # each member can send anything once
    "consensus.delay_first_ms": range(10, 15_001),
    "consensus.delay_max_ms": range(1_000, 120_001),  # longer than any wire, short enough to come back
    "consensus.drift_ms": range(500, 60_001),  # clocks kept by NTP agree; no leader takes time far ahead
    "consensus.retry_ms": range(100, 60_001),
    "consensus.status_ms": range(100, 60_001),
    "consensus.heartbeat_ms": range(1_000, 3_600_001),
    "consensus.epoch_blocks": range(EPOCH_BLOCKS_MIN, 1_000_001),
    "consensus.epoch_ms": range(10_000, 86_400_001),
}


class Setting(Canonical):
    """One parameter by its full name, such as `block_bytes_max` or `staking.jail_epochs`, and its value."""

    name: Annotated[str, Meta(min_length=1, max_length=SETTING_NAME_LENGTH_MAX)]
    value: Counter


Settings = Annotated[tuple[Setting, ...], Meta(min_length=1, max_length=SETTINGS_MAX)]


def with_settings(parameters: Parameters, settings: Sequence[Setting]) -> Parameters:
    """The parameters after these settings; pointers count from the list.

    Raises:
        LedgerError: `parameters.unknown`, `parameters.repeated`, `parameters.limit`, `parameters.stalling`.
    """
    changes: dict[str, dict[str, int]] = {}
    for index, setting in enumerate(settings):
        group, _, name = setting.name.rpartition(".")
        _check_setting(setting, f"/settings/{index}")
        if name in changes.setdefault(group, {}):
            raise LedgerError(
                "parameters.repeated", f"{setting.name} is set twice", f"/settings/{index}/name"
            )
        changes[group][name] = setting.value
    groups = {
        group: msgspec.structs.replace(getattr(parameters, group), **changes[group])
        for group in changes
        if group
    }
    changed = msgspec.structs.replace(parameters, **changes.get("", {}), **groups)
    if "consensus" in groups:
        _check_growth(changed.consensus)
        _check_heartbeat(changed.consensus)
    return changed


def setting_names() -> tuple[str, ...]:
    """Every parameter that can be named, in the order of the genesis."""
    return tuple(_kinds())


def _check_setting(setting: Setting, pointer: str) -> None:
    kind = _kinds().get(setting.name)
    if kind is None:
        raise LedgerError("parameters.unknown", f"no parameter is called {setting.name}", f"{pointer}/name")
    allowed = LIMITS.get(setting.name)
    if allowed is not None and setting.value not in allowed:
        expected = f"expected {allowed.start} to {allowed.stop - 1}"
        raise LedgerError(
            "parameters.limit", f"{setting.name} {setting.value}, {expected}", f"{pointer}/value"
        )
    try:
        msgspec.convert(setting.value, kind)
    except msgspec.ValidationError as problem:
        message = f"{setting.name} {setting.value}: {problem}"
        raise LedgerError("parameters.limit", message, f"{pointer}/value") from None


def _check_growth(parameters: ConsensusParameters) -> None:
    """Timers must grow to their cap, else views stay shorter than a slow network needs for ever."""
    reached = delay_ms(parameters, _GROWTH_STEPS_MAX)
    if reached < parameters.delay_max_ms:
        raise LedgerError(
            "parameters.stalling",
            f"after {_GROWTH_STEPS_MAX} views the delay is {reached} ms, and delay_max_ms "
            f"{parameters.delay_max_ms} is not reached",
            "/settings",
        )


def _check_heartbeat(parameters: ConsensusParameters) -> None:
    """An idle chain must not turn with nearly every block."""
    if turns_while_idle(parameters):
        raise LedgerError(
            "parameters.stalling",
            f"epoch_ms {parameters.epoch_ms} is below {EPOCH_BLOCKS_MIN} times heartbeat_ms "
            f"{parameters.heartbeat_ms}",
            "/settings",
        )


@cache
def _kinds() -> dict[str, Any]:
    """The type of each parameter by its full name."""
    kinds: dict[str, Any] = {}
    for name, kind in typing.get_type_hints(Parameters, include_extras=True).items():
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            inner = typing.get_type_hints(kind, include_extras=True)
            kinds |= {f"{name}.{each}": inner[each] for each in kind.__struct_fields__}
        else:
            kinds[name] = kind
    return kinds
