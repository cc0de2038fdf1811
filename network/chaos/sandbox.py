"""Namespaces of this program's own: network, mounts and process numbers, gone with its last process.

Where the machine allows it, a run of chaos begins by starting itself anew inside. Nothing outside is touched
then: links, disks that are mounted for a fault, and node processes end with it, however it ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from enum import Enum
from typing import Final

PROBE_SECONDS: Final = 20.0
_UNSHARE: Final = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_AS_ROOT_OF_NONE: Final = ("--user", "--map-root-user")
_TOOLS: Final = ("unshare", "nsenter", "ip", "tc", "mount", "umount", "sleep")
# What a wire of namespaces does, in short: a class that loses, and a filter that takes chance.
_PROBE: Final = """set -e
ip link set lo up
ip link add probe0 type bridge
ip link add probe1 type veth peer name probe2
ip link set probe2 up
tc qdisc add dev probe2 root handle 1: htb default 1
tc class add dev probe2 parent 1: classid 1:1 htb rate 1gbit
tc class add dev probe2 parent 1: classid 1:2 htb rate 1gbit
tc qdisc add dev probe2 parent 1:2 bfifo limit 1
tc filter add dev probe2 parent 1: protocol ip prio 10 u32 match ip dst 10.77.0.1/32 flowid 1:2
tc filter add dev probe2 parent 1: protocol ip prio 20 bpf bytecode '2,32 0 0 4294963256,6 0 0 0' flowid 1:2
mount -t tmpfs -o size=1m none /mnt
"""


class Need(Enum):
    """What a scenario asks of the machine beside Python; the value says it in words."""

    TMPFS = "a file system in memory of its own (mount)"
    LOOP = "an ext4 image on a loop device (root, losetup, mkfs.ext4)"
    STRACE = "strace that may trace"
    KERNEL_LINKS = "namespaces for `links`, which were played by relays here"


def command_inside(command: Sequence[str]) -> tuple[str, ...] | None:
    """The command that runs `command` in namespaces of its own, or None where the machine gives none."""
    if any(shutil.which(tool) is None for tool in _TOOLS):
        return None
    for prefix in (_UNSHARE, (_UNSHARE[0], *_AS_ROOT_OF_NONE, *_UNSHARE[1:])):
        if _works((*prefix, "--", "sh", "-c", _PROBE)):
            return (*prefix, "--", "sh", "-c", 'ip link set lo up && exec "$@"', "chaos", *command)
    return None


def missing(need: Need, *, is_inside: bool) -> str:
    """Why a need is not met here, or nothing."""
    if need is Need.STRACE:
        is_met = _works(("strace", "-o", "/dev/null", "true"))
    else:
        is_met = is_inside and (need is not Need.LOOP or _has_loops())
    return "" if is_met else f"needs {need.value}"


def _has_loops() -> bool:
    tools = all(shutil.which(tool) for tool in ("losetup", "mkfs.ext4"))
    return tools and os.access("/dev/loop-control", os.R_OK | os.W_OK) and _is_real_root()


def _is_real_root() -> bool:
    """Whether we are root of the machine, not only of a namespace of ours."""
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:  # noqa: PTH123  # no path of ours
            return os.geteuid() == 0 and file.read().split() == ["0", "0", "4294967295"]
    except OSError:
        return False


def _works(command: Sequence[str]) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=PROBE_SECONDS)  # noqa: S603  # our words
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
