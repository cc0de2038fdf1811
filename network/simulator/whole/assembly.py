"""The offices of the organisations at work: they register nodes, propose, vote and move stake.

Each call is a transaction that goes through the door of some node and is followed until it is final. What
came of each step is counted.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from random import Random
from typing import Final

from contracts import organisations
from contracts.governance.ballots import Ballot
from contracts.governance.changes import AdmitValidator, Change, RemoveValidator, SetWeight
from contracts.governance.voting import CONTRACT as GOVERNANCE
from contracts.governance.voting import Propose, Vote
from contracts.organisations import AddNode
from contracts.possession import prove_possession
from contracts.staking.bonding import CONTRACT as STAKING
from contracts.staking.bonding import BondUnits, UnbondUnits
from ledger.codec import Canonical, decode
from ledger.genesis import chain_id
from ledger.receipt import Receipt, Status
from network.simulator.whole.clients import Clients
from network.simulator.whole.founding import WALL_START_MS, Consortium
from network.simulator.whole.members import Aim, Step

BALLOT_MS: Final = 86_400_000  # a run is over long before
BALLOT_BYTES_MAX: Final = 1 << 16


class Assembly:
    """All organisations together. `registered` is awaited with a site once its node is registered."""

    def __init__(
        self,
        random: Random,
        consortium: Consortium,
        clients: Clients,
        registered: Callable[[int], Awaitable[None]],
    ) -> None:
        self.outcomes: Counter[str] = Counter()
        self._random = random
        self._members = consortium.members
        self._organisations = tuple(consortium.people)
        self._chain_id = chain_id(consortium.genesis)
        self._clients = clients
        self._registered = registered

    async def decide(self, steps: Iterable[Step]) -> None:
        """One step after the other, each to its end."""
        for step in steps:
            await asyncio.sleep(self._random.uniform(0.1, 0.6))
            match step.aim:
                case Aim.REGISTER:
                    await self._register(step.site)
                case Aim.BOND | Aim.UNBOND:
                    await self._move_stake(step)
                case _:
                    await self._vote_on(step)

    async def _register(self, site: int) -> None:
        member = self._members[site]
        proof = prove_possession(member.identity.key, self._chain_id, member.organisation)
        node = AddNode(
            member.identity.public_key, member.name, member.identity.certificate, (member.address,), proof
        )
        await self._say(member.organisation, organisations.CONTRACT, "add_node", node)
        await self._registered(site)

    async def _move_stake(self, step: Step) -> None:
        member = self._members[step.site]
        arguments = (BondUnits if step.aim is Aim.BOND else UnbondUnits)(member.validator.public, step.units)
        await self._say(member.organisation, STAKING, step.aim.value, arguments)

    async def _vote_on(self, step: Step) -> None:
        """One proposes, the others vote at once; the first of them in the order drawn say no."""
        proposer, *others = self._random.sample(self._organisations, len(self._organisations))
        closes_ms = WALL_START_MS + BALLOT_MS
        asked = Propose(self._change(step), closes_ms, f"{step.aim.value} {step.site}")
        proposed = await self._say(proposer, GOVERNANCE, "propose", asked)
        if proposed.status is not Status.ACCEPTED:
            return
        number = decode(proposed.result, Ballot, BALLOT_BYTES_MAX).number
        votes = [
            self._say(each, GOVERNANCE, "vote", Vote(number, place >= step.noes))
            for place, each in enumerate(others)
        ]
        for receipt in await asyncio.gather(*votes):
            if receipt.status is Status.ACCEPTED:
                ballot = decode(receipt.result, Ballot, BALLOT_BYTES_MAX)
                self.outcomes[f"{step.aim.value} {ballot.status.value}"] += ballot.settled_height > 0

    def _change(self, step: Step) -> Change:
        member = self._members[step.site]
        key = member.validator.public
        match step.aim:
            case Aim.ADMIT:
                proof = prove_possession(member.validator, self._chain_id, member.organisation)
                return AdmitValidator(member.organisation, member.name, key, proof, step.units)
            case Aim.WEIGH:
                return SetWeight(key, step.units)
            case _:
                return RemoveValidator(key)

    async def _say(self, organisation: str, contract: str, method: str, arguments: Canonical) -> Receipt:
        receipt = await self._clients.say(organisation, contract, method, arguments)
        if receipt.status is not Status.ACCEPTED:
            self.outcomes[f"{method} {receipt.code}"] += 1
        return receipt
