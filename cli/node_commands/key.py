"""`ledger-node key`: the public halves of a node's keys."""

from __future__ import annotations

from pathlib import Path

import click

from cli.group import NodeCommand
from cli.node_commands.options import home_option, read_settings
from cli.session import Session, with_session


@click.command(cls=NodeCommand)
@home_option
@with_session
def key(session: Session, home: Path) -> None:
    """Show the public halves of the node's keys, and the fingerprint of its certificate.

    The secret halves stay in files that only the node's user can read; no command shows them.
    """
    from ledger.errors import LedgerError
    from node.home import Home
    from node.keys import KeyName, read_key, read_seed
    from node.new_home import CERTIFICATE_FILE
    from node.p2p.identity import certificate_hash, load_identity

    read_settings(home)
    place = Home(home)
    seed = read_seed(place.keys / KeyName.NODE.value)
    try:
        certificate = (place.tls / CERTIFICATE_FILE).read_bytes()
    except FileNotFoundError:
        raise LedgerError("identity.missing", f"{place.tls / CERTIFICATE_FILE} is not there") from None
    identity = load_identity(seed, certificate)
    shown: dict[str, str | None] = {"node": identity.public_key.hex()}
    for name in (KeyName.VALIDATOR, KeyName.GATEWAY):
        is_there = (place.keys / name.value).exists()
        shown[name.name.lower()] = read_key(place.keys, name).public.hex() if is_there else None
    shown["certificate_sha256"] = certificate_hash(identity.certificate).hex()
    session.output.data(shown, lambda: session.output.fields([*shown.items()]))
