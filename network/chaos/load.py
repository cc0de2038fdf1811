"""Clients that send while things break, and write down what they were told.

A client gives the same bytes to another node when one says nothing: that is what clients are to do, and a
ledger must take it. It is done with a transaction when a node says where it stands, or when patience ends.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from contracts.epcis.captured import CapturedEvent
from contracts.epcis.document import capture_event
from contracts.provenance.capture import CONTRACT, CaptureArguments
from ledger.codec import encode
from ledger.crypto import KeyPair
from ledger.transaction import Transaction, TransactionBody, sign_transaction
from ledger.types import ChainId
from network.chaos.history import History, Operation, Outcome, Sighting, now
from network.testnet.probe import ask

CLIENTS: Final = 4
ANSWER_BYTES_MAX: Final = 4 << 20
ANSWER_SECONDS: Final = 6.0  # a node that says nothing for so long is given up
WAIT_SECONDS: Final = 4  # that a node is asked to hold its answer until the transaction is final
PATIENCE_SECONDS: Final = 45.0  # that a client spends on one transaction while the load goes on
LAST_SECONDS: Final = 8.0  # that it spends on the one in hand when the load ends
PAUSE_SECONDS: Final = 0.1
VALID_BLOCKS: Final = 300
_MEDIA_TYPE: Final = "application/vnd.farmgate.tx"
_FINAL: Final = ("accepted", "flagged", "refused")
_LATER: Final = (408, 429)  # statuses that say nothing about the transaction
_SEES_EACH: Final = 5  # every so manieth transaction, a client also reads a head


@dataclass(frozen=True, slots=True)
class Target:
    """A node as a client knows it."""

    name: str
    api: str  # URL


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one node said: where the transaction stands, or with which code (`status`) it was refused."""

    outcome: Outcome
    status: str = ""
    height: int = 0
    index: int = 0


_NOTHING: Final = _Answer(Outcome.UNKNOWN)


class Load:
    """Some clients of one organisation. Start and stop it once for each scenario."""

    def __init__(
        self, targets: Sequence[Target], chain: ChainId, key: KeyPair, history: History, seed: float
    ) -> None:
        self._targets = tuple(targets)
        self._chain = chain
        self._key = key
        self._history = history
        self._random = random.Random(seed)
        self._height = 0
        self._stopping = threading.Event()
        self._ends = float("inf")
        self._threads = [
            threading.Thread(
                target=self._client, args=(random.Random(self._random.random()),), name=f"client {number}"
            )
            for number in range(CLIENTS)
        ]

    def start(self) -> None:
        """Begin to send, knowing about how high the chain is."""
        for target in self._targets:
            self.look(target)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send no more, and wait until every client is done with what it has in hand."""
        self._ends = now() + LAST_SECONDS
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def send_to(self, name: str, seconds: float) -> Operation:
        """One transaction through one node, by the calling thread."""
        target = next(each for each in self._targets if each.name == name)
        return self._settle(random.Random(self._random.random()), (target,), seconds)

    def look(self, target: Target) -> Sighting | None:
        """Read a node's head and write it down."""
        invoked = now()
        said = ask(target.api, "/v1/status")
        if said is None or said[0] != 200:
            return None
        status: dict[str, Any] = said[1]
        seen = Sighting(
            target.name, invoked, now(), status["height"], status["block_id"], status["state_root"]
        )
        self._height = max(self._height, seen.height)
        self._history.add(seen)
        return seen

    # --- one client -----------------------------------------------------------------

    def _client(self, chance: random.Random) -> None:
        sent = 0
        while not self._stopping.is_set():
            if sent % _SEES_EACH == 0:
                self.look(chance.choice(self._targets))
            self._settle(chance, self._targets, PATIENCE_SECONDS)
            sent += 1
            self._stopping.wait(PAUSE_SECONDS * chance.random())

    def _settle(self, chance: random.Random, targets: Sequence[Target], seconds: float) -> Operation:
        """Send one new transaction until its fate is known or patience ends."""
        invoked = now()
        end = invoked + seconds
        transaction = self._make(chance)
        given = 0
        while True:
            target = chance.choice(targets)
            answer = _send(target, transaction.raw)
            given += 1
            is_over = now() >= min(end, self._ends)
            if (
                answer.outcome is Outcome.FINAL
                or (answer.outcome is Outcome.REFUSED and given == 1)
                or is_over
            ):
                break
            time.sleep(PAUSE_SECONDS)
        if answer.outcome is Outcome.REFUSED and given > 1:
            answer = _NOTHING  # another node may have taken it
        self._height = max(self._height, answer.height)
        done = Operation(
            transaction.id.hex(),
            target.name,
            invoked,
            now(),
            answer.outcome,
            answer.status,
            answer.height,
            answer.index,
        )
        self._history.add(done)
        return done

    def _make(self, chance: random.Random) -> Transaction:
        body = TransactionBody(
            chain_id=self._chain,
            sender=self._key.public,
            nonce=chance.randbytes(16),
            valid_until=self._height + VALID_BLOCKS,
            contract=CONTRACT,
            method="capture",
            arguments=encode(CaptureArguments((_event(chance),))),
        )
        return sign_transaction(body, self._key)


def _event(chance: random.Random) -> CapturedEvent:
    """An inspection of an item that nobody has seen before."""
    return capture_event(
        {
            "type": "ObjectEvent",
            "eventTime": "2026-06-01T08:00:00Z",
            "eventTimeZoneOffset": "+00:00",
            "action": "OBSERVE",
            "bizStep": "inspecting",
            "epcList": [f"https://id.gs1.org/01/09521141012345/21/{chance.getrandbits(60):x}"],
        }
    )


def _send(target: Target, raw: bytes) -> _Answer:
    """What a node says of a transaction, where it says anything that binds it."""
    parts = urlsplit(target.api)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
    headers = {"Content-Type": _MEDIA_TYPE, "Prefer": f"wait={WAIT_SECONDS}"}
    try:
        connection.request("POST", "/v1/transactions", body=raw, headers=headers)
        response = connection.getresponse()
        said = msgspec.json.decode(response.read(ANSWER_BYTES_MAX))
    except (OSError, http.client.HTTPException, msgspec.MsgspecError):
        return _NOTHING
    finally:
        connection.close()
    if response.status == 202:
        receipt = said["receipt"]
        if receipt is None or receipt["status"] not in _FINAL:
            return _NOTHING
        return _Answer(Outcome.FINAL, receipt["status"], said["height"], said["index"])
    if 400 <= response.status < 500 and response.status not in _LATER:
        return _Answer(Outcome.REFUSED, said.get("code", str(response.status)))
    return _NOTHING
