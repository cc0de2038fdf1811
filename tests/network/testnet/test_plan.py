"""The plan of a local network, and its ports."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ledger.errors import LedgerError
from ledger.members import NodeRole
from network.testnet.members import ORGANISATIONS
from network.testnet.plan import check_ports_free, free_base_port, is_port_free, plan_network


def test_ports_and_owners(tmp_path: Path) -> None:
    """Node i listens on base + 10 i, and each organisation owns a validator."""
    plan = plan_network(tmp_path, validators=4, observers=2, base_port=30_000)
    assert [node.name for node in plan.nodes] == [f"node-{index}" for index in range(6)]
    assert (plan.nodes[3].api, plan.nodes[3].admin, plan.nodes[3].p2p) == (
        "127.0.0.1:30030", "127.0.0.1:30031", "127.0.0.1:30032",
    )  # fmt: skip
    assert [node.role for node in plan.nodes[3:5]] == [NodeRole.VALIDATOR, NodeRole.OBSERVER]
    assert {node.organisation for node in plan.nodes[:4]} == {each.id for each in ORGANISATIONS}
    assert plan.nodes[5].home.is_absolute()


@pytest.mark.parametrize(("validators", "observers"), [(0, 0), (17, 0), (4, -1), (4, 17)])
def test_size(tmp_path: Path, validators: int, observers: int) -> None:
    """A network has a bounded size."""
    with pytest.raises(LedgerError) as problem:
        plan_network(tmp_path, validators=validators, observers=observers, base_port=30_000)
    assert problem.value.code == "testnet.size"


@pytest.mark.parametrize("base_port", [0, 80, 65_535, 65_500, 70_000, -1])
def test_ports_must_fit(tmp_path: Path, base_port: int) -> None:
    """Every port of every node is one that a person may open."""
    with pytest.raises(LedgerError) as problem:
        plan_network(tmp_path, validators=4, observers=0, base_port=base_port)
    assert problem.value.code == "testnet.ports"


def test_taken_port_is_named(tmp_path: Path) -> None:
    """A port that somebody listens on is named with its node, before anything is made."""
    base = free_base_port(4, 33_000)
    plan = plan_network(tmp_path, validators=4, observers=0, base_port=base)
    check_ports_free(plan)
    with socket.create_server(("127.0.0.1", base + 12)):
        assert not is_port_free(base + 12)
        with pytest.raises(LedgerError) as problem:
            check_ports_free(plan)
        assert problem.value.code == "testnet.port_taken"
        assert f"port {base + 12} of node-1" in problem.value.message
        assert free_base_port(4, base) != base


def test_places_of_organisations() -> None:
    """Every demo place and party has a right check digit: its canonical form is a Digital Link."""
    for organisation in ORGANISATIONS:
        assert organisation.party.startswith(f"https://id.gs1.org/417/{organisation.prefix}")
        for site in organisation.sites:
            assert organisation.place(site.reference).startswith("https://id.gs1.org/414/952100")
