"""docs/reference/cli.md lists every command and option of both programs, as they are."""

from __future__ import annotations

from cli.main import farmgate
from tests.cli.reference_page import PAGE, commands, page


def test_the_page_is_current() -> None:
    """A command or option that is new, gone or reworded turns this red."""
    current = PAGE.read_text("utf-8")
    assert current == page(), "run `python -m tests.cli.reference_page`"


def test_the_page_is_about_commands() -> None:
    """The walk reaches the commands that the interface promises, so an empty page cannot pass."""
    names = {path for path, _ in commands(farmgate, "farmgate")}
    promised = (
        "demo", "doctor", "version", "completion", "explain", "testnet up", "testnet down", "testnet status",
        "testnet kill", "testnet start", "testnet pause", "testnet resume", "testnet logs", "capture",
        "record commission", "record pack", "record unpack", "record ship", "record receive",
        "record transform", "record observe", "record destroy", "item show", "item history", "item trace",
        "tx show", "tx wait", "tx list", "outbox list", "outbox send", "outbox drop", "key new", "key list",
        "key show", "key add", "key revoke", "org list", "org show", "org key add", "org key revoke",
        "org site add", "org node add", "org node remove", "profile use", "profile list", "profile add",
        "config get", "config set", "config show",
    )  # fmt: skip
    assert {f"farmgate {each}" for each in promised} <= names
