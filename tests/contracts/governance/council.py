"""A chain whose five organisations hold ballots, and whose epochs turn when the test says so."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from contracts.governance.ballots import Ballot, BallotStatus, ballot_numbered
from contracts.governance.changes import AdmitValidator, Change, GrantUnits
from contracts.governance.seats import next_seats, seats
from contracts.governance.voting import Propose, Retract, Vote
from contracts.possession import prove_possession
from ledger.codec import decode
from ledger.crypto import KeyPair
from tests.contracts.chain import DAY_MS
from tests.contracts.staking.stage import OWNERS, SPARE, Stage, make_stage, voter

SEATED = ("carrier", "center", "farm", "packer", "shop")  # four of the five carry a ballot


class Council(Stage):
    """Calls of the contract `governance`."""

    def propose(self, organisation: str, change: Change, *, days: int = 7, reason: str = "") -> Ballot:
        """`governance.propose` by the organisation's admin."""
        arguments = Propose(change, self.time_ms + days * DAY_MS, reason)
        return _ballot(self.send(f"{organisation}/admin", "governance", "propose", arguments).result)

    def vote(self, organisation: str, number: int, *, is_yes: bool = True) -> Ballot:
        """`governance.vote`."""
        return _ballot(self.send(f"{organisation}/admin", "governance", "vote", Vote(number, is_yes)).result)

    def retract(self, organisation: str, number: int) -> Ballot:
        """`governance.retract`."""
        return _ballot(self.send(f"{organisation}/admin", "governance", "retract", Retract(number)).result)

    def carry(self, change: Change, by: Sequence[str] = SEATED[:4]) -> Ballot:
        """A ballot that these organisations carry; it must end with the last one's vote."""
        ballot = self.propose(by[0], change)
        for organisation in by[1:]:
            assert ballot.status is BallotStatus.OPEN
            ballot = self.vote(organisation, ballot.number)
        assert ballot.status is BallotStatus.ENACTED, ballot
        return ballot

    def ballot(self, number: int) -> Ballot:
        """The record of a ballot."""
        return ballot_numbered(self.state, number)

    @property
    def seated(self) -> tuple[str, ...]:
        """Who has a seat now."""
        return seats(self.state)

    @property
    def next_seated(self) -> tuple[str, ...]:
        """Who has one after the turn."""
        return next_seats(self.state)


def make_council(stakes: Sequence[int] = (100, 100, 100, 100), **staking: int) -> Council:
    """A new chain with these stakes."""
    return Council(make_stage(stakes, **staking).genesis)


def make_small_council(organisations: Sequence[str]) -> Council:
    """A chain on which only these organisations have a seat at first."""
    council = make_council()
    genesis = council.genesis
    kept = {"organisations": genesis.organisations, "keys": genesis.keys, "sites": genesis.sites}
    chosen = {
        name: tuple(each for each in records if _owner(each) in organisations)
        for name, records in kept.items()
    }
    nodes = tuple(each for each in genesis.nodes if each.organisation in organisations)
    named = {each.name for each in nodes}
    validators = tuple(each for each in genesis.validators if each.node in named)
    return Council(msgspec.structs.replace(genesis, nodes=nodes, validators=validators, **chosen))


def _owner(record: msgspec.Struct) -> str:
    return str(getattr(record, "organisation", None) or record.id)  # type: ignore[attr-defined]


def admission(council: Council, number: int, units: int, key: KeyPair | None = None) -> AdmitValidator:
    """The admission of the key of node-`number`, proved."""
    owner, signer = OWNERS[number % SPARE], key or voter(number)
    proof = prove_possession(signer, council.chain_id, owner)
    return AdmitValidator(owner, f"node-{number}", signer.public, proof, units)


def grant(units: int = 5, organisation: str = "shop") -> GrantUnits:
    """A change that is always possible."""
    return GrantUnits(organisation, units)


def _ballot(result: bytes) -> Ballot:
    return decode(result, Ballot, len(result))
