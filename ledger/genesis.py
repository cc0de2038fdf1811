"""Genesis: the one document that every member signs up to before the first block.

Its hash is the chain's id, and every signed byte names that id. It fixes the parameters,
the first validators, organisations and nodes. Block 0 is what follows from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Meta

from ledger.codec import Canonical, encode
from ledger.consensus.timeouts import ConsensusParameters, check_epochs, check_parameters
from ledger.crypto import Tag, check_public_key, hash_tagged
from ledger.errors import LedgerError
from ledger.members import Key, Node, NodeRole, Organisation, Site, Title
from ledger.types import (
    BLOCK_BYTES_MAX,
    BLOCK_TRANSACTIONS_MAX,
    EPOCHS_KEPT_MAX,
    VALIDATORS_MAX,
    ChainId,
    Counter,
    Hash,
    Name,
    StakeUnits,
)
from ledger.validators import Validator, ValidatorSet

GENESIS_VERSION: Final = 1
REPLAY_WINDOW_BLOCKS: Final = 600
QUOTA_UNITS_PER_WINDOW: Final = 8 << 30  # bytes: eight GiB a window stops a runaway script, not a harvest


Permille = Annotated[int, Meta(ge=0, le=1000)]
Epochs = Annotated[int, Meta(ge=1, le=EPOCHS_KEPT_MAX)]


class StakingParameters(Canonical):
    """What the consortium chose for its stake. A permille counts thousandths."""

    reward_units: StakeUnits = 0  # new units for the organisation of each validator that attended an epoch
    equivocation_penalty_permille: Permille = 1000  # of all that stands behind a key that signed twice
    absence_penalty_permille: Permille = 0  # of what a validator has bonded when it is jailed for absence
    attendance_min_permille: Permille = 100  # who signed fewer of an epoch's certificates was absent
    attendance_certificates_min: Counter = 5  # an epoch with fewer says nothing about absence
    absence_epochs: Epochs = 3  # absent so many in a row: jailed
    jail_epochs: Epochs = 6  # how long, before the organisation may ask for the way back
    evidence_epochs: Epochs = 144  # how long a fault can be reported: a day of idle epochs
    unbonding_epochs: Epochs = 144  # how long units stay slashable after they have left the set


class Parameters(Canonical):
    """What the consortium chose for its chain. Units stand in the names."""

    replay_window_blocks: Annotated[int, Meta(ge=10, le=100_000)] = REPLAY_WINDOW_BLOCKS
    block_transactions_max: Annotated[int, Meta(ge=1, le=BLOCK_TRANSACTIONS_MAX)] = 2_000
    block_bytes_max: Annotated[int, Meta(ge=1 << 20, le=BLOCK_BYTES_MAX)] = 4 << 20
    quota_units_per_window: Counter = QUOTA_UNITS_PER_WINDOW
    event_time_skew_ms: Counter = 600_000  # how far in the future of block time an event may lie unflagged
    consensus: ConsensusParameters = ConsensusParameters()
    staking: StakingParameters = StakingParameters()


class Genesis(Canonical):
    """The first state of a chain. `is_test_network` allows fail-points, clock offsets and short epochs."""

    version: Counter
    network: Name
    title: Title
    is_test_network: bool
    time_ms: Counter
    parameters: Parameters
    organisations: Annotated[tuple[Organisation, ...], Meta(min_length=1, max_length=1024)]
    keys: Annotated[tuple[Key, ...], Meta(min_length=1, max_length=4096)]
    sites: Annotated[tuple[Site, ...], Meta(max_length=4096)]
    nodes: Annotated[tuple[Node, ...], Meta(min_length=1, max_length=1024)]
    validators: Annotated[tuple[Validator, ...], Meta(min_length=1, max_length=VALIDATORS_MAX)]


def chain_id(genesis: Genesis) -> ChainId:
    """The chain's id: the tagged hash of its genesis (32 bytes)."""
    return ChainId(hash_tagged(Tag.GENESIS, encode(genesis)))


def parameters_hash(parameters: Parameters) -> Hash:
    """What a header says of the parameters in force."""
    return hash_tagged(Tag.PARAMETERS, encode(parameters))


def check_genesis(genesis: Genesis) -> None:
    """Refuse a genesis that names what it does not define, defines a thing twice, or could not go on.

    Raises:
        LedgerError: `genesis.version`, `genesis.duplicate`, `genesis.unknown_organisation`,
            `genesis.no_validator_node`, `parameters.consensus`, `parameters.epochs`, `parameters.staking`,
            `key.invalid`, or what the validator set refuses.
    """
    if genesis.version != GENESIS_VERSION:
        raise LedgerError(
            "genesis.version", f"version {genesis.version}, this release knows {GENESIS_VERSION}"
        )
    check_parameters(genesis.parameters.consensus)
    if not genesis.is_test_network:
        check_epochs(genesis.parameters.consensus)
    check_staking(genesis.parameters.staking)
    _check_owners(genesis)
    _check_validators(genesis)
    public_keys = [
        *(key.public_key for key in genesis.keys),
        *(node.public_key for node in genesis.nodes),
        *(validator.public_key for validator in genesis.validators),
    ]
    for public_key in public_keys:
        check_public_key(public_key)


def check_staking(parameters: StakingParameters) -> None:
    """Refuse a delay that would let units go while their fault can still be reported.

    Raises:
        LedgerError: `parameters.staking`.
    """
    if parameters.unbonding_epochs < parameters.evidence_epochs:
        raise LedgerError(
            "parameters.staking",
            f"unbonding_epochs {parameters.unbonding_epochs} is below evidence_epochs "
            f"{parameters.evidence_epochs}",
        )


def _check_owners(genesis: Genesis) -> None:
    """Everything has a name of its own and belongs to an organisation that is defined."""
    organisations = {organisation.id for organisation in genesis.organisations}
    _check_unique("organisations", [organisation.id for organisation in genesis.organisations])
    _check_unique("keys", [key.public_key for key in genesis.keys])
    _check_unique("sites", [site.id for site in genesis.sites])
    _check_unique("nodes", [node.public_key for node in genesis.nodes])
    _check_unique("nodes", [node.name for node in genesis.nodes])
    owners: dict[str, tuple[Key | Site | Node, ...]] = {
        "keys": genesis.keys,
        "sites": genesis.sites,
        "nodes": genesis.nodes,
    }
    for group, owned in owners.items():
        for index, record in enumerate(owned):
            if record.organisation not in organisations:
                raise LedgerError(
                    "genesis.unknown_organisation",
                    f"{record.organisation} is not defined",
                    f"/{group}/{index}",
                )


def _check_validators(genesis: Genesis) -> None:
    """Each validator has a validator node of its own: a node holds one key that votes."""
    ValidatorSet(genesis.validators)
    names = {node.name for node in genesis.nodes if node.role is NodeRole.VALIDATOR}
    for index, validator in enumerate(genesis.validators):
        if validator.node not in names:
            raise LedgerError(
                "genesis.no_validator_node",
                f"no validator node is called {validator.node}",
                f"/validators/{index}",
            )
    _check_unique("validators", [validator.node for validator in genesis.validators])


def _check_unique(group: str, names: Sequence[str | bytes]) -> None:
    seen: dict[str | bytes, int] = {}
    for index, name in enumerate(names):
        if name in seen:
            shown = name.hex() if isinstance(name, bytes) else name
            raise LedgerError("genesis.duplicate", f"{shown} is defined twice", f"/{group}/{index}")
        seen[name] = index
