"""Members change their own records and nobody else's."""

from __future__ import annotations

import pytest

from contracts import authority, membership
from contracts.organisations import (
    AddKey,
    AddNode,
    AddOrganisation,
    AddSite,
    AssignPrefix,
    RemoveNode,
    RevokeKey,
)
from contracts.possession import prove_possession
from ledger.codec import decode
from ledger.errors import LedgerError
from ledger.members import (
    KEYS,
    KEYS_MAX,
    NODES,
    NODES_MAX,
    ORGANISATIONS,
    PREFIXES_MAX,
    SITES,
    SITES_MAX,
    Key,
    Node,
    NodeRole,
    Role,
    key_in_force,
    nodes_in_force,
)
from ledger.receipt import Status
from ledger.state import Overlay
from ledger.types import ChainId
from tests.contracts.chain import STORY, Chain, key_of


@pytest.fixture
def chain() -> Chain:
    return Chain()


def new_key(chain: Chain, name: str, organisation: str, *roles: Role) -> AddKey:
    key = key_of(name)
    proof = prove_possession(key, chain.chain_id, organisation)
    return AddKey(key.public, name, roles or (Role.OPERATOR,), proof)


def new_node(chain: Chain, name: str, organisation: str) -> AddNode:
    key = key_of(name)
    return AddNode(
        key.public, name, b"der", ("127.0.0.1:1",), prove_possession(key, chain.chain_id, organisation)
    )


def new_organisation(chain: Chain, name: str, *prefixes: str) -> AddOrganisation:
    key = key_of(f"{name}/admin")
    proof = prove_possession(key, chain.chain_id, name)
    return AddOrganisation(name, name.title(), prefixes, key.public, "admin", proof)


class TestKeys:
    def test_an_added_key_may_send_at_once(self, chain: Chain) -> None:
        """After add_key the new key is in force for its organisation with exactly its roles."""
        outcome = chain.send("farm/admin", "organisations", "add_key", new_key(chain, "scanner", "farm"))
        assert outcome.status is Status.ACCEPTED
        assert decode(outcome.result, Key, 4096) == key_in_force(chain.state, key_of("scanner").public)
        record = key_in_force(chain.state, key_of("scanner").public)
        assert (record.organisation, record.roles, record.added_height) == ("farm", (Role.OPERATOR,), 1)

    def test_a_revoked_key_is_refused_from_the_next_transaction_on(self, chain: Chain) -> None:
        """Revocation is effective at once, for the very next call at any height."""
        chain.send("farm/admin", "organisations", "revoke_key", RevokeKey(key_of("farm/operator").public))
        with pytest.raises(LedgerError) as refused:
            key_in_force(chain.state, key_of("farm/operator").public)
        assert refused.value.code == "sender.revoked"
        assert [key.label for key in membership.keys(chain.state, "farm")] == ["admin"]

    def test_a_revoked_key_never_comes_back(self, chain: Chain) -> None:
        """A key that was revoked can't be registered again, here or elsewhere."""
        chain.send("farm/admin", "organisations", "add_key", new_key(chain, "scanner", "farm"))
        chain.send("farm/admin", "organisations", "revoke_key", RevokeKey(key_of("scanner").public))
        for organisation in ("farm", "packer"):
            again = new_key(chain, "scanner", organisation)
            assert (
                chain.refusal(f"{organisation}/admin", "organisations", "add_key", again).code == "key.exists"
            )
        twice = chain.refusal(
            "farm/admin", "organisations", "revoke_key", RevokeKey(key_of("scanner").public)
        )
        assert twice.code == "key.revoked"

    def test_the_last_admin_key_stays(self, chain: Chain) -> None:
        """An organisation can't lock itself out, not even by the admin's own hand."""
        last = RevokeKey(key_of("farm/admin").public)
        assert chain.refusal("farm/admin", "organisations", "revoke_key", last).code == "key.last_admin"
        chain.send("farm/admin", "organisations", "add_key", new_key(chain, "second", "farm", Role.ADMIN))
        chain.send("second", "organisations", "revoke_key", last)
        assert chain.refusal(
            "second", "organisations", "revoke_key", RevokeKey(key_of("second").public)
        ).code == ("key.last_admin")

    def test_an_admin_revokes_no_other_organisations_key(self, chain: Chain) -> None:
        """Another member's key is as unknown as one that does not exist."""
        for name in ("packer/operator", "nobody"):
            call = RevokeKey(key_of(name).public)
            assert chain.refusal("farm/admin", "organisations", "revoke_key", call).code == "key.unknown"

    def test_a_key_must_be_held_by_whoever_registers_it(self, chain: Chain) -> None:
        """A proof made by another key, for another organisation or for another chain does not count."""
        key = key_of("scanner")
        other_chain = ChainId(bytes(32))
        for proof in (
            prove_possession(key_of("thief"), chain.chain_id, "farm"),
            prove_possession(key, chain.chain_id, "packer"),
            prove_possession(key, other_chain, "farm"),
            bytes(64),
        ):
            call = AddKey(key.public, "scanner", (Role.OPERATOR,), proof)
            refused = chain.refusal("farm/admin", "organisations", "add_key", call)
            assert (refused.code, refused.pointer) == ("key.no_proof", "/proof")

    def test_a_key_that_is_no_point_is_refused(self, chain: Chain) -> None:
        """A small-order key, for which anybody could sign, is no key."""
        call = AddKey(bytes([1]) + bytes(31), "weak", (Role.OPERATOR,), bytes(64))
        assert chain.refusal("farm/admin", "organisations", "add_key", call).code == "key.invalid"

    def test_only_a_registrar_makes_a_registrar(self, chain: Chain) -> None:
        """An admin can't give a role that lets it admit members, unless it has that role."""
        call = new_key(chain, "scanner", "packer", Role.REGISTRAR)
        assert chain.refusal("packer/admin", "organisations", "add_key", call).code == "roles.not_yours"
        chain.send("farm/admin", "organisations", "add_key", new_key(chain, "r", "farm", Role.REGISTRAR))

    def test_a_role_is_named_once(self, chain: Chain) -> None:
        """A list of roles that repeats one is a second spelling of the same key and is refused."""
        call = new_key(chain, "scanner", "farm", Role.OPERATOR, Role.OPERATOR)
        assert chain.refusal("farm/admin", "organisations", "add_key", call).code == "roles.repeated"

    def test_keys_are_bounded(self, chain: Chain) -> None:
        """An organisation has at most KEYS_MAX keys in force; a revoked one makes room."""
        overlay = Overlay(chain.state)
        for number in range(KEYS_MAX - 2):
            key = Key(number.to_bytes(32, "big"), "farm", "filler", (Role.OPERATOR,), 0, 0)
            KEYS.put(overlay, key.public_key, key)
        listed = membership.KEY_LISTS.get(chain.state, b"farm")
        assert listed is not None
        fillers = tuple(number.to_bytes(32, "big") for number in range(KEYS_MAX - 2))
        full = membership.KeyList(tuple(sorted((*listed.public_keys, *fillers))))
        membership.KEY_LISTS.put(overlay, b"farm", full)
        chain.state.commit(overlay)
        call = new_key(chain, "scanner", "farm")
        assert chain.refusal("farm/admin", "organisations", "add_key", call).code == "key.too_many"
        chain.send("farm/admin", "organisations", "revoke_key", RevokeKey(fillers[7]))
        chain.send("farm/admin", "organisations", "add_key", call)


class TestSites:
    def test_a_site_is_kept_under_its_canonical_identifier(self, chain: Chain) -> None:
        """A URN and a Digital Link of one place are one site."""
        chain.send(
            "farm/admin",
            "organisations",
            "add_site",
            AddSite("urn:epc:id:sgln:952000.000002.field7", "Field 7"),
        )
        site = SITES.get(chain.state, b"https://id.gs1.org/414/9520000000028/254/field7")
        assert site is not None
        assert site.organisation == "farm"
        again = AddSite("https://example.com/414/9520000000028/254/field7", "The same")
        assert chain.refusal("farm/admin", "organisations", "add_site", again).code == "site.exists"
        assert [each.title for each in membership.sites(chain.state, "farm", 1, 10)] == ["Field 7"]

    def test_a_place_under_another_members_prefix_is_refused(self, chain: Chain) -> None:
        """Nobody claims a GLN of somebody else; a GLN of no member and a plain URI are free."""
        stolen = AddSite("https://id.gs1.org/414/9520010000025", "Stolen")
        refused = chain.refusal("farm/admin", "organisations", "add_site", stolen)
        assert (refused.code, refused.pointer) == ("site.not_owned", "/id")
        chain.send("farm/admin", "organisations", "add_site", AddSite("https://farm.example/barn", "Barn"))
        chain.send(
            "farm/admin", "organisations", "add_site", AddSite("https://id.gs1.org/414/4000001000005", "Rent")
        )

    @pytest.mark.parametrize("text", ["barn", "https://id.gs1.org/414/9520000000012", "urn:x:\n"])
    def test_a_broken_identifier_is_refused(self, chain: Chain, text: str) -> None:
        """No URI, a wrong check digit and a control character are no place."""
        code = chain.refusal("farm/admin", "organisations", "add_site", AddSite(text, "Broken")).code
        assert code in ("identifier.not_uri", "identifier.invalid")

    def test_sites_are_bounded(self, chain: Chain) -> None:
        """An organisation has at most SITES_MAX sites."""
        overlay = Overlay(chain.state)
        membership.SITE_COUNTS.put(overlay, b"farm", membership.Count(SITES_MAX))
        chain.state.commit(overlay)
        call = AddSite("https://farm.example/barn", "Barn")
        assert chain.refusal("farm/admin", "organisations", "add_site", call).code == "site.too_many"


class TestNodes:
    def test_a_node_joins_and_leaves_the_ascending_list(self, chain: Chain) -> None:
        """NODE_LIST holds exactly the registered nodes, ascending, before and after."""
        for name in ("node-b", "node-a", "node-c"):
            chain.send("packer/admin", "organisations", "add_node", new_node(chain, name, "packer"))
        listed = [node.public_key for node in nodes_in_force(chain.state)]
        assert listed == sorted(key_of(name).public for name in ("node-0", "node-a", "node-b", "node-c"))
        chain.send("packer/admin", "organisations", "remove_node", RemoveNode(key_of("node-b").public))
        names = sorted(node.name for node in nodes_in_force(chain.state))
        assert names == ["node-0", "node-a", "node-c"]
        assert NODES.get(chain.state, key_of("node-b").public) is None
        chain.send("packer/admin", "organisations", "add_node", new_node(chain, "node-b", "packer"))

    def test_a_node_added_later_is_an_observer(self, chain: Chain) -> None:
        """An admin alone can't make a validator."""
        outcome = chain.send("packer/admin", "organisations", "add_node", new_node(chain, "node-a", "packer"))
        assert decode(outcome.result, Node, 8192).role is NodeRole.OBSERVER

    def test_a_node_that_holds_stake_stays(self, chain: Chain) -> None:
        """No admin can cut a validator off the network by a slip."""
        call = RemoveNode(key_of("node-0").public)
        assert chain.refusal("farm/admin", "organisations", "remove_node", call).code == "node.validates"

    def test_another_members_node_is_unknown(self, chain: Chain) -> None:
        """An admin removes its own nodes only."""
        call = RemoveNode(key_of("node-0").public)
        assert chain.refusal("packer/admin", "organisations", "remove_node", call).code == "node.unknown"

    def test_key_and_name_of_a_node_are_unique(self, chain: Chain) -> None:
        """Validators are named by their node, so a name stands for one node on the chain."""
        chain.send("packer/admin", "organisations", "add_node", new_node(chain, "node-a", "packer"))
        same_key = new_node(chain, "node-a", "farm")
        refused = chain.refusal("farm/admin", "organisations", "add_node", same_key)
        assert (refused.code, refused.pointer) == ("node.exists", "/public_key")
        key = key_of("other")
        proof = prove_possession(key, chain.chain_id, "farm")
        refused = chain.refusal(
            "farm/admin", "organisations", "add_node", AddNode(key.public, "node-0", b"der", (), proof)
        )
        assert (refused.code, refused.pointer) == ("node.exists", "/name")

    def test_nodes_are_bounded(self, chain: Chain) -> None:
        """An organisation has at most NODES_MAX nodes."""
        for number in range(NODES_MAX):
            chain.send("shop/admin", "organisations", "add_node", new_node(chain, f"shop-{number}", "shop"))
        call = new_node(chain, "one-more", "shop")
        assert chain.refusal("shop/admin", "organisations", "add_node", call).code == "node.too_many"


class TestRegistrar:
    def test_a_new_member_starts_with_an_admin(self, chain: Chain) -> None:
        """The first key of an admitted organisation may at once add others."""
        chain.send(
            "farm/admin", "organisations", "add_organisation", new_organisation(chain, "mill", "952009")
        )
        chain.send("mill/admin", "organisations", "add_key", new_key(chain, "mill/operator", "mill"))
        assert membership.organisations(chain.state, 5, 10)[0].id == "mill"

    def test_a_member_is_admitted_once(self, chain: Chain) -> None:
        """An id in use, or a key in use, is refused."""
        taken = chain.refusal(
            "farm/admin", "organisations", "add_organisation", new_organisation(chain, "packer")
        )
        assert taken.code == "organisation.exists"
        key = key_of("packer/admin")
        proof = prove_possession(key, chain.chain_id, "mill")
        call = AddOrganisation("mill", "Mill", (), key.public, "admin", proof)
        assert chain.refusal("farm/admin", "organisations", "add_organisation", call).code == "key.exists"

    @pytest.mark.parametrize("prefix", ["952001", "9520", "95200", "9520019", "952001999999"])
    def test_prefixes_never_overlap(self, chain: Chain, prefix: str) -> None:
        """The same, a shorter and a longer prefix of an assigned one are refused: owners stay unambiguous."""
        call = AssignPrefix("farm", prefix)
        assert chain.refusal("farm/admin", "organisations", "assign_prefix", call).code == "prefix.taken"

    def test_prefixes_are_counted_by_their_beginning(self, chain: Chain) -> None:
        """So that a shorter prefix is known to be taken by longer ones."""
        stem = authority.PREFIX_STEMS.get(chain.state, b"95200")
        assert stem is not None
        assert stem.assigned == len(STORY)

    def test_a_prefix_is_assigned_to_a_member(self, chain: Chain) -> None:
        """The record of the organisation shows its new prefix; an unknown organisation gets none."""
        chain.send("farm/admin", "organisations", "assign_prefix", AssignPrefix("shop", "952008"))
        shop = ORGANISATIONS.get(chain.state, b"shop")
        assert shop is not None
        assert shop.gs1_prefixes == ("952004", "952008")
        call = AssignPrefix("nobody", "952007")
        assert chain.refusal("farm/admin", "organisations", "assign_prefix", call).code == (
            "organisation.unknown"
        )

    def test_prefixes_are_bounded(self, chain: Chain) -> None:
        """An organisation holds at most PREFIXES_MAX prefixes."""
        for number in range(PREFIXES_MAX - 1):
            chain.send("farm/admin", "organisations", "assign_prefix", AssignPrefix("shop", f"7{number:05}"))
        call = AssignPrefix("shop", "800000")
        assert chain.refusal("farm/admin", "organisations", "assign_prefix", call).code == "prefix.too_many"


ROLES = {
    "add_key": Role.ADMIN,
    "revoke_key": Role.ADMIN,
    "add_site": Role.ADMIN,
    "add_node": Role.ADMIN,
    "remove_node": Role.ADMIN,
    "add_organisation": Role.REGISTRAR,
    "assign_prefix": Role.REGISTRAR,
}


@pytest.mark.parametrize("method", ROLES)
def test_a_role_that_may_not_is_refused(chain: Chain, method: str) -> None:
    """Whatever the arguments, a key without the role is refused: an operator never administrates."""
    sender = "packer/admin" if ROLES[method] is Role.REGISTRAR else "farm/operator"
    assert chain.refusal(sender, "organisations", method, b"").code == "sender.role"
