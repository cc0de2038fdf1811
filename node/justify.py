"""What settled the views that this node did not see: asked of its peers, verified, kept.

Catching up asks before it makes a block final, and takes no block that would be final without the
certificate of every view up to there, so that this node never holds a history that could hide who
forked. Where consensus jumped a view, the hole is filled afterwards. Each certificate is verified and
of a block of this very chain, or a nullification.

Source: docs/spec/accountability.md, rules AC1, AC4 and AC9-AC11.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterable, Sequence
from functools import partial
from typing import Final

from ledger.accountability import is_settling
from ledger.block import Block, block_id
from ledger.codec import decode
from ledger.errors import LedgerError
from ledger.recovery import is_recovery
from ledger.types import HEIGHT_MAX, QUORUM_CERTIFICATE_BYTES_MAX, BlockId, Epoch, Height, PublicKey, View
from ledger.validators import ValidatorSet
from ledger.vote import Certificate, VoteKind, verify_certificate
from node.executor import Executor
from node.logging import log, logger
from node.resume import finalization_of_head
from node.store.settled import ranges
from node.store.stores import Offload

LOG: Final = logger("justify")

FILL_SECONDS: Final = 5.0
FILL_VIEWS_MAX: Final = 256  # holes that one round asks for
SOURCE_SECONDS: Final = 20.0  # for all that one peer holds of them: another may be quicker
RANGES_MAX: Final = 64  # questions to one peer about one finalization, for holes that lie apart

AskSettled = Callable[[PublicKey, Epoch, View, View], Awaitable[Sequence[bytes]]]
"""A page of what a peer holds of an epoch's views above the first up to the second. Raises TimeoutError."""


class Justifier:
    """Completes the certificates by view. `held` are those of consensus that no block has taken along yet."""

    def __init__(
        self,
        executor: Executor,
        ask: AskSettled,
        peers: Callable[[], Sequence[PublicKey]],
        held: Callable[[], Iterable[Certificate]],
        wall_ms: Callable[[], int],
        offload: Offload,
        on_invalid: Callable[[PublicKey, str], None],
    ) -> None:
        self._executor = executor
        self._settled = executor.stores.blocks.settled
        self._ask = ask
        self._peers = peers
        self._held = held
        self._wall_ms = wall_ms
        self._offload = offload
        self._on_invalid = on_invalid
        self._whole: dict[Epoch, View] = {}  # by epoch: up to where nothing is missing
        self._turn = 0
        self.missing_views = 0  # holes that the last round left, up to FILL_VIEWS_MAX in each epoch

    # --- before a block is final here ---------------------------------------------

    def is_disputable(self, time_ms: int) -> bool:
        """Whether a block of this time lies within the dispute period: peers must still hold certificates."""
        parameters = self._executor.committed.parameters.consensus
        return time_ms > self._wall_ms() - parameters.certificate_retention_epochs * parameters.epoch_ms

    async def justify(
        self, peer: PublicKey, blocks: Sequence[Block], final: Certificate
    ) -> tuple[Certificate, ...] | None:
        """What settles, with what is stored, every view up to a finalization of the last of these blocks.

        `peer` is asked first. None where nobody holds it all; nullifications that came are kept.
        """
        epoch, validators = Epoch(final.vote.epoch), self._executor.committed.validators
        chain = {block_id(block.header) for block in blocks}
        found = {View(final.view): final}
        for certificate in (*_carried(blocks), *self._held()):
            if certificate.vote.epoch == epoch and self._is_of(certificate, chain):
                found.setdefault(certificate.view, certificate)
        missing = self._missing(epoch, final.view, found)
        for source in (peer, *(other for other in self._peers() if other != peer)):
            if not missing:
                break
            came = await self._from(source, epoch, missing, chain, validators)
            await self._write([each for each in came if each.kind is VoteKind.NULLIFY])
            found.update((each.view, each) for each in came)
            missing = self._missing(epoch, final.view, found)
        if missing:
            log(LOG, logging.WARNING, "not justified", epoch=epoch, view=missing[0], views=len(missing))
            return None
        return tuple(found.values())

    def _missing(self, epoch: Epoch, until: View, found: Container[View]) -> list[View]:
        stored = self._settled.missing(epoch, 0, until, HEIGHT_MAX)
        return [view for view in stored if view not in found]

    # --- afterwards -----------------------------------------------------------------

    async def run(self) -> None:
        """Fill holes, a few at a time, until cancelled."""
        while True:
            await asyncio.sleep(FILL_SECONDS)
            await self.fill()

    async def fill(self) -> None:
        """Ask one peer for the first holes in the epochs of the dispute period, the oldest first."""
        final = finalization_of_head(self._executor.stores)
        if final is None:
            return
        now = final.vote.epoch
        kept = self._executor.committed.parameters.consensus.certificate_retention_epochs
        self._whole = {epoch: view for epoch, view in self._whole.items() if epoch >= now - kept}
        left = 0
        for number in range(max(0, now - kept), now + 1):
            epoch = Epoch(number)
            last = final.view if number == now else self._settled.last_view(epoch)
            left += await self._fill_epoch(epoch, last)
        self.missing_views = left

    async def _fill_epoch(self, epoch: Epoch, last: View) -> int:
        """Ask for holes of one epoch; how many are left."""
        validators, peers = self._validators(epoch), self._peers()
        missing = self._settled.missing(epoch, self._whole.get(epoch, 0), last, FILL_VIEWS_MAX)
        if not missing:
            self._whole[epoch] = last
        if not missing or validators is None or not peers:
            return len(missing)
        self._turn += 1
        came = await self._from(peers[self._turn % len(peers)], epoch, missing, (), validators)
        await self._write(came)
        return len(missing) - len(came)

    def _validators(self, epoch: Epoch) -> ValidatorSet | None:
        if epoch == 0:
            return ValidatorSet(self._executor.genesis.validators)
        return self._settled.validators(epoch)

    # --- asking ---------------------------------------------------------------------

    async def _from(
        self,
        peer: PublicKey,
        epoch: Epoch,
        missing: Sequence[View],
        chain: Container[bytes | None],
        validators: ValidatorSet,
    ) -> list[Certificate]:
        """What one peer holds of the missing views, verified; it is reported where something is wrong."""
        came: dict[View, Certificate] = {}
        wanted = dict.fromkeys(missing)
        try:
            async with asyncio.timeout(SOURCE_SECONDS):
                for after, until in list(ranges(missing))[:RANGES_MAX]:
                    async for each in self._between(peer, epoch, after, until, validators):
                        if each.view in wanted and self._is_of(each, chain):
                            came[each.view] = each
        except LedgerError as refusal:
            self._on_invalid(peer, refusal.code)
        except TimeoutError:
            pass  # it is silent or slow: what came is good, and others are asked
        return list(came.values())

    async def _between(
        self, peer: PublicKey, epoch: Epoch, after: View, until: View, validators: ValidatorSet
    ) -> AsyncIterator[Certificate]:
        """Page by page what a peer holds of the views above `after` up to `until`.

        Raises:
            LedgerError: a certificate is not valid, or of no view that was asked for. TimeoutError.
        """
        while after < until:
            page = await self._ask(peer, epoch, after, until)
            if not page:
                return
            for data in page:
                certificate = self._open(data, epoch, validators)
                if not after < certificate.view <= until:
                    raise LedgerError("page.wrong_view", f"view {certificate.view} is not above {after}")
                after = certificate.view
                yield certificate

    def _open(self, data: bytes, epoch: Epoch, validators: ValidatorSet) -> Certificate:
        certificate = decode(data, Certificate, QUORUM_CERTIFICATE_BYTES_MAX)
        verify_certificate(certificate, self._executor.chain_id, epoch, validators)
        return certificate

    def _is_of(self, certificate: Certificate, chain: Container[bytes | None]) -> bool:
        """Whether it settles its view for this node's chain, these blocks included."""
        if is_settling(certificate, chain):
            return True
        of = BlockId(certificate.block_id or b"")
        height = self._executor.stores.blocks.height_of(of)
        header = None if height is None else self._executor.stores.blocks.header(Height(height))
        return header is not None and header.epoch == certificate.vote.epoch

    async def _write(self, certificates: Sequence[Certificate]) -> None:
        if certificates:
            await self._offload(partial(self._settled.write, certificates))


def _carried(blocks: Sequence[Block]) -> Iterable[Certificate]:
    """The certificates of their parents that blocks carry; they are verified when the blocks are run."""
    for block in blocks:
        if block.last_certificate and not is_recovery(block.last_certificate):
            yield decode(block.last_certificate, Certificate, QUORUM_CERTIFICATE_BYTES_MAX)
