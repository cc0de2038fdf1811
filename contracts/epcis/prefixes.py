"""The `@context` of a document or event: which prefix stands for which namespace.

GS1's own contexts are known by their addresses and never fetched. Besides them only inline pairs
`{prefix: namespace}` are understood; whatever else JSON-LD allows is refused by name, because a term that we
would not expand could mean something else to the next reader.

Source: JSON-LD 1.1 section 4.1; EPCIS 2.0 section 10; CBV 2.0.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from contracts.epcis.canonical_json import Json, child
from contracts.epcis.problems import Problems, shown

Prefixes: TypeAlias = tuple[tuple[str, str], ...]  # (prefix, namespace), sorted by prefix, each prefix once

PREFIXES_MAX: Final = 64  # that one context may bind; the richest documents in use bind 7
PREFIX_LENGTH_MAX: Final = 64
NAMESPACE_LENGTH_MAX: Final = 512

GS1_CONTEXT: Final = "https://ref.gs1.org/standards/epcis/epcis-context.jsonld"
GS1_PREFIXES: Final = {
    "cbv": "https://ref.gs1.org/cbv/",
    "cbvmda": "urn:epcglobal:cbv:mda:",
    "dcterms": "http://purl.org/dc/terms/",
    "epcis": "https://ref.gs1.org/epcis/",
    "gs1": "https://gs1.org/voc/",
    "owl": "http://www.w3.org/2002/07/owl#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}

_KNOWN = re.compile(
    r"https?://(?:ref\.gs1\.org/standards/epcis/(?:[0-9]+\.[0-9]+\.[0-9]+/)?|gs1\.github\.io/EPCIS/)"
    r"epcis-context\.jsonld"
)
_PREFIX = re.compile(rf"[A-Za-z_][A-Za-z0-9_.-]{{0,{PREFIX_LENGTH_MAX - 1}}}")
_NAMESPACE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|\\^`\x7f]+")
# A prefix of such a name would turn every address and URN of an event into something else.
_MENTION = re.compile(rf'"([A-Za-z_][A-Za-z0-9_.-]{{0,{PREFIX_LENGTH_MAX - 1}}}):'.encode())
_SCHEMES: Final = ("http", "https", "urn", "did", "ni")
_HARMLESS: Final = ("@version", "@protected")


def read_context(context: Json, pointer: str, problems: Problems) -> tuple[dict[str, str], tuple[str, ...]]:
    """The inline prefixes of a `@context`, the last binding winning, and pointers to contexts we do not know.

    Problems: `epcis.wrong_type`, `epcis.bad_context`.
    """
    bound: dict[str, str] = {}
    unknown: list[str] = []
    entries = context if isinstance(context, list) else [context]
    for index, entry in enumerate(entries):
        at = child(pointer, index) if isinstance(context, list) else pointer
        if isinstance(entry, str):
            if not _KNOWN.fullmatch(entry):
                unknown.append(at)
        elif isinstance(entry, dict):
            _read_pairs(entry, at, bound, problems)
        else:
            problems.add(
                "epcis.wrong_type", at, f"{shown(entry)} is neither an address nor an object of prefixes"
            )
    if len(bound) > PREFIXES_MAX:
        problems.add(
            "epcis.bad_context", pointer, f"{len(bound)} prefixes, at most {PREFIXES_MAX} are allowed"
        )
    return bound, tuple(unknown)


def is_prefix_pair(prefix: str, namespace: str) -> bool:
    """Whether both halves have the form that a context may bind."""
    return (
        _PREFIX.fullmatch(prefix) is not None
        and prefix.lower() not in _SCHEMES
        and len(namespace) <= NAMESPACE_LENGTH_MAX
        and _NAMESPACE.fullmatch(namespace) is not None
    )


def is_mentioned(prefix: str, body: bytes) -> bool:
    """Whether `prefix:` follows a quotation mark, as where a key or string of the JSON begins with it."""
    return f'"{prefix}:'.encode() in body


def mentions(body: bytes) -> dict[str, None]:
    """Every name that `is_mentioned` in canonical JSON, prefixes or not, in order of appearance."""
    return {found.decode(): None for found in _MENTION.findall(body)}


def expand(text: str, bound: dict[str, str]) -> str:
    """`prefix:local` as the absolute identifier it stands for; any other text as it is.

    An inline binding wins over GS1's own of the same name.
    """
    prefix, colon, local = text.partition(":")
    if not colon or local.startswith("//"):
        return text
    namespace = bound.get(prefix) or GS1_PREFIXES.get(prefix)
    return text if namespace is None else namespace + local


def check_unknown_contexts(
    unknown: tuple[str, ...], event: dict[str, Json], bound: dict[str, str], problems: Problems
) -> tuple[str, ...]:
    """Refuse contexts that we do not know where a name in the event could be theirs to define.

    Answers those still to be asked about other events: all of them or, once refused, none.
    Problems: `epcis.unknown_context`, once for each such context.
    """
    if not unknown:
        return ()
    name = _undefined(event, bound, False)
    for pointer in unknown if name is not None else ():
        problems.add(
            "epcis.unknown_context",
            pointer,
            f"this context is unknown and none is ever fetched; bind the prefix of {shown(name)} inline",
        )
    return unknown if name is None else ()


def _undefined(value: Json, bound: dict[str, str], is_extension: bool) -> str | None:
    """The first name in an event that neither EPCIS nor a known prefix defines."""
    if isinstance(value, list):
        found = (_undefined(item, bound, is_extension) for item in value)
        return next((name for name in found if name is not None), None)
    if not isinstance(value, dict):
        return None
    for name, item in value.items():
        prefix, colon, _ = name.partition(":")
        if colon and prefix not in bound and prefix not in GS1_PREFIXES and prefix not in _SCHEMES:
            return name
        if not colon and is_extension and not name.startswith("@"):
            return name
        below = _undefined(item, bound, is_extension or bool(colon) or name == "ilmd")
        if name != "@context" and below is not None:
            return below
    return None


def _read_pairs(entry: dict[str, Json], pointer: str, bound: dict[str, str], problems: Problems) -> None:
    for prefix, namespace in entry.items():
        if prefix in _HARMLESS:
            continue
        if isinstance(namespace, str) and is_prefix_pair(prefix, namespace):
            bound[prefix] = namespace
        else:
            problems.add(
                "epcis.bad_context",
                child(pointer, prefix),
                f"{shown(prefix)}: {shown(namespace)} binds no prefix to an absolute namespace, "
                "and other JSON-LD definitions are not supported inline",
            )
