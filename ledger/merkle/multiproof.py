"""One proof about many paths of the state tree under one root.

Siblings that several paths share are sent once, and those that lie on another
proved path not at all: about half the bytes of the proofs one by one.

Each path keeps its own claim, a value hash or absence, that the verifier brings
along; the proof can't turn one kind of claim into the other.

Source: docs/spec/state-tree.md.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final, NamedTuple

from msgspec import Meta

from ledger.codec import Canonical, decode
from ledger.errors import LedgerError
from ledger.merkle.proof import (
    EMPTY_HASH,
    PATH_BITS,
    StateLeaf,
    StateProof,
    absent_hash,
    check_hash,
    leaf_hash,
    node_hash,
    path_bit,
)
from ledger.types import Bytes32

PATHS_MAX: Final = 4096  # an auditor's bundle names each record of a trace once
MULTIPROOF_BYTES_MAX: Final = 4 << 20  # 4,096 paths of a tree of a billion leaves take 2.6 MB
SIBLINGS_MAX: Final = MULTIPROOF_BYTES_MAX // 34  # 34 bytes each, encoded


class Place(Canonical, frozen=True):
    """Where one path ends in the tree.

    depth: bits of the path that lead there, 0 to 256.
    other: only for an absent path, and only where one other leaf stands there.
    """

    depth: Annotated[int, Meta(ge=0, le=PATH_BITS)]
    other: StateLeaf | None


class MultiProof(Canonical, frozen=True):
    """The tree around a set of paths.

    places: one for each path, in the paths' ascending order.
    siblings: the subtrees that hold none of the paths, in the order of a walk from left to right.
    """

    places: Annotated[tuple[Place, ...], Meta(max_length=PATHS_MAX)]
    siblings: Annotated[tuple[Bytes32, ...], Meta(max_length=SIBLINGS_MAX)]


def join_proofs(proofs: Mapping[bytes, StateProof]) -> MultiProof:
    """The one proof that says what these proofs, all about one root, say of their paths (1 to 4,096)."""
    assert 0 < len(proofs) <= PATHS_MAX
    paths = sorted(proofs)
    places = tuple(Place(len(proofs[path].siblings), proofs[path].other) for path in paths)
    siblings: list[bytes] = []
    _gather(paths, proofs, 0, siblings)
    return MultiProof(places, tuple(siblings))


def decode_multiproof(data: bytes) -> MultiProof:
    """A proof from foreign bytes, refused before parsing where it is too large.

    Raises:
        LedgerError: `encoding.too_large`, `encoding.malformed`, `encoding.non_canonical`.
    """
    return decode(data, MultiProof, MULTIPROOF_BYTES_MAX)


def verify_all(root: bytes, claims: Mapping[bytes, bytes | None], proof: MultiProof) -> None:
    """Check what `claims` says of each path in the state under `root`: its value hash, or None for absent.

    Raises:
        LedgerError: `proof.hash_size`, `proof.length`, `proof.place`, `proof.not_canonical`,
            `proof.other_leaf`, `proof.mismatch`.
    """
    if not 0 < len(claims) <= PATHS_MAX or len(claims) != len(proof.places):
        raise LedgerError("proof.length", f"{len(proof.places)} places for {len(claims)} claims")
    if len(proof.siblings) > SIBLINGS_MAX:
        raise LedgerError(
            "proof.length", f"{len(proof.siblings)} siblings, at most {SIBLINGS_MAX} are allowed"
        )
    for value in (root, *claims, *proof.siblings):
        check_hash(value)
    for place in proof.places:
        if not 0 <= place.depth <= PATH_BITS:
            raise LedgerError("proof.place", f"depth {place.depth}, expected 0 to {PATH_BITS}")
    walk = _Walk(
        [_Claim(path, claims[path], place) for path, place in zip(sorted(claims), proof.places, strict=True)],
        iter(proof.siblings),
    )
    computed = walk.subtree(0, len(claims), 0).hash
    if next(walk.siblings, None) is not None:
        raise LedgerError("proof.length", "more siblings than the paths have")
    if computed != root:
        raise LedgerError("proof.mismatch", "the proof leads to another root")


class _Claim(NamedTuple):
    path: bytes
    value_hash: bytes | None
    place: Place

    def lowest_hash(self) -> bytes:
        """The hash that stands where the path ends, if the claim is true."""
        if self.value_hash is None:
            return absent_hash(self.path, self.place.other, self.place.depth)
        check_hash(self.value_hash)
        if self.place.other is not None:
            raise LedgerError("proof.other_leaf", "a claim of membership names another leaf")
        return leaf_hash(self.path, self.value_hash)


class _Subtree(NamedTuple):
    hash: bytes
    may_branch: bool  # False where it is known to hold one leaf or none


class _Walk(NamedTuple):
    """The verifier's walk: recursion goes no deeper than a path has bits."""

    claims: Sequence[_Claim]
    siblings: Iterator[bytes]

    def subtree(self, start: int, stop: int, depth: int) -> _Subtree:
        """The subtree of claims[start:stop], which share `depth` bits; the next sibling if there is none."""
        if start == stop:
            return self._sibling()
        if min(claim.place.depth for claim in self.claims[start:stop]) == depth:
            return self._end(start, stop, depth)
        middle = bisect_left(self.claims, 1, start, stop, key=lambda claim: path_bit(claim.path, depth))
        left = self.subtree(start, middle, depth + 1)
        right = self.subtree(middle, stop, depth + 1)
        if EMPTY_HASH in (left.hash, right.hash) and not (left.may_branch or right.may_branch):
            raise LedgerError(
                "proof.not_canonical", "one leaf or none below a node, so the place would be higher up"
            )
        return _Subtree(node_hash(left.hash, right.hash), True)

    def _sibling(self) -> _Subtree:
        sibling = next(self.siblings, None)
        if sibling is None:
            raise LedgerError("proof.length", "fewer siblings than the paths have")
        return _Subtree(sibling, sibling != EMPTY_HASH)

    def _end(self, start: int, stop: int, depth: int) -> _Subtree:
        """Where one path ends, or several do: in one empty subtree, or all at the same leaf."""
        ending = self.claims[start:stop]
        lowest = ending[0].lowest_hash()
        for claim in ending:
            if claim.place.depth != depth or claim.lowest_hash() != lowest:
                raise LedgerError(
                    "proof.place", f"two paths that share {depth} bits end there with different leaves"
                )
        return _Subtree(lowest, False)


def _gather(
    paths: Sequence[bytes], proofs: Mapping[bytes, StateProof], depth: int, siblings: list[bytes]
) -> None:
    """Collect the siblings of paths that share their first `depth` bits, in the order of `_Walk`."""
    known = proofs[paths[0]].siblings
    if depth == len(known):
        return
    middle = bisect_left(paths, 1, key=lambda path: path_bit(path, depth))
    for part in (paths[:middle], paths[middle:]):
        if part:
            _gather(part, proofs, depth + 1, siblings)
        else:
            siblings.append(known[len(known) - 1 - depth])
