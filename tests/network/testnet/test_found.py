"""What a local network consists of on the disk, before its first process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contracts.genesis import genesis_block
from ledger.crypto import key_pair
from ledger.errors import LedgerError
from ledger.genesis import chain_id
from ledger.members import Role
from network.profile import Profile, parse_profile, profile_text, read_profile
from network.testnet.found import found_network
from network.testnet.network_file import FILE_NAME, NetworkFile, read_network_file, write_network_file
from network.testnet.plan import plan_network
from node.api.tokens import Scope, TokenKeeper
from node.config import load_config
from node.genesis_file import read_genesis
from node.keys import read_seed


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> NetworkFile:
    """Two validators and an observer."""
    folder = tmp_path_factory.mktemp("network") / "net"
    plan = plan_network(folder, validators=2, observers=1, base_port=31_000)
    return found_network(plan, 1_767_225_600_000)


def folder_of(network: NetworkFile) -> Path:
    return Path(network.nodes[0].home).parent


def test_genesis(network: NetworkFile) -> None:
    """One genesis for all, of a test network, that names every node and gives an admin to every member."""
    genesis = read_genesis(folder_of(network) / "genesis.json")
    assert chain_id(genesis).hex() == network.chain_id
    assert genesis.is_test_network
    assert [node.name for node in genesis.nodes] == ["node-0", "node-1", "node-2"]
    assert [validator.node for validator in genesis.validators] == ["node-0", "node-1"]
    admins = {key.organisation for key in genesis.keys if Role.ADMIN in key.roles}
    assert admins == {organisation.id for organisation in genesis.organisations}
    assert genesis_block(genesis)[0].height == 0
    for entry in network.nodes:
        assert read_genesis(Path(entry.home) / "genesis.json") == genesis


def test_network_json(network: NetworkFile) -> None:
    """network.json has the fields that scripts rely on, and is read back as it was written."""
    document = json.loads((folder_of(network) / FILE_NAME).read_text())
    assert set(document) == {"chain_id", "nodes", "profiles"}
    assert len(document["chain_id"]) == 64
    entry = document["nodes"][2]
    assert entry["role"] == "observer"
    assert entry["api"] == "http://127.0.0.1:31020"
    assert entry["admin"] == "http://127.0.0.1:31021"
    assert entry["p2p"] == "127.0.0.1:31022"
    assert entry["pid"] is None
    assert Path(entry["home"]).is_dir()
    assert read_network_file(folder_of(network)) == network


def test_homes_are_private(network: NetworkFile) -> None:
    """Every secret is readable by its owner alone."""
    secrets = [*folder_of(network).rglob("*.key"), *folder_of(network).rglob("*.token")]
    assert len(secrets) == 4 + 3 + 2 + 3 + 3  # people, nodes, validators, gateways, tokens
    for path in secrets:
        assert path.stat().st_mode & 0o777 == 0o600, path
    for entry in network.nodes:
        assert Path(entry.home).stat().st_mode & 0o777 == 0o700


def test_settings_listen_where_they_say(network: NetworkFile) -> None:
    """node.toml names the node, its ports and the other nodes."""
    for entry in network.nodes:
        config = load_config(Path(entry.home) / "node.toml", {})
        assert config.name == entry.name
        assert f"http://{config.api.listen}" == entry.api
        assert set(config.peers) == {each.p2p for each in network.nodes if each is not entry}


def test_profiles(network: NetworkFile) -> None:
    """Each profile asks its own node first, signs with a key of the genesis, and holds its site's token."""
    genesis = read_genesis(folder_of(network) / "genesis.json")
    owners = {key.public_key: key.organisation for key in genesis.keys}
    for organisation, path in network.profiles.items():
        profile = read_profile(Path(path))
        assert profile.organisation == organisation
        assert profile.chain_id == network.chain_id
        assert set(profile.nodes) == {entry.api for entry in network.nodes}
        own = [entry.api for entry in network.nodes if entry.organisation == organisation]
        assert profile.nodes[: len(own)] == tuple(own)
        key = key_pair(read_seed(profile.beside(profile.key_file)))
        assert owners[key.public] == organisation
        if profile.token_file:
            home = next(Path(entry.home) for entry in network.nodes if entry.organisation == organisation)
            text = profile.beside(profile.token_file).read_text().strip()
            assert TokenKeeper(home).check(f"Bearer {text}", Scope.CAPTURE, 1_767_225_600_001)


def test_unknown_node(network: NetworkFile) -> None:
    """A node that is not there is named with those that are."""
    with pytest.raises(LedgerError) as problem:
        network.node("node-9")
    assert problem.value.code == "testnet.unknown_node"
    assert "node-0, node-1, node-2" in problem.value.message


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"chain_id": 1}', "\xff\xfe", '{"nodes": []}'])
def test_damaged_network_file(tmp_path: Path, content: str) -> None:
    """What is no network.json is told as such."""
    (tmp_path / FILE_NAME).write_bytes(content.encode("latin-1"))
    with pytest.raises(LedgerError) as problem:
        read_network_file(tmp_path)
    assert problem.value.code == "testnet.damaged"


def test_no_network(tmp_path: Path) -> None:
    """A folder without a network says how to make one."""
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(LedgerError) as problem:
            read_network_file(folder)
        assert problem.value.code == "testnet.missing"


def test_pid_is_kept(network: NetworkFile, tmp_path: Path) -> None:
    """Another process behind a node changes its entry and no other."""
    changed = network.with_pid("node-1", 4711)
    write_network_file(tmp_path, changed)
    assert [entry.pid for entry in read_network_file(tmp_path).nodes] == [None, 4711, None]


# --- profiles -------------------------------------------------------------------------


def test_profile_round_trip(tmp_path: Path) -> None:
    """A profile is read back as it was written, whatever its strings hold."""
    path = tmp_path / "p.toml"
    profile = Profile(
        nodes=("http://127.0.0.1:1", "https://node.example"), chain_id="ab" * 32, organisation="farm",
        key_file='keys/with "quotes" and ü.key', token_file="t", site="urn:x:y", valid_blocks=9, path=path,
    )  # fmt: skip
    path.write_text(profile_text(profile))
    assert read_profile(path) == profile


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"nodes": []}, "profile.wrong_value"),
        ({"nodes": "http://127.0.0.1:1"}, "profile.wrong_value"),
        ({"nodes": ["http://127.0.0.1:1"] * 33}, "profile.wrong_value"),
        ({"nodes": ["file:///etc/passwd"]}, "profile.wrong_value"),
        ({"nodes": ["http://127.0.0.1:1/v1"]}, "profile.wrong_value"),
        ({"nodes": [5]}, "profile.wrong_value"),
        ({"chain_id": "AB" * 32}, "profile.wrong_value"),
        ({"chain_id": 5}, "profile.wrong_value"),
        ({"organisation": "Not A Name"}, "profile.wrong_value"),
        ({"key_file": "a\0b"}, "profile.wrong_value"),
        ({"valid_blocks": 0}, "profile.wrong_value"),
        ({"valid_blocks": True}, "profile.wrong_value"),
        ({"valid_blocks": 1e3}, "profile.wrong_value"),
        ({"secret": "x"}, "profile.unknown_key"),
    ],
)
def test_bad_profile(change: dict[str, object], code: str) -> None:
    """Each wrong value is refused with the file and the key."""
    with pytest.raises(LedgerError) as problem:
        parse_profile({"nodes": ["http://127.0.0.1:1"]} | change, Path("p.toml"))
    assert problem.value.code == code
    assert "p.toml" in problem.value.message


@pytest.mark.parametrize("content", [b"= 1", b"\xff", b"nodes = [", b"#" * (70 << 10)])
def test_malformed_profile(tmp_path: Path, content: bytes) -> None:
    """What is no TOML, or too large, is refused."""
    path = tmp_path / "p.toml"
    path.write_bytes(content)
    with pytest.raises(LedgerError) as problem:
        read_profile(path)
    assert problem.value.code == "profile.malformed"
