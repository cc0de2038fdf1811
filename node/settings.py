"""What can be set on a node: every setting with its type, bounds, default and one sentence.

`node.config` reads them. Nothing secret is a setting: keys and tokens are files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr
from pydantic.fields import FieldInfo

from ledger.errors import LedgerError
from ledger.mempool import BYTES_MAX as MEMPOOL_BYTES_MAX
from ledger.mempool import TRANSACTIONS_MAX as MEMPOOL_TRANSACTIONS_MAX
from ledger.types import NAME_LENGTH_MAX
from node.home import SpaceLimits
from node.store.leveldb import CACHE_BYTES as BLOCK_CACHE_BYTES
from node.store.leveldb import OPEN_FILES_MAX, LevelSizes
from node.store.state import CACHE_BYTES as VALUE_CACHE_BYTES

ENVIRONMENT_PREFIX: Final = "FARMGATE_"
PEERS_MAX: Final = 256
HOSTS_MAX: Final = 64
VOTE_BYTES_MIN_REAL: Final = 256 << 20  # below it a real network's node may not be told to go on voting

DEFAULT: Final = "default"


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[ipv6]:port`.

    Raises:
        ValueError
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address stands in brackets: [::1]:26600")
    if not (colon and host and len(text) <= 255 and not any(each.isspace() for each in text)):
        raise ValueError("not host:port")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65_535):
        raise ValueError("the port is no number from 0 to 65535")
    return host, int(port)


def _address(text: str) -> str:
    parse_address(text)
    return text


def _reachable(text: str) -> str:
    if parse_address(text)[1] == 0:
        raise ValueError("port 0 can't be dialled")
    return text


Listen = Annotated[str, AfterValidator(_address)]
Dial = Annotated[str, AfterValidator(_reachable)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)


class ApiSection(_Section):
    """The public REST listener."""

    listen: Listen = Field(default="127.0.0.1:26600", description="Address of the public REST interface.")
    hosts: tuple[str, ...] = Field(
        default=(),
        max_length=HOSTS_MAX,
        description="Further host names by which clients may call this node.",
    )
    is_read_open: bool = Field(default=True, description="Whether reading needs no token.")
    requests_at_once_max: int = Field(
        default=256, ge=1, le=65_536, description="Requests served at the same time."
    )
    connections_max: int = Field(default=1024, ge=1, le=65_536, description="Open connections in all.")
    connections_of_client_max: int = Field(
        default=256, ge=1, le=65_536, description="Open connections of one client."
    )
    requests_per_second: int = Field(
        default=1000, ge=1, le=1_000_000, description="Requests of one client a second."
    )
    requests_burst: int = Field(
        default=2000, ge=1, le=1_000_000, description="Requests of one client at once."
    )


class AdminSection(_Section):
    """The admin listener: health, readiness, metrics."""

    listen: Listen = Field(
        default="127.0.0.1:26601", description="Address of the admin port; keep it off the internet."
    )


class P2pSection(_Section):
    """The listener for other nodes."""

    listen: Listen = Field(default="127.0.0.1:26602", description="Address for other nodes of the network.")


class LogSection(_Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is logged."
    )
    form: Literal["key_value", "json"] = Field(default="key_value", description="How a line is written.")


class MempoolSection(_Section):
    """Transactions that wait for a block."""

    transactions_max: int = Field(
        default=MEMPOOL_TRANSACTIONS_MAX, ge=1, le=1_000_000, description="Waiting transactions."
    )
    bytes_max: int = Field(
        default=MEMPOOL_BYTES_MAX, ge=4 << 20, le=4 << 30, description="Waiting transactions, in bytes."
    )


class StoreSection(_Section):
    """Memory and files of the two databases."""

    value_cache_bytes: int = Field(
        default=VALUE_CACHE_BYTES,
        ge=1 << 20,
        le=64 << 30,
        description="State values kept in memory, in bytes.",
    )
    block_cache_bytes: int = Field(
        default=BLOCK_CACHE_BYTES,
        ge=1 << 20,
        le=64 << 30,
        description="Disk blocks each database keeps, in bytes.",
    )
    open_files_max: int = Field(
        default=OPEN_FILES_MAX, ge=64, le=65_536, description="Files that each database keeps open."
    )


class FreeSpaceSection(_Section):
    """Below which free space the node stops what, before the disk is full."""

    admit_percent_min: int = Field(
        default=5, ge=0, le=50, description="Percent free below which no transaction is admitted."
    )
    admit_bytes_min: int = Field(
        default=2 << 30, ge=0, le=1 << 50, description="Bytes free below which no transaction is admitted."
    )
    vote_bytes_min: int = Field(
        default=1 << 30, ge=0, le=1 << 50, description="Bytes free below which the node does not vote."
    )


class Config(_Section):
    """All settings of one node."""

    name: str = Field(
        default="node",
        pattern=r"^[a-z0-9][a-z0-9_.-]*$",
        max_length=NAME_LENGTH_MAX,
        description="The node's name, as the chain lists it.",
    )
    peers: tuple[Dial, ...] = Field(
        default=(), max_length=PEERS_MAX, description="Addresses of other nodes, as host:port."
    )
    api: ApiSection = ApiSection()
    admin: AdminSection = AdminSection()
    p2p: P2pSection = P2pSection()
    log: LogSection = LogSection()
    mempool: MempoolSection = MempoolSection()
    store: StoreSection = StoreSection()
    free_space: FreeSpaceSection = FreeSpaceSection()
    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    def origin(self, key: str) -> str:
        """Where a setting came from: `flag`, the environment variable's name, `node.toml` or `default`.

        Raises:
            LedgerError: `config.unknown_key`.
        """
        check_known(key, "asked for")
        return self._origins.get(key, DEFAULT)

    def note_origins(self, origins: Mapping[str, str]) -> None:
        """Remember where settings came from, by key; what is not named is a default."""
        self._origins.update(origins)

    def value(self, key: str) -> Any:
        """A setting by its dotted key.

        Raises:
            LedgerError: `config.unknown_key`.
        """
        check_known(key, "asked for")
        found: Any = self
        for part in key.split("."):
            found = getattr(found, part)
        return found

    @property
    def level_sizes(self) -> LevelSizes:
        """What each database may take."""
        return LevelSizes(self.store.block_cache_bytes, self.store.open_files_max)

    def space_limits(self, *, is_test_network: bool) -> SpaceLimits:
        """The free-space guard's limits.

        Raises:
            LedgerError: `config.wrong_value`: lower than a real network allows.
        """
        limits = self.free_space
        if not is_test_network and limits.vote_bytes_min < VOTE_BYTES_MIN_REAL:
            raise LedgerError(
                "config.wrong_value",
                f"free_space.vote_bytes_min is {limits.vote_bytes_min}, outside of test networks at least "
                f"{VOTE_BYTES_MIN_REAL} are kept free (from {self.origin('free_space.vote_bytes_min')})",
            )
        return SpaceLimits(limits.admit_percent_min, limits.admit_bytes_min, limits.vote_bytes_min)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, as the reference lists it."""

    key: str
    field: FieldInfo

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return ENVIRONMENT_PREFIX + self.key.upper().replace(".", "_")


def _settings(section: type[BaseModel], prefix: str) -> Iterator[Setting]:
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _settings(kind, f"{prefix}{name}.")
        else:
            yield Setting(prefix + name, field)


SETTINGS: Final = {setting.key: setting for setting in _settings(Config, "")}
SECTIONS: Final = tuple(dict.fromkeys(key.partition(".")[0] for key in SETTINGS if "." in key))


def config_text(values: Mapping[str, Any]) -> str:
    """A node.toml that sets these, by dotted key, and leaves the rest to the defaults."""
    lines: list[str] = []
    section = ""
    for key in (each for each in SETTINGS if each in values):
        head, dot, name = key.rpartition(".")
        if dot and head != section:
            section = head
            lines += ["", f"[{section}]"]
        lines.append(f"{name} = {_toml(values[key])}")
    assert len(values) == sum(key in SETTINGS for key in values), "an unknown setting"
    return "\n".join(lines).lstrip("\n") + "\n"


def settings_table() -> str:
    """The reference of all settings, as a Markdown table."""
    rows = ["| setting | environment | default | what it is |", "|---|---|---|---|"]
    for setting in SETTINGS.values():
        shown = _toml(setting.field.default)
        words = f"{setting.field.description}{_allowed(setting.field)}"
        rows.append(f"| `{setting.key}` | `{setting.variable}` | `{shown}` | {words} |")
    return "\n".join(rows) + "\n"


def check_known(key: str, place: str) -> None:
    """Refuse a key that is no setting.

    Raises:
        LedgerError: `config.unknown_key`.
    """
    if key not in SETTINGS:
        raise LedgerError(
            "config.unknown_key", f"{key!r} ({place}) is no setting{suggestion(key, [*SETTINGS, *SECTIONS])}"
        )


def suggestion(wrong: str, known: list[str]) -> str:
    """What to add to a message about an unknown name: the known one that was probably meant, or nothing."""
    nearest = get_close_matches(wrong, known, n=1, cutoff=0.5)
    if not nearest:  # perhaps the right name in the wrong section
        nearest = [key for key in known if key.rpartition(".")[2] == wrong.rpartition(".")[2]][:1]
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


def _toml(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _allowed(field: FieldInfo) -> str:
    """The values that a setting may take, where they are few or bounded."""
    if get_origin(field.annotation) is Literal:
        return " One of " + ", ".join(f"`{each}`" for each in get_args(field.annotation)) + "."
    bounds = {
        name: getattr(each, name) for each in field.metadata for name in ("ge", "le") if hasattr(each, name)
    }
    return f" {bounds['ge']} to {bounds['le']}." if len(bounds) == 2 else ""
