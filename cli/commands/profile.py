"""`farmgate profile`: whom to act for, and which nodes to ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.group import Command, Group
from cli.session import Session, with_session


@click.group(cls=Group)
def profile() -> None:
    """Profiles: the nodes to ask, the organisation to act for, and the key to sign with."""


@profile.command("list", cls=Command)
@with_session
def list_(session: Session) -> None:
    """The profiles of this person."""
    from cli.settings import in_force
    from cli.user_folder import user_folder
    from ledger.errors import LedgerError
    from network.profile import read_profile

    used = in_force("profile").value
    found: list[dict[str, Any]] = []
    for path in sorted((user_folder() / "profiles").glob("*.toml")):
        entry: dict[str, Any] = {"name": path.stem, "in_use": path.stem == used}
        try:
            read = read_profile(path)
            entry |= {"organisation": read.organisation, "nodes": list(read.nodes), "problem": ""}
        except LedgerError as problem:
            entry |= {"organisation": "", "nodes": [], "problem": problem.message}
        found.append(entry)
    session.output.data(
        {"profiles": found},
        lambda: session.output.table(
            ("profile", "in use", "organisation", "nodes", "problem"),
            [tuple(each.values()) for each in found],
        ),
    )


@profile.command(cls=Command)
@click.argument("name")
@with_session
def use(session: Session, name: str) -> None:
    """Use a profile from now on: by its name, or the path of its file."""
    from cli.settings import set_value
    from cli.user_folder import profile_path
    from network.profile import read_profile

    path = profile_path(name)
    found = read_profile(path)
    chosen = str(path.absolute()) if "/" in name or name.endswith(".toml") else name
    set_value("profile", chosen)
    session.output.data(
        {"profile": chosen, "organisation": found.organisation},
        lambda: f"{chosen} is in use" + (f": you act for {found.organisation}" if found.organisation else ""),
    )


@profile.command(cls=Command)
@click.argument("name")
@click.option("--node", "urls", multiple=True, required=True, metavar="URL", help="A node; repeatable.")
@click.option("--organisation", default="", metavar="ORG", help="For whom to act.")
@click.option("--chain-id", default="", metavar="HEX", help="For which chain.  [default: as the node says]")
@click.option("--key", "key_name", default="", metavar="NAME|FILE", help="The key to sign with.")
@click.option("--token-file", default="", metavar="FILE", help="A token of the first node's site.")
@click.option("--site", default="", metavar="PLACE", help="Where `record` says that things happen.")
@with_session
def add(
    session: Session,
    name: str,
    urls: tuple[str, ...],
    organisation: str,
    chain_id: str,
    key_name: str,
    token_file: str,
    site: str,
) -> None:
    """Write a profile. It names files and holds no secret."""
    from cli.things import parse_place
    from cli.user_folder import key_path, profile_path
    from network.profile import Profile, check_url, parse_profile, profile_text
    from node.store.disk import LocalDisk, replace_file

    path = profile_path(name)
    if path.exists():
        raise Failure("profile.exists", f"{path} is there already", exit_code=ExitCode.CONFLICT)
    nodes = tuple(check_url(url, "--node") for url in urls)
    key_file = key_path(key_name).absolute() if key_name else None
    if key_file is not None and not key_file.exists():
        raise Failure("key_file.missing", f"{key_file} is not there", exit_code=ExitCode.NOT_FOUND)
    made = Profile(
        nodes=nodes,
        chain_id=chain_id or _chain_of(session, nodes),
        organisation=organisation,
        key_file=str(key_file or ""),
        token_file=str(Path(token_file).absolute()) if token_file else "",
        site=parse_place(site) if site else "",
        path=path,
    )
    text = profile_text(made)
    _check(text, path, parse_profile)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(LocalDisk(), path, text.encode())
    session.output.data(
        {"profile": name, "file": str(path), "chain_id": made.chain_id},
        lambda: f"{path} signs for chain {made.chain_id}",
    )
    session.output.note(f"next: farmgate profile use {name}")


def _chain_of(session: Session, nodes: tuple[str, ...]) -> str:
    from cli.answers import Status
    from cli.client import Client

    found = Client(nodes, session.timeout_seconds).get("/v1/status", Status)
    session.output.note(
        f"{nodes[0]} says that its chain is {found.chain_id}: compare it with your genesis.json"
    )
    return found.chain_id


def _check(text: str, path: Path, parse: Any) -> None:
    """Hold what is about to be written to the rules of reading."""
    import tomllib

    parse(tomllib.loads(text), path)
