"""What master data says of the places and things in an event: descendants of a place, and attributes.

The chain keeps attributes of products, locations and parties (`contracts.master_data`), and no tree of
places. A place is known to lie in another one where its GLN says so (the extension of a GLN lies in the place
of the GLN) or where its master data names the other in an attribute of `PARENTS`.

Source: EPCIS 2.0, section 8.2.7.1, WD_readPoint, HASATTR_fieldname and their kin; CBV 2.0 section 9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from contracts.epcis.prefixes import expand
from contracts.master_data import MasterKind, latest
from ledger.errors import LedgerError
from ledger.state import StateView
from node.api.epcis.query.extensions import Place, read_name, scalars
from node.api.epcis.query.facts import Facts, MasterData
from node.api.epcis.query.patterns import read_uri
from node.api.epcis.query.values import Value

PARENTS: Final = ("containedInPlace", "parent")  # attributes whose value is the place around a place
DEPTH_MAX: Final = 16  # places around one another that are followed

_VOCABULARIES: Final = (
    "urn:epcglobal:cbv:mda:", "urn:epcglobal:cbv:mda#", "https://ref.gs1.org/cbv/", "https://gs1.org/voc/",
    "https://www.gs1.org/voc/",
)  # fmt: skip


def master_data_of(state: StateView) -> MasterData:
    """Master data as one state has it, each identifier read once."""
    known: dict[tuple[MasterKind, str], Mapping[str, str]] = {}

    def read(kind: MasterKind, item_id: str) -> Mapping[str, str]:
        if (kind, item_id) not in known:
            record = latest(state, kind, item_id)
            attributes = () if record is None else record.attributes
            known[kind, item_id] = {bare(name): value for name, value in attributes}
        return known[kind, item_id]

    return read


def bare(name: str, prefixes: Mapping[str, str] | None = None) -> str:
    """The name of an attribute without the vocabulary of CBV or GS1 that it is from; others as they are."""
    full = expand(name, dict(prefixes or {}))
    for vocabulary in _VOCABULARIES:
        if full.startswith(vocabulary):
            return full.removeprefix(vocabulary)
    return full


# --- descendants ------------------------------------------------------------------


def lies_within(facts: Facts, place: str | None, wanted: frozenset[str]) -> bool:
    """Whether a place is one of those wanted or lies in one, as far as is known."""
    for _ in range(DEPTH_MAX):
        if place is None or place in wanted:
            return place is not None
        place = _around(facts, place)
    return False


def _around(facts: Facts, place: str) -> str | None:
    known = facts.master_data(MasterKind.LOCATION, place)
    for name in PARENTS:
        if name in known:
            return _uri(known[name])
    gln, extension, _ = place.partition("/254/")
    return gln if extension and "/414/" in gln else None


def _uri(text: str) -> str | None:
    try:
        return read_uri(text)
    except LedgerError:
        return None


# --- attributes -------------------------------------------------------------------

_ALL: Final = tuple(MasterKind)
_Found = Callable[[Facts], Iterator[str]]


def _quantities(facts: Facts) -> Iterator[str]:
    yield from (quantity.epc_class for quantity in facts.quantities())


def _things(facts: Facts) -> Iterator[str]:
    event = facts.event
    for listed in (event.epcs, event.children, event.inputs, event.outputs):
        yield from listed
    if event.parent is not None:
        yield event.parent


def _nothing(facts: Facts) -> Iterator[str]:
    """A vocabulary of which the chain keeps no master data."""
    yield from ()


_FIELDS: Final[Mapping[str, tuple[tuple[MasterKind, ...], _Found]]] = {
    "readPoint": (
        (MasterKind.LOCATION,),
        lambda facts: iter((facts.event.read_point,) if facts.event.read_point else ()),
    ),
    "bizLocation": (
        (MasterKind.LOCATION,),
        lambda facts: iter((facts.event.biz_location,) if facts.event.biz_location else ()),
    ),
    "source": (_ALL, lambda facts: (each.id for each in facts.event.sources)),
    "destination": (_ALL, lambda facts: (each.id for each in facts.event.destinations)),
    "epcClass": ((MasterKind.PRODUCT,), _quantities),
    "epc": ((MasterKind.PRODUCT,), _things),
    "bizStep": ((), _nothing),
    "disposition": ((), _nothing),
    "bizTransaction": ((), _nothing),
}


def read_has_attribute(
    field: str, value: Value, prefixes: Mapping[str, str]
) -> Callable[[Facts], bool] | None:
    """HASATTR_field: master data of the field's value has one of the attributes; None: no such field."""
    found = _field(field, prefixes)
    wanted = frozenset(bare(each, prefixes) for each in value.texts())
    if found is None:
        return None
    return lambda facts: any(not wanted.isdisjoint(known) for known in _known(facts, *found))


def read_equal_attribute(
    names: str, value: Value, prefixes: Mapping[str, str]
) -> Callable[[Facts], bool] | None:
    """EQATTR_field_attribute: an attribute of the field's value is one of the texts; None: no such field."""
    name, attribute = _split(names)
    found = _field(name, prefixes)
    if found is None or not attribute:
        return None
    wanted, called = frozenset(value.texts()), bare(attribute, prefixes)
    return lambda facts: any(known.get(called) in wanted for known in _known(facts, *found))


def _split(names: str) -> tuple[str, str]:
    """The field and the attribute: at the first `_` after a known field or after an extension's prefix."""
    for name in _FIELDS:
        if names.startswith(name + "_"):
            return name, names[len(name) + 1 :]
    prefix, colon, rest = names.partition(":")
    local, _, attribute = rest.partition("_")
    return prefix + colon + local, attribute


def _field(name: str, prefixes: Mapping[str, str]) -> tuple[tuple[MasterKind, ...], _Found] | None:
    if name in _FIELDS:
        return _FIELDS[name]
    if ":" not in name:
        return None
    called, place = read_name(name, prefixes), Place("", is_inner=False)

    def find(facts: Facts) -> Iterator[str]:
        for value in place.find(facts, called):
            for plain in scalars(value):
                uri = _uri(expand(plain, dict(facts.bound))) if isinstance(plain, str) else None
                if uri is not None:
                    yield uri

    return _ALL, find


def _known(facts: Facts, kinds: tuple[MasterKind, ...], find: _Found) -> Iterator[Mapping[str, str]]:
    """Master data of each value; of a lot or a single thing, that of its class too."""
    for uri in find(facts):
        for kind in kinds:
            yield facts.master_data(kind, uri)
            if kind is MasterKind.PRODUCT and "/01/" in uri:
                head = uri.partition("/10/")[0].partition("/21/")[0]
                if head != uri:
                    yield facts.master_data(kind, head)
