"""A chain with several validators and short delays, whose epochs turn when the test says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from contracts.staking import granting
from contracts.staking.bonding import BondUnits, UnbondUnits, Unjail
from contracts.staking.records import BONDS, Bond, bonds, held_units, supply_units
from contracts.staking.reporting import Report
from ledger.codec import decode
from ledger.crypto import KeyPair
from ledger.epoch import EpochStart, begin_epoch, epoch_in_force, validators_in_force
from ledger.evidence import encode_evidence, evidence_of
from ledger.genesis import Parameters, StakingParameters
from ledger.members import Node, NodeRole
from ledger.state import Overlay
from ledger.transition import Outcome
from ledger.types import BlockId, ChainId, Epoch, View
from ledger.validators import Validator, ValidatorSet
from ledger.vote import SignedVote, Vote, VoteKind, sign_vote
from tests.contracts.chain import Chain, key_of, make_genesis

STAKING = StakingParameters(
    attendance_certificates_min=4,
    absence_epochs=2,
    jail_epochs=3,
    evidence_epochs=2,
    unbonding_epochs=3,
)
OWNERS = ("farm", "packer", "carrier", "center", "shop", "farm", "packer")  # of node-0, node-1 and so on
SPARE = 10  # nodes without a validator: node-10 of the first organisation, node-11 of the second...


def voter(number: int) -> KeyPair:
    """The validator key on node-`number`."""
    return key_of(f"vote-{number}")


def make_stage(stakes: Sequence[int] = (100, 100, 100, 100), **staking: int) -> Stage:
    """A new chain with these stakes, one validator a node, each of the next organisation."""
    base = make_genesis()
    nodes = [_node(number, OWNERS[number], NodeRole.VALIDATOR) for number in range(len(stakes))]
    spare = [_node(SPARE + number, OWNERS[number], NodeRole.OBSERVER) for number in range(len(OWNERS))]
    validators = [
        Validator(voter(number).public, stake, f"node-{number}") for number, stake in enumerate(stakes)
    ]
    parameters = Parameters(staking=msgspec.structs.replace(STAKING, **staking))
    return Stage(
        msgspec.structs.replace(
            base, parameters=parameters, nodes=(*nodes, *spare), validators=tuple(validators)
        )
    )


def _node(number: int, owner: str, role: NodeRole) -> Node:
    return Node(key_of(f"node-{number}").public, owner, f"node-{number}", role, b"certificate", ())


class Stage(Chain):
    """Calls of the contract `staking` in blocks, decisions of the consortium, and turns."""

    # --- what members do ----------------------------------------------------------

    def bond(self, sender: str, number: int, units: int) -> Bond:
        """`staking.bond` of the validator on node-`number`."""
        return _bond(self.send(sender, "staking", "bond", BondUnits(voter(number).public, units)))

    def unbond(self, sender: str, number: int, units: int) -> Bond:
        """`staking.unbond`."""
        return _bond(self.send(sender, "staking", "unbond", UnbondUnits(voter(number).public, units)))

    def unjail(self, sender: str, number: int) -> Bond:
        """`staking.unjail`."""
        return _bond(self.send(sender, "staking", "unjail", Unjail(voter(number).public)))

    def report(self, evidence: bytes, sender: str = "shop/operator") -> Outcome:
        """`staking.report`."""
        return self.send(sender, "staking", "report", Report(evidence))

    # --- what the consortium decides ------------------------------------------------

    def grant(self, organisation: str, units: int) -> None:
        """New units for a member."""
        overlay = Overlay(self.state)
        granting.grant(overlay, organisation, units)
        self.state.commit(overlay)

    def admit(
        self, number: int, units: int, organisation: str | None = None, key: KeyPair | None = None
    ) -> Bond:
        """Let the key of node-`number` validate."""
        overlay = Overlay(self.state)
        owner = OWNERS[number % SPARE] if organisation is None else organisation
        signer = key or voter(number)
        bond = granting.admit(overlay, owner, f"node-{number}", signer.public, units)
        self.state.commit(overlay)
        return bond

    def set_weight(self, number: int, units: int) -> Bond:
        """Give a validator another weight."""
        overlay = Overlay(self.state)
        bond = granting.set_weight(overlay, voter(number).public, units)
        self.state.commit(overlay)
        return bond

    def remove(self, number: int) -> Bond:
        """Let a validator vote no more."""
        overlay = Overlay(self.state)
        bond = granting.remove(overlay, voter(number).public)
        self.state.commit(overlay)
        return bond

    # --- epochs -----------------------------------------------------------------------

    def sign(self, certificates: int, absent: Iterable[int] = ()) -> None:
        """So many blocks whose parents' certificates everyone signed but the validators on these nodes."""
        away = {voter(number).public for number in absent}
        signers = [index for index, each in enumerate(self.voters.validators) if each.public_key not in away]
        for _ in range(certificates if signers else 0):
            overlay = Overlay(self.state)
            self.rules.begin_block(signers, overlay)
            self.state.commit(overlay)

    def turn(self, epochs: int = 1) -> ValidatorSet:
        """End the epoch, as a last block does; answers the set that votes then."""
        for _ in range(epochs):
            overlay = Overlay(self.state)
            closing = epoch_in_force(overlay)
            following = EpochStart(closing.epoch + 1, self.height, self.time_ms)
            validators, parameters = self.rules.end_epoch(following, overlay)
            begin_epoch(overlay, following, validators, parameters)
            self.state.commit(overlay)
        return self.voters

    @property
    def epoch(self) -> int:
        """The epoch in force."""
        return epoch_in_force(self.state).epoch

    @property
    def voters(self) -> ValidatorSet:
        """The set in force."""
        return validators_in_force(self.state)

    def weights(self) -> dict[str, int]:
        """The stake in force, by node, in the order of the set."""
        return {each.node: each.stake for each in self.voters.validators}

    # --- books --------------------------------------------------------------------------

    def bond_of(self, number: int) -> Bond:
        """What stands behind the validator on node-`number`."""
        bond = BONDS.get(self.state, voter(number).public)
        assert bond is not None
        return bond

    def held(self, organisation: str) -> int:
        """What a member holds."""
        return held_units(self.state, organisation)

    def check_books(self) -> None:
        """Every unit is in one place, and the supply counts them all."""
        organisations = [each.id for each in self.genesis.organisations]
        placed = sum(self.held(each) for each in organisations) + sum(
            bond.units for bond in bonds(self.state)
        )
        assert placed == supply_units(self.state)


def double_vote(
    chain_id: ChainId, key: KeyPair, epoch: int, validators: ValidatorSet, view: int = 1, salt: bytes = b"x"
) -> bytes:
    """Evidence of two notarize votes of one key in one view."""
    index = validators.index_of(key.public)
    assert index is not None
    signed = []
    for mark in (b"a", b"b"):
        block = BlockId((mark + salt).ljust(32, b"-"))
        vote = Vote(chain_id, Epoch(epoch), View(view), VoteKind.NOTARIZE, block)
        signed.append(SignedVote(vote, index, sign_vote(key, vote)))
    return encode_evidence(evidence_of(*signed))


def _bond(outcome: Outcome) -> Bond:
    return decode(outcome.result, Bond, len(outcome.result))
