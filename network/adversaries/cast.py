"""The cast: every lie by its name."""

from __future__ import annotations

from typing import Final

from network.adversaries.adversary import Adversary
from network.adversaries.equivocator import Equivocator
from network.adversaries.forger import Forger
from network.adversaries.forker import Forker
from network.adversaries.replayer import Replayer
from network.adversaries.silent import Silent
from network.adversaries.usurper import Usurper

CAST: Final[dict[str, type[Adversary]]] = {
    "silent": Silent,
    "equivocator": Equivocator,
    "usurper": Usurper,
    "forger": Forger,
    "replayer": Replayer,
    "forker": Forker,
}
