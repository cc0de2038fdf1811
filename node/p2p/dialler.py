"""Stays connected: one task a member or configured address, which dials whenever there is no connection.

Waiting times double up to a cap, with jitter, so that the retries of a dead site cost nothing and a site that
returns is found within seconds.

Source: docs/spec/p2p.md, rules N2-N4.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ledger.members import Node
from ledger.types import PublicKey
from node.p2p.transport import DialFailed

LOG: Final = logging.getLogger(__name__)

DIALS_MAX: Final = 16  # at the same time, handshake included
CONFIGURED_MAX: Final = 256  # addresses in the configuration
RETRY_SECONDS_MIN: Final = 0.2
RETRY_SECONDS_MAX: Final = 5.0
STABLE_SECONDS: Final = (
    10.0  # a connection that lasted so long was a good one: the waiting starts small again
)
YIELD_SECONDS: Final = 0.3  # the larger key lets the smaller one dial first, so that seldom both do


@dataclass(frozen=True, slots=True)
class DialStatus:
    """How it stands with somebody whom we dial. `code` is "" while connected and before the first answer."""

    address: str
    peer_id: PublicKey | None  # None for a configured address whose node is not known yet
    name: str  # "" for a configured address whose node is not known yet
    code: str
    message: str
    failures: int  # in a row


@dataclass(slots=True)
class _Target:
    """A member (pinned; its addresses may change), or a configured address (whichever member answers)."""

    addresses: tuple[str, ...]
    pinned: PublicKey | None
    name: str = ""
    peer_id: PublicKey | None = None  # who is there, once known
    code: str = ""
    message: str = ""
    failures: int = 0
    task: asyncio.Task[None] | None = None


def retry_seconds(failures: int) -> float:
    """The longest wait after so many failures in a row; half of it is the shortest."""
    return min(RETRY_SECONDS_MAX, RETRY_SECONDS_MIN * 2.0 ** min(failures, 10))


# (address, whom to expect there, what to call once it is known who is there): returns when the connection
# that came of it has ended; raises DialFailed where none came.
Attempt = Callable[[str, PublicKey | None, Callable[[Node], None]], Awaitable[None]]


class Dialler:
    """Whom a node dials. `until_gone` waits while there is a connection with a peer."""

    def __init__(
        self,
        own_key: PublicKey,
        configured: Iterable[str],
        attempt: Attempt,
        until_gone: Callable[[PublicKey], Awaitable[None]],
        random_source: random.Random,
    ) -> None:
        self._own_key = own_key
        self._configured = tuple(dict.fromkeys(configured))
        assert len(self._configured) <= CONFIGURED_MAX, "the configuration is checked when it is read"
        self._attempt = attempt
        self._until_gone = until_gone
        self._random = random_source
        self._dials = asyncio.Semaphore(DIALS_MAX)
        self._targets: dict[bytes | str, _Target] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to dial, in `tasks`."""
        self._tasks = tasks
        for target in self._targets.values():
            target.task = tasks.create_task(self._stay_connected(target))

    def stop(self) -> None:
        """Dial nobody any more."""
        self._tasks = None
        for target in self._targets.values():
            if target.task is not None:
                target.task.cancel()

    def retarget(self, nodes: Iterable[Node]) -> None:
        """Dial these members (but ourselves) and the configured addresses, and nobody else."""
        wanted: dict[bytes | str, _Target] = {}
        for node in nodes:
            if node.public_key != self._own_key and node.addresses:
                key = PublicKey(node.public_key)
                wanted[key] = _Target(node.addresses, key, node.name, key)
        listed = {address for target in wanted.values() for address in target.addresses}
        wanted |= {each: _Target((each,), None) for each in self._configured if each not in listed}
        for gone in [key for key in self._targets if key not in wanted]:
            task = self._targets.pop(gone).task
            if task is not None:
                task.cancel()
        for key_or_address, target in wanted.items():
            known = self._targets.setdefault(key_or_address, target)
            known.addresses = target.addresses
            if known.task is None and self._tasks is not None:
                known.task = self._tasks.create_task(self._stay_connected(known))

    def statuses(self) -> tuple[DialStatus, ...]:
        """How it stands with everybody, members first."""
        return tuple(
            DialStatus(
                target.addresses[0], target.peer_id, target.name, target.code, target.message, target.failures
            )
            for target in self._targets.values()
        )

    async def _stay_connected(self, target: _Target) -> None:
        if target.peer_id is not None and target.peer_id < self._own_key:
            await asyncio.sleep(YIELD_SECONDS)
        loop = asyncio.get_running_loop()
        while target.code != "handshake.self":
            if target.peer_id is not None:
                await self._until_gone(target.peer_id)
            began = loop.time()
            await self._dial(target)
            target.failures = 0 if loop.time() - began >= STABLE_SECONDS else target.failures + 1
            await asyncio.sleep(retry_seconds(target.failures) * self._random.uniform(0.5, 1.0))

    async def _dial(self, target: _Target) -> None:
        """One attempt; returns when it has failed, or when its connection has ended."""
        is_slot_held = True

        def greeted(node: Node) -> None:
            nonlocal is_slot_held
            target.peer_id, target.name = PublicKey(node.public_key), node.name
            target.code = target.message = ""
            if is_slot_held:
                is_slot_held = False
                self._dials.release()

        await self._dials.acquire()
        address = target.addresses[target.failures % len(target.addresses)]
        try:
            await self._attempt(address, target.pinned, greeted)
        except DialFailed as failure:
            if failure.code != "peer.duplicate":
                if failure.code != target.code:
                    LOG.info(
                        "dial failed address=%s code=%s reason=%s", address, failure.code, failure.message
                    )
                target.code, target.message = failure.code, failure.message
        finally:
            if is_slot_held:
                self._dials.release()
