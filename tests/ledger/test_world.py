"""Layers above committed state: they read, remember and hash as if they had been committed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ledger.types import TxId
from ledger.world import Layer
from tests.ledger.chain import MemoryState

NAMES = [b"a", b"b", b"c", b"d"]
values = st.dictionaries(st.sampled_from(NAMES), st.binary(min_size=1, max_size=3))
writes = st.dictionaries(st.sampled_from(NAMES), st.none() | st.binary(min_size=1, max_size=3))
chains = st.lists(writes, min_size=1, max_size=4)


def tx(number: int) -> TxId:
    return TxId(number.to_bytes(32, "big"))


def marked(number: int, changes: dict[bytes, bytes | None]) -> dict[bytes, bytes | None]:
    """A block always writes a record of its own height, so no two have the same root."""
    return {**changes, b"height": number.to_bytes(4, "big")}


def stacked(state: MemoryState, blocks: list[dict[bytes, bytes | None]]) -> list[Layer]:
    layers: list[Layer] = []
    for number, changes in enumerate(blocks):
        below = layers[-1] if layers else state
        layers.append(Layer(below, marked(number, changes), frozenset([tx(number)])))
    return layers


def merged(below: dict[bytes, bytes], blocks: list[dict[bytes, bytes | None]]) -> dict[bytes, bytes]:
    result = dict(below)
    for number, changes in enumerate(blocks):
        result.update(marked(number, changes))  # type: ignore[arg-type]  # None is removed below
        result = {key: value for key, value in result.items() if value is not None}
    return result


@given(values, chains)
def test_layers_equal_the_state_that_they_lead_to(
    below: dict[bytes, bytes], blocks: list[dict[bytes, bytes | None]]
) -> None:
    """Values and root of the top layer are those of a state that holds exactly the merged contents."""
    state = MemoryState(below)
    layers = stacked(state, blocks)
    for count, layer in enumerate(layers, 1):
        expected = merged(below, blocks[:count])
        assert {key: layer.get(key) for key in NAMES} == {key: expected.get(key) for key in NAMES}
        assert layer.update.root == MemoryState(expected).tree.root
    assert {key: state.get(key) for key in NAMES} == {key: below.get(key) for key in NAMES}


@given(values, chains)
def test_committing_layers_one_by_one_gives_the_roots_that_they_named(
    below: dict[bytes, bytes], blocks: list[dict[bytes, bytes | None]]
) -> None:
    """Nothing is computed again, and the layers above read the same before and after."""
    state = MemoryState(below)
    layers = stacked(state, blocks)
    for index, layer in enumerate(layers):
        state.commit(layer)
        assert state.tree.root == layer.update.root
        for above in layers[index + 1 : index + 2]:
            before = {key: above.get(key) for key in NAMES}
            above.rebase(state)
            assert above.parent is state
            assert {key: above.get(key) for key in NAMES} == before
    assert state.values == merged(below, blocks)


@given(values, chains, writes)
def test_a_layer_may_be_made_while_the_ones_below_are_committed(
    below: dict[bytes, bytes], blocks: list[dict[bytes, bytes | None]], last: dict[bytes, bytes | None]
) -> None:
    """A block that ran on layers which became final meanwhile has the root it would have had."""
    for committed in range(len(blocks) + 1):
        state = MemoryState(below)
        layers = stacked(state, blocks)
        for layer in layers[:committed]:
            state.commit(layer)
        top = Layer(layers[-1], marked(len(blocks), last), frozenset())
        assert top.update.root == MemoryState(merged(below, [*blocks, last])).tree.root


def test_a_layer_remembers_the_transactions_of_all_layers_below() -> None:
    """And asks the committed state for the rest."""

    class Remembers(MemoryState):
        def is_recent(self, transaction_id: TxId) -> bool:
            return transaction_id == tx(99)

    layers = stacked(Remembers({}), [{}, {}, {}])
    assert all(layers[-1].is_recent(tx(number)) for number in (0, 1, 2, 99))
    assert not layers[0].is_recent(tx(1))
    assert not layers[-1].is_recent(tx(3))
