"""The trees written down a second time, slowly and straight from their definitions, to compare with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256


def log_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 9162, section 2.1.1: MTH."""
    if len(leaves) == 0:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = largest_power_of_two_below(len(leaves))
    return sha256(b"\x01" + log_root(leaves[:k]) + log_root(leaves[k:])).digest()


def log_inclusion(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """RFC 9162, section 2.1.3.1: PATH."""
    if len(leaves) == 1:
        return []
    k = largest_power_of_two_below(len(leaves))
    if m < k:
        return [*log_inclusion(m, leaves[:k]), log_root(leaves[k:])]
    return [*log_inclusion(m - k, leaves[k:]), log_root(leaves[:k])]


def log_consistency(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """RFC 9162, section 2.1.4.1: PROOF, for 0 < m <= n."""
    return log_subproof(m, leaves, True)


def log_subproof(m: int, leaves: Sequence[bytes], whole: bool) -> list[bytes]:
    """RFC 9162, section 2.1.4.1: SUBPROOF."""
    n = len(leaves)
    if m == n:
        return [] if whole else [log_root(leaves)]
    k = largest_power_of_two_below(n)
    if m <= k:
        return [*log_subproof(m, leaves[:k], whole), log_root(leaves[k:])]
    return [*log_subproof(m - k, leaves[k:], False), log_root(leaves[:k])]


def largest_power_of_two_below(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def state_root(leaves: Mapping[bytes, bytes]) -> bytes:
    """The root over {path: value hash}."""
    bits = {"".join(f"{byte:08b}" for byte in path): (path, value) for path, value in leaves.items()}
    return state_subtree(bits, 0)


def state_subtree(bits: Mapping[str, tuple[bytes, bytes]], depth: int) -> bytes:
    if not bits:
        return bytes(32)
    if len(bits) == 1:
        ((path, value),) = bits.values()
        return sha256(b"\x00" + path + value).digest()
    left = {key: leaf for key, leaf in bits.items() if key[depth] == "0"}
    right = {key: leaf for key, leaf in bits.items() if key[depth] == "1"}
    return sha256(b"\x01" + state_subtree(left, depth + 1) + state_subtree(right, depth + 1)).digest()
