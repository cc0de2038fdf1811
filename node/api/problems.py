"""Every refusal as the client sees it: one HTTP status for each stable code, and the JSON that says why.

The body is RFC 9457 problem+json with the members `code`, `pointer` and `request_id`. In `/epcis` the
`type` is one that the EPCIS 2.0 standard names. docs/reference/errors.md lists every code.

Source: RFC 9457; EPCIS 2.0, section 12.7 (exceptions).
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from contracts.epcis.problems import EpcisError
from ledger.errors import LedgerError
from node.epcis_xml.markup import XML_HEAD, Markup

MEDIA_TYPE: Final = "application/problem+json"
XML_MEDIA_TYPE: Final = "application/problem+xml"
_XML_NAMESPACE: Final = "urn:ietf:rfc:7807"
DETAIL_LENGTH_MAX: Final = 2000  # a detail may quote what the client sent; it does not echo a document

STATUS_DEFAULT: Final = 400

_STATUS_BY_AREA: Final[Mapping[str, int]] = {
    "mempool": 429,
    "quota": 429,
    "sender": 403,
    "token": 401,
}

_STATUS_BY_CODE: Final[Mapping[str, int]] = {
    "accept.not_available": 406,
    "at.in_future": 404,
    "at.not_kept": 410,
    "ballot.unknown": 404,
    "block.unknown": 404,
    "body.media_type": 415,
    "body.encoded": 415,
    "body.timed_out": 408,
    "body.too_large": 413,
    "capture.too_large": 413,
    "capture.too_many_events": 413,
    "capture.unknown": 404,
    "encoding.too_large": 413,
    "epcis.event_too_large": 413,
    "epcis.format_not_available": 406,
    "epcis.proceed_not_available": 501,
    "epcis.too_many_events": 413,
    "epcis.version_not_available": 406,
    "event.duplicate": 409,
    "event.unknown": 404,
    "evidence.unknown": 404,
    "gateway.missing": 501,
    "host.not_allowed": 421,
    "item.unknown": 404,
    "json.too_large": 413,
    "key.unknown": 404,
    "node.internal": 500,
    "node.no_space": 503,
    "node.stopping": 503,
    "node.unknown": 404,
    "organisation.unknown": 404,
    "query.exists": 409,
    "query.file_damaged": 500,
    "query.too_complex": 413,
    "query.too_large": 413,
    "query.too_many": 413,
    "query.unknown": 404,
    "requests.too_many": 429,
    "requests.too_many_at_once": 429,
    "route.method_not_allowed": 405,
    "route.unknown": 404,
    "seat.unknown": 404,
    "stream.too_many": 429,
    "target.too_long": 414,
    "token.file_damaged": 500,
    "token.file_open": 500,
    "token.not_allowed": 403,
    "transaction.too_large": 413,
    "transaction.unknown": 404,
    "validator.unknown": 404,
    "validators.unknown": 404,
    "value.unknown": 404,
    "xml.too_large": 413,
    "xml.too_many_nodes": 413,
}

_TOO_MUCH: Final = {
    "query.too_complex": "QueryTooComplexException",
    "query.too_large": "QueryTooLargeException",
    "query.too_many": "QueryTooComplexException",
}

RETRY_AFTER_SECONDS: Final = 1  # what a client that is told "later" waits, where nothing better is known


class Refusal(LedgerError):
    """A refusal whose answer carries headers of its own, such as `Allow` or `Retry-After`."""

    def __init__(self, code: str, message: str, headers: Mapping[str, str]) -> None:
        super().__init__(code, message)
        self.headers = dict(headers)


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """One place of a document that is wrong."""

    code: str
    detail: str
    pointer: str = ""


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a refusal."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    pointer: str = ""
    errors: tuple[Fault, ...] = ()


def status_of(code: str) -> int:
    """The HTTP status that a refusal with this code has."""
    return _STATUS_BY_CODE.get(code) or _STATUS_BY_AREA.get(code.partition(".")[0]) or STATUS_DEFAULT


def problem_of(refusal: LedgerError, request_id: str, *, is_epcis: bool) -> Problem:
    """The body that tells a client of a refusal."""
    status = status_of(refusal.code)
    faults = refusal.problems if isinstance(refusal, EpcisError) else ()
    return Problem(
        type=_epcis_type(refusal.code, status) if is_epcis else f"urn:farmgate:error:{refusal.code}",
        title=HTTPStatus(status).phrase,
        status=status,
        code=refusal.code,
        detail=_shortened(refusal.message),
        request_id=request_id,
        pointer=refusal.pointer,
        errors=tuple(Fault(fault.code, _shortened(fault.message), fault.pointer) for fault in faults),
    )


def problem_xml(problem: Problem) -> bytes:
    """The body in XML.

    Source: RFC 7807 appendix A.
    """
    told: dict[str, Any] = msgspec.to_builtins(problem)
    inner = "".join(_element(name, value) for name, value in told.items())
    return f'{XML_HEAD}<problem xmlns="{_XML_NAMESPACE}">{inner}</problem>\n'.encode()


def headers_of(refusal: LedgerError) -> dict[str, str]:
    """The response headers that a refusal brings along."""
    headers = dict(refusal.headers) if isinstance(refusal, Refusal) else {}
    status = status_of(refusal.code)
    if status in {429, 503}:
        headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    if status == 401:
        headers.setdefault("WWW-Authenticate", 'Bearer realm="farmgate"')
    return headers


def _element(name: str, value: Any) -> str:
    match value:
        case dict():
            inner = "".join(_element(key, item) for key, item in value.items())
        case list() | tuple():
            inner = "".join(_element("i", item) for item in value)
        case _:
            inner = Markup.text(Markup.scalar(value))
    return f"<{name}>{inner}</{name}>"


def _shortened(text: str) -> str:
    return text if len(text) <= DETAIL_LENGTH_MAX else text[: DETAIL_LENGTH_MAX - 1] + "…"


def _epcis_type(code: str, status: int) -> str:
    """The exception of the standard that a code is a case of."""
    match status:
        case 400 | 408:
            is_query = code.partition(".")[0] in {"parameter", "query"}
            name = "QueryParameterException" if is_query else "ValidationException"
        case 401 | 403 | 421:
            name = "SecurityException"
        case 404 | 405 | 410:
            name = "NoSuchNameException"
        case 406:
            name = "NotAcceptableException"
        case 409:
            name = "ResourceAlreadyExistsException"
        case 413:
            name = _TOO_MUCH.get(code, "CaptureLimitExceededException")
        case 414:
            name = "URITooLongException"
        case 415:
            name = "UnsupportedMediaTypeException"
        case _:
            name = "ImplementationException"
    return f"epcisException:{name}"
