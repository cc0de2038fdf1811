"""The transition: one block after another, every rule X1-X9, and the same header for builder and checker."""

from __future__ import annotations

from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.block import Block, Header, block_id
from ledger.crypto import Tag, hash_tagged
from ledger.merkle import log
from ledger.receipt import Status, receipt_bytes
from ledger.transaction import Transaction
from ledger.transition import QUOTAS, REPLAYS, Tip, apply_block, check_place, replay_slot
from ledger.types import BlockId, Height
from ledger.vote import VoteKind
from tests.ledger.chain import (
    FARM,
    REVOKED,
    SHOP,
    STRANGER,
    WINDOW,
    MemoryState,
    Notes,
    apply,
    build,
    certificate_of,
    commit,
    drained,
    genesis_tip,
    grow,
    make_transaction,
    note_key,
)
from tests.ledger.refusals import code_of, refusal_of


def replaced(block: Block, **fields: object) -> Block:
    return msgspec.structs.replace(block, **fields)


def with_header(block: Block, **fields: object) -> Block:
    return replaced(block, header=msgspec.structs.replace(block.header, **fields))


# --- X1-X3: place -------------------------------------------------------------------


def test_a_block_must_follow_the_tip() -> None:
    """A block names its parent by id; any other parent is refused before a transaction is opened."""
    tip = genesis_tip()
    block = with_header(build(tip).block, parent_id=bytes(32))
    garbage = replaced(block, transactions=(b"no transaction",))
    assert code_of(lambda: apply(tip, garbage)) == "block.wrong_parent"


@pytest.mark.parametrize("later_ms", [0, -1])
def test_block_time_goes_up(later_ms: int) -> None:
    """A block's time is above its parent's by a millisecond at least."""
    tip = genesis_tip()
    block = with_header(build(tip).block, time_ms=tip.header.time_ms + later_ms)
    assert code_of(lambda: apply(tip, block)) == "block.wrong_time"
    assert build(tip, time_ms=tip.header.time_ms + 1).tip.header.time_ms == tip.header.time_ms + 1


def test_the_first_block_carries_no_certificate() -> None:
    """Block 0 follows from the genesis and nobody voted on it."""
    tip = genesis_tip()
    block = replaced(build(tip).block, last_certificate=certificate_of(tip.id))
    assert code_of(lambda: apply(tip, block)) == "block.wrong_certificate"


@pytest.mark.parametrize(
    ("certificate", "code"),
    [
        (lambda tip: b"", "encoding.malformed"),
        (lambda tip: certificate_of(BlockId(b"x" * 32)), "block.wrong_certificate"),
        (lambda tip: certificate_of(tip.id, signers=(0, 1)), "certificate.too_little_stake"),
        (lambda tip: certificate_of(tip.id, signers=(0, 1, 1)), "certificate.signers_not_ascending"),
        (lambda tip: certificate_of(tip.id, view=0), "certificate.wrong_view"),
        (lambda tip: certificate_of(tip.id) + b"\0", "encoding.malformed"),
        (lambda tip: certificate_of(tip.id, kind=VoteKind.NULLIFY), "certificate.wrong_block"),
    ],
)
def test_every_later_block_carries_a_quorum_certificate_of_its_parent(certificate, code) -> None:  # type: ignore[no-untyped-def]
    """Absent, another block's, underweight, forged or trailing: refused."""
    tip = grow(genesis_tip(), 1)
    block = replaced(build(tip).block, last_certificate=certificate(tip))
    assert code_of(lambda: check_place(tip, block)) == code


def test_a_certificate_signed_by_somebody_else_is_refused() -> None:
    """Each listed signature must be valid, not two thirds of them."""
    tip = grow(genesis_tip(), 1)
    good = certificate_of(tip.id, signers=(0, 1, 2, 3))
    forged = good[:-1] + bytes([good[-1] ^ 1])
    block = replaced(build(tip).block, last_certificate=forged)
    assert code_of(lambda: check_place(tip, block)) == "certificate.wrong_signature"


# --- X4: transactions -----------------------------------------------------------------


def test_a_block_with_a_badly_signed_transaction_is_invalid() -> None:
    """The signature of every transaction is verified by every validator."""
    tip = genesis_tip()
    raw = make_transaction().raw
    block = replaced(build(tip).block, transactions=(raw[:-1] + bytes([raw[-1] ^ 1]),))
    assert code_of(lambda: apply(tip, block)) == "transaction.bad_signature"


def test_an_opened_transaction_is_not_verified_again() -> None:
    """What admission verified is taken by its exact bytes."""
    tip = genesis_tip()
    execution = build(tip, make_transaction())
    opened = {execution.transactions[0].raw: execution.transactions[0]}
    again = drained(apply_block(tip, execution.block, Notes(), opened))
    assert again.transactions[0] is execution.transactions[0]


@pytest.mark.parametrize(
    ("transaction", "code"),
    [
        (make_transaction(chain=b"d" * 32), "transaction.wrong_chain"),  # type: ignore[arg-type]
        (make_transaction(valid_until=0), "transaction.expired"),
        (make_transaction(valid_until=1 + WINDOW), "transaction.too_far_ahead"),
    ],
)
def test_a_transaction_out_of_scope_makes_the_block_invalid(transaction: Transaction, code: str) -> None:
    """A proposer that takes what does not belong here makes no block at all."""
    assert code_of(lambda: build(genesis_tip(), transaction)) == code


def test_the_ends_of_validity_belong_to_it() -> None:
    """`valid_until` is the last height that may hold it; the furthest allowed is window - 1 ahead."""
    tip = genesis_tip()
    execution = build(tip, make_transaction(valid_until=1), make_transaction(nonce=1, valid_until=WINDOW))
    assert [receipt.status for receipt in execution.receipts] == [Status.ACCEPTED] * 2


# --- X5: replay -------------------------------------------------------------------------


def test_a_transaction_stands_once_in_a_block() -> None:
    """The same id twice in one block makes it invalid."""
    one = make_transaction()
    assert code_of(lambda: build(genesis_tip(), one, one)) == "transaction.replayed"


def test_a_second_signature_over_the_same_body_is_the_same_transaction() -> None:
    """The id covers the unsigned body, so no other signature brings it in twice."""
    one = make_transaction()
    twin = Transaction(one.id, one.raw, one.body, b"s" * 64)
    assert code_of(lambda: build(genesis_tip(), one, twin)) == "transaction.replayed"


def test_replays_are_refused_inside_the_window_and_impossible_outside() -> None:
    """At each later height the transaction is refused: as replayed while remembered, as expired after.

    Its slot is written again exactly one window later, when its expiry has passed: there is no gap.
    """
    tip = genesis_tip()
    transaction = make_transaction(valid_until=WINDOW)  # the latest that height 1 allows
    tip = commit(tip, build(tip, transaction))
    slot = replay_slot(Height(1), tip.parameters)
    for height in range(2, 2 * WINDOW + 2):
        record = REPLAYS.get(tip.world, slot)
        assert record is not None
        assert (record.height == 1) is (height <= WINDOW + 1)
        expected = "transaction.replayed" if height <= WINDOW else "transaction.expired"
        assert code_of(lambda at=tip: build(at, transaction)) == expected
        tip = grow(tip, 1)


def test_the_ring_holds_exactly_the_window() -> None:
    """After any number of blocks it has a slot for each block of the window, and for no other."""
    tip = grow(genesis_tip(), 3 * WINDOW + 4)
    state = tip.world
    assert isinstance(state, MemoryState)
    heights = sorted(record.height for record in state.replays())
    assert heights == list(range(2 * WINDOW + 5, 3 * WINDOW + 5))


def test_replays_of_unfinalized_blocks_are_refused() -> None:
    """A layer remembers its own transactions and those of the layers below it."""
    transaction = make_transaction()
    first = build(genesis_tip(), transaction)
    second = build(first.tip)
    assert code_of(lambda: build(first.tip, transaction)) == "transaction.replayed"
    assert code_of(lambda: build(second.tip, transaction)) == "transaction.replayed"


# --- X6: running ----------------------------------------------------------------------


def test_writes_follow_the_order_of_the_block() -> None:
    """Each transaction sees what the ones before it wrote; the last write stands."""
    tip = genesis_tip()
    execution = build(tip, *(make_transaction(nonce=i, arguments=b"a=%d" % i) for i in range(3)))
    assert execution.tip.world.get(note_key("farm", "a")) == b"2"


@pytest.mark.parametrize(
    ("transaction", "code", "pointer"),
    [
        (make_transaction(STRANGER), "sender.not_a_member", ""),
        (make_transaction(REVOKED), "sender.revoked", ""),
        (make_transaction(contract="unknown"), "contract.unknown", "/contract"),
        (make_transaction(method="spoil"), "notes.spoiled", "/arguments"),
    ],
)
def test_a_refused_transaction_leaves_receipt_replay_record_and_quota(
    transaction: Transaction, code: str, pointer: str
) -> None:
    """Nothing else in the state differs from that of an empty block, and the block is valid."""
    empty, refused = build(genesis_tip()), build(genesis_tip(), transaction)
    (receipt,) = refused.receipts
    assert (receipt.status, receipt.code, receipt.pointer) == (Status.REFUSED, code, pointer)
    assert (receipt.result, receipt.events) == (b"", ())
    assert refused.tip.world.is_recent(transaction.id)
    changed = set(refused.layer.writes) - set(empty.layer.writes)
    is_member = not code.startswith("sender.")
    assert changed == ({QUOTAS.key(b"farm")} if is_member else set())


def test_a_refusal_does_not_touch_its_neighbours() -> None:
    """Good transactions around a refused one keep their writes."""
    execution = build(
        genesis_tip(),
        make_transaction(nonce=1, arguments=b"a=1"),
        make_transaction(nonce=2, arguments=b"a=2", method="spoil"),
        make_transaction(SHOP, nonce=3, arguments=b"b=3"),
    )
    assert [receipt.status for receipt in execution.receipts] == [
        Status.ACCEPTED, Status.REFUSED, Status.ACCEPTED,
    ]  # fmt: skip
    assert execution.tip.world.get(note_key("farm", "a")) == b"1"
    assert execution.tip.world.get(note_key("shop", "b")) == b"3"


def test_status_and_result_come_from_the_method() -> None:
    """A flag is kept in the receipt, and so is the method's answer."""
    flagged, plain = build(
        genesis_tip(), make_transaction(method="flag"), make_transaction(SHOP, nonce=1)
    ).receipts
    assert (flagged.status, flagged.result) == (Status.FLAGGED, b"look")
    assert plain.result == bytes([0x92, 1, 1])  # height 1, index 1


# --- X7: quota --------------------------------------------------------------------------


def test_an_organisation_may_use_its_quota_and_no_byte_more() -> None:
    """Units are bytes; what would exceed the quota is refused and uses none of it."""
    sizes = [len(make_transaction(nonce=i).raw) for i in range(3)]
    assert sizes[0] == sizes[1] == sizes[2]
    tip = genesis_tip(quota_units_per_window=2 * sizes[0])
    execution = build(tip, *(make_transaction(nonce=i) for i in range(3)), make_transaction(SHOP, nonce=9))
    assert [receipt.code for receipt in execution.receipts] == ["", "", "quota.exceeded", ""]
    used = QUOTAS.get(execution.tip.world, b"farm")
    assert used is not None
    assert (used.window_start, used.units) == (0, 2 * sizes[0])


def test_quota_is_summed_over_blocks_and_starts_anew_with_the_window() -> None:
    """The window of the quota begins at every multiple of the replay window."""
    size = len(make_transaction().raw)
    tip = genesis_tip(quota_units_per_window=size)
    tip = commit(tip, build(tip, make_transaction()))
    for height in range(2, WINDOW + 2):
        execution = build(tip, make_transaction(nonce=height, valid_until=height))
        expected = "quota.exceeded" if height < WINDOW or height == WINDOW + 1 else ""
        assert execution.receipts[0].code == expected, height
        tip = commit(tip, execution)


def test_quota_does_not_limit_others() -> None:
    """Each organisation has a quota of its own."""
    tip = genesis_tip(quota_units_per_window=len(make_transaction().raw))
    execution = build(tip, make_transaction(FARM), make_transaction(SHOP))
    assert [receipt.code for receipt in execution.receipts] == ["", ""]


# --- X8: sizes --------------------------------------------------------------------------


def test_a_block_holds_so_many_transactions() -> None:
    """The limit belongs to it, one more is refused."""
    tip = genesis_tip(block_transactions_max=2)
    three = [make_transaction(nonce=i) for i in range(3)]
    build(tip, *three[:2])
    assert code_of(lambda: build(tip, *three)) == "block.too_many_transactions"


def test_a_block_holds_so_many_bytes() -> None:
    """The limit belongs to it, one byte more is refused."""
    limit = 1 << 20
    tip = genesis_tip(block_bytes_max=limit)
    plain = len(make_transaction(arguments=b"a=" + b"1" * 300_000).raw) - 300_000
    fill = limit - 2 * (plain + 300_000) - (plain + 2)
    halves = [make_transaction(nonce=i, arguments=b"a=" + b"1" * 300_000) for i in range(2)]
    last = make_transaction(nonce=3, arguments=b"a=" + b"1" * (fill + 2))
    more = make_transaction(nonce=3, arguments=b"a=" + b"1" * (fill + 3))
    assert sum(len(each.raw) for each in (*halves, last)) == limit
    build(tip, *halves, last)
    assert code_of(lambda: build(tip, *halves, more)) == "block.too_large"


def test_sizes_are_checked_before_any_transaction_is_opened() -> None:
    """A leader cannot make others verify signatures of a block that is too large anyway."""
    tip = genesis_tip(block_transactions_max=2)
    block = replaced(build(tip).block, transactions=(b"no transaction",) * 3)
    assert code_of(lambda: apply(tip, block)) == "block.too_many_transactions"


# --- X9: the header ---------------------------------------------------------------------


@pytest.mark.parametrize("field", [name for name in Header.__struct_fields__ if name != "time_ms"])
def test_each_field_of_the_header_is_held_to_execution(field: str) -> None:
    """A header that differs in one field is refused, and the refusal names the field.

    Another time above the parent's is another block, and as good as the first.
    """
    tip = grow(genesis_tip(), 1)
    block = build(tip, make_transaction()).block
    value = getattr(block.header, field)
    other = bytes(31) + b"\1" if isinstance(value, bytes) else value + 1
    refusal = refusal_of(lambda: apply(tip, with_header(block, **{field: other})))
    if field == "parent_id":
        assert refusal.code == "block.wrong_parent"
    else:
        assert (refusal.code, refusal.pointer) == ("block.wrong_header", f"/{field}")


def test_the_header_commits_to_all_that_happened() -> None:
    """Roots, counts and hashes are those of the definitions, recomputed here."""
    tip = grow(genesis_tip(), 2)
    made = [make_transaction(nonce=1, arguments=b"a=1"), make_transaction(SHOP, 2, method="event")]
    execution = build(tip, *made)
    header = execution.tip.header
    assert header.height == 3
    assert header.parent_id == tip.id
    assert header.transactions_root == log.root([each.raw for each in made])
    assert header.receipts_root == log.root([receipt_bytes(each) for each in execution.receipts])
    assert header.events_root == log.root([sha256(b"1").digest()])
    assert (header.transaction_count, header.event_count) == (2, 1)
    assert header.last_certificate_hash == hash_tagged(Tag.CERTIFICATE, execution.block.last_certificate)
    assert header.history_root == tip.history.root()
    assert execution.tip.history.root() != tip.history.root()
    assert execution.tip.id == block_id(header)
    state = tip.world
    assert isinstance(state, MemoryState)
    after = dict(state.values)
    after.update({key: value for key, value in execution.layer.writes.items() if value is not None})
    assert header.state_root == MemoryState(after).tree.root


def test_history_covers_all_earlier_headers_in_order() -> None:
    """The root of block 3 is the RFC 9162 head over the ids of blocks 0, 1 and 2."""
    tip = genesis_tip()
    ids: list[bytes] = []
    for _ in range(3):
        ids.append(tip.id)
        tip = grow(tip, 1)
        assert tip.header.history_root == log.root(ids)


calls = st.builds(
    make_transaction,
    st.sampled_from([FARM, SHOP, REVOKED, STRANGER]),
    st.integers(0, 2**64),
    st.integers(3, 10),
    st.sampled_from(["write", "spoil", "flag", "event"]),
    st.sampled_from([b"a=1", b"a=2", b"a=", b"b=1", b"c=" + b"x" * 50]),
)


@given(
    st.lists(
        st.lists(calls, max_size=4, unique_by=lambda each: each.id),
        min_size=1,
        max_size=3,
    )
)
def test_who_builds_and_who_checks_agree_on_committed_state_and_on_layers(
    blocks: list[list[Transaction]],
) -> None:
    """The header that `execute` makes is the one that `apply_block` accepts, whatever lies below.

    One node keeps all blocks as layers, the other commits each at once: same headers, same answers.
    """
    layered: Tip = genesis_tip()
    committed: Tip = genesis_tip()
    seen: dict[bytes, None] = {}
    for transactions in blocks:
        fresh = [each for each in transactions if each.id not in seen]
        seen.update((each.id, None) for each in fresh)
        made = build(layered, *fresh)
        checked = apply(committed, made.block)
        assert checked.tip.header == made.tip.header
        assert checked.receipts == made.receipts
        assert checked.layer.update.root == made.layer.update.root
        layered = made.tip
        committed = commit(committed, checked)
    state = committed.world
    assert isinstance(state, MemoryState)
    for key in [*state.values, *(note_key("farm", name) for name in "abc")]:
        assert layered.world.get(key) == state.get(key)
    assert all(layered.world.is_recent(each) and state.is_recent(each) for each in seen)


def test_execution_yields_after_each_transaction() -> None:
    """A caller gets a turn between any two transactions, so a long block holds nobody."""
    tip = genesis_tip()
    block = build(tip, *(make_transaction(nonce=i) for i in range(4))).block
    turns = sum(1 for _ in apply_block(tip, block, Notes(), {}))
    assert turns == 8  # four opened, four run
