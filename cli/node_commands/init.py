"""`ledger-node init`: the home of a validator, alone or as one of those who found a network."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.group import NodeCommand
from cli.node_commands.options import home_option, listen_options
from cli.session import Session, with_session

if TYPE_CHECKING:
    from ledger.genesis import Genesis
    from node.registration import NodeRegistration

REGISTRATION_FILE: Final = "node.json"
GENESIS_FILE: Final = "genesis.json"


@click.command(cls=NodeCommand)
@home_option
@click.option("--name", metavar="NAME", help="The node's name, as the chain lists it.")
@click.option("--organisation", metavar="ORG", help="Whose node it is.")
@click.option("--admin-key", metavar="HEX", help="Public half of the organisation's first key.")
@click.option(
    "--genesis",
    "genesis_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The genesis.json of the network, which lists this node.",
)
@click.option("--new-network", metavar="NETWORK", help="Found a network of this name and write its genesis.")
@click.option(
    "--member",
    "members",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="node.json of another founder; may be repeated.",
)
@click.option("--test-network", is_flag=True, help="Allow fail-points and clock offsets on the new network.")
@listen_options
@with_session
def init(
    session: Session,
    home: Path,
    name: str | None,
    organisation: str | None,
    admin_key: str | None,
    genesis_path: Path | None,
    new_network: str | None,
    members: tuple[Path, ...],
    test_network: bool,
    listen: str | None,
    admin: str | None,
    p2p: str | None,
    addresses: tuple[str, ...],
) -> None:
    """Make the home of a validator.

    \b
    Founding a network takes three steps:
      each site     ledger-node init --home H --name N --organisation ORG --admin-key HEX
                    makes keys and writes H/node.json, which holds no secret
      one of them   ledger-node init --home H --new-network NET --member OTHER/node.json ...
                    writes H/genesis.json
      the others    ledger-node init --home H --genesis genesis.json
    Repeating a step is harmless: no key is ever made anew.
    """
    from ledger.members import NodeRole
    from node.home import Home
    from node.new_home import complete_home, make_keys

    if genesis_path is not None and new_network is not None:
        raise click.UsageError("--genesis and --new-network exclude each other")
    place = Home(home)
    if place.data.exists():
        raise Failure("home.exists", f"{home} holds a node already", exit_code=ExitCode.CONFLICT)
    asked = _Asked(home, name, organisation, admin_key, p2p, addresses)
    asked.check()
    keys = make_keys(place, NodeRole.VALIDATOR)
    own = asked.registration(keys)
    genesis = _genesis(own, genesis_path, new_network, members, is_test_network=test_network)
    if genesis is not None:
        settings = settings_of(own.name, genesis, own, listen=listen, admin=admin, p2p=p2p or asked.known_p2p)
        complete_home(place, keys, genesis, settings)
    _tell(session, home, own, genesis)


class _Asked:
    """What the flags say, and what an earlier step noted in node.json."""

    def __init__(
        self,
        home: Path,
        name: str | None,
        organisation: str | None,
        admin_key: str | None,
        p2p: str | None,
        addresses: tuple[str, ...],
    ) -> None:
        from node.registration import NodeRegistration, read_registration

        self._path = home / REGISTRATION_FILE
        self._known = read_registration(self._path, NodeRegistration) if self._path.exists() else None
        self._name, self._organisation, self._admin_key = name, organisation, admin_key
        self._addresses = addresses or ((p2p,) if p2p else ())

    @property
    def known_p2p(self) -> str | None:
        """The address that an earlier step was told."""
        return self._known.addresses[0] if self._known and self._known.addresses else None

    def check(self) -> None:
        """Refuse before anything is made."""
        if self._known is None and not (self._name and self._organisation):
            raise click.UsageError("--name and --organisation are needed for a new home")
        for value, known in ((self._name, "name"), (self._organisation, "organisation")):
            if self._known is not None and value not in (None, getattr(self._known, known)):
                raise Failure(
                    "home.exists",
                    f"{self._path} is of {known} {getattr(self._known, known)}, not {value}",
                    exit_code=ExitCode.CONFLICT,
                )
        if self._admin_key is not None:
            read_public_key(self._admin_key, "--admin-key")

    def registration(self, keys: Any) -> NodeRegistration:
        """What the node says of itself, written to node.json."""
        from ledger.members import NodeRole
        from node.registration import node_registration, write_registration

        known = self._known
        admin = bytes.fromhex(self._admin_key) if self._admin_key else (known.admin_key if known else None)
        registration = node_registration(
            keys.identity,
            name=self._name or (known.name if known else ""),
            organisation=self._organisation or (known.organisation if known else ""),
            role=NodeRole.VALIDATOR,
            addresses=self._addresses or (known.addresses if known else ()),
            validator_key=keys.validator.public,
            gateway_key=keys.gateway.public,
            admin_key=admin,
        )
        check_registration(registration)
        write_registration(self._path, registration)
        return registration


def _genesis(
    own: NodeRegistration,
    genesis_path: Path | None,
    new_network: str | None,
    members: tuple[Path, ...],
    *,
    is_test_network: bool,
) -> Genesis | None:
    from node.genesis_file import read_genesis
    from node.new_network import genesis_of
    from node.registration import NodeRegistration, read_registration

    if genesis_path is not None:
        return read_genesis(genesis_path)
    if new_network is None:
        return None
    others = [read_registration(path, NodeRegistration) for path in members]
    now_ms = time.time_ns() // 1_000_000
    return genesis_of(
        new_network, new_network, [own, *others], time_ms=now_ms, is_test_network=is_test_network
    )


def settings_of(
    name: str,
    genesis: Genesis,
    own: NodeRegistration,
    *,
    listen: str | None,
    admin: str | None,
    p2p: str | None,
    peers: tuple[str, ...] = (),
) -> dict[str, Any]:
    """What node.toml says: the name, other nodes' addresses, and the ports that were chosen."""
    others = [
        address for node in genesis.nodes if node.public_key != own.public_key for address in node.addresses
    ]
    settings: dict[str, Any] = {"name": name, "peers": tuple(dict.fromkeys((*peers, *others)))}
    chosen = {"api.listen": listen, "admin.listen": admin, "p2p.listen": p2p}
    return settings | {key: value for key, value in chosen.items() if value is not None}


def check_registration(registration: NodeRegistration) -> None:
    """Refuse names and addresses that the chain would refuse.

    Raises:
        Failure: `usage.wrong_value`.
    """
    from ledger.errors import LedgerError
    from ledger.readable import from_readable, to_readable
    from node.registration import NodeRegistration

    try:
        from_readable(to_readable(registration), NodeRegistration)
    except LedgerError as problem:
        raise Failure(
            "usage.wrong_value", problem.message, problem.pointer, exit_code=ExitCode.USAGE
        ) from None


def read_public_key(text: str, place: str) -> bytes:
    """The public key in hex.

    Raises:
        Failure: `usage.wrong_value`.
    """
    from ledger.crypto import check_public_key
    from ledger.errors import LedgerError

    try:
        key = bytes.fromhex(text)
        check_public_key(key)
    except (ValueError, LedgerError):
        raise Failure(
            "usage.wrong_value", f"{place}: {text[:80]!r} is no public key", exit_code=ExitCode.USAGE
        ) from None
    return key


def _tell(session: Session, home: Path, own: NodeRegistration, genesis: Genesis | None) -> None:
    from ledger.genesis import chain_id

    said = {
        "home": str(home),
        "name": own.name,
        "organisation": own.organisation,
        "public_key": own.public_key.hex(),
        "node": str(home / REGISTRATION_FILE),
        "chain_id": chain_id(genesis).hex() if genesis else None,
    }
    session.output.data(said, lambda: session.output.fields(list(said.items())))
    if genesis is None:
        session.output.note(
            f"next: send {home / REGISTRATION_FILE} to whoever founds the network, then complete the home "
            f"with ledger-node init --home {home} --genesis genesis.json"
        )
    else:
        session.output.note(f"next: ledger-node run --home {home}")
