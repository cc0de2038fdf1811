"""A local network of real processes for a test, and a client that signs for one of its organisations."""

from __future__ import annotations

import json
import os
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from contracts.epcis.captured import CapturedEvent
from contracts.epcis.document import capture_event
from contracts.provenance.capture import CONTRACT, CaptureArguments
from ledger.codec import encode
from ledger.crypto import KeyPair, key_pair
from ledger.evidence import Offence
from ledger.genesis import Parameters
from ledger.transaction import Transaction, TransactionBody, sign_transaction
from ledger.types import ChainId
from network.chaos.cluster import liar_command
from network.testnet.plan import free_base_port, plan_network
from network.testnet.processes import start_process
from network.testnet.testnet import Testnet, node_environment
from node.keys import read_seed

ANSWER_SECONDS = 60.0
TX = "application/vnd.farmgate.tx"
BATCH = "application/vnd.farmgate.tx-batch"


class Cluster:
    """Four validators that run, and REST calls to them."""

    def __init__(self, testnet: Testnet) -> None:
        self.testnet = testnet
        file = testnet.file()
        self.chain_id = ChainId(bytes.fromhex(file.chain_id))
        self.apis = [entry.api for entry in file.nodes]
        profile = Path(next(iter(file.profiles.values())))
        settings = tomllib.loads(profile.read_text())
        self.key: KeyPair = key_pair(read_seed(profile.parent / settings["key_file"]))
        self._made = 0

    # --- REST -----------------------------------------------------------------

    def get(self, node: int, path: str) -> Any:
        """The JSON that a node answers."""
        with urllib.request.urlopen(self.apis[node] + path, timeout=ANSWER_SECONDS) as answer:
            return json.load(answer)

    def post(self, node: int, body: bytes, media_type: str, wait: int = 0) -> tuple[int, Any]:
        """Status and JSON of a submission; a problem document is an answer too."""
        headers = {"Content-Type": media_type} | ({"Prefer": f"wait={wait}"} if wait else {})
        request = urllib.request.Request(self.apis[node] + "/v1/transactions", data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as problem:
            return problem.code, json.load(problem)

    def status(self, node: int) -> dict[str, Any]:
        """What a node says of itself."""
        found: dict[str, Any] = self.get(node, "/v1/status")
        return found

    # --- transactions ---------------------------------------------------------

    def capture(self, events: Sequence[CapturedEvent], node: int = 0, **changes: Any) -> Transaction:
        """A signed capture; `changes` replace fields of the body."""
        fields = {
            "chain_id": self.chain_id,
            "sender": self.key.public,
            "nonce": os.urandom(16),
            "valid_until": self.status(node)["height"] + 300,
            "contract": CONTRACT,
            "method": "capture",
            "arguments": encode(CaptureArguments(tuple(events))),
        } | changes
        return sign_transaction(TransactionBody(**fields), self.key)

    def new_events(self, count: int) -> list[CapturedEvent]:
        """Events unlike any made before."""
        start, self._made = self._made, self._made + count
        return [
            capture_event(
                {
                    "type": "ObjectEvent",
                    "eventTime": "2026-06-01T08:00:00Z",
                    "eventTimeZoneOffset": "+00:00",
                    "action": "OBSERVE",
                    "bizStep": "inspecting",
                    "epcList": [f"https://id.gs1.org/01/09521141012345/21/T{number}"],
                }
            )
            for number in range(start, start + count)
        ]

    def send(self, node: int, count: int, wait: int = 30) -> list[dict[str, Any]]:
        """Send so many new transactions as one batch and answer their results."""
        height = self.status(node)["height"]
        made = [self.capture([event], node, valid_until=height + 300) for event in self.new_events(count)]
        _, answer = self.post(node, encode(tuple(each.raw for each in made)), BATCH, wait)
        results: list[dict[str, Any]] = answer["results"]
        return results

    # --- waiting --------------------------------------------------------------

    def wait_equal(self, nodes: Sequence[int], seconds: float = 30.0) -> int:
        """Wait until these nodes stand at one height with one state root; answers the height."""

        def stands() -> tuple[int] | None:
            seen = [self.status(node) for node in nodes]
            alike = {(each["height"], each["state_root"]) for each in seen}
            return (int(seen[0]["height"]),) if len(alike) == 1 else None

        return int(until(stands, seconds)[0])

    def blocks(self, node: int) -> Iterator[dict[str, Any]]:
        """Every final block of a node, from height 1 on."""
        for height in range(1, int(self.status(node)["height"]) + 1):
            yield self.get(node, f"/v1/blocks/{height}")


def until(condition: Callable[[], Any], seconds: float) -> Any:
    """Poll until the condition holds; its value. Fails the test after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        try:
            found = condition()
        except (OSError, urllib.error.URLError):
            found = None
        if found:
            return found
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.1)


@contextmanager
def running(
    folder: Path,
    validators: int = 4,
    observers: int = 0,
    parameters: Parameters | None = None,
    liars: Mapping[str, Offence] | None = None,
    is_apart: bool = False,
) -> Iterator[Cluster]:
    """A new network in a folder, stopped at the end. `liars`: nodes that sign against the rules, and how."""
    testnet = Testnet(folder)
    # Below the ports that outgoing connections get: a node that was stopped must find its own free again.
    port = free_base_port(validators + observers, start=11_000 + os.getpid() % 9_000)
    plan = plan_network(folder, validators=validators, observers=observers, base_port=port)
    testnet.create(plan if parameters is None else replace(plan, parameters=parameters))
    try:
        for name, offence in (liars or {}).items():
            _start_liar(testnet, name, offence, is_apart)
        testnet.start()
        yield Cluster(testnet)
    finally:
        testnet.stop()


def _start_liar(testnet: Testnet, name: str, offence: Offence, is_apart: bool) -> None:
    """Start a node as a liar; the network takes it for one that runs already."""
    entry = testnet.file().node(name)
    home = Path(entry.home)
    command = liar_command(home, offence, is_apart=is_apart)
    start_process(home, command, Path(entry.log), node_environment(os.environ))
