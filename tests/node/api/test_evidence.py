"""The evidence that a node holds, over HTTP: pages, one piece, and the proof in it."""

from __future__ import annotations

import pytest

from ledger.codec import encode
from ledger.evidence import Evidence, check_evidence, decode_evidence, evidence_id, evidence_of
from ledger.types import Epoch
from ledger.vote import SignedVote, Vote, VoteKind, sign_vote
from tests.contracts.chain import key_of
from tests.node.api.fakes import FakeNode, Running
from tests.node.api.test_reads import get


def accuse(node: FakeNode, epoch: int = 0, view: int = 3) -> Evidence:
    """The only validator there is, nullifying and finalizing one view."""
    key = key_of("vote-0")
    votes = (
        Vote(node.chain_id, epoch, view, VoteKind.NULLIFY, None),
        Vote(node.chain_id, epoch, view, VoteKind.FINALIZE, bytes(32)),
    )
    first, second = (SignedVote(vote, 0, sign_vote(key, vote)) for vote in votes)
    return evidence_of(first, second)


async def test_an_honest_chain_has_none(site: Running) -> None:
    """Nothing held is an empty page, not an error."""
    assert await get(site, "/v1/evidence") == {"evidence": [], "next": None}


async def test_evidence_is_listed_with_its_proof(site: Running) -> None:
    """Each entry says who, where and what, and carries bytes that anybody can check."""
    held = accuse(site.node)
    site.node.held_evidence = (held,)
    (listed,) = (await get(site, "/v1/evidence"))["evidence"]
    assert listed["offence"] == "nullify_and_finalize"
    assert (listed["node"], listed["validator"], listed["epoch"], listed["view"]) == ("node-0", 0, 0, 3)
    assert bytes.fromhex(listed["bytes"]) == encode(held)
    validators = site.node.epoch_validators(Epoch(0))
    assert validators is not None
    guilty = check_evidence(
        decode_evidence(bytes.fromhex(listed["bytes"])), site.node.chain_id, Epoch(0), validators
    )
    assert guilty.hex() == listed["public_key"]
    assert await get(site, f"/v1/evidence/{listed['id']}") == listed
    assert listed["id"] == evidence_id(held).hex()


async def test_pages_of_evidence_fit_together(site: Running) -> None:
    """A walk by `next` meets every entry once, in order; an old epoch's validators may be gone."""
    site.node.held_evidence = tuple(accuse(site.node, epoch) for epoch in range(5))
    path: str | None = "/v1/evidence?limit=2"
    met = []
    while path is not None:
        page = await get(site, path)
        assert len(page["evidence"]) <= 2
        met += [each["epoch"] for each in page["evidence"]]
        path = page["next"]
    assert met == list(range(5))
    (last,) = (await get(site, "/v1/evidence?after=3-0"))["evidence"]
    assert (last["node"], last["public_key"]) == ("", "")


async def test_unknown_evidence(site: Running) -> None:
    """An id that this node holds nothing under is 404."""
    assert (await get(site, f"/v1/evidence/{'ab' * 32}", 404))["code"] == "evidence.unknown"


@pytest.mark.parametrize("after", ["", "1", "-1-1", "1-128", "01-1", "1-1-1", "9007199254740992-0", "a-b"])
async def test_a_page_begins_where_an_earlier_one_ended(site: Running, after: str) -> None:
    """What no page has named is refused."""
    assert (await get(site, f"/v1/evidence?after={after}", 400))["code"] == "parameter.invalid"
