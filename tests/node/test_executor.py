"""The executor: the door, blocks run once, final blocks committed once, whoever is faster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator

import pytest

import ledger.transition as transition_module
import node.executor as executor_module
import node.opened as opened_module
import node.pace as pace_module
from ledger.block import Block, block_id
from ledger.codec import encode
from ledger.errors import LedgerError
from ledger.mempool import Mempool
from ledger.transaction import SignedBody, Transaction
from ledger.types import ChainId, Height, TxId
from node.executor import Submission, Superseded
from node.pace import Slices, drained, sliced
from tests.ledger.chain import note_key
from tests.ledger.refusals import code_of
from tests.node.room import Room


async def turns(count: int = 20) -> None:
    """Let every task that can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.fixture
def interruptible(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others get a turn after each transaction of a block, however fast it runs."""
    monkeypatch.setattr(pace_module, "SLICE_SECONDS", 0)


# --- the door ------------------------------------------------------------------------


async def test_a_good_transaction_waits() -> None:
    """It is new once; the same bytes again are pending and change nothing."""
    room = Room()
    made = room.transaction()
    assert room.executor.admit(made.raw) == (made, Submission.PENDING, True)
    assert room.executor.admit(made.raw) == (made, Submission.PENDING, False)
    assert len(room.executor.mempool) == 1
    assert room.executor.waiting(made.id) == made
    assert room.executor.raw_transaction(made.id) == made.raw


async def test_what_a_block_holds_is_a_duplicate_and_no_refusal() -> None:
    """Sending again after finality is harmless and says so."""
    room = Room()
    made = room.transaction()
    room.executor.admit(made.raw)
    await room.commit(await room.build())
    assert room.executor.admit(made.raw) == (made, Submission.DUPLICATE, False)
    assert len(room.executor.mempool) == 0
    assert room.executor.waiting(made.id) is None


async def test_each_refusal_at_the_door_has_its_code_and_changes_nothing() -> None:
    """Malformed, forged, another chain's, late, early, by strangers, of no contract."""
    room = Room()
    good = room.transaction()
    forged = encode(SignedBody(good.body, bytes(64)))
    cases = {
        b"garbage": "encoding.malformed",
        good.raw + b"\0": "encoding.malformed",
        b"\xdc\x00\x02" + good.raw[1:]: "encoding.non_canonical",
        bytes(1 + (1 << 20)): "transaction.too_large",
        forged: "transaction.bad_signature",
        room.transaction(chain=ChainId(bytes(32))).raw: "transaction.wrong_chain",
        room.transaction(valid_until=0).raw: "transaction.expired",
        room.transaction(valid_until=11).raw: "transaction.too_far_ahead",
        room.transaction(sender="stranger").raw: "sender.not_a_member",
        room.transaction(contract="other").raw: "contract.unknown",
    }
    for raw, code in cases.items():
        assert code_of(lambda r=raw: room.executor.admit(r)) == code
    assert len(room.executor.mempool) == 0
    room.executor.admit(good.raw)  # a forgery of it did not take its place


async def test_a_full_mempool_refuses_at_the_door() -> None:
    """The sender is told to try again."""
    room = Room(Mempool(transactions_max=1))
    room.executor.admit(room.transaction(1).raw)
    assert code_of(lambda: room.executor.admit(room.transaction(2).raw)) == "mempool.full"


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[TxId]:
    """The ids whose signatures were verified, at the door or in a block."""
    seen: list[TxId] = []
    for module in (executor_module, transition_module):
        plain = module.verify_signature

        def counted(transaction: Transaction, plain: Callable[[Transaction], None] = plain) -> None:
            seen.append(transaction.id)
            plain(transaction)

        monkeypatch.setattr(module, "verify_signature", counted)
    return seen


async def test_a_signature_is_verified_once(verified: list[TxId]) -> None:
    """At the door or in the first block that holds it, and not again in another block or at the door."""
    proposer, checker = Room(), Room()
    known, unknown = proposer.transaction(1), proposer.transaction(2)
    for each in (known, unknown):
        proposer.executor.admit(each.raw)
    checker.executor.admit(known.raw)
    verified.clear()
    await checker.executor.check((await proposer.build()).block)
    await checker.executor.check((await proposer.build(time_ms=2_000_000_000_001)).block)
    checker.executor.admit(unknown.raw)
    assert verified == [unknown.id]


async def test_the_memory_of_signatures_is_bounded(
    verified: list[TxId], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest is forgotten first, and verified again when it comes again."""
    monkeypatch.setattr(opened_module, "OPENED_MAX", 2)
    room = Room()
    made = [room.transaction(nonce) for nonce in range(3)]
    for each in made:
        room.executor.admit(each.raw)
    room.executor.mempool.remove(each.id for each in made)
    verified.clear()
    for each in made[::-1]:
        room.executor.admit(each.raw)
    assert verified == [made[0].id]


# --- running -------------------------------------------------------------------------


async def test_who_builds_and_who_checks_agree() -> None:
    """A block built by one node gives the same tip at another."""
    proposer, checker = Room(), Room()
    for nonce in range(5):
        proposer.executor.admit(proposer.transaction(nonce, arguments=b"a=%d" % nonce).raw)
    built = await proposer.build()
    checked = await checker.executor.check(built.block)
    assert len(built.block.transactions) == 5
    assert checked.tip.header == built.tip.header
    assert checker.executor.tip(built.tip.id) is checked.tip


async def test_an_invalid_block_is_refused_and_not_kept() -> None:
    """The next check finds nothing of it."""
    proposer, checker = Room(), Room()
    proposer.executor.admit(proposer.transaction().raw)
    block = (await proposer.build()).block
    wrong = type(block)(block.header, b"", ())
    with pytest.raises(Exception, match=r"block\.wrong_header"):
        await checker.executor.check(wrong)
    assert checker.executor.tip(proposer.executor.committed.id) is checker.executor.committed
    await checker.executor.check(block)


@pytest.mark.usefixtures("interruptible")
async def test_a_block_is_run_once_however_often_it_is_asked_for() -> None:
    """Two that ask at once get one execution."""
    proposer, checker = Room(), Room()
    proposer.executor.admit(proposer.transaction().raw)
    block = (await proposer.build()).block
    async with asyncio.TaskGroup() as tasks:
        one, other = (tasks.create_task(checker.executor.check(block)) for _ in range(2))
    assert one.result() is other.result()


async def test_a_built_block_keeps_to_the_limits() -> None:
    """Number and bytes of transactions; what does not fit waits for the next."""
    room = Room(block_transactions_max=3)
    for nonce in range(5):
        room.executor.admit(room.transaction(nonce).raw)
    assert len((await room.build()).transactions) == 3
    large = Room(block_bytes_max=1 << 20)
    for nonce in range(3):
        large.executor.admit(large.transaction(nonce, arguments=b"a=" + bytes(400_000)).raw)
    assert len((await large.build()).transactions) == 2
    exact = Room(block_bytes_max=1 << 20)
    head = exact.transaction(1, arguments=b"a=" + bytes(400_000))
    plain = len(exact.transaction(2, arguments=b"a=" + bytes(100_000)).raw)
    rest = exact.transaction(2, arguments=b"a=" + bytes(100_000 + (1 << 20) - len(head.raw) - plain))
    for each in (head, rest):
        exact.executor.admit(each.raw)
    assert sum(len(each.raw) for each in (await exact.build()).transactions) == 1 << 20


async def test_what_an_unfinalized_block_holds_is_not_proposed_again() -> None:
    """A leader that builds above its own last block leaves its transactions out, and they still wait."""
    room = Room()
    made = room.transaction()
    room.executor.admit(made.raw)
    first = await room.build()
    second = await room.build(first.tip.id)
    assert second.transactions == ()
    assert room.executor.waiting(made.id) == made


async def test_nothing_is_built_of_nothing_unless_asked_for() -> None:
    """Where all that waits stands in the parent's chain there is no block, unless it may be empty."""
    room = Room()
    room.executor.admit(room.transaction().raw)
    first = await room.build()
    at = first.tip.header.time_ms
    certificate = room.parent_certificate(first.tip)
    executor = room.executor
    assert await executor.build(first.tip.id, at, certificate, may_be_empty=False) is None  # type: ignore[arg-type]
    assert await executor.build(first.tip.id, at, certificate, may_be_empty=True)  # type: ignore[arg-type]


async def test_block_time_goes_up_though_the_clock_goes_back() -> None:
    """A leader whose clock is behind the parent's time takes the next millisecond."""
    room = Room()
    first = await room.build(time_ms=2_000_000_000_000)
    second = await room.build(first.tip.id, time_ms=5)
    assert second.tip.header.time_ms == 2_000_000_000_001


async def test_transactions_of_a_block_that_does_not_wait_here_are_served() -> None:
    """A peer may ask for what only an unfinalized block holds."""
    proposer, checker = Room(), Room()
    made = proposer.transaction()
    proposer.executor.admit(made.raw)
    await checker.executor.check((await proposer.build()).block)
    assert made.id not in checker.executor.mempool
    assert checker.executor.raw_transaction(made.id) == made.raw


# --- final blocks --------------------------------------------------------------------


async def test_a_transaction_is_found_in_whichever_unfinalized_block_holds_it() -> None:
    """Not only in the newest."""
    proposer, checker = Room(), Room()
    made = proposer.transaction()
    proposer.executor.admit(made.raw)
    first = await proposer.build()
    second = await proposer.build(first.tip.id)
    for execution in (first, second):
        await checker.executor.check(execution.block)
    assert checker.executor.waiting(made.id) == made
    assert checker.executor.waiting(TxId(bytes(32))) is None


async def test_a_block_that_is_too_large_costs_no_signature_check() -> None:
    """Its number of transactions is looked at before any of them."""
    room = Room(block_transactions_max=2)
    block = (await Room(block_transactions_max=2).build()).block
    large = Block(block.header, b"", (b"no transaction",) * 3)
    with pytest.raises(LedgerError, match=r"block\.too_many_transactions"):
        await room.executor.check(large)


@pytest.mark.usefixtures("interruptible")
async def test_a_block_whose_parent_loses_while_it_is_built_is_not_kept() -> None:
    """The leader is told that there is nothing to propose."""
    room = Room()
    winner = await room.executor.check((await Room().build(time_ms=2_000_000_000_001)).block)
    base = room.executor.committed.id
    for nonce in range(5):
        room.executor.admit(room.transaction(nonce).raw)
    work = asyncio.create_task(room.build(base))
    await turns(3)
    assert not work.done()
    await room.commit(winner)
    with pytest.raises(Superseded):
        await work


async def test_a_final_block_moves_state_blocks_and_mempool() -> None:
    """All of it at once; what has expired leaves with it."""
    room = Room()
    made, late = (
        room.transaction(1, arguments=b"a=7"),
        room.transaction(2, valid_until=1, sender="shop/operator"),
    )
    room.executor.admit(made.raw)
    built = await room.build()
    room.executor.admit(late.raw)
    await room.commit(built)
    assert room.height == 1
    assert room.executor.committed.world is room.stores.state
    assert room.stores.state.get(note_key("farm", "a")) == b"7"
    assert room.stores.blocks.place_of(made.id) == (1, 0)
    assert (made.id in room.executor.mempool, late.id in room.executor.mempool) == (False, False)


async def test_layers_above_a_final_block_stand_on_the_store() -> None:
    """Three blocks run ahead, committed one by one, give the same roots as each alone."""
    room = Room()
    made = []
    parent = room.executor.committed.id
    for nonce in range(3):
        room.executor.admit(room.transaction(nonce, arguments=b"a=%d" % nonce).raw)
        made.append(await room.build(parent))
        parent = made[-1].tip.id
    for execution in made:
        await room.commit(execution)
        assert room.stores.state.tree.root == execution.tip.header.state_root
    assert made[1].layer.parent is room.stores.state


async def test_what_lost_against_a_final_block_is_dropped_with_its_children() -> None:
    """Its transactions wait again for a block."""
    room = Room()
    made = room.transaction()
    loser = await room.build(time_ms=2_000_000_000_001)
    room.executor.admit(made.raw)
    child = await room.build(loser.tip.id)
    winner_room = Room()
    winner = await room.executor.check((await winner_room.build()).block)
    await room.commit(winner)
    assert room.executor.tip(loser.tip.id) is None
    assert room.executor.tip(child.tip.id) is None
    assert made.id in room.executor.mempool
    assert (await room.build()).transactions == (made,)


@pytest.mark.usefixtures("interruptible")
async def test_a_block_run_while_its_parent_became_final_can_be_committed() -> None:
    """It was run on the parent's layer; the store has taken that layer in meanwhile."""
    proposer, room = Room(), Room()
    first = await proposer.build()
    proposer.executor.admit(proposer.transaction().raw)
    second = await proposer.build(first.tip.id)
    run = await room.executor.check(first.block)
    work = asyncio.create_task(room.executor.check(second.block))
    await turns(2)  # it has begun
    assert not work.done()
    await room.commit(run)
    second_run = await work
    third = await room.executor.check((await proposer.build(second.tip.id)).block)
    assert second_run.layer.parent is room.stores.state
    await room.commit(second_run)
    assert third.layer.parent is room.stores.state  # and not a chain of layers that grows for ever
    assert room.height == 2
    assert room.stores.state.tree.root == second.tip.header.state_root


async def test_a_block_that_had_to_make_room_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its children were run on the execution that is gone, and are committed all the same."""
    room = Room()
    made = []
    parent = room.executor.committed.id
    for _ in range(3):
        made.append(await room.build(parent))
        parent = made[-1].tip.id
    monkeypatch.setattr(executor_module, "UNFINALIZED_BLOCKS_MAX", 3)
    made.append(await room.build(parent))  # the first one makes room
    assert room.executor.execution(made[0].tip.id) is None
    monkeypatch.setattr(executor_module, "UNFINALIZED_BLOCKS_MAX", 9)
    await room.executor.check(made[0].block)
    for execution in made:
        await room.commit(execution)
        assert room.stores.state.tree.root == execution.tip.header.state_root
    assert made[-1].layer.parent is room.stores.state


async def test_a_block_whose_parent_lost_meanwhile_is_superseded() -> None:
    """It waited for its turn while another block became final: no verdict about it, and no crash."""
    proposer, room = Room(), Room()
    late = (await proposer.build(time_ms=2_000_000_000_001)).block
    winner = await room.executor.check((await proposer.build()).block)
    await room.commit(winner)
    with pytest.raises(Superseded):
        await room.executor.check(late)
    with pytest.raises(Superseded):
        await room.executor.build(proposer.executor.committed.id, room.genesis.time_ms, b"")


async def test_consensus_and_catching_up_may_commit_the_same_block() -> None:
    """Whoever comes second finds it done and is told so: one write, one move, one report."""
    room = Room()
    execution = await room.build()
    room.disk.free.clear()
    first = asyncio.create_task(room.commit(execution))
    second = asyncio.create_task(room.commit(execution))
    await turns()
    room.disk.free.set()
    assert await asyncio.gather(first, second) == [True, False]
    assert room.height == 1
    assert room.disk.calls == 2  # blocks, then state
    assert not await room.commit(execution)  # and long after, too


async def test_blocks_are_committed_oldest_first() -> None:
    """To skip one is a bug of ours, and stops the node."""
    room = Room()
    first = await room.build()
    second = await room.build(first.tip.id)
    with pytest.raises(AssertionError, match="oldest first"):
        await room.commit(second)


async def test_readers_see_the_old_state_until_both_databases_are_written() -> None:
    """While the disk is awaited, height, state and blocks are those before."""
    room = Room()
    room.executor.admit(room.transaction(arguments=b"a=7").raw)
    execution = await room.build()
    room.disk.free.clear()
    work = asyncio.create_task(room.commit(execution))
    await turns()
    assert room.height == 0
    assert room.stores.state.get(note_key("farm", "a")) is None
    assert room.stores.blocks.block(Height(1)) is None
    room.disk.free.set()
    await work
    assert room.stores.state.get(note_key("farm", "a")) == b"7"


# --- slices --------------------------------------------------------------------------


def counting(steps: int) -> Generator[None, None, int]:
    for _ in range(steps):
        yield
    return steps


async def test_long_work_gives_the_event_loop_its_turns() -> None:
    """With a slice of no length others get a turn after each step."""
    others = 0

    async def other() -> None:
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    assert await sliced(counting(50), Slices(0)) == 50
    task.cancel()
    assert others >= 50


async def test_short_work_is_not_interrupted() -> None:
    """Within a slice nothing else runs."""
    ran = []
    task = asyncio.create_task(turns())
    task.add_done_callback(lambda _: ran.append(1))
    assert await sliced(counting(50), Slices(3600)) == 50
    assert drained(counting(3)) == 3
    assert ran == []
    await task


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("is_state_changed", [False, True])
async def test_a_block_that_loses_while_it_runs_gets_no_verdict(is_state_changed: bool) -> None:
    """What it ran on has moved: neither valid nor invalid, whatever it led to, and nothing of it is kept."""
    proposer, room = Room(), Room()
    for nonce in range(5):
        proposer.executor.admit(proposer.transaction(nonce).raw)
    loser = (await proposer.build()).block
    other = Room()
    if is_state_changed:
        other.executor.admit(other.transaction(9, sender="shop/operator").raw)
    winner = await room.executor.check((await other.build(time_ms=2_000_000_000_001)).block)
    work = asyncio.create_task(room.executor.check(loser))
    await turns(3)
    assert not work.done()
    await room.commit(winner)
    with pytest.raises(Superseded):
        await work
    assert room.executor.execution(block_id(loser.header)) is None


async def test_a_final_block_is_not_run_again() -> None:
    """Catching up may have committed it while consensus waited for its turn."""
    room = Room()
    (execution,) = await room.grow(1)
    with pytest.raises(Superseded):
        await room.executor.check(execution.block)


async def test_the_last_valid_height_may_still_hold_a_transaction() -> None:
    """What expires with this block is taken; above an unfinalized block it is too late, and left out."""
    room = Room()
    made = room.transaction(valid_until=1)
    room.executor.admit(made.raw)
    empty = await Room().build()
    await room.executor.check(empty.block)
    assert (await room.build(empty.tip.id)).transactions == ()
    assert (await room.build()).transactions == (made,)
