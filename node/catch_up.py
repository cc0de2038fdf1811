"""Catching up: blocks that became final without this node, fetched page by page.

Only certificates move the target. A page ends at a block with a finalization of its own, or
below one to which its link leads; certificate, parents and link prove the page before any
block of it runs, and each block is then executed and held to its header like any other.

Source: docs/spec/p2p.md, rules B1-B5.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final

from ledger.block import Block, Header, block_id, decode_block
from ledger.codec import decode
from ledger.consensus.events import Behind, Synced
from ledger.errors import LedgerError
from ledger.merkle.log import leaf_hash
from ledger.recovery import (
    ApprovedRecovery,
    decode_recovery,
    ended_epoch,
    is_recovery,
    verify_recovery,
)
from ledger.transition import Tip, governed
from ledger.types import QUORUM_CERTIFICATE_BYTES_MAX, BlockId, ChainId, Epoch, Height, PublicKey
from ledger.vote import Certificate, VoteKind, verify_certificate
from node.bodies import is_body_of
from node.executor import Executor, Proof, Superseded
from node.justify import Justifier
from node.link import Link, check_link
from node.logging import log, logger
from node.lost_blocks import LostBlocks

LOG: Final = logger("catch_up")

PAGE_BLOCKS_MAX: Final = 64
PAGE_BYTES_MAX: Final = 8 << 20
ANSWER_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 0.5  # after every peer was asked in vain
STEP_SECONDS_MIN: Final = 0.001  # below it a page came at once


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive final blocks, and the finalization of the last, or of the header that `link` leads to; or
    the recovery that names it."""

    blocks: tuple[bytes, ...]
    link: Link | None
    finalization: bytes


AskPage = Callable[[PublicKey, Height, int], Awaitable[Page | None]]


class CatchUp:
    """Brings the committed chain up to a finalization that consensus has seen."""

    def __init__(
        self,
        executor: Executor,
        ask: AskPage,
        peers: Callable[[], Sequence[PublicKey]],
        on_committed: Callable[[BlockId], Awaitable[None]],
        on_synced: Callable[[Synced], None],
        on_finalization: Callable[[PublicKey, Certificate], None],
        on_invalid: Callable[[PublicKey, str], None],
        on_recovery: Callable[[PublicKey, bytes], None],
        justifier: Justifier,
    ) -> None:
        self._executor = executor
        self._justifier = justifier
        self._ask = ask
        self._peers = peers
        self._on_committed = on_committed
        self._on_synced = on_synced
        self._on_finalization = on_finalization
        self._on_invalid = on_invalid
        self._on_recovery = on_recovery
        self._target: Certificate | None = None
        self._wanted = asyncio.Event()
        self._pace: dict[PublicKey, float] = {}  # blocks a second that each peer's last page brought
        self.regaining: Height | None = None  # the last of the blocks that were lost here

    @property
    def target_view(self) -> int | None:
        """The view of the finalization that is aimed at, None when there is nothing to catch up with."""
        return None if self._target is None else self._target.view

    def aim(self, behind: Behind) -> None:
        """Go on until this finalization's block is committed; an older aim is replaced."""
        if self._target is None or _place(behind.finalization) > _place(self._target):
            self._target = behind.finalization
        self._wanted.set()

    async def run(self) -> None:
        """Serve aims until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._target is not None:
                await self._round(self._step)

    @property
    def unsettled_views(self) -> int:
        """Views of the dispute period for which no certificate is here."""
        return self._justifier.missing_views

    async def regain(self, lost: LostBlocks) -> None:
        """Fetch and run blocks that were lost, to the last of them and no further: before consensus.

        Raises:
            NodeHalted: `store.diverged`.
        """
        self.regaining = lost.height
        while self._executor.committed.header.height < lost.height:
            await self._round(partial(self._regain, lost))
        self.regaining = None

    async def advance(self) -> bool:
        """Fetch and run a page while consensus stands still, towards the base of a recovered epoch; False, a
        pause later, where nobody has one."""
        self._target = None  # of the epoch that is given up
        return await self._round(self._advance)

    async def _round(self, step: Callable[[PublicKey], Awaitable[bool]]) -> bool:
        """One page from one peer; a pause where nobody has it, and False.

        First whoever was not asked yet, then whoever brought most blocks a second the last time: a peer that
        hands out the truth more slowly than the chain grows holds nobody back.
        """
        peers = self._peers()
        self._pace = {peer: self._pace.get(peer, math.inf) for peer in peers}
        for peer in sorted(peers, key=self._pace.__getitem__, reverse=True):
            if await self._timed(step, peer):
                return True
        await asyncio.sleep(PAUSE_SECONDS)
        return False

    async def _timed(self, step: Callable[[PublicKey], Awaitable[bool]], peer: PublicKey) -> bool:
        """Do a step with a peer, and note how quickly it brought this node on."""
        loop, height = asyncio.get_running_loop(), self._executor.committed.header.height
        begun = loop.time()
        is_done = await step(peer)
        blocks = self._executor.committed.header.height - height
        self._pace[peer] = blocks / max(loop.time() - begun, STEP_SECONDS_MIN)
        return is_done

    async def _step(self, peer: PublicKey) -> bool:
        """One page from one peer; whether the chain grew or the aim is reached."""
        target = self._target
        assert target is not None
        if self._is_reached(target):
            return True
        tip = self._executor.committed
        page = await self._ask(peer, Height(tip.header.height + 1), PAGE_BLOCKS_MAX)
        has_turned = self._executor.committed.epoch != tip.epoch  # then another set proves what follows
        if page is None or not page.blocks or has_turned:
            return self._is_reached(target)
        try:
            blocks, finalization = self._open(page, target)
            news = b"" if tip.recovery else _recovery_in(blocks, page, finalization)
            if news or isinstance(finalization, ApprovedRecovery):  # consensus first has to stop
                self._on_recovery(peer, news)
                return False
            if finalization.view > target.view:  # the signer's floor must rise before such a block is stored
                self._on_finalization(peer, finalization)
                return False
            settled = await self._settled(peer, blocks, finalization)
            if settled is None:
                return False  # nobody is to blame: another peer may hold what is missing
            await self.commit(blocks, finalization, settled)
        except LedgerError as refusal:
            return self._refuse(peer, refusal)
        if blocks and finalization.block_id == block_id(blocks[-1].header):
            self._on_synced(Synced(blocks[-1].header, finalization))
        return self._is_reached(target) or bool(blocks)

    async def _regain(self, lost: LostBlocks, peer: PublicKey) -> bool:
        """One page of lost blocks from one peer; whether the chain grew."""
        head = self._executor.committed.header.height
        page = await self._ask(peer, Height(head + 1), min(PAGE_BLOCKS_MAX, lost.height - head))
        if page is None or not page.blocks:
            return False
        try:
            found, proof = self._open(page, None)
            blocks = [block for block in found if block.header.height <= lost.height]
            for block in blocks:
                lost.check(block.header)
            await self.commit(blocks, proof)
        except LedgerError as refusal:
            return self._refuse(peer, refusal)
        return bool(blocks)

    async def _advance(self, peer: PublicKey) -> bool:
        """One page towards the base of a recovered epoch; whether the chain grew."""
        page = await self._ask(peer, Height(self._executor.committed.header.height + 1), PAGE_BLOCKS_MAX)
        if page is None or not page.blocks:
            return False
        try:
            blocks, proof = self._open(page, None)
            certificate = proof if isinstance(proof, Certificate) else None
            settled = () if certificate is None else await self._settled(peer, blocks, certificate)
            if settled is None:
                return False
            await self.commit(blocks, proof, settled)
        except LedgerError as refusal:
            return self._refuse(peer, refusal)
        return bool(blocks)

    def _refuse(self, peer: PublicKey, refusal: LedgerError) -> bool:
        log(LOG, logging.WARNING, "page refused", peer=peer.hex(), reason=str(refusal))
        self._on_invalid(peer, refusal.code)
        return False

    def _is_reached(self, target: Certificate) -> bool:
        head = self._executor.committed
        reached = target.block_id == head.id or (
            self._executor.stores.blocks.height_of(BlockId(target.block_id or b"")) is not None
        )
        if reached and self._target is target:
            self._target = None
        return reached

    def _open(self, page: Page, target: Certificate | None) -> tuple[list[Block], Proof]:
        """The blocks of a page that its finalization proves, and that finalization; or the recovery.

        Those that are committed already are left out, and so is what lies beyond the target, where the
        target is in the page: a peer that is ahead of it answers with more, and that is for consensus to
        ask for. Where the target lies under the link, the finalization is above it. Without a target all
        that is proved is answered.

        Raises:
            LedgerError: `page.*`, `certificate.*`, `recovery.*` or `encoding.*`.
        """
        tip = self._executor.committed
        blocks = [decode_block(data) for data in page.blocks]
        ids = [block_id(block.header) for block in blocks]
        for block in blocks:
            if block.header.height == tip.header.height + 1:
                tip = governed(tip, block)
        finalization = _open_proof(page.finalization, tip)
        named = blocks[-1].header if page.link is None else page.link.header
        if _named_by(finalization) != (tip.epoch.epoch, block_id(named)):
            raise LedgerError("page.wrong_certificate", "it does not make the last header final")
        _check_run([*(block.header for block in blocks), named], ids, Epoch(tip.epoch.epoch))
        if target is not None and _view_of(finalization) > target.view:
            if target.block_id in ids:
                blocks, finalization = blocks[: ids.index(target.block_id) + 1], target
            elif page.link is None:
                raise LedgerError("page.beyond_target", "ends above what consensus asked for, without it")
        blocks = [block for block in blocks if block.header.height > tip.header.height]
        _check_bodies(blocks)
        if blocks and blocks[0].header.parent_id != tip.id:
            raise LedgerError("page.wrong_start", f"does not follow height {tip.header.height}")
        if blocks and page.link is not None and finalization is not target:
            new = (leaf_hash(block_id(block.header)) for block in blocks)
            check_link(page.link, tip.history.append_all(new))
        return blocks, finalization

    async def _settled(
        self, peer: PublicKey, blocks: Sequence[Block], finalization: Certificate
    ) -> tuple[Certificate, ...] | None:
        """What settled every view up to the finalization; None where it is wanted and not to be had.

        Nothing is wanted of blocks below the dispute period, nor of a page that ends below the block that
        the finalization names: that block brings all of it along.
        """
        if not blocks or finalization.block_id != block_id(blocks[-1].header):
            return ()
        if not self._justifier.is_disputable(blocks[-1].header.time_ms):
            return (finalization,)
        return await self._justifier.justify(peer, blocks, finalization)

    async def commit(
        self, blocks: Sequence[Block], finalization: Proof, settled: Sequence[Certificate] = ()
    ) -> None:
        """Run and store final blocks that follow the head, whoever else does so meanwhile."""
        for block in blocks:
            identifier = block_id(block.header)
            if block.header.height <= self._executor.committed.header.height:
                continue  # consensus was faster
            with suppress(Superseded):  # and may still be: then committing is no more than a look
                await self._executor.check(block)
            last = settled if _named_by(finalization)[1] == identifier else ()
            if await self._executor.commit(identifier, finalization, last):
                await self._on_committed(identifier)


def _open_proof(data: bytes, tip: Tip) -> Proof:
    """The certificate or recovery of the epoch of the tip's children, verified."""
    epoch = Epoch(tip.epoch.epoch)
    if is_recovery(data):
        approved = decode_recovery(data)
        verify_recovery(approved, ended_epoch(tip.header, tip.id, tip.world, epoch))
        return approved
    finalization = decode(data, Certificate, QUORUM_CERTIFICATE_BYTES_MAX)
    verify_certificate(finalization, ChainId(tip.header.chain_id), epoch, tip.validators)
    if finalization.kind is not VoteKind.FINALIZE:
        raise LedgerError("page.wrong_certificate", "it makes nothing final")
    return finalization


def _named_by(proof: Proof) -> tuple[int, bytes | None]:
    """The epoch of the block that is proved final, and its id."""
    if isinstance(proof, ApprovedRecovery):
        return proof.recovery.ended_epoch, proof.recovery.block_id
    return proof.vote.epoch, proof.block_id


def _view_of(proof: Proof) -> int:
    return proof.recovery.view if isinstance(proof, ApprovedRecovery) else proof.view


def _recovery_in(blocks: Sequence[Block], page: Page, proof: Proof) -> bytes:
    """The recovery that a page is about, which no node runs past without giving its epoch up; or nothing."""
    if isinstance(proof, ApprovedRecovery):
        return page.finalization
    first = blocks[0].last_certificate if blocks else b""
    return first if is_recovery(first) else b""


def _check_run(headers: Sequence[Header], ids: Sequence[BlockId], epoch: Epoch) -> None:
    """Refuse blocks that do not follow one another, or that belong to another epoch than their certificate.

    The last block of an epoch has a finalization of its own, so no page and no link has to cross it.
    """
    for lower, upper in pairwise(range(len(ids))):
        if headers[upper].parent_id != ids[lower]:
            raise LedgerError("page.broken_chain", f"height {headers[upper].height} does not follow")
    for header in headers:
        if header.epoch != epoch:
            raise LedgerError(
                "page.crosses_epoch",
                f"height {header.height} is of epoch {header.epoch}, expected {epoch}",
            )


def _check_bodies(blocks: Sequence[Block]) -> None:
    for block in blocks:
        if not is_body_of(block.header, block.last_certificate, block.transactions):
            raise LedgerError("page.wrong_body", f"height {block.header.height}: not the body of its header")


def _place(certificate: Certificate) -> tuple[int, int]:
    return certificate.vote.epoch, certificate.view
