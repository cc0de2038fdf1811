"""`farmgate record`: one event, from a few flags and scanned labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import click

from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.group import Command, Group
from cli.session import Session, with_session

if TYPE_CHECKING:
    from cli.events import Setting
    from contracts.epcis.canonical_json import JsonObject

_CHILDREN: Final = ("childEPCs", "childQuantityList")
_INPUTS: Final = ("inputEPCList", "inputQuantityList")
_OUTPUTS: Final = ("outputEPCList", "outputQuantityList")

Lots = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What every event may say besides what is its own."""

    place: str | None
    when: str | None
    documents: tuple[str, ...]
    disposition: str | None


@click.group(cls=Group)
def record() -> None:
    """Record one event of your organisation.

    ID is whatever is on the label: a scanned bar code, "(00)...", "(01)...(21)...", a GS1 Digital Link, an
    EPC URN or any other URI. Loose goods of a lot are named with --lot ID QUANTITY, as in
    --lot "(01)09521001001106(10)N-0504" 500KGM. Where the label itself says how much, as in
    "(01)09521001001106(10)N-0504(3100)000500", the word label will do for the quantity. Best before,
    sell by, expiry, freezing and harvest dates on the labels of new goods become their master data.
    """


def _event_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every event, given to the command as one `Said`."""

    @wraps(command)
    def gathered(
        *arguments: Any,
        place: str | None,
        when: str | None,
        documents: tuple[str, ...],
        disposition: str | None,
        **own: Any,
    ) -> None:
        command(*arguments, said=Said(place, when, documents, disposition), **own)

    options = (
        click.option("--at", "place", metavar="PLACE", help="Where.  [default: the profile's site]"),
        click.option("--time", "when", metavar="TIME", help="When, with a zone.  [default: now]"),
        click.option(
            "--document", "documents", multiple=True, metavar="TYPE=URI", help="A paper; repeatable."
        ),
        click.option("--disposition", metavar="WORD", help="The state of the goods afterwards."),
    )
    found: Callable[..., None] = gathered
    for option in reversed(options):
        found = option(found)
    return found


def _goods_options(command: Callable[..., None]) -> Callable[..., None]:
    """Things by their identifiers, and amounts of lots."""
    lots = click.option(
        "--lot", "lots", nargs=2, multiple=True, metavar="ID QUANTITY", help="So much of a lot; repeatable."
    )
    return click.argument("things", nargs=-1, metavar="[ID]...")(lots(command))


@record.command(cls=Command)
@_goods_options
@_event_options
@with_session
def commission(session: Session, things: tuple[str, ...], lots: Lots, said: Said) -> None:
    """Goods come into being: harvested, made, first labelled."""
    from cli.events import object_event

    setting = _setting(session, said, "commissioning", "active")
    goods = _goods(things, lots) | _master_data(things, lots)
    _record(session, "commission", object_event("ADD", setting, goods))


@record.command(cls=Command)
@click.option("--into", required=True, metavar="ID", help="The container, such as a pallet's SSCC.")
@_goods_options
@_event_options
@with_session
def pack(session: Session, into: str, things: tuple[str, ...], lots: Lots, said: Said) -> None:
    """Goods are packed into a container."""
    from cli.events import aggregation_event
    from contracts.epcis.scan import parse_scan

    setting = _setting(session, said, "packing", "in_progress")
    goods = _goods(things, lots, _CHILDREN)
    _record(session, "pack", aggregation_event("ADD", parse_scan(into), setting, goods))


@record.command(cls=Command)
@click.option("--from", "container", required=True, metavar="ID", help="The container.")
@_goods_options
@_event_options
@with_session
def unpack(session: Session, container: str, things: tuple[str, ...], lots: Lots, said: Said) -> None:
    """Goods are taken out of a container; all of them if none is named."""
    from cli.events import aggregation_event
    from contracts.epcis.scan import parse_scan

    setting = _setting(session, said, "unpacking", "in_progress")
    goods = _goods(things, lots, _CHILDREN) if things or lots else {"childEPCs": []}
    _record(session, "unpack", aggregation_event("DELETE", parse_scan(container), setting, goods))


@record.command(cls=Command)
@click.option("--to", "receiver", required=True, metavar="ORG|PARTY", help="Who is to get the goods.")
@click.option("--to-site", metavar="PLACE", help="Where they are sent.")
@_goods_options
@_event_options
@with_session
def ship(
    session: Session, receiver: str, to_site: str | None, things: tuple[str, ...], lots: Lots, said: Said
) -> None:
    """Goods leave for another member: an organisation's name, or a party identifier (GLN)."""
    from cli.events import object_event

    goods = _goods(things, lots)
    party, place = _other_end(session, receiver, to_site, "--to-site")
    setting = replace(
        _setting(session, said, "shipping", "in_transit"),
        is_leaving=True,
        destination_party=party,
        destination_place=place,
    )
    _record(session, "ship", object_event("OBSERVE", setting, goods))


@record.command(cls=Command)
@click.option("--from", "sender", metavar="ORG|PARTY", help="Who sent the goods.")
@click.option("--from-site", metavar="PLACE", help="Where they were sent from.")
@_goods_options
@_event_options
@with_session
def receive(
    session: Session,
    sender: str | None,
    from_site: str | None,
    things: tuple[str, ...],
    lots: Lots,
    said: Said,
) -> None:
    """Goods arrive from another member."""
    from cli.events import object_event

    goods = _goods(things, lots)
    setting = _setting(session, said, "receiving", "in_progress")
    if sender:
        party, place = _other_end(session, sender, from_site, "--from-site")
        setting = replace(setting, source_party=party, source_place=place)
    _record(session, "receive", object_event("OBSERVE", setting, goods))


@record.command(cls=Command)
@click.option("--in", "inputs", multiple=True, metavar="ID", help="A thing that is used up; repeatable.")
@click.option(
    "--in-lot", "input_lots", nargs=2, multiple=True, metavar="ID QUANTITY", help="So much of a lot."
)
@click.option("--out", "outputs", multiple=True, metavar="ID", help="A thing that is made; repeatable.")
@click.option(
    "--out-lot", "output_lots", nargs=2, multiple=True, metavar="ID QUANTITY", help="So much of a lot."
)
@_event_options
@with_session
def transform(
    session: Session,
    inputs: tuple[str, ...],
    input_lots: Lots,
    outputs: tuple[str, ...],
    output_lots: Lots,
    said: Said,
) -> None:
    """Goods are used up to make others: sorted, cut, mixed, packed into new units."""
    from cli.events import transformation_event

    goods = _goods(inputs, input_lots, _INPUTS, "--in or --in-lot")
    goods |= _goods(outputs, output_lots, _OUTPUTS, "--out or --out-lot")
    goods |= _master_data(outputs, output_lots)
    setting = _setting(session, said, "commissioning", "in_progress")
    _record(session, "transform", transformation_event(setting, goods))


@record.command(cls=Command)
@click.option("--step", default="inspecting", show_default=True, metavar="WORD", help="What is done.")
@_goods_options
@_event_options
@with_session
def observe(session: Session, step: str, things: tuple[str, ...], lots: Lots, said: Said) -> None:
    """Goods are seen: inspected, stored, stocked, sold (--step retail_selling)."""
    from cli.events import object_event

    setting = _setting(session, said, step, "")
    _record(session, "observe", object_event("OBSERVE", setting, _goods(things, lots)))


@record.command(cls=Command)
@_goods_options
@_event_options
@with_session
def destroy(session: Session, things: tuple[str, ...], lots: Lots, said: Said) -> None:
    """Goods are destroyed or thrown away."""
    from cli.events import object_event

    goods = _goods(things, lots)
    session.confirm("record that these goods are destroyed?")
    setting = _setting(session, said, "destroying", "destroyed")
    _record(session, "destroy", object_event("DELETE", setting, goods))


# --- inside ---------------------------------------------------------------------------


def _goods(
    things: tuple[str, ...],
    lots: Lots,
    names: tuple[str, str] = ("epcList", "quantityList"),
    options: str = "an ID or --lot",
) -> JsonObject:
    from cli.things import goods

    if not things and not lots:
        raise click.UsageError(f"name goods: {options}")
    return goods(things, lots, names)


def _master_data(things: tuple[str, ...], lots: Lots) -> JsonObject:
    """What the labels of new goods say of all of them, as the member `ilmd` of their event, if anything."""
    from cli.labels import master_data

    labels = (*things, *(label for label, _ in lots))
    found: JsonObject = {**master_data(labels, datetime.now().astimezone().year)}
    return {"ilmd": found} if found else {}


def _setting(session: Session, said: Said, step: str, disposition: str) -> Setting:
    from cli.events import Setting
    from cli.things import parse_document

    return Setting(
        time=_time(said.when),
        place=_place(session, said.place or session.profile.site),
        step=step,
        disposition=said.disposition or disposition,
        documents=tuple(parse_document(each) for each in said.documents),
    )


def _time(text: str | None) -> datetime:
    if text is None:
        return datetime.now().astimezone()
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Failure(
            "usage.wrong_time",
            f"{text[:40]!r} is no time with a zone, such as 2026-05-04T09:30:00+02:00",
            exit_code=ExitCode.USAGE,
        )
    return found


def _place(session: Session, text: str) -> str:
    """A place by its identifier, or by the title of one of your own sites."""
    from cli.things import parse_place
    from ledger.errors import LedgerError

    if not text:
        return ""
    try:
        return parse_place(text)
    except LedgerError:
        from cli.commands.org import sites_of

        known = sites_of(session.client, session.organisation)
        found = [site.id for site in known if site.title.lower() == text.lower()]
        if len(found) == 1:
            return found[0]
        titles = ", ".join(site.title for site in known[:10])
        raise Failure(
            "site.unknown",
            f"{text[:80]!r} is no place identifier and no site of {session.organisation}: {titles}",
            exit_code=ExitCode.NOT_FOUND,
        ) from None


def _other_end(session: Session, who: str, where: str | None, option: str) -> tuple[str, str]:
    """Party and place of the other member: what was said, or the one site that it has."""
    from cli.things import is_organisation_name, parse_party, parse_place

    place = parse_place(where) if where else ""
    if not is_organisation_name(who):
        return parse_party(who), place
    if place:
        return "", place
    from cli.commands.org import sites_of

    known = sites_of(session.client, who)
    if len(known) == 1:
        return "", known[0].id
    words = ", ".join(f"{site.title} {site.id}" for site in known[:10]) or "none is registered"
    raise Failure(
        "site.ambiguous",
        f"which site of {who} is meant? {words}",
        advice=f"name it with {option}, or name the party by its GLN",
        exit_code=ExitCode.USAGE,
    )


def _record(session: Session, verb: str, event: JsonObject) -> None:
    """Check the event as every validator will, and send it."""
    from cli.capturing import read_events
    from cli.commands.capture import record_events, refuse, tell
    from contracts.epcis.canonical_json import canonical

    body = canonical(event)
    events, problems = read_events(verb, body)
    if problems:
        refuse(session.output, problems)
    if session.is_dry_run:
        import json

        shown = json.loads(body)
        session.output.data(shown, lambda: json.dumps(shown, indent=2, ensure_ascii=False))
        session.output.note("the event is sound; nothing was sent")
        return
    tell(session.output, record_events(session, events))
