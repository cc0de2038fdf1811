"""How much each node says to each peer, and how much of that it has said before."""

from __future__ import annotations

from collections import Counter
from typing import Final

from ledger.consensus.messages import Message, StatusMessage, encode_message

WINDOW_MS: Final = 5_000
# What a validator may say to each peer within a window, resends and answers together: 30 a second,
# twice and more what the busiest honest seed needs.
MESSAGES_PER_PEER_MAX: Final = 150
# What of that may be said again, word for word, after the window in which it was said first. Each second a
# page of votes, the proposal and the standing certificates, each fourth a page of the rest: 17; and answers.
RESENDS_PER_PEER_MAX: Final = 25


class Traffic:
    """Counts by sender in windows of WINDOW_MS."""

    def __init__(self, peers: int) -> None:
        self._peers = peers
        self._began_ms = 0
        self._messages: Counter[int] = Counter()
        self._resends: Counter[int] = Counter()
        self._said: dict[tuple[int, bytes], None] = {}
        self._before: dict[tuple[int, bytes], None] = {}
        self._last: tuple[Message, bytes] | None = None
        self.busiest = 0
        self.most_resends = 0

    def said(self, index: int, message: Message, now_ms: int) -> str:
        """Count a message to one peer. What is wrong with it, "" if nothing is; each excess is told once."""
        if now_ms >= self._began_ms + WINDOW_MS:
            self._turn(now_ms)
        self._messages[index] += 1
        self.busiest = max(self.busiest, self._messages[index])
        if not isinstance(message, StatusMessage):  # equal by nature where nothing moves, and one in 5 s
            words = (index, self._words_of(message))
            self._said[words] = None
            self._resends[index] += words in self._before
            self.most_resends = max(self.most_resends, self._resends[index])
        return self._problem_of(index)

    def _problem_of(self, index: int) -> str:
        if self._messages[index] == MESSAGES_PER_PEER_MAX * self._peers + 1:
            return f"said more than {self._messages[index] - 1} messages in {WINDOW_MS} ms"
        if self._resends[index] == RESENDS_PER_PEER_MAX * self._peers + 1:
            self._resends[index] += 1  # told
            return f"repeated more than {RESENDS_PER_PEER_MAX * self._peers} messages in {WINDOW_MS} ms"
        return ""

    def _turn(self, now_ms: int) -> None:
        self._messages.clear()
        self._resends.clear()
        self._said, self._before = {}, self._said
        self._began_ms = now_ms

    def _words_of(self, message: Message) -> bytes:
        """Encoded once for all receivers of a broadcast."""
        if self._last is None or self._last[0] is not message:
            self._last = (message, encode_message(message))
        return self._last[1]
