"""Genesis: what a chain may begin with, and its id."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ledger.codec import decode, encode
from ledger.consensus.timeouts import EPOCH_BLOCKS_MIN, ConsensusParameters
from ledger.crypto import Tag, hash_tagged, key_pair
from ledger.genesis import (
    Genesis,
    Parameters,
    StakingParameters,
    chain_id,
    check_genesis,
    parameters_hash,
)
from ledger.members import Key, Node, NodeRole, Organisation, Role, Site
from ledger.types import (
    BLOCK_BYTES_MAX,
    BLOCK_TRANSACTIONS_MAX,
    EPOCHS_KEPT_MAX,
    GENESIS_BYTES_MAX,
    VALIDATORS_MAX,
)
from ledger.validators import Validator
from tests.ledger.curve import encode_point, torsion
from tests.ledger.refusals import code_of, refusal_of

KEYS = [key_pair(bytes([number + 1]) * 32).public for number in range(8)]
FARM, SHOP = Organisation("farm", "Farm", ("952000",)), Organisation("shop", "Shop", ())
ADMIN = Key(KEYS[0], "farm", "admin", (Role.REGISTRAR, Role.ADMIN), 0, 0)
PLACE = Site("https://id.gs1.org/414/9520000000011", "farm", "Field")
NODE_A = Node(KEYS[1], "farm", "node-a", NodeRole.VALIDATOR, b"certificate", ("farm.example:26602",))
NODE_B = Node(KEYS[2], "shop", "node-b", NodeRole.OBSERVER, b"certificate", ())
VOTER = Validator(KEYS[3], 1, "node-a")
GENESIS = Genesis(
    1, "story", "The story", True, 1_767_225_600_000, Parameters(),
    (FARM, SHOP), (ADMIN,), (PLACE,), (NODE_A, NODE_B), (VOTER,),
)  # fmt: skip


def changed(record: Any, **fields: object) -> Any:
    return msgspec.structs.replace(record, **fields)


def test_a_good_genesis_is_accepted() -> None:
    """The one that the other tests break passes."""
    check_genesis(GENESIS)


def test_only_a_test_network_may_have_short_epochs() -> None:
    """On a real one the least that a validator in quarantine needs is accepted, and nothing below."""
    shortest = ConsensusParameters(epoch_blocks=EPOCH_BLOCKS_MIN, epoch_ms=600_000, heartbeat_ms=60_000)
    check_genesis(changed(GENESIS, is_test_network=False, parameters=Parameters(consensus=shortest)))
    check_genesis(changed(GENESIS, parameters=Parameters(consensus=ConsensusParameters(epoch_blocks=1))))


def test_the_chain_id_covers_every_field() -> None:
    """The tagged hash of the encoding: members who compare ids have compared everything."""
    assert chain_id(GENESIS) == hash_tagged(Tag.GENESIS, encode(GENESIS))
    others = [
        changed(GENESIS, version=2), changed(GENESIS, network="other"), changed(GENESIS, title="Other"),
        changed(GENESIS, is_test_network=False), changed(GENESIS, time_ms=1),
        changed(GENESIS, parameters=Parameters(replay_window_blocks=10)),
        changed(GENESIS, organisations=(SHOP, FARM)), changed(GENESIS, keys=(changed(ADMIN, label="x"),)),
        changed(GENESIS, sites=()), changed(GENESIS, nodes=(NODE_B, NODE_A)),
        changed(GENESIS, validators=(changed(VOTER, stake=2),)),
    ]  # fmt: skip
    assert len({chain_id(each) for each in (GENESIS, *others)}) == len(others) + 1
    assert len(others) == len(Genesis.__struct_fields__)


def test_the_parameters_have_a_hash_of_their_own() -> None:
    """A header names the parameters in force."""
    assert parameters_hash(Parameters()) == hash_tagged(Tag.PARAMETERS, encode(Parameters()))
    other = Parameters(consensus=ConsensusParameters(drift_ms=1))
    assert parameters_hash(other) != parameters_hash(Parameters())


def test_a_genesis_is_read_back_and_shortened_parameters_are_not() -> None:
    """All parameters are written out, defaults too: nobody's default can change a chain."""
    assert decode(encode(GENESIS), Genesis, GENESIS_BYTES_MAX) == GENESIS
    fields = msgspec.structs.astuple(GENESIS)
    without = encode((*fields[:5], (600, 2_000), *fields[6:]))
    assert code_of(lambda: decode(without, Genesis, GENESIS_BYTES_MAX)) == "encoding.non_canonical"


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"version": 2}, "genesis.version", ""),
        ({"organisations": (FARM, SHOP, FARM)}, "genesis.duplicate", "/organisations/2"),
        ({"keys": (ADMIN, ADMIN)}, "genesis.duplicate", "/keys/1"),
        ({"sites": (PLACE, PLACE)}, "genesis.duplicate", "/sites/1"),
        ({"nodes": (NODE_A, changed(NODE_A, name="node-c"))}, "genesis.duplicate", "/nodes/1"),
        ({"nodes": (NODE_A, changed(NODE_B, name="node-a"))}, "genesis.duplicate", "/nodes/1"),
        ({"keys": (changed(ADMIN, organisation="who"),)}, "genesis.unknown_organisation", "/keys/0"),
        ({"sites": (changed(PLACE, organisation="who"),)}, "genesis.unknown_organisation", "/sites/0"),
        ({"nodes": (changed(NODE_A, organisation="who"),)}, "genesis.unknown_organisation", "/nodes/0"),
        ({"validators": (changed(VOTER, node="node-x"),)}, "genesis.no_validator_node", "/validators/0"),
        ({"validators": (changed(VOTER, node="node-b"),)}, "genesis.no_validator_node", "/validators/0"),
        (
            {"validators": (VOTER, changed(VOTER, public_key=KEYS[4]))},
            "genesis.duplicate",
            "/validators/1",
        ),
        ({"validators": (VOTER, changed(VOTER, node="node-c")),
          "nodes": (NODE_A, changed(NODE_A, public_key=KEYS[5], name="node-c"))},
         "validators.duplicate", ""),
        ({"is_test_network": False,
          "parameters": Parameters(consensus=ConsensusParameters(epoch_blocks=9))},
         "parameters.epochs", ""),
        ({"is_test_network": False,
          "parameters": Parameters(consensus=ConsensusParameters(epoch_ms=599_999))},
         "parameters.epochs", ""),
        ({"parameters": Parameters(consensus=ConsensusParameters(delay_max_ms=499))},
         "parameters.consensus", ""),
        ({"parameters": Parameters(consensus=ConsensusParameters(delay_growth_numerator=1))},
         "parameters.consensus", ""),
        ({"parameters": Parameters(staking=StakingParameters(evidence_epochs=9, unbonding_epochs=8))},
         "parameters.staking", ""),
    ],
)  # fmt: skip
def test_what_cannot_be_a_chain_is_refused(fields: dict[str, object], code: str, pointer: str) -> None:
    """Things named and not defined, things defined twice, validators without a node, constants that stall."""
    refusal = refusal_of(lambda: check_genesis(changed(GENESIS, **fields)))
    assert (refusal.code, refusal.pointer) == (code, pointer)


@pytest.mark.parametrize("point", torsion())
@pytest.mark.parametrize("place", ["keys", "nodes", "validators"])
def test_no_key_of_small_order_begins_a_chain(place: str, point: tuple[int, int]) -> None:
    """Keys of members, nodes and validators are checked alike."""
    first, *rest = getattr(GENESIS, place)
    bad = (changed(first, public_key=encode_point(point)), *rest)
    assert code_of(lambda: check_genesis(changed(GENESIS, **{place: bad}))) == "key.invalid"


@pytest.mark.parametrize(
    ("fields", "parameters"),
    [
        ({"organisations": ()}, {}),
        ({"keys": ()}, {}),
        ({"nodes": ()}, {}),
        ({"validators": ()}, {}),
        ({"validators": (VOTER,) * (VALIDATORS_MAX + 1)}, {}),
        ({"validators": (changed(VOTER, stake=0),)}, {}),
        ({"network": "Not A Name"}, {}),
        ({"title": ""}, {}),
        ({}, {"replay_window_blocks": 9}),
        ({}, {"block_transactions_max": 0}),
        ({}, {"block_transactions_max": BLOCK_TRANSACTIONS_MAX + 1}),
        ({}, {"block_bytes_max": (1 << 20) - 1}),  # no transaction of the largest size would fit
        ({}, {"block_bytes_max": BLOCK_BYTES_MAX + 1}),
        ({}, {"staking": StakingParameters(equivocation_penalty_permille=1001)}),
        ({}, {"staking": StakingParameters(absence_epochs=0)}),
        ({}, {"staking": StakingParameters(evidence_epochs=EPOCHS_KEPT_MAX + 1)}),
    ],
)
def test_limits_hold_when_a_genesis_is_read(fields: dict[str, object], parameters: dict[str, Any]) -> None:
    """Empty or oversized lists and parameters out of range do not decode."""
    data = encode(changed(GENESIS, **({"parameters": Parameters(**parameters)} | fields)))
    assert code_of(lambda: decode(data, Genesis, GENESIS_BYTES_MAX)) == "encoding.malformed"
