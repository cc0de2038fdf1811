"""The checker finds every kind of violation that is planted, and nothing in a chain that is sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from ledger.block import block_id
from ledger.codec import encode
from ledger.types import BlockId
from ledger.vote import VoteKind
from network.chaos.audit import Auditor, Rule, Violation
from network.chaos.history import Operation, Outcome, Sighting
from network.chaos.remains import Remains
from network.chaos.statements import PROPOSE, Statement
from tests.network.chaos.chain import CLIENT, SmallChain, with_block

HEIGHTS = 4
A, B = b"a" * 32, b"b" * 32


@pytest.fixture
def chain() -> SmallChain:
    """A chain of some blocks."""
    built = SmallChain()
    for _ in range(HEIGHTS):
        built.add()
    return built


def audit(
    chain: SmallChain,
    remains: Sequence[Remains] | None = None,
    operations: Sequence[Operation] | None = None,
    sightings: Sequence[Sighting] = (),
    auditor: Auditor | None = None,
    liars: frozenset[str] = frozenset(),
) -> list[Violation]:
    """What the checker says of a network of three nodes, of which the last is a block behind."""
    honest = [chain.remains("node-0"), chain.remains("node-1"), chain.remains("node-2", HEIGHTS - 1)]
    return list(
        (auditor or Auditor(chain.genesis)).audit(
            honest if remains is None else remains,
            chain.operations if operations is None else operations,
            sightings,
            frozenset({CLIENT.public}),
            liars,
        )
    )


def rules(violations: Sequence[Violation]) -> set[str]:
    return {each.rule for each in violations}


def seen(chain: SmallChain, height: int, at: float) -> Sighting:
    """A head as an honest node shows it."""
    stored = chain.blocks[height]
    return Sighting("node-1", at, at, height, stored.id.hex(), chain.roots[height].hex())


def test_sound(chain: SmallChain) -> None:
    """A chain on which everybody agrees, and clients who were told the truth, are found sound, also again."""
    auditor = Auditor(chain.genesis)
    heads = [seen(chain, height, height + 0.5) for height in range(HEIGHTS + 1)]
    assert audit(chain, sightings=heads, auditor=auditor) == []
    chain.add()
    remains = [chain.remains(f"node-{index}") for index in range(3)]
    assert audit(chain, remains, sightings=heads, auditor=auditor) == []
    assert auditor.chain.height == HEIGHTS + 1
    assert auditor.statements == 3 * (HEIGHTS + 1)


# --- what clients were told ---------------------------------------------------------


def test_lost(chain: SmallChain) -> None:
    """A transaction that a node reported final, and that no block holds."""
    told = Operation("ab" * 32, "node-1", 1.0, 2.0, Outcome.FINAL, "accepted", 2, 0)
    (found,) = audit(chain, operations=[*chain.operations, told])
    assert found.rule == Rule.LOST.value
    assert "node-1 at height 2" in found.message


def test_doubled(chain: SmallChain) -> None:
    """A transaction that stands in the chain twice, were the rules of the ledger not to see it."""
    auditor = Auditor(chain.genesis)
    assert audit(chain, auditor=auditor) == []
    name = chain.operations[0].id
    auditor.chain.places[name].append(replace(auditor.chain.places[name][0], height=3))
    assert rules(audit(chain, auditor=auditor)) == {Rule.DOUBLED.value}


def test_doubled_in_a_block(chain: SmallChain) -> None:
    """A block that holds a transaction of an earlier one is no valid block, on however many nodes it is."""
    stored = chain.blocks[HEIGHTS]
    again = chain.blocks[1].block.transactions
    block = msgspec.structs.replace(stored.block, transactions=again)
    remains = with_block(chain.remains("node-0"), HEIGHTS, replace(stored, block=block))
    found = audit(chain, [remains])
    assert Rule.INVALID.value in rules(found)
    assert any("transaction.replayed" in each.message for each in found)


@pytest.mark.parametrize("change", [{"height": 3}, {"index": 1}, {"status": "refused"}])
def test_changed(chain: SmallChain, change: dict[str, int | str]) -> None:
    """A transaction that stands elsewhere, or ended otherwise, than was reported."""
    operations = [replace(chain.operations[0], **change), *chain.operations[1:]]
    assert Rule.CHANGED.value in rules(audit(chain, operations=operations))


def test_refused_yet_final(chain: SmallChain) -> None:
    """A transaction that the only node that had it refused."""
    operations = [replace(chain.operations[0], outcome=Outcome.REFUSED), *chain.operations[1:]]
    assert rules(audit(chain, operations=operations)) == {Rule.REFUSED.value}


def test_unknown_may_be_final(chain: SmallChain) -> None:
    """A client that was told nothing has nothing to say, whether the transaction stands there or not."""
    unsure = replace(chain.operations[0], outcome=Outcome.UNKNOWN)
    never = Operation("cd" * 32, "node-1", 1.0, 2.0, Outcome.UNKNOWN)
    assert audit(chain, operations=[unsure, *chain.operations[1:], never]) == []


def test_unsent(chain: SmallChain) -> None:
    """A transaction with a client's signature that no client sent."""
    assert rules(audit(chain, operations=chain.operations[1:])) == {Rule.UNSENT.value}


def test_order(chain: SmallChain) -> None:
    """A transaction in a block that was known to be final before its client made it."""
    late = replace(chain.operations[0], invoked=50.0, completed=51.0)
    found = audit(chain, operations=[late, *chain.operations[1:]])
    assert rules(found) == {Rule.ORDER.value}
    heads = [seen(chain, 2, 0.5)]
    assert rules(audit(chain, sightings=heads)) == {Rule.ORDER.value}


def test_sightings(chain: SmallChain) -> None:
    """A head that is not the chain's, with another state, or above all that is left."""
    true = seen(chain, 2, 9.0)
    for lie in (
        replace(true, block_id=A.hex()),
        replace(true, state_root=A.hex()),
        replace(true, height=3),
        replace(true, height=HEIGHTS + 1),
    ):
        assert rules(audit(chain, sightings=[lie])) == {Rule.SIGHTING.value}


# --- what lies on the disks ------------------------------------------------------------


def test_fork(chain: SmallChain) -> None:
    """Two nodes with different blocks at one height, each valid and certified in itself."""
    other = SmallChain()
    for _ in range(HEIGHTS - 1):
        other.add()
    other.add(count=1)
    found = audit(chain, [chain.remains("node-0"), other.remains("node-1")])
    forks = [each for each in found if each.rule == Rule.FORK.value]
    assert len(forks) == 1
    assert forks[0].message.startswith(f"height {HEIGHTS} is")
    assert Rule.DOUBLE_SIGN.value in rules(found), "and those who signed both are seen"


def test_rewritten(chain: SmallChain) -> None:
    """A chain that all nodes agree on, and that is not the one of an earlier look."""
    auditor = Auditor(chain.genesis)
    assert audit(chain, auditor=auditor) == []
    other = SmallChain()
    for _ in range(HEIGHTS + 1):
        other.add(count=1)
    found = audit(chain, [other.remains("node-0")], [], auditor=auditor)
    assert Rule.FORK.value in rules(found)


def test_shortened(chain: SmallChain) -> None:
    """All nodes that go back together lose what was reported."""
    found = audit(chain, [chain.remains(f"node-{index}", HEIGHTS - 1) for index in range(3)])
    assert rules(found) == {Rule.LOST.value}


def test_wrong_root(chain: SmallChain) -> None:
    """A node whose state is not the one that its blocks lead to."""
    remains = [chain.remains("node-0"), replace(chain.remains("node-1"), state_root=A)]
    (found,) = audit(chain, remains)
    assert (found.rule, "node-1" in found.message) == (Rule.ROOT.value, True)


def test_state_behind(chain: SmallChain) -> None:
    """A stopped node whose state stands below its blocks."""
    remains = [chain.remains("node-0"), replace(chain.remains("node-1"), state_height=1)]
    assert rules(audit(chain, remains)) == {Rule.ROOT.value}


def test_header_with_a_wrong_root(chain: SmallChain) -> None:
    """A block that every node holds and whose header does not follow from its transactions."""
    stored = chain.blocks[HEIGHTS]
    header = msgspec.structs.replace(stored.block.header, state_root=A)
    block = msgspec.structs.replace(stored.block, header=header)
    certificate = chain.certificate(VoteKind.FINALIZE, HEIGHTS, block_id(header))
    forged = replace(stored, id=block_id(header), block=block, finalization=encode(certificate))
    found = audit(chain, [with_block(chain.remains("node-0"), HEIGHTS, forged)], [])
    assert Rule.INVALID.value in rules(found)
    assert any("state_root" in each.message for each in found)


@pytest.mark.parametrize(
    "forgery", ["too few", "another block", "a notarization", "nothing", "not a certificate", "signature"]
)
def test_certificates(chain: SmallChain, forgery: str) -> None:
    """A head that no quorum made final."""
    stored = chain.blocks[HEIGHTS]
    whole = chain.certificate(VoteKind.FINALIZE, HEIGHTS, stored.id)
    signature = (whole.signatures[0][0], b"s" * 64)
    data = {
        "too few": encode(chain.certificate(VoteKind.FINALIZE, HEIGHTS, stored.id, (0, 1))),
        "another block": encode(chain.certificate(VoteKind.FINALIZE, HEIGHTS, A)),
        "a notarization": encode(chain.certificate(VoteKind.NOTARIZE, HEIGHTS, stored.id)),
        "nothing": b"",
        "not a certificate": b"\x00",
        "signature": encode(msgspec.structs.replace(whole, signatures=(signature, *whole.signatures[1:]))),
    }[forgery]
    remains = with_block(chain.remains("node-0"), HEIGHTS, replace(stored, finalization=data))
    assert Rule.CERTIFICATE.value in rules(audit(chain, [remains]))


def test_covered_by_a_descendant(chain: SmallChain) -> None:
    """A block without a certificate of its own is final by the one above it."""
    remains = with_block(chain.remains("node-0"), 2, replace(chain.blocks[2], finalization=b""))
    assert audit(chain, [remains]) == []


@pytest.mark.parametrize(
    "pair",
    [
        (("notarize", A), ("notarize", B)),
        (("finalize", A), ("finalize", B)),
        (("nullify", None), ("finalize", A)),
        (("notarize", A), ("finalize", B)),
        ((PROPOSE, A), (PROPOSE, B)),
    ],
)
def test_double_sign(chain: SmallChain, pair: tuple[tuple[str, BlockId | None], ...]) -> None:
    """Every forbidden pair, said by one validator in one view, to different nodes at different times."""
    said = [Statement(0, 3, 90, kind, named) for kind, named in pair]
    auditor = Auditor(chain.genesis)
    assert audit(chain, [replace(chain.remains("node-0"), statements=(said[0],))], auditor=auditor) == []
    remains = [replace(chain.remains("node-1"), statements=(said[1],))]
    (found,) = audit(chain, remains, auditor=auditor)
    assert found.rule == Rule.DOUBLE_SIGN.value
    assert "validator 3 in epoch 0, view 90" in found.message


def test_liars(chain: SmallChain) -> None:
    """Who was made to lie may sign two ways, and has to be slashed for it; nobody else may, or is."""
    said = tuple(Statement(0, 3, 90, "notarize", named) for named in (A, B))
    lied = [replace(chain.remains("node-0"), statements=said)]
    (escaped,) = audit(chain, lied, liars=frozenset({"node-3"}))
    assert (escaped.rule, escaped.message) == (Rule.SLASHED.value, "node-3 lied, and it was not slashed")
    chain.add(0, chain.report(3))
    punished = [replace(chain.remains("node-0"), statements=said)]
    assert audit(chain, punished, liars=frozenset({"node-3"})) == []
    assert rules(audit(chain, punished)) == {Rule.DOUBLE_SIGN.value, Rule.SLASHED.value}
    assert rules(audit(chain, punished, liars=frozenset({"node-2", "node-3"}))) == {Rule.SLASHED.value}


def test_a_stranger_in_the_set_is_no_liar(chain: SmallChain) -> None:
    """A place that the set does not have, or an epoch that was never reached, excuses nobody."""
    for epoch, validator in ((0, 9), (7, 3)):
        said = tuple(Statement(epoch, validator, 90, "notarize", named) for named in (A, B))
        remains = [replace(chain.remains("node-0"), statements=said)]
        assert Rule.DOUBLE_SIGN.value in rules(audit(chain, remains, liars=frozenset({"node-3"})))


def test_statements_that_agree(chain: SmallChain) -> None:
    """What an honest validator may say in one view, and the same view of another epoch or validator."""
    said = (
        Statement(0, 3, 90, PROPOSE, A),
        Statement(0, 3, 90, "notarize", A),
        Statement(0, 3, 90, "notarize", A),
        Statement(0, 3, 90, "finalize", A),
        Statement(0, 3, 91, "notarize", B),
        Statement(0, 3, 91, "nullify", None),
        Statement(1, 3, 90, "notarize", B),
        Statement(0, 2, 90, "notarize", B),
    )
    assert audit(chain, [replace(chain.remains("node-0"), statements=said)]) == []


def test_head_covered_by_a_block_that_is_elsewhere(chain: SmallChain) -> None:
    """A head may be final by a block of the chain that its node does not hold; no other block will do."""
    behind, top = chain.remains("node-1", HEIGHTS - 1), HEIGHTS - 1
    for named, expected in ((chain.blocks[HEIGHTS].id, set()), (A, {Rule.CERTIFICATE.value})):
        covering = encode(chain.certificate(VoteKind.FINALIZE, HEIGHTS, named))
        stored = replace(chain.blocks[top], finalization=b"", covering=covering)
        assert rules(audit(chain, [chain.remains("node-0"), with_block(behind, top, stored)])) == expected
