"""Master data is versioned, never rewritten, and the rightful word comes first."""

from __future__ import annotations

import pytest

from contracts.master_data import MasterKind, MasterRecord, Put, latest, version
from ledger.codec import decode, encode
from ledger.receipt import Status
from tests.contracts.chain import Chain
from tests.contracts.provenance.events import SITES, gtin, party


@pytest.fixture
def chain() -> Chain:
    return Chain()


def product(organisation: str, **attributes: str) -> Put:
    return Put(MasterKind.PRODUCT, gtin(organisation), tuple(sorted(attributes.items())))


def put(chain: Chain, sender: str, arguments: Put) -> tuple[Status, MasterRecord]:
    outcome = chain.send(f"{sender}/operator", "master_data", "put", arguments)
    return outcome.status, decode(outcome.result, MasterRecord, 1 << 20)


def test_a_new_version_leaves_the_old_one(chain: Chain) -> None:
    """What was said at a height can be read for ever."""
    assert put(chain, "farm", product("farm", name="Leaves"))[0] is Status.ACCEPTED
    put(chain, "farm", product("farm", name="Lettuce", brand="Green"))
    found = latest(chain.state, MasterKind.PRODUCT, gtin("farm"))
    assert found is not None
    assert (found.version, found.organisation, found.height, found.attributes) == (
        2,
        "farm",
        2,
        (("brand", "Green"), ("name", "Lettuce")),
    )
    first = version(chain.state, MasterKind.PRODUCT, gtin("farm"), 1)
    assert first is not None
    assert (first.attributes, first.height) == ((("name", "Leaves"),), 1)
    assert version(chain.state, MasterKind.PRODUCT, gtin("farm"), 3) is None


def test_the_same_again_is_a_duplicate(chain: Chain) -> None:
    """Nothing new is no new version."""
    put(chain, "farm", product("farm", name="Lettuce"))
    status, record = put(chain, "farm", product("farm", name="Lettuce"))
    assert (status, record.version) == (Status.DUPLICATE, 1)


def test_any_spelling_is_one_record(chain: Chain) -> None:
    """A URN and a Digital Link of one GTIN are one product."""
    arguments = Put(MasterKind.PRODUCT, "urn:epc:idpat:sgtin:952000.0000001.*", (("name", "Lettuce"),))
    _, record = put(chain, "farm", arguments)
    assert record.id == gtin("farm")


@pytest.mark.parametrize(
    ("kind", "item_id", "flag"),
    [
        (MasterKind.PRODUCT, gtin("farm"), ""),
        (MasterKind.PRODUCT, gtin("shop"), "prefix.not_owned"),
        (MasterKind.PRODUCT, "https://id.gs1.org/01/04000001000005", "prefix.not_owned"),
        (MasterKind.PRODUCT, "https://farm.example/lettuce", ""),
        (MasterKind.LOCATION, SITES["farm"], ""),
        (MasterKind.LOCATION, SITES["shop"], "site.not_owned"),
        (MasterKind.PARTY, party("farm"), ""),
        (MasterKind.PARTY, party("shop"), "prefix.not_owned"),
    ],
)
def test_who_may_say_it(chain: Chain, kind: MasterKind, item_id: str, flag: str) -> None:
    """The owner of prefix or site, and anybody about a plain URI; others are recorded with a flag."""
    status, record = put(chain, "farm", Put(kind, item_id, ()))
    assert record.flag == flag
    assert status is (Status.FLAGGED if flag else Status.ACCEPTED)


def test_a_strangers_word_does_not_hide_the_owners(chain: Chain) -> None:
    """The newest version without a flag is shown; with none such, the newest."""
    put(chain, "packer", product("farm", name="Mine"))
    found = latest(chain.state, MasterKind.PRODUCT, gtin("farm"))
    assert found is not None
    assert found.organisation == "packer"
    put(chain, "farm", product("farm", name="Lettuce"))
    put(chain, "packer", product("farm", name="Mine again"))
    found = latest(chain.state, MasterKind.PRODUCT, gtin("farm"))
    assert found is not None
    assert (found.organisation, found.version) == ("farm", 2)


@pytest.mark.parametrize(
    ("item_id", "attributes", "code"),
    [
        ("lettuce", (), "identifier.not_uri"),
        ("https://id.gs1.org/01/09520000000012", (), "identifier.invalid"),
        ("https://a.example/b", (("b", "1"), ("a", "1")), "attributes.order"),
        ("https://a.example/b", (("a", "1"), ("a", "2")), "attributes.order"),
    ],
)
def test_what_is_refused(
    chain: Chain, item_id: str, attributes: tuple[tuple[str, str], ...], code: str
) -> None:
    """Broken identifiers, and attributes in any order but the one."""
    arguments = Put(MasterKind.PRODUCT, item_id, attributes)
    assert chain.refusal("farm/operator", "master_data", "put", arguments).code == code


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        (["fruit", "https://a.example/b", []], "/kind"),
        (["product", "", []], "/id"),
        (["product", "https://a.example/b", [["", "x"]]], "/attributes/0/0"),
        (["product", "https://a.example/b", [["n", "x" * 1001]]], "/attributes/0/1"),
        (["product", "https://a.example/b", [["n"]]], "/attributes/0"),
        (["product", "https://a.example/b", [["n", "x"]] * 129], "/attributes"),
    ],
)
def test_malformed_arguments(chain: Chain, data: list[object], pointer: str) -> None:
    """Each limit is named by its field."""
    refused = chain.refusal("farm/operator", "master_data", "put", encode(data))
    assert (refused.code, refused.pointer) == ("arguments.malformed", pointer)


def test_an_unknown_identifier_has_no_record(chain: Chain) -> None:
    """Nothing was ever said about it."""
    assert latest(chain.state, MasterKind.PRODUCT, gtin("farm")) is None
