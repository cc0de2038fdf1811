"""The wire loses, doubles, delays and cuts, and counts what it did."""

from __future__ import annotations

from collections import Counter
from random import Random

from network.simulator.mail import Gossip, Mail
from network.simulator.scheduler import Scheduler
from network.simulator.wire import Weather, Wire

MAIL = Gossip((b"t" * 16,))


class Post:
    """A wire from node 0 to node 1, and what came out of it."""

    def __init__(self, weather: Weather) -> None:
        self.scheduler = Scheduler()
        self.faults: Counter[str] = Counter()
        self.wire = Wire(self.scheduler, Random(1), weather, self.faults)
        self.times: list[int] = []

    def send(self, count: int) -> list[int]:
        for _ in range(count):
            self.wire.carry(0, 1, MAIL, self._deliver)
        self.scheduler.run(self.scheduler.now_ms + 10_000, lambda: False)
        return self.times

    def _deliver(self, sender: int, receiver: int, mail: Mail) -> None:
        assert (sender, receiver, mail) == (0, 1, MAIL)
        self.times.append(self.scheduler.now_ms)


def test_good_weather_brings_everything_in_time() -> None:
    """Without loss and duplication each mail comes once, within the delay."""
    post = Post(Weather(5, 20))
    times = post.send(200)
    assert len(times) == 200
    assert min(times) == 5
    assert max(times) == 20
    assert post.faults["loss"] == post.faults["duplicate"] == 0
    assert post.faults["reorder"] > 0


def test_bad_weather_loses_and_doubles_by_its_chances() -> None:
    """What arrives is what was sent, less the lost, plus the doubled."""
    post = Post(Weather(1, 2, loss=300, duplication=500))
    times = post.send(1000)
    assert 200 < post.faults["loss"] < 400
    assert 250 < post.faults["duplicate"] < 450
    assert len(times) == 1000 - post.faults["loss"] + post.faults["duplicate"]


def test_cuts_of_one_link_add_up() -> None:
    """A link cut twice and mended once still carries nothing; the other direction never was cut."""
    post = Post(Weather(1, 1))
    post.wire.cut([(0, 1)])
    post.wire.cut([(0, 1)])
    post.wire.mend([(0, 1)])
    assert post.wire.is_cut(0, 1)
    assert not post.wire.is_cut(1, 0)
    assert post.send(3) == []
    assert post.faults["cut"] == 3
    post.wire.mend([(0, 1)])
    assert len(post.send(3)) == 3
