"""The simulated consortium: four organisations, one genesis, and keys that are no secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Final

import msgspec

from ledger.consensus.timeouts import ConsensusParameters
from ledger.crypto import KeyPair, key_pair
from ledger.genesis import GENESIS_VERSION, Genesis, Parameters, StakingParameters
from ledger.members import Key, Node, NodeRole, Organisation, Role, Site
from ledger.types import EPOCHS_KEPT_MAX
from ledger.validators import Validator
from network.testnet.members import ORGANISATIONS, REGISTRAR
from node.p2p.identity import NodeIdentity, make_identity

WALL_START_MS: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z
REPLAY_WINDOW_BLOCKS: Final = 20  # short, so that a run goes round the ring of replay records
UNITS: Final = 100  # of stake for each share, so that it can move in small steps
# Everything that takes epochs takes few: a run has about ten.
STAKING: Final = StakingParameters(
    reward_units=3,
    attendance_certificates_min=2,
    absence_epochs=2,
    jail_epochs=1,
    evidence_epochs=2,
    unbonding_epochs=2,
)
# Where a liar stands next to a third of the stake, nobody else may be jailed for having been cut off.
PATIENT_STAKING: Final = msgspec.structs.replace(STAKING, absence_epochs=EPOCHS_KEPT_MAX)
_ISSUED: Final = datetime(2025, 12, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Member:
    """One node before it runs."""

    name: str
    organisation: str
    address: str
    identity: NodeIdentity
    validator: KeyPair
    gateway: KeyPair


@dataclass(frozen=True, slots=True)
class Consortium:
    """Who takes part. `people` are the keys of the organisations' offices, by organisation."""

    genesis: Genesis
    members: tuple[Member, ...]
    people: dict[str, KeyPair]


@cache
def consortium_of(
    stakes: tuple[int, ...], epoch_blocks: int, late: tuple[int, ...] = (), *, is_patient: bool = False
) -> Consortium:
    """The consortium whose nodes have these shares of the stake, with epochs of so many blocks.

    Args:
        stakes: by node; who has none follows.
        late: nodes that the genesis does not know.
        is_patient: nobody is jailed for absence.
    """
    members = tuple(_member(index) for index in range(len(stakes)))
    people = {each.id: _key("office", number) for number, each in enumerate(ORGANISATIONS)}
    roles: dict[str, tuple[Role, ...]] = dict.fromkeys(people, (Role.ADMIN, Role.OPERATOR))
    roles[REGISTRAR] = (Role.REGISTRAR, Role.ADMIN, Role.OPERATOR)
    offices = (Key(pair.public, name, "office", roles[name], 0, 0) for name, pair in people.items())
    gateways = (
        Key(each.gateway.public, each.organisation, f"gateway of {each.name}", (Role.GATEWAY,), 0, 0)
        for each in members
    )
    genesis = Genesis(
        version=GENESIS_VERSION,
        network="simulated",
        title="Simulated network",
        is_test_network=True,
        time_ms=WALL_START_MS - 1_000,
        parameters=Parameters(
            replay_window_blocks=REPLAY_WINDOW_BLOCKS,
            consensus=ConsensusParameters(epoch_blocks=epoch_blocks),
            staking=PATIENT_STAKING if is_patient else STAKING,
        ),
        organisations=tuple(Organisation(each.id, each.title, (each.prefix,)) for each in ORGANISATIONS),
        keys=(*offices, *gateways),
        sites=tuple(
            Site(each.place(site.reference), each.id, site.title)
            for each in ORGANISATIONS
            for site in each.sites
        ),
        nodes=tuple(
            Node(
                each.identity.public_key,
                each.organisation,
                each.name,
                NodeRole.VALIDATOR if stake else NodeRole.OBSERVER,
                each.identity.certificate,
                (each.address,),
            )
            for index, (each, stake) in enumerate(zip(members, stakes, strict=True))
            if index not in late
        ),
        validators=tuple(
            Validator(each.validator.public, UNITS * stake, each.name)
            for each, stake in zip(members, stakes, strict=True)
            if stake
        ),
    )
    return Consortium(genesis, members, people)


def _member(index: int) -> Member:
    return Member(
        name=f"node-{index}",
        organisation=ORGANISATIONS[index % len(ORGANISATIONS)].id,
        address=f"10.0.0.{index + 1}:26602",
        identity=make_identity(_seed("node", index), _ISSUED),
        validator=_key("validator", index),
        gateway=_key("gateway", index),
    )


def _key(purpose: str, number: int) -> KeyPair:
    return key_pair(_seed(purpose, number))


def _seed(purpose: str, number: int) -> bytes:
    return f"simulated {purpose} {number}".encode().ljust(32, b".")
