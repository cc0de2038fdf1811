"""`farmgate org`: organisations, their keys, sites and nodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click
import msgspec

from cli.answers import Node, NodePage, Organisation, OrganisationPage, Site, SitePage
from cli.commands.key import add as key_add
from cli.commands.key import check_request, own_keys
from cli.commands.key import revoke as key_revoke
from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.group import Command, Group
from cli.session import Session, with_session

if TYPE_CHECKING:
    from cli.client import Client

PAGES_MAX = 100


@click.group(cls=Group)
def org() -> None:
    """Organisations, their keys, sites and nodes. What changes one needs a key of its admin."""


@org.command("list", cls=Command)
@with_session
def list_(session: Session) -> None:
    """The members, in the order in which they were admitted."""
    found: list[Organisation] = []
    path: str | None = "/v1/organisations?limit=100"
    for _ in range(PAGES_MAX):
        if path is None:
            break
        page = session.client.get(path, OrganisationPage)
        found += page.organisations
        path = page.next
    rows = [(each.id, each.title, each.gs1_prefixes) for each in found]
    session.output.data(
        {"organisations": msgspec.to_builtins(found)},
        lambda: session.output.table(("organisation", "title", "GS1 prefixes"), rows),
    )


@org.command(cls=Command)
@click.argument("organisation", required=False, metavar="[ORG]")
@with_session
def show(session: Session, organisation: str | None) -> None:
    """A member with its keys, sites and nodes; your own unless another is named."""
    name = organisation or session.organisation
    found = session.client.get(f"/v1/organisations/{quote(name, safe='')}", Organisation)
    keys = own_keys(session, name)
    sites = list(sites_of(session.client, name))
    nodes = [node for node in _nodes(session.client) if node.organisation == name]
    output = session.output

    def text() -> str:
        key_rows = [(each.label, each.roles, each.public_key, each.added_height) for each in keys]
        parts = [
            output.fields(
                [("organisation", found.id), ("title", found.title), ("GS1 prefixes", found.gs1_prefixes)]
            ),
            output.table(("key", "roles", "public half", "since height"), key_rows),
            output.table(("site", "title"), [(each.id, each.title) for each in sites]),
            output.table(("node", "role", "addresses", "connected"), [_node_row(each) for each in nodes]),
        ]
        return "\n\n".join(parts)

    said = {
        **msgspec.to_builtins(found),
        "keys": msgspec.to_builtins(keys),
        "sites": msgspec.to_builtins(sites),
        "nodes": msgspec.to_builtins(nodes),
    }
    output.data(said, text)


@org.command(cls=Command)
@click.argument("organisation", metavar="ORG")
@click.option("--title", required=True, help="Its name for people.")
@click.option(
    "--prefix", "prefixes", multiple=True, metavar="DIGITS", help="A GS1 company prefix; repeatable."
)
@click.option(
    "--key",
    "request",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The request of its first key, as `key new` wrote it on the admin's machine.",
)
@with_session
def add(session: Session, organisation: str, title: str, prefixes: tuple[str, ...], request: Path) -> None:
    """Admit an organisation with its first admin key. Needs a registrar's key."""
    from cli.calling import call
    from contracts.organisations import CONTRACT, AddOrganisation
    from ledger.readable import from_readable, to_readable
    from node.registration import KeyRegistration, read_registration

    asked = read_registration(request, KeyRegistration)
    if asked.organisation != organisation or asked.chain_id.hex() != session.profile.chain_id:
        raise Failure(
            "registration.wrong_organisation",
            f"{request} asks for {asked.organisation} on chain {asked.chain_id.hex()}",
            exit_code=ExitCode.CONFLICT,
        )
    made = AddOrganisation(organisation, title, prefixes, asked.public_key, asked.label, asked.proof)
    arguments = from_readable(to_readable(made), AddOrganisation)
    session.confirm(f"admit {organisation} ({title})?")
    call(session, CONTRACT, "add_organisation", arguments, f"admitted {organisation}")


# --- keys ---------------------------------------------------------------------------


@org.group("key", cls=Group)
def org_key() -> None:
    """Keys of your organisation; the same as `farmgate key`."""


org_key.add_command(key_add, "add")
org_key.add_command(key_revoke, "revoke")


# --- prefixes -----------------------------------------------------------------------


@org.group(cls=Group)
def prefix() -> None:
    """GS1 company prefixes."""


@prefix.command("add", cls=Command)
@click.argument("organisation", metavar="ORG")
@click.argument("digits", metavar="DIGITS")
@with_session
def prefix_add(session: Session, organisation: str, digits: str) -> None:
    """Assign a GS1 company prefix to a member. Needs a registrar's key."""
    from cli.calling import call
    from contracts.organisations import CONTRACT, AssignPrefix
    from ledger.readable import from_readable

    arguments = from_readable({"organisation": organisation, "prefix": digits}, AssignPrefix)
    call(session, CONTRACT, "assign_prefix", arguments, f"assigned {digits} to {organisation}")


# --- sites --------------------------------------------------------------------------


@org.group(cls=Group)
def site() -> None:
    """Places of your organisation."""


@site.command("list", cls=Command)
@click.argument("organisation", required=False, metavar="[ORG]")
@with_session
def site_list(session: Session, organisation: str | None) -> None:
    """The places of a member, your own unless another is named."""
    found = list(sites_of(session.client, organisation or session.organisation))
    session.output.data(
        {"sites": msgspec.to_builtins(found)},
        lambda: session.output.table(("site", "title"), [(each.id, each.title) for each in found]),
    )


@site.command("add", cls=Command)
@click.argument("place", metavar="PLACE")
@click.option("--title", required=True, help="What people call it.")
@with_session
def site_add(session: Session, place: str, title: str) -> None:
    """Register a place: a GLN (13 digits, "(414)...", Digital Link, EPC URN) or any other URI."""
    from cli.calling import call
    from cli.things import parse_place
    from contracts.organisations import CONTRACT, AddSite

    known = parse_place(place)
    call(session, CONTRACT, "add_site", AddSite(known, title), f"registered {known}")


# --- nodes --------------------------------------------------------------------------


@org.group(cls=Group)
def node() -> None:
    """Nodes of your organisation."""


@node.command("list", cls=Command)
@with_session
def node_list(session: Session) -> None:
    """Every node that may connect, of all members."""
    found = _nodes(session.client)
    rows = [(each.name, each.organisation, *_node_row(each)[1:]) for each in found]
    headings = ("node", "organisation", "role", "addresses", "connected")
    session.output.data({"nodes": msgspec.to_builtins(found)}, lambda: session.output.table(headings, rows))


@node.command("add", cls=Command)
@click.argument("request", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="node.json")
@with_session
def node_add(session: Session, request: Path) -> None:
    """Register a node, as `ledger-node join` asked for it: from then on it may connect and follow."""
    from cli.calling import call
    from contracts.organisations import CONTRACT, AddNode
    from node.registration import NodeRegistration, read_registration

    asked = read_registration(request, NodeRegistration)
    check_request(session, asked.organisation, asked.chain_id, request)
    if asked.proof is None:
        raise Failure("registration.no_proof", f"{request} holds no proof of its key: make it with join")
    arguments = AddNode(asked.public_key, asked.name, asked.certificate, asked.addresses, asked.proof)
    session.confirm(f"let node {asked.name} of {asked.organisation} connect to the network?")
    call(session, CONTRACT, "add_node", arguments, f"registered node {asked.name}")


@node.command("remove", cls=Command)
@click.argument("name", metavar="NODE")
@with_session
def node_remove(session: Session, name: str) -> None:
    """Take a node of your organisation off the list: by its name or its key. It is cut off at once."""
    from cli.calling import call
    from contracts.organisations import CONTRACT, RemoveNode

    found = [each for each in _nodes(session.client) if name in (each.name, each.public_key)]
    if not found:
        raise Failure(
            "node.unknown",
            f"no node is called {name[:80]}",
            advice="farmgate org node list",
            exit_code=ExitCode.NOT_FOUND,
        )
    session.confirm(f"cut off node {found[0].name} of {found[0].organisation}?")
    arguments = RemoveNode(bytes.fromhex(found[0].public_key))
    call(session, CONTRACT, "remove_node", arguments, f"removed node {found[0].name}")


def sites_of(client: Client, organisation: str) -> list[Site]:
    """The places of a member, at most so many as a few pages hold."""
    found: list[Site] = []
    path: str | None = f"/v1/organisations/{quote(organisation, safe='')}/sites?limit=100"
    for _ in range(PAGES_MAX):
        if path is None:
            break
        page = client.get(path, SitePage)
        found += page.sites
        path = page.next
    return found


def _nodes(client: Client) -> tuple[Node, ...]:
    return client.get("/v1/nodes", NodePage).nodes


def _node_row(found: Node) -> tuple[Any, ...]:
    return (found.name, found.role, found.addresses, found.is_connected)
