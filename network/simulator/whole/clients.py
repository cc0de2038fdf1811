"""Clients of the simulated sites: they send through the real door, wait, ask elsewhere, and remember answers.

What they send are calls of the real contracts. Some send the same bytes to several doors, now and later, as
people do who are not sure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count
from random import Random
from typing import Final

from contracts import master_data, organisations
from contracts.epcis.canonical_json import JsonObject
from contracts.epcis.document import capture_event
from contracts.master_data import MasterKind, Put
from contracts.organisations import AddSite
from contracts.provenance.capture import CONTRACT as PROVENANCE
from contracts.provenance.capture import CaptureArguments
from contracts.staking.bonding import CONTRACT as STAKING
from contracts.staking.bonding import BondUnits, UnbondUnits, Unjail
from ledger.codec import Canonical, decode, encode
from ledger.crypto import KeyPair
from ledger.genesis import chain_id
from ledger.receipt import Receipt
from ledger.transaction import Transaction, TransactionBody, sign_transaction
from ledger.types import TxId
from network.simulator.whole.founding import REPLAY_WINDOW_BLOCKS, UNITS, Consortium
from network.simulator.whole.judge import Judge, told_by
from network.simulator.whole.loop import VirtualLoop
from network.simulator.whole.site import SimulatedSite
from network.testnet.members import ORGANISATIONS, DemoOrganisation
from node.assemble import RunningNode

PATIENCE_SECONDS: Final = 20.0  # how long a client asks after its transaction
ASK_SECONDS: Final = 1.0
STAKE_MOVES_SHARE: Final = 0.3  # of the calls, where stake moves at all
RECEIPT_BYTES_MAX: Final = 1 << 20
OPEN_MAX: Final = 200  # transactions that clients wait for at the same time


class Clients:
    """Everybody who uses the simulated ledger."""

    def __init__(
        self, loop: VirtualLoop, random: Random, consortium: Consortium, sites: Sequence[SimulatedSite],
        judge: Judge, every_ms: int, has_stake_moves: bool,
    ) -> None:  # fmt: skip
        self.is_silent = False
        self.is_resting = False  # no new transactions but of the offices
        self.sent = 0
        self.refused = 0
        self._loop = loop
        self._random = random
        self._chain_id = chain_id(consortium.genesis)
        self._people = consortium.people
        self._members = consortium.members
        self._has_stake_moves = has_stake_moves
        self._sites = sites
        self._judge = judge
        self._every_ms = every_ms
        self._number = count(1)
        self._open = 0
        self._old: list[bytes] = []

    async def run(self) -> None:
        """Send until cancelled; each transaction is followed by its own client."""
        while True:
            await asyncio.sleep(self._random.uniform(0.5, 1.5) * self._every_ms / 1000)
            site = self._somewhere()
            if site is not None and not self.is_silent and not self.is_resting and self._open < OPEN_MAX:
                self._loop.create_task(self._follow(site, self._made(site)))

    def _somewhere(self) -> SimulatedSite | None:
        up = [site for site in self._sites if site.is_up]
        return self._random.choice(up) if up else None

    async def say(self, organisation: str, contract: str, method: str, arguments: Canonical) -> Receipt:
        """A call of an organisation's office, until it is final; said anew where its time has run out."""
        while True:
            site = self._somewhere()
            if site is None or site.node is None:
                await asyncio.sleep(ASK_SECONDS)
                continue
            transaction = self._signed(site.node, self._people[organisation], contract, method, arguments)
            while True:
                self._submit(site, transaction.raw)
                if await self._is_final(site, transaction.id):
                    return decode(self._judge.told[transaction.id].receipt, Receipt, RECEIPT_BYTES_MAX)
                if site.is_up and site.height > transaction.body.valid_until:
                    break  # it is not in this chain, and never will be
                site = self._somewhere() or site

    async def _follow(self, site: SimulatedSite, transaction: Transaction) -> None:
        """Send a transaction, wait for it, and ask at any door until one says that it is final."""
        self._open += 1
        try:
            self._submit(site, transaction.raw)
            if self._random.random() < 0.2:
                self._submit(self._somewhere(), transaction.raw)
            for _ in range(round(PATIENCE_SECONDS / ASK_SECONDS)):
                if await self._is_final(site, transaction.id):
                    self._old.append(transaction.raw)
                    return
                site = self._somewhere() or site
                if self._random.random() < 0.1:
                    self._submit(site, transaction.raw)
        finally:
            self._open -= 1

    async def _is_final(self, site: SimulatedSite, transaction_id: TxId) -> bool:
        node = site.node
        if node is None or not self._is_running(site, node):
            await asyncio.sleep(ASK_SECONDS)
            return False
        await node.site.wait((transaction_id,), ASK_SECONDS)
        told = told_by(node, transaction_id) if self._is_running(site, node) else None
        if told is None:
            return False
        self._judge.acknowledged(transaction_id, told)
        return True

    def _is_running(self, site: SimulatedSite, node: RunningNode) -> bool:
        return site.is_up and site.node is node

    def _submit(self, site: SimulatedSite | None, raw: bytes) -> None:
        if self.is_silent or site is None or not site.is_up or site.node is None:
            return
        self.sent += 1
        answer = site.within(site.node.site.submit, raw)
        self._loop.note(b"submit", bytes([site.index]), answer.status.encode(), answer.code.encode())
        self.refused += answer.status == "refused"
        if self._old and self._random.random() < 0.1:  # and once more, what is final long ago
            site.within(site.node.site.submit, self._random.choice(self._old))

    # --- what they send -------------------------------------------------------------------

    def _made(self, site: SimulatedSite) -> Transaction:
        owner = self._random.choice(ORGANISATIONS)
        number = next(self._number)
        contract, method, arguments = self._call(owner, number)
        assert site.node is not None
        return self._signed(site.node, self._people[owner.id], contract, method, arguments)

    def _signed(
        self, node: RunningNode, key: KeyPair, contract: str, method: str, arguments: Canonical
    ) -> Transaction:
        height = node.site.head()[0]
        body = TransactionBody(
            self._chain_id,
            key.public,
            self._random.randbytes(16),
            height + REPLAY_WINDOW_BLOCKS,
            contract,
            method,
            encode(arguments),
        )
        return sign_transaction(body, key)

    def _call(self, owner: DemoOrganisation, number: int) -> tuple[str, str, Canonical]:
        if self._has_stake_moves and self._random.random() < STAKE_MOVES_SHARE:
            return STAKING, *self._stake_move(owner)
        kind = self._random.randrange(10)
        if kind == 0:
            site = AddSite(
                f"urn:epc:id:sgln:{owner.prefix}.{number % 90_000 + 10_000:05}.0", f"Place {number}"
            )
            return organisations.CONTRACT, "add_site", site
        if kind <= 3:
            attributes = (("name", f"Produce {number}"),)
            product = f"https://id.gs1.org/01/{gtin(owner.prefix, number % 7)}"
            return master_data.CONTRACT, "put", Put(MasterKind.PRODUCT, product, attributes)
        events = tuple(
            capture_event(self._event(owner, number)) for _ in range(self._random.choice((1, 1, 2)))
        )
        return PROVENANCE, "capture", CaptureArguments(events)

    def _stake_move(self, owner: DemoOrganisation) -> tuple[str, Canonical]:
        """Units for or from one of the organisation's validators; now and then all of them."""
        own = [each.validator.public for each in self._members if each.organisation == owner.id]
        key = self._random.choice(own) if own else self._members[0].validator.public
        units = self._random.choice((1, UNITS // 10, UNITS // 2, UNITS, 2 * UNITS))
        match self._random.randrange(5):
            case 0 | 1:
                return "unbond", UnbondUnits(key, units)
            case 2 | 3:
                return "bond", BondUnits(key, units)
            case _:
                return "unjail", Unjail(key)

    def _event(self, owner: DemoOrganisation, number: int) -> JsonObject:
        place: JsonObject = {"id": owner.place(owner.sites[0].reference)}
        lot = (
            f"https://id.gs1.org/01/{gtin(owner.prefix, number % 7)}/10/L{self._random.randrange(number) + 1}"
        )
        return {
            "type": "ObjectEvent",
            "eventTime": "2026-01-01T00:00:00Z",
            "eventTimeZoneOffset": "+00:00",
            "action": self._random.choice(("ADD", "OBSERVE")),
            "bizStep": "commissioning",
            "readPoint": place,
            "bizLocation": place,
            "quantityList": [{"epcClass": lot, "quantity": 1 + self._random.randrange(500), "uom": "KGM"}],
        }


def gtin(prefix: str, item: int) -> str:
    """A GTIN-14 of a company prefix, with its check digit."""
    body = f"0{prefix}{item:05}"
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(body))
    return f"{body}{-total % 10}"
