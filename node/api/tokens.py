"""Bearer tokens of a site: who may capture, read or administer through this node.

A token is 32 random bytes that are shown once. The file keeps their SHA-256 and never the
token, with label, scopes, expiry and revocation. A running node sees a changed file at the
next request. Comparison takes the same time whichever token comes.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ledger.errors import LedgerError

FILE_NAME: Final = "tokens.json"
TOKEN_BYTES: Final = 32
TOKEN_PREFIX: Final = "fgt_"  # noqa: S105  # lets secret scanners and people recognise one; it is no secret
TOKEN_LENGTH_MAX: Final = 128
TOKENS_MAX: Final = 1000
FILE_BYTES_MAX: Final = 1 << 20
LABEL_LENGTH_MAX: Final = 100
FILE_VERSION: Final = 1


class Scope(Enum):
    """What a token allows."""

    CAPTURE = "capture"  # send EPCIS documents that the node signs
    READ = "read"  # read, where the site does not leave reading open
    ADMIN = "admin"  # what changes the running node, on the admin port alone


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One token as it is kept. Times are milliseconds since 1970 UTC; 0 stands for never."""

    id: Annotated[str, Meta(pattern="^[0-9a-f]{8}$")]
    label: Annotated[str, Meta(min_length=1, max_length=LABEL_LENGTH_MAX)]
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=3)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    created_ms: Annotated[int, Meta(ge=0)]
    expires_ms: Annotated[int, Meta(ge=0)] = 0
    revoked_ms: Annotated[int, Meta(ge=0)] = 0


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    tokens: Annotated[tuple[Token, ...], Meta(max_length=TOKENS_MAX)]


def new_token(
    home: Path, label: str, scopes: Sequence[Scope], now_ms: int, expires_ms: int = 0
) -> tuple[Token, str]:
    """Add a token to the site; answers its record and the token itself, which is kept nowhere.

    Raises:
        LedgerError: `token.label`, `token.scopes`, `token.expiry`, `token.too_many`, `token.file_damaged`,
            `token.file_open`; nothing has changed then.
    """
    if not 0 < len(label) <= LABEL_LENGTH_MAX or not label.isprintable():
        raise LedgerError("token.label", f"expected 1 to {LABEL_LENGTH_MAX} printable characters", "/label")
    if not scopes or len(set(scopes)) != len(scopes):
        raise LedgerError("token.scopes", "expected one or more scopes, each once", "/scopes")
    if expires_ms and expires_ms <= now_ms:
        raise LedgerError("token.expiry", "the expiry lies in the past", "/expires")
    secret = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    with _changing(home) as path:
        tokens = _read(path)
        if len(tokens) >= TOKENS_MAX:
            raise LedgerError("token.too_many", f"{len(tokens)} tokens, at most {TOKENS_MAX} are kept")
        token = Token(_new_id(tokens), label, tuple(scopes), _digest(secret), now_ms, expires_ms)
        _write(path, (*tokens, token))
    return token, secret


def list_tokens(home: Path) -> tuple[Token, ...]:
    """Every token of the site, oldest first, revoked and expired ones too.

    Raises:
        LedgerError: `token.file_damaged`, `token.file_open`.
    """
    return _read(home / FILE_NAME)


def revoke_token(home: Path, token_id: str, now_ms: int) -> Token:
    """Revoke a token by its id; revoking it again changes nothing.

    Raises:
        LedgerError: `token.unknown`, `token.file_damaged`, `token.file_open`.
    """
    with _changing(home) as path:
        tokens = _read(path)
        found = next((token for token in tokens if token.id == token_id), None)
        if found is None:
            raise LedgerError("token.unknown", f"no token has the id {token_id[:LABEL_LENGTH_MAX]}")
        if found.revoked_ms:
            return found
        revoked = msgspec.structs.replace(found, revoked_ms=max(now_ms, 1))
        _write(path, tuple(revoked if token.id == token_id else token for token in tokens))
    return revoked


class TokenKeeper:
    """The tokens of a home as a running node checks them."""

    def __init__(self, home: Path) -> None:
        self._path = home / FILE_NAME
        self._seen: tuple[int, int, int] | None = None
        self._tokens: tuple[Token, ...] = ()

    def check(self, authorization: str | None, scope: Scope, now_ms: int) -> Token:
        """The token in an `Authorization` header, if it allows `scope` now.

        Raises:
            LedgerError: `token.missing`, `token.invalid` (unknown, expired or revoked: a stranger is not told
                which), `token.not_allowed` (it lacks the scope).
        """
        if authorization is None:
            raise LedgerError("token.missing", "an Authorization: Bearer token of this site is needed")
        kind, _, text = authorization.strip().partition(" ")
        if kind.lower() != "bearer" or not text or len(text) > TOKEN_LENGTH_MAX:
            raise LedgerError("token.invalid", "expected Authorization: Bearer and a token of this site")
        token = self._find(text.strip())
        if token is None or token.revoked_ms or 0 < token.expires_ms <= now_ms:
            raise LedgerError("token.invalid", "no token of this site, expired or revoked")
        if scope not in token.scopes:
            raise LedgerError("token.not_allowed", f"this token does not allow {scope.value}")
        return token

    def _find(self, text: str) -> Token | None:
        digest = _digest(text)
        found = None
        for (
            token
        ) in self._current():  # no early end: how long it takes says nothing about which token matched
            if hmac.compare_digest(token.sha256, digest):
                found = token
        return found

    def _current(self) -> tuple[Token, ...]:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._seen, self._tokens = None, ()
            return self._tokens
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen != self._seen:
            self._tokens = _read(self._path)
            self._seen = seen
        return self._tokens


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _new_id(tokens: Sequence[Token]) -> str:
    taken = {token.id for token in tokens}
    while True:
        token_id = secrets.token_hex(4)
        if token_id not in taken:
            return token_id


def _read(path: Path) -> tuple[Token, ...]:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_mode & 0o077:
                raise LedgerError("token.file_open", f"{path} may be read by others: chmod 600 {path}")
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return ()
    try:
        if len(data) > FILE_BYTES_MAX:
            raise ValueError(f"more than {FILE_BYTES_MAX} bytes")
        kept = msgspec.json.decode(data, type=_File)
    except (ValueError, msgspec.MsgspecError) as problem:
        raise LedgerError("token.file_damaged", f"{path}: {problem}") from None
    if kept.version != FILE_VERSION:
        raise LedgerError("token.file_damaged", f"{path}: version {kept.version}, expected {FILE_VERSION}")
    return kept.tokens


def _write(path: Path, tokens: tuple[Token, ...]) -> None:
    """Replace the file as a whole, and let the disk have it before anyone is told."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(_File(FILE_VERSION, tokens)), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextmanager
def _changing(home: Path) -> Iterator[Path]:
    """Two commands at once change the file one after the other."""
    path = home / FILE_NAME
    descriptor = os.open(home / (FILE_NAME + ".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield path
    finally:
        os.close(descriptor)
