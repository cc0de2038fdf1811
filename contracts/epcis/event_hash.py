"""The CBV event hash: a name for an event that anybody computes from the event itself, in any of its forms.

A published alias and nothing more. What the ledger commits to and knows an event again by are the hashes of
`commitment`, which are exact; this one follows the standard, which leaves things out and lets others collide.

Source: docs/spec/cbv-event-hash.md; CBV 2.0 section 8.9.2; RFC 6920.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from contracts.epcis.canonical_json import JsonObject
from contracts.epcis.pre_hash import pre_hash
from contracts.epcis.prefixes import Prefixes


def event_hash(event: JsonObject, prefixes: Prefixes = (), ignored: Iterable[str] = ()) -> str:
    """The hash of a valid event, such as `ni:///sha-256;df65...6?ver=CBV2.0`; arguments as `pre_hash`."""
    return named_hash(pre_hash(event, prefixes, ignored))


def named_hash(text: str) -> str:
    """CH16: the name of a pre-hash string."""
    return f"ni:///sha-256;{hashlib.sha256(text.encode()).hexdigest()}?ver=CBV2.0"
