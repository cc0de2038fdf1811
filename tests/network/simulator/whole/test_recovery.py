"""Whole nodes lose power at any moment, and records of more than a third of the stake with it: what operators
then do loses no final block, whatever the disks hold, and every site comes along."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from contracts.runtime import CoreRules
from ledger.codec import encode
from ledger.consensus.records import encode_record
from ledger.consensus.signer import Signer
from ledger.recovery import (
    ApprovedRecovery,
    EndedEpoch,
    Report,
    SignedReport,
    approve,
    ended_epoch,
    make_recovery,
    sign_report,
)
from ledger.types import BlockId, Epoch, Height
from network.simulator.whole.disk import LOG, OpenDisk
from network.simulator.whole.laboratory import WholeLaboratory
from network.simulator.whole.scenario import plan_of
from network.simulator.whole.site import Death, SimulatedSite
from node.assemble import Disk
from node.consensus_log import RECORD, read_entries
from node.recovery_moves import stock_of
from node.resume import recover
from node.store.journal import Journal

SEEDS = (6, 15, 17)
RUNS_SECONDS = (3.0, 9.0)


class Stuck(WholeLaboratory):
    """All sites lose power at once; some come back without their record, and operators recover the chain."""

    def __init__(self, seed: int) -> None:
        super().__init__(replace(plan_of(seed, 4, "whole-calm"), epoch_blocks=1_000, transaction_every_ms=80))
        self._chance = self._plan.random("operators")
        self._is_stopped = False
        self.is_above_heads = False  # whether the chosen block was final nowhere
        self.lost: list[int] = []

    def died(self, site: SimulatedSite, why: str) -> None:
        """The power comes back when the operators have decided."""
        if not self._is_stopped:
            super().died(site, why)

    async def _phases(self, incidents: list[asyncio.Task[None]]) -> None:
        await self._pass(self._chance.uniform(*RUNS_SECONDS), lambda: False)
        self._is_stopped = True
        for site in self._sites:
            site.die(Death.POWER_CUT, "power cut")
        self._lose_records()
        self._recover_chain()
        self._is_stopped = False
        for site in self._sites:
            self._loop.call_later(self._chance.uniform(0, 2), site.start)
        await super()._phases(incidents)

    def _lose_records(self) -> None:
        """Of as much stake as leaves whole records of more than a third: the chain can't go on by itself."""
        sites = self._chance.sample(self._sites, len(self._sites))
        stakes = [self._plan.stakes[site.index] for site in sites]
        count = max(number for number in range(len(stakes)) if 3 * sum(stakes[number:]) > sum(stakes))
        for site in sites[:count]:
            Journal.create(site.contents.files, LOG, [], self._chance.randbytes(16))
            self.lost.append(site.index)

    def _recover_chain(self) -> None:
        """What operators do with `ledger-node recovery`, on these disks."""
        reports = [self._report_of(site) for site in self._sites]
        ended = self._ended(self._open(self._sites[0]))
        recovery = make_recovery(reports, ended)
        keys = {site.member.validator.public: site.member.validator for site in self._sites}
        approvals = tuple(
            (index, approve(keys[ended.validators.public_key(index)], recovery, ended))
            for index in range(len(ended.validators))
        )
        begins = self._chance.choice(self._sites)
        data = encode(ApprovedRecovery(recovery, approvals))
        self._open(begins).stores.blocks.keep_recovery(data)
        self.judge._sets[recovery.new_epoch] = ended.validators
        chosen = BlockId(recovery.block_id)
        heads = [self._open(site).stores.blocks for site in self._sites]
        self.is_above_heads = all(blocks.height_of(chosen) is None for blocks in heads)

    def _open(self, site: SimulatedSite) -> Disk:
        disk = OpenDisk(site.contents, self._chance, lambda failure: None, lambda what: None)
        return disk.opened(self._consortium.genesis)

    def _ended(self, disk: Disk) -> EndedEpoch:
        tip = recover(disk.stores, CoreRules())
        found = ended_epoch(tip.header, tip.id, tip.world, Epoch(tip.epoch.epoch))
        base_id = disk.stores.blocks.id_at(Height(tip.epoch.base_height))
        assert base_id is not None
        return found._replace(base_id=base_id)

    def _report_of(self, site: SimulatedSite) -> SignedReport:
        disk, key = self._open(site), site.member.validator
        ended = self._ended(disk)
        signer = Signer(ended.chain_id, key, site.generation)
        records, blocks = read_entries(LOG, disk.entries)
        promise, is_whole, certificate = stock_of(signer, records, blocks, disk.stores, ended)
        disk.journal.append(RECORD, encode_record(promise))
        disk.journal.sync()
        index = ended.validators.index_of(key.public)
        assert index is not None
        assert is_whole is (site.index not in self.lost)
        return sign_report(key, Report(ended.chain_id, ended.epoch, index, is_whole, certificate))


def test_no_final_block_is_lost_and_every_site_comes_along() -> None:
    """K1 to K15: whatever was under way, all commit on, sign again, hold every acknowledged transaction, and
    a state made anew from the blocks is the same. Some begin on a block that was final nowhere (K14)."""
    networks = [Stuck(seed) for seed in SEEDS]
    for network in networks:
        report = network.run()
        assert not [each for each in report.violations if not each.startswith("empty")], report.violations
        assert network.lost
        assert min(report.heights) >= 5
    assert any(network.is_above_heads for network in networks)
