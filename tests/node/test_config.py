"""Settings: which source wins, where each came from, and a clear refusal for everything that is wrong."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import LedgerError
from node.config import FILE_BYTES_MAX, load_config
from node.home import SpaceLimits
from node.settings import (
    SETTINGS,
    VOTE_BYTES_MIN_REAL,
    Config,
    config_text,
    parse_address,
    settings_table,
    suggestion,
)
from node.store.leveldb import LevelSizes

ROOT = Path(__file__).resolve().parents[2]


def in_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "node.toml"
    path.write_text(text, "utf-8")
    return path


def refusal(file: Path | None, environment: dict[str, str] | None = None, **flags: Any) -> LedgerError:
    with pytest.raises(LedgerError) as caught:
        load_config(file, environment or {}, flags)
    return caught.value


def test_defaults_are_valid_and_local() -> None:
    """Without any setting a node listens to this machine alone, and every default keeps its own rules."""
    config = load_config(None, {})
    assert config == Config()
    for key in ("api.listen", "admin.listen", "p2p.listen"):
        assert parse_address(config.value(key))[0] == "127.0.0.1"
    assert all(config.origin(key) == "default" for key in SETTINGS)


def test_flag_before_environment_before_file_before_default(tmp_path: Path) -> None:
    """Each source overrules those below it, and the origin of every value is told."""
    file = in_file(
        tmp_path, 'name = "file"\n[log]\nlevel = "debug"\nform = "json"\n[api]\nlisten = "0.0.0.0:1"\n'
    )
    environment = {"FARMGATE_LOG_LEVEL": "error", "FARMGATE_API_LISTEN": "0.0.0.0:2", "HOME": "/root"}
    config = load_config(file, environment, {"api.listen": "0.0.0.0:3", "p2p.listen": None})
    assert (config.name, config.origin("name")) == ("file", "node.toml")
    assert (config.log.form, config.origin("log.form")) == ("json", "node.toml")
    assert (config.log.level, config.origin("log.level")) == ("error", "FARMGATE_LOG_LEVEL")
    assert (config.api.listen, config.origin("api.listen")) == ("0.0.0.0:3", "flag")
    assert config.origin("p2p.listen") == "default", "a flag that was not given says nothing"


def example(key: str) -> Any:
    """A value of a setting's type that is not its default and keeps its bounds."""
    default = SETTINGS[key].field.default
    match default:
        case bool():
            return not default
        case int():
            return default + 1
        case tuple():
            return ("one:1", "two:2")
        case _:
            return {"log.level": "error", "log.form": "json", "name": "other"}.get(key, "[::1]:7")


@pytest.mark.parametrize("key", SETTINGS)
def test_every_setting_can_be_set_in_every_way(tmp_path: Path, key: str) -> None:
    """File, environment and flag each reach every setting, with the same value."""
    value = example(key)
    text = ",".join(value) if isinstance(value, tuple) else str(value).lower()
    by_file = load_config(in_file(tmp_path, config_text({key: value})), {})
    by_environment = load_config(None, {SETTINGS[key].variable: text})
    by_flag = load_config(None, {}, {key: value})
    for config, origin in (
        (by_file, "node.toml"), (by_environment, SETTINGS[key].variable), (by_flag, "flag"),
    ):  # fmt: skip
        assert (config.value(key), config.origin(key)) == (value, origin)


def test_a_written_file_says_what_was_asked(tmp_path: Path) -> None:
    """The text that `init` writes is TOML with sections, and loads as the same values."""
    values = {
        "p2p.listen": "0.0.0.0:9",
        "name": "packer-1",
        "peers": ("a:1", "b:2"),
        "api.hosts": ('q"\\.example',),
    }
    text = config_text(values)
    assert tomllib.loads(text)["p2p"] == {"listen": "0.0.0.0:9"}
    config = load_config(in_file(tmp_path, text), {})
    assert {key: config.value(key) for key in values} == values
    with pytest.raises(AssertionError):
        config_text({"unknown": 1})


# --- unknown keys -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('nam = "x"', "name"),
        ('[api]\nlissten = "x"', "api.listen"),
        ('[p2p]\nlevel = "info"', "log.level"),
        ('listen = "x"', "listen"),
        ("[free_space]\nvote_bytes = 1", "free_space.vote_bytes_min"),
        ("[stor]\nopen_files_max = 1", "store"),
        ('api = "x"', "api"),
        ("[api.listen]\nx = 1", "api.listen"),
        ('name.x = "x"', "name"),
    ],
)
def test_an_unknown_key_is_an_error_with_a_suggestion(tmp_path: Path, text: str, meant: str) -> None:
    """A mistyped key never leaves the default in force without a word; the nearest key is named."""
    problem = refusal(in_file(tmp_path, text))
    assert problem.code in ("config.unknown_key", "config.wrong_value")
    assert meant in problem.message


def test_unknown_flags_and_variables_are_errors() -> None:
    """The same for the other two sources; other programs' variables and our tests' are left alone."""
    assert "p2p.listen" in refusal(None, {}, **{"p2p.listn": "x"}).message
    problem = refusal(None, {"FARMGATE_P2P_LISTN": "x"})
    assert problem.code == "config.unknown_key"
    assert "FARMGATE_P2P_LISTEN" in problem.message
    others = {
        "FARMGATE_FAILPOINT": "x",
        "FARMGATE_CLOCK_OFFSET_MS": "1",
        "FARMGATE_SHARED_DATA": "/",
        "APP_LOG_X": "1",
    }
    assert load_config(None, others) == Config()


def test_origin_and_value_know_the_keys() -> None:
    """Asking for what is no setting is refused as well."""
    for ask in (Config().origin, Config().value):
        with pytest.raises(LedgerError) as caught:
            ask("api.listenn")
        assert caught.value.code == "config.unknown_key"


@given(st.text(max_size=40))
def test_suggestions_never_fail(text: str) -> None:
    """Any wrong name gets a suggestion or none, quickly."""
    assert isinstance(suggestion(text, list(SETTINGS)), str)


# --- wrong values -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("name = 1", "name"),
        ('name = "Node 0"', "name"),
        ('name = ""', "name"),
        ('name = "node\\n"', "name"),
        (f'name = "{"x" * 65}"', "name"),
        ('peers = "a:1"', "peers"),
        ('peers = ["a"]', "peers"),
        ('peers = ["a:0"]', "peers"),
        ("peers = [1]", "peers"),
        (f"peers = {['a:1'] * 257}", "peers"),
        ('[api]\nlisten = "localhost"', "api.listen"),
        ('[api]\nlisten = "::1:80"', "api.listen"),
        ('[api]\nlisten = "a b:80"', "api.listen"),
        ('[api]\nlisten = ":80"', "api.listen"),
        ('[api]\nlisten = "h:65536"', "api.listen"),
        ('[api]\nlisten = "h:-1"', "api.listen"),
        ('[api]\nlisten = "h:²"', "api.listen"),
        ("[api]\nlisten = 80", "api.listen"),
        ('[api]\nis_read_open = "yes"', "api.is_read_open"),
        ("[api]\nrequests_per_second = 1.5", "api.requests_per_second"),
        ("[api]\nrequests_per_second = true", "api.requests_per_second"),
        ("[api]\nrequests_per_second = 0", "api.requests_per_second"),
        ('[log]\nlevel = "loud"', "log.level"),
        ("[mempool]\nbytes_max = 1", "mempool.bytes_max"),
        ("[store]\nopen_files_max = 1979-05-27", "store.open_files_max"),
        ("[free_space]\nadmit_percent_min = 51", "free_space.admit_percent_min"),
    ],
)
def test_a_wrong_value_names_its_key_and_source(tmp_path: Path, text: str, key: str) -> None:
    """Type, form and bounds are checked, and the message says which key and where it was set."""
    problem = refusal(in_file(tmp_path, text))
    assert problem.code == "config.wrong_value"
    assert problem.message.startswith(f"{key} is ")
    assert "node.toml" in problem.message


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("FARMGATE_API_IS_READ_OPEN", "1"),
        ("FARMGATE_API_IS_READ_OPEN", ""),
        ("FARMGATE_MEMPOOL_BYTES_MAX", "128M"),
        ("FARMGATE_MEMPOOL_BYTES_MAX", "-1"),
        ("FARMGATE_MEMPOOL_BYTES_MAX", "9" * 50),
        ("FARMGATE_PEERS", "a:1,b"),
        ("FARMGATE_API_LISTEN", ""),
    ],
)
def test_a_wrong_variable_is_named(variable: str, text: str) -> None:
    """What stands in the environment is held to the same rules, by the variable's name."""
    problem = refusal(None, {variable: text})
    assert problem.code == "config.wrong_value"
    assert variable in problem.message


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"name = ", "config.malformed"),
        (b"\xff", "config.malformed"),
        (b"name = 'a'\nname = 'b'", "config.malformed"),
        (b"x = " + b"[" * 5_000, "config.malformed"),
        (b"#" * (FILE_BYTES_MAX + 1), "config.malformed"),
    ],
)
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, data: bytes, code: str) -> None:
    """Broken, doubled, deep and oversized files are refused by name, not by a traceback."""
    (tmp_path / "node.toml").write_bytes(data)
    problem = refusal(tmp_path / "node.toml")
    assert problem.code == code
    assert "node.toml" in problem.message


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """A home without node.toml, or with a folder in its place, says so."""
    assert refusal(tmp_path / "node.toml").code == "config.missing"
    assert refusal(tmp_path).code == "config.unreadable"


@given(
    st.dictionaries(st.sampled_from(sorted(SETTINGS)), st.text(max_size=30) | st.integers() | st.booleans())
)
def test_any_flags_give_settings_or_a_refusal(flags: dict[str, Any]) -> None:
    """Hostile values never escape as another kind of error."""
    try:
        config = load_config(None, {}, flags)
    except LedgerError as problem:
        assert problem.code == "config.wrong_value"  # noqa: PT017  # either way is right
        return
    assert all(config.value(key) == value for key, value in flags.items())


@given(st.text(max_size=20))
def test_addresses_are_host_and_port_or_refused(text: str) -> None:
    """Whatever is taken for an address has a host without blanks and a port that exists."""
    try:
        host, port = parse_address(text)
    except ValueError:
        return
    assert host
    assert not re.search(r"\s", host)
    assert 0 <= port <= 65_535
    assert parse_address(f"[{host}]:{port}" if ":" in host else f"{host}:{port}") == (host, port)


# --- what the parts get -------------------------------------------------------------


def test_parts_get_their_limits() -> None:
    """Databases and the free-space guard get the numbers that were set."""
    config = load_config(
        None,
        {},
        {"store.open_files_max": 100, "store.block_cache_bytes": 1 << 21, "free_space.admit_percent_min": 7},
    )
    assert config.level_sizes == LevelSizes(1 << 21, 100)
    assert config.space_limits(is_test_network=False) == SpaceLimits(7, 2 << 30, 1 << 30)


def test_only_a_test_network_may_run_its_disk_full() -> None:
    """On a real network voting stops while there is still room to stop in order."""
    config = load_config(None, {"FARMGATE_FREE_SPACE_VOTE_BYTES_MIN": str(VOTE_BYTES_MIN_REAL - 1)})
    assert config.space_limits(is_test_network=True).vote_bytes_min == VOTE_BYTES_MIN_REAL - 1
    with pytest.raises(LedgerError, match="FARMGATE_FREE_SPACE_VOTE_BYTES_MIN") as caught:
        config.space_limits(is_test_network=False)
    assert caught.value.code == "config.wrong_value"


def test_the_reference_lists_every_setting() -> None:
    """docs/reference/settings.md holds the table that the code gives, and no setting is a secret."""
    text = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8")
    assert settings_table() in text
    example_text = text.split("```toml\n")[1].split("```")[0]
    assert tomllib.loads(example_text)
    assert str(VOTE_BYTES_MIN_REAL) in text
    assert not [key for key in SETTINGS if re.search("secret|token|password|seed", key)]
    assert all(setting.field.description for setting in SETTINGS.values())
    assert {get_origin(setting.field.annotation) for setting in SETTINGS.values()} <= {None, tuple, *LITERAL}


LITERAL = {get_origin(SETTINGS["log.level"].field.annotation)}


def test_the_example_of_the_reference_is_a_node_toml(tmp_path: Path) -> None:
    """What the reference shows can be pasted into a home."""
    text = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8")
    config = load_config(in_file(tmp_path, text.split("```toml\n")[1].split("```")[0]), {})
    assert config.peers == ("packer.example:26602", "carrier.example:26602")
