"""Where a node of a run stands, as named facts in words. What is read here is in memory: to look changes
nothing."""

from __future__ import annotations

from typing import Final

from ledger.consensus.epochs import Epochs
from ledger.consensus.records import SignerFloor
from ledger.vote import VoteKind
from network.simulator.node import SimulatedNode
from network.simulator.whole.site import SimulatedSite

VIEWS_SHOWN_MAX: Final = 8
BLOCKS_SHOWN_MAX: Final = 4


def state_of(node: SimulatedNode) -> dict[str, str]:
    """Of a node of the light simulator."""
    head = node.disk.head
    floors = [each.view for each in node.disk.records if isinstance(each, SignerFloor)]
    told = {
        "node": str(node.index),
        "height": str(head.block.header.height),
        "head": head.block_id[:4].hex(),
        "records": str(len(node.disk.records)),
        "floor": str(max(floors, default="none")),
        "waiting": str(len(node.chain.waiting)),
        "clock": f"{node.wall_ahead_ms:+d} ms",
    }
    if not node.is_up:
        return {**told, "process": "down"}
    assert node.machine is not None
    return {**told, "process": "up", **_mind_of(node.machine)}


def state_of_site(site: SimulatedSite) -> dict[str, str]:
    """Of a whole node; where it is down, height, head and root are those at its death."""
    told = {"node": site.member.name}
    if site.node is not None:
        height, head = site.node.site.head()
        root = site.node.stores.state.tree.root
        told |= {"height": str(height), "head": head[:4].hex(), "root": root[:8].hex()}
    told |= {
        "waiting": str(len(site.mempool)),
        "clock": f"{site.clock.ahead_ms:+d} ms",
        "disk": "well" if site.trouble is None else site.trouble.value,
    }
    if not site.is_up:
        return {**told, "process": "down"}
    # Before its consensus runs a node fetches what it has lost.
    return {**told, "process": "up", **({} if site.consensus is None else _mind_of(site.consensus))}


def _mind_of(machine: Epochs) -> dict[str, str]:
    state = machine.state
    certificates, entry = state.certificates, state.entry
    held = certificates.above(certificates.final_view)
    shown = {
        "epoch": str(state.epoch),
        "view": f"{state.view} led by {state.leader(state.view)}",
        "entered by": "nothing" if entry is None else f"{entry.kind.name} {entry.view}",
        "final": f"{certificates.final_view} {certificates.final_id[:4].hex()}",
        "awake": "no" if state.pacemaker.awake_at_ms is None else f"since {state.pacemaker.awake_at_ms} ms",
        "signer": "none" if state.signer is None else state.signer.quarantine_reason or "signs",
        "certified above": ", ".join(f"{each.kind.name} {each.view}" for each in held[-VIEWS_SHOWN_MAX:]),
        "blocks": ", ".join(
            f"{each.block_id[:4].hex()} {each.state.value}" for each in state.blocks.all()[-BLOCKS_SHOWN_MAX:]
        ),
    }
    for kind in VoteKind:
        voters = [at for at in range(len(state.validators)) if state.tally.has_voted(state.view, kind, at)]
        shown[f"{kind.name.lower()} votes"] = ", ".join(map(str, voters))
    return shown
