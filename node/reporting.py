"""Reports evidence to the chain until a block holds it: `staking.report`, signed by the gateway key.

Every node that holds a gateway key would do it, so each waits its turn: the validators' nodes in an order
that the evidence draws, then all others. Who sees it committed meanwhile has nothing to do. Evidence
that waits is told to the peers again from time to time, for those who were away or an epoch behind.

Source: docs/spec/evidence.md, rules EV13 and EV14.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from contracts.arguments import encode_arguments
from contracts.staking.bonding import CONTRACT
from contracts.staking.reporting import METHOD, Report, is_reported
from ledger.crypto import KeyPair
from ledger.errors import LedgerError
from ledger.evidence import Evidence, accused, encode_evidence, evidence_id
from ledger.transaction import TransactionBody, sign_transaction
from ledger.transition import Tip
from ledger.types import NONCE_BYTES, ChainId, Hash
from node.clock import Clock
from node.logging import log, logger

LOG: Final = logger("reporting")

LOOK_SECONDS: Final = 1.0
TURN_MS: Final = 5_000  # time for a report to become final before the next node sends its own
TURNS_MAX: Final = 12  # whoever comes later in the order goes with the twelfth
AGAIN_MS: Final = 120_000  # a report that is not final by then was lost
TELL_MS: Final = 30_000
VALID_BLOCKS: Final = 100


class Reporter:
    """One node's part in getting evidence into a block. `node_name` is how the chain lists this node."""

    def __init__(
        self,
        held: Callable[[], Sequence[Evidence]],
        tip: Callable[[], Tip],
        gateway: KeyPair | None,
        node_name: Callable[[], str],
        submit: Callable[[bytes], object],
        tell: Callable[[Sequence[Evidence]], None],
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self._held = held
        self._tip = tip
        self._gateway = gateway
        self._node_name = node_name
        self._submit = submit
        self._tell = tell
        self._clock = clock
        self._chance = chance
        self._due_ms: dict[Hash, int] = {}
        self._tell_at_ms = 0

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Send the reports whose time has come, and forget those that are final."""
        tip, now_ms = self._tip(), self._clock.monotonic_ms()
        waiting = [evidence for evidence in self._held() if not is_reported(tip.world, evidence)]
        ids = {evidence_id(evidence): evidence for evidence in waiting}
        self._due_ms = {of: due_ms for of, due_ms in self._due_ms.items() if of in ids}
        for of, evidence in ids.items():
            due_ms = self._due_ms.setdefault(of, now_ms + TURN_MS * self.turn(evidence, tip))
            if now_ms >= due_ms and self._gateway is not None:
                is_sent = self._report(evidence, tip, self._gateway)
                self._due_ms[of] = now_ms + (AGAIN_MS if is_sent else TURN_MS)
        if waiting and now_ms >= self._tell_at_ms:
            self._tell_at_ms = now_ms + TELL_MS
            self._tell(waiting)

    def turn(self, evidence: Evidence, tip: Tip) -> int:
        """How many turns this node waits: its place among the validators, in an order drawn by the id."""
        of = evidence_id(evidence)
        nodes = sorted(
            (validator.node for validator in tip.validators.validators),
            key=lambda name: sha256(of + name.encode()).digest(),
        )
        own = self._node_name()
        return min(TURNS_MAX, nodes.index(own) if own in nodes else len(nodes))

    def _report(self, evidence: Evidence, tip: Tip, gateway: KeyPair) -> bool:
        """Send a report; whether this node's own door let it in."""
        window = tip.parameters.replay_window_blocks
        body = TransactionBody(
            ChainId(tip.header.chain_id),
            gateway.public,
            self._chance.randbytes(NONCE_BYTES),
            tip.header.height + min(VALID_BLOCKS, window // 2),
            CONTRACT,
            METHOD,
            encode_arguments(Report(encode_evidence(evidence))),
        )
        fields = {"evidence": evidence_id(evidence).hex(), "epoch": accused(evidence).epoch}
        try:
            self._submit(sign_transaction(body, gateway).raw)
        except LedgerError as refusal:
            log(LOG, logging.WARNING, "report refused", reason=refusal.code, **fields)
            return False
        log(LOG, logging.INFO, "reported", **fields)
        return True
