"""The cast: every lie by its name."""

from __future__ import annotations

from typing import Final

from network.adversaries.adversary import Adversary
from network.adversaries.bad_blocks import (
    BadHeight,
    BadParent,
    BadRepeat,
    BadRoot,
    BadSize,
    BadTime,
    WrongBody,
)
from network.adversaries.colluder import Colluder
from network.adversaries.double_votes import DoubleNotarizer, EagerFinalizer, NullifyFinalizer
from network.adversaries.equivocator import Equivocator
from network.adversaries.flooder import Flooder
from network.adversaries.forger import Forger
from network.adversaries.forker import Forker
from network.adversaries.impersonator import Impersonator
from network.adversaries.lying_peer import LyingPeer
from network.adversaries.replayer import Replayer
from network.adversaries.silent import Silent
from network.adversaries.stranger import Stranger
from network.adversaries.usurper import Usurper
from network.adversaries.withholding import Censor, MuteLeader, Selective, Withholder

CAST: Final[dict[str, type[Adversary]]] = {
    "silent": Silent,
    "equivocator": Equivocator,
    "usurper": Usurper,
    "forger": Forger,
    "replayer": Replayer,
    "forker": Forker,
    "double-notarizer": DoubleNotarizer,
    "nullify-finalizer": NullifyFinalizer,
    "eager-finalizer": EagerFinalizer,
    "mute-leader": MuteLeader,
    "selective": Selective,
    "withholder": Withholder,
    "censor": Censor,
    "bad-root": BadRoot,
    "bad-parent": BadParent,
    "bad-height": BadHeight,
    "bad-time": BadTime,
    "bad-size": BadSize,
    "bad-repeat": BadRepeat,
    "wrong-body": WrongBody,
    "impersonator": Impersonator,
    "flooder": Flooder,
    "stranger": Stranger,
    "lying-peer": LyingPeer,
    "colluder": Colluder,
}
