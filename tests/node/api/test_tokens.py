"""Tokens of a site: kept as hashes, checked in full, in force and out of force at once."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.errors import LedgerError
from node.api.tokens import FILE_NAME, Scope, TokenKeeper, list_tokens, new_token, revoke_token

NOW = 1_000_000


def refused(keeper: TokenKeeper, secret: str | None, scope: Scope = Scope.CAPTURE, now: int = NOW) -> str:
    with pytest.raises(LedgerError) as found:
        keeper.check(secret, scope, now)
    return found.value.code


def test_token_is_kept_as_its_hash(tmp_path: Path) -> None:
    """The file has no trace of the token itself, and nobody else may read it."""
    token, secret = new_token(tmp_path, "dock 4", (Scope.CAPTURE,), NOW)
    text = (tmp_path / FILE_NAME).read_text()
    assert secret.removeprefix("fgt_") not in text
    assert token.sha256 in text
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    assert TokenKeeper(tmp_path).check(f"Bearer {secret}", Scope.CAPTURE, NOW) == token
    assert list_tokens(tmp_path) == (token,)


def test_change_is_seen_by_a_running_node(tmp_path: Path) -> None:
    """A keeper that is in use takes a new token and drops a revoked one at its next check."""
    keeper = TokenKeeper(tmp_path)
    assert refused(keeper, "Bearer fgt_x") == "token.invalid"
    token, secret = new_token(tmp_path, "dock 4", (Scope.CAPTURE, Scope.READ), NOW)
    assert keeper.check(f"bearer  {secret} ", Scope.READ, NOW) == token
    other, second = new_token(tmp_path, "dock 5", (Scope.CAPTURE,), NOW)
    revoked = revoke_token(tmp_path, token.id, NOW + 5)
    assert (revoked.revoked_ms, revoke_token(tmp_path, token.id, NOW + 9)) == (NOW + 5, revoked)
    assert refused(keeper, f"Bearer {secret}") == "token.invalid"
    assert keeper.check(f"Bearer {second}", Scope.CAPTURE, NOW) == other


def test_expiry_is_exact(tmp_path: Path) -> None:
    """A token holds until the millisecond before its expiry."""
    _, secret = new_token(tmp_path, "visitor", (Scope.CAPTURE,), NOW, NOW + 10)
    keeper = TokenKeeper(tmp_path)
    keeper.check(f"Bearer {secret}", Scope.CAPTURE, NOW + 9)
    assert refused(keeper, f"Bearer {secret}", now=NOW + 10) == "token.invalid"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "token.missing"),
        ("", "token.invalid"),
        ("Bearer", "token.invalid"),
        ("Bearer ", "token.invalid"),
        ("Basic abc", "token.invalid"),
        ("Bearer " + "a" * 1000, "token.invalid"),
        ("Bearer \udcff", "token.invalid"),
    ],
)
def test_headers_that_are_no_token(tmp_path: Path, header: str | None, code: str) -> None:
    """What is no token of the site is refused, whatever it looks like."""
    new_token(tmp_path, "dock 4", (Scope.CAPTURE,), NOW)
    assert refused(TokenKeeper(tmp_path), header) == code


def test_scope_is_needed(tmp_path: Path) -> None:
    """A token allows what it names and nothing else."""
    _, secret = new_token(tmp_path, "screen", (Scope.READ,), NOW)
    assert refused(TokenKeeper(tmp_path), f"Bearer {secret}", Scope.CAPTURE) == "token.not_allowed"
    assert refused(TokenKeeper(tmp_path), f"Bearer {secret}", Scope.ADMIN) == "token.not_allowed"


@pytest.mark.parametrize(
    ("label", "scopes", "expires", "code"),
    [
        ("", (Scope.READ,), 0, "token.label"),
        ("two\nlines", (Scope.READ,), 0, "token.label"),
        ("x" * 101, (Scope.READ,), 0, "token.label"),
        ("x", (), 0, "token.scopes"),
        ("x", (Scope.READ, Scope.READ), 0, "token.scopes"),
        ("x", (Scope.READ,), NOW, "token.expiry"),
    ],
)
def test_what_may_not_be_made(
    tmp_path: Path, label: str, scopes: tuple[Scope, ...], expires: int, code: str
) -> None:
    """A token without a name, a scope or a future is not made, and no file appears."""
    with pytest.raises(LedgerError) as found:
        new_token(tmp_path, label, scopes, NOW, expires)
    assert found.value.code == code
    assert not (tmp_path / FILE_NAME).exists()


def test_unknown_id_cannot_be_revoked(tmp_path: Path) -> None:
    """The command says so instead of doing nothing."""
    with pytest.raises(LedgerError) as found:
        revoke_token(tmp_path, "deadbeef", NOW)
    assert found.value.code == "token.unknown"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"version":2,"tokens":[]}', '{"version":1,"tokens":[{}]}', "\xff", " " * (2 << 20)],
)
def test_damaged_file_lets_nobody_in(tmp_path: Path, text: str) -> None:
    """A file that cannot be read is an error, never an empty list that a new token would overwrite."""
    path = tmp_path / FILE_NAME
    path.touch(0o600)
    path.write_text(text, "latin-1")
    assert refused(TokenKeeper(tmp_path), "Bearer x") == "token.file_damaged"
    with pytest.raises(LedgerError):
        new_token(tmp_path, "x", (Scope.READ,), NOW)
    assert path.read_text("latin-1") == text


def test_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """Open permissions are an error that says what to do."""
    new_token(tmp_path, "x", (Scope.READ,), NOW)
    (tmp_path / FILE_NAME).chmod(0o644)
    assert refused(TokenKeeper(tmp_path), "Bearer x") == "token.file_open"


def test_two_commands_at_once_lose_nothing(tmp_path: Path) -> None:
    """Tokens made at the same time are all kept."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: new_token(tmp_path, f"t{n}", (Scope.READ,), NOW)[0].id, range(24)))
    assert sorted(made) == sorted(token.id for token in list_tokens(tmp_path))
    assert json.loads((tmp_path / FILE_NAME).read_text())["version"] == 1
