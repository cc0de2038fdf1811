"""Compact proposals: exact bytes only, a share for each peer, and nothing at hand that was not asked for."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import node.compact as compact_module
from ledger.block import Block, block_id
from ledger.merkle.log import leaf_hash, root_of_hashes
from ledger.types import BlockId, Hash, PublicKey
from node.bodies import BODIES_MAX, Bodies
from node.compact import ASSEMBLIES_OF_PEER_MAX, Assembly, Incoming
from tests.ledger.chain import build, genesis_tip, grow, make_transaction
from tests.ledger.refusals import code_of

ANNA, BERT = PublicKey(b"a" * 32), PublicKey(b"b" * 32)
TIP = grow(genesis_tip(), 1)
TRANSACTIONS = [make_transaction(nonce=nonce) for nonce in (1, 2, 3)]
BLOCK = build(TIP, *TRANSACTIONS).block
ID = block_id(BLOCK.header)
RAWS = BLOCK.transactions


def hashes_of(block: Block) -> list[Hash]:
    return [leaf_hash(raw) for raw in block.transactions]


def another_signature(raw: bytes) -> bytes:
    """The same body, so the same id, under other signature bytes."""
    return raw[:-1] + bytes([raw[-1] ^ 1])


class Case:
    """Incoming bodies of one node that holds some transactions."""

    def __init__(self, *held: bytes) -> None:
        self.bodies = Bodies()
        self.held = {leaf_hash(raw): raw for raw in held}
        self.incoming = Incoming(self.bodies, self.held.get)

    def begin(self, block: Block = BLOCK, sender: PublicKey = ANNA) -> tuple[int, ...]:
        return self.incoming.begin(
            sender, block_id(block.header), block.header, block.last_certificate, hashes_of(block)
        )


# --- one block -----------------------------------------------------------------------


def test_a_block_of_what_is_here_is_put_together_at_once() -> None:
    """Nothing is asked for; it comes to hand as soon as consensus asks for it."""
    case = Case(*RAWS)
    assert case.begin() == ()
    assert case.bodies.get(ID) is None
    assert case.incoming.want(ID)
    assert case.bodies.get(ID) == BLOCK
    assert len(case.incoming) == 0


def test_what_is_missing_is_named_by_its_place_and_taken_when_it_comes() -> None:
    """In any order, in any number of batches; the rest of a batch is for others."""
    case = Case(RAWS[1])
    assert not case.incoming.want(ID)
    assert case.begin() == (0, 2)
    assert case.incoming.want(ID)
    assert case.incoming.add([RAWS[2], b"gossip"]) == ([RAWS[2]], [b"gossip"])
    assert case.incoming.add([RAWS[2]]) == ([], [RAWS[2]])  # it lacks this one no more
    assert case.begin() == (0,)
    assert case.bodies.get(ID) is None
    assert case.incoming.add([RAWS[0]]) == ([RAWS[0]], [])
    assert case.bodies.get(ID) == BLOCK
    assert case.incoming.add([RAWS[0]]) == ([], [RAWS[0]])


def test_an_empty_block_needs_no_transactions() -> None:
    """The proposal alone is the body."""
    empty = build(TIP).block
    case = Case()
    assert case.begin(empty) == ()
    assert case.incoming.want(block_id(empty.header))
    assert case.bodies.get(block_id(empty.header)) == empty


def test_a_body_under_another_signature_is_no_part_of_the_block() -> None:
    """Whether it lies here or comes from whomever: the block's own bytes are asked for, and suffice."""
    copies = [another_signature(raw) for raw in RAWS]
    case = Case(*copies)
    case.incoming.want(ID)
    assert case.begin() == (0, 1, 2)
    assert case.incoming.add(copies) == ([], copies)
    assert case.begin() == (0, 1, 2)
    assert case.incoming.add([*copies, *RAWS]) == (list(RAWS), copies)
    assert case.bodies.get(ID) == BLOCK


@given(st.data())
def test_whatever_is_sent_the_block_is_whole_or_waits(data: st.DataObject) -> None:
    """Copies, garbage and parts in any order: at hand once all its own parts came, and only then."""
    case = Case()
    case.incoming.want(ID)
    case.begin()
    pool = [*RAWS, *(another_signature(raw) for raw in RAWS), b"garbage", RAWS[0][:-1]]
    sent: set[bytes] = set()
    for raw in data.draw(st.lists(st.sampled_from(pool), max_size=12)):
        case.incoming.add([raw])
        sent.add(raw)
        assert case.bodies.get(ID) == (BLOCK if sent.issuperset(RAWS) else None)


@pytest.mark.parametrize(
    ("header", "certificate", "hashes"),
    [
        ({}, BLOCK.last_certificate, hashes_of(BLOCK)[::-1]),
        ({}, BLOCK.last_certificate, hashes_of(BLOCK)[:2]),
        ({}, BLOCK.last_certificate, [*hashes_of(BLOCK), Hash(bytes(32))]),
        ({}, BLOCK.last_certificate, [Hash(each.id) for each in TRANSACTIONS]),
        ({}, BLOCK.last_certificate, []),
        ({}, b"another", hashes_of(BLOCK)),
        ({}, b"", hashes_of(BLOCK)),
        ({"transaction_count": 2}, BLOCK.last_certificate, hashes_of(BLOCK)),
    ],
    ids=["order", "fewer", "more", "ids", "none", "certificate", "no certificate", "count"],
)
def test_what_the_header_does_not_commit_to_is_refused(
    header: dict[str, int], certificate: bytes, hashes: list[Hash]
) -> None:
    """Before anything is looked up or asked for, and nothing of it is kept."""
    case = Case(*RAWS)
    wrong = msgspec.structs.replace(BLOCK.header, **header)
    code = code_of(lambda: case.incoming.begin(ANNA, block_id(wrong), wrong, certificate, hashes))
    assert code == "proposal.wrong_body"
    assert len(case.incoming) == 0


def test_a_transaction_that_is_named_twice_is_refused() -> None:
    """No valid block has one twice, so none is put together."""
    twice = [leaf_hash(RAWS[0])] * 2
    header = msgspec.structs.replace(
        BLOCK.header, transaction_count=2, transactions_root=root_of_hashes(twice)
    )
    assert code_of(lambda: Assembly(header, BLOCK.last_certificate, twice)) == "proposal.wrong_body"


def test_no_more_than_a_blocks_size_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of large transactions fills no memory: what is above the limit is not kept."""
    monkeypatch.setattr(compact_module, "BLOCK_BYTES_MAX", sum(map(len, RAWS)) - 1)
    case = Case()
    case.incoming.want(ID)
    case.begin()
    assert case.incoming.add(RAWS) == (list(RAWS[:2]), [RAWS[2]])
    assert case.begin() == (2,)
    assert case.bodies.get(ID) is None


# --- shares --------------------------------------------------------------------------


def blocks(count: int, start: int = 100) -> list[Block]:
    """Different blocks of one unknown transaction each."""
    return [build(TIP, make_transaction(nonce=start + number)).block for number in range(count)]


def test_a_flood_of_one_peer_displaces_only_its_own() -> None:
    """However many blocks it names, another's waits where it was."""
    case = Case()
    case.incoming.want(ID)
    case.begin(sender=BERT)
    for block in blocks(10):
        case.begin(block, ANNA)
    assert len(case.incoming) == 1 + ASSEMBLIES_OF_PEER_MAX
    case.incoming.add(RAWS)
    assert case.bodies.get(ID) == BLOCK


@pytest.mark.parametrize("does", ["flood", "leave"])
def test_a_block_that_two_have_named_stays_while_one_of_them_does(does: str) -> None:
    """To name another's block first, answer nothing, and then flood or leave does not lose it."""
    case = Case()
    case.incoming.want(ID)
    assert case.begin(sender=ANNA) == (0, 1, 2)
    assert case.begin(sender=BERT) == (0, 1, 2)  # both are asked
    if does == "leave":
        case.incoming.disconnected(ANNA)
    else:
        for block in blocks(5):
            case.begin(block, ANNA)
    case.incoming.add(RAWS)
    assert case.bodies.get(ID) == BLOCK


def test_what_a_peer_alone_has_named_goes_with_it() -> None:
    """Nothing is left of who has gone; to go twice is harmless."""
    case = Case()
    case.begin()
    for _ in range(2):
        case.incoming.disconnected(ANNA)
    assert len(case.incoming) == 0


def test_a_list_that_came_later_does_not_replace_the_first() -> None:
    """The first one was proved by the header; a later one is not even looked at."""
    case = Case()
    case.incoming.want(ID)
    case.begin()
    assert case.incoming.begin(BERT, ID, BLOCK.header, b"", [Hash(bytes(32))]) == (0, 1, 2)
    case.incoming.add(RAWS)
    assert case.bodies.get(ID) == BLOCK


# --- what was asked for ----------------------------------------------------------------


def test_what_nobody_asked_for_pushes_nothing_out() -> None:
    """A member that makes up blocks without end takes no body away from a vote that rests on it."""
    case = Case()
    case.bodies.put(BLOCK)
    for number in range(BODIES_MAX + 10):
        assert case.begin(build(TIP, time_ms=TIP.header.time_ms + 1 + number).block) == ()
    assert case.bodies.get(ID) is BLOCK
    assert len(case.incoming) == ASSEMBLIES_OF_PEER_MAX


def test_a_whole_body_ends_the_putting_together() -> None:
    """It is taken once: what came is not wanted any more. A wrong body leaves all as it was."""
    case = Case()
    case.incoming.want(ID)
    case.begin()
    wrong = msgspec.structs.replace(BLOCK, transactions=tuple(map(another_signature, RAWS)))
    assert not case.incoming.take(wrong)
    assert case.incoming.is_wanted(ID)
    assert len(case.incoming) == 1
    assert case.incoming.take(BLOCK)
    assert case.bodies.get(ID) == BLOCK
    assert not case.incoming.is_wanted(ID)
    assert len(case.incoming) == 0
    assert case.incoming.want(ID)
    assert not case.incoming.is_wanted(ID)


def test_what_is_wanted_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was asked for longest ago is forgotten; to ask again makes it young."""
    monkeypatch.setattr(compact_module, "WANTED_MAX", 2)
    case = Case()
    names = [BlockId(bytes([number]) * 32) for number in range(3)]
    for name in (names[0], names[1], names[0], names[2]):
        case.incoming.want(name)
    assert [case.incoming.is_wanted(name) for name in names] == [True, False, True]
