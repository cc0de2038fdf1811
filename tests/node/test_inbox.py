"""What waits for consensus: in order, and of each peer no more than its share."""

from __future__ import annotations

import pytest

from ledger.consensus.events import TransactionsPending
from ledger.consensus.messages import StatusMessage
from ledger.types import PublicKey
from node.inbox import INPUT_BYTES_OF_PEER_MAX, INPUTS_OF_PEER_MAX, Heard, Inbox

ANNA, BERT = PublicKey(b"a" * 32), PublicKey(b"b" * 32)
OWN, FIRST = TransactionsPending(True), TransactionsPending(False)


def heard(sender: PublicKey, size_bytes: int = 10) -> Heard:
    return Heard(sender, StatusMessage(0, 1, 0, 0), size_bytes)


def test_all_is_taken_in_the_order_in_which_it_came() -> None:
    """Whoever it is from; but for what is put first."""
    inbox = Inbox()
    assert inbox.hear(heard(ANNA))
    inbox.put(OWN)
    assert inbox.hear(heard(BERT))
    inbox.put_first(FIRST)
    assert [inbox.take() for _ in range(len(inbox))] == [FIRST, heard(ANNA), OWN, heard(BERT)]


@pytest.mark.parametrize("size_bytes", [10, 0])
def test_a_flood_is_lost_above_its_share(size_bytes: int) -> None:
    """Of messages, or of connections again and again; another's word and one's own still find room."""
    inbox = Inbox()
    taken = [inbox.hear(heard(ANNA, size_bytes)) for _ in range(INPUTS_OF_PEER_MAX + 5)]
    assert taken == [True] * INPUTS_OF_PEER_MAX + [False] * 5
    assert inbox.hear(heard(BERT))
    inbox.put(OWN)
    assert len(inbox) == INPUTS_OF_PEER_MAX + 2


def test_bytes_are_a_share_too_and_what_is_taken_makes_room() -> None:
    """To the byte."""
    inbox = Inbox()
    assert inbox.hear(heard(ANNA, INPUT_BYTES_OF_PEER_MAX - 1))
    assert not inbox.hear(heard(ANNA, 2))
    assert inbox.hear(heard(ANNA, 1))
    assert inbox.take() == heard(ANNA, INPUT_BYTES_OF_PEER_MAX - 1)
    assert inbox.hear(heard(ANNA, INPUT_BYTES_OF_PEER_MAX - 1))
    assert not inbox.hear(heard(ANNA, 1))


def test_what_peers_said_outlives_a_machine() -> None:
    """This node's own inputs were for the machine that is no more; the shares go on as they were."""
    inbox = Inbox()
    inbox.put(OWN)
    assert inbox.hear(heard(ANNA, INPUT_BYTES_OF_PEER_MAX))
    inbox.put(OWN)
    inbox.keep_heard()
    assert len(inbox) == 1
    assert not inbox.hear(heard(ANNA, 1))
    assert inbox.take() == heard(ANNA, INPUT_BYTES_OF_PEER_MAX)
    assert inbox.hear(heard(ANNA, 1))
