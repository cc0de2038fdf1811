"""Forced forks: two final histories of one chain, made by liars with more than a third of the stake.

Honest validators sign through the real signer, each in at most one of the two worlds in any view;
liars sign whatever completes a quorum. Certificates are as small as random choice makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

import msgspec

from ledger.accountability import History
from ledger.block import Header, block_id
from ledger.consensus.signer import Signer, first_record
from ledger.crypto import KeyPair, key_pair
from ledger.errors import LedgerError
from ledger.types import BlockId, ChainId, Epoch, View
from ledger.validators import Validator, ValidatorSet, validators_hash
from ledger.vote import Certificate, Vote, VoteKind, is_vote_signature, sign_vote
from tests.golden.samples import HEADER

CHAIN = ChainId(b"c" * 32)
EPOCH = Epoch(5)
ATTEMPTS_MAX = 1_000
N, X, F = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


class NoFork(Exception):
    """The drawn stakes and choices allow no such quorum; draw again."""


@dataclass(slots=True)
class Branch:
    """One world: its chain, the certificates that settled its views, and the honest who live in it."""

    headers: list[Header]
    honest: frozenset[int]
    certificates: list[Certificate] = field(default_factory=list)


@dataclass(slots=True)
class ForkedChain:
    """Draws a fork. `liars` is the stake, by index, that keeps no promise."""

    random: Random
    validators: ValidatorSet
    keys: Sequence[KeyPair]
    liars: frozenset[int]
    chain: ChainId = CHAIN
    epoch: Epoch = EPOCH
    signers: dict[int, Signer] = field(init=False)
    notarizations: dict[tuple[View, BlockId], Certificate] = field(init=False, default_factory=dict)
    trunk: list[Header] = field(init=False, default_factory=list)  # what both sides share

    def __post_init__(self) -> None:
        self.signers = {}
        for index, key in enumerate(self.keys):
            if index not in self.liars:
                signer = Signer(self.chain, key, b"g" * 16)
                signer.restore(
                    [first_record(self.chain, key.public, b"g" * 16, self.epoch)], (self.epoch, View(0))
                )
                signer.begin_epoch(self.epoch, self.validators, is_vote_signature)
                self.signers[index] = signer

    def certificate(
        self, kind: VoteKind, view: View, block: BlockId | None, honest: frozenset[int]
    ) -> Certificate:
        """A quorum of the honest of one world and of liars, taken in random order until it is enough."""
        vote = Vote(self.chain, self.epoch, view, kind, block)
        asked = sorted(honest | self.liars)
        self.random.shuffle(asked)
        signatures: dict[int, bytes] = {}
        for index in asked:
            if self.validators.is_quorum(sum(self.validators.stake(each) for each in signatures)):
                break
            signature = self._sign(index, vote)
            if signature is not None:
                signatures[index] = signature
        if not self.validators.is_quorum(sum(self.validators.stake(each) for each in signatures)):
            raise NoFork
        return Certificate(vote, tuple(sorted(signatures.items())))

    def _sign(self, index: int, vote: Vote) -> bytes | None:
        if index in self.liars:
            return sign_vote(self.keys[index], vote)
        notarization = None
        if vote.block_id is not None:
            notarization = self.notarizations.get((View(vote.view), BlockId(vote.block_id)))
        try:
            return self.signers[index].sign_vote(vote, notarization).signed.signature
        except LedgerError:
            return None  # it has said otherwise in this view

    def grow(self, branch: Branch, view: View, *, is_again: bool = False) -> None:
        """This view notarizes the next block of a branch, or (a last block) its head once more."""
        if not is_again:
            branch.headers.append(self.child(branch.headers[-1]))
        head = block_id(branch.headers[-1])
        made = self.certificate(N, view, head, branch.honest)
        self.notarizations[(view, head)] = made
        branch.certificates.append(made)

    def skip(self, branch: Branch, view: View) -> None:
        """This view is nullified in a branch."""
        branch.certificates.append(self.certificate(X, view, None, branch.honest))

    def finalize(self, branch: Branch, view: View) -> None:
        """The head, notarized in this view, becomes final; that certificate may stand for the view alone."""
        final = self.certificate(F, view, block_id(branch.headers[-1]), branch.honest)
        if self.random.random() < 0.5:
            branch.certificates = [each for each in branch.certificates if each.view != view]
        branch.certificates.append(final)

    def child(self, parent: Header) -> Header:
        """A block on a parent, unlike any other."""
        return msgspec.structs.replace(
            parent,
            height=parent.height + 1,
            parent_id=block_id(parent),
            epoch=self.epoch,
            state_root=self.random.randbytes(32),
        )


def step(world: ForkedChain, branch: Branch, view: View, *, is_end: bool) -> None:
    """What one view brings to a branch; the last view of a branch ends in a finalization.

    A branch that stands on a last block proposes that block again and nothing else.
    """
    is_again = len(branch.headers) > 1 and world.random.random() < 0.3
    if not is_end and world.random.random() < 0.35:
        world.skip(branch, view)
        return
    world.grow(branch, view, is_again=is_again)
    if is_end or world.random.random() < 0.3:
        world.finalize(branch, view)


def draw_stakes(random: Random) -> tuple[ValidatorSet, list[KeyPair], frozenset[int]]:
    """Four to seven validators of unequal stakes, and liars among them with more than a third."""
    count = random.randrange(4, 8)
    keys = [key_pair(random.randbytes(32)) for _ in range(count)]
    validators = ValidatorSet(
        tuple(Validator(key.public, random.randrange(1, 30), f"node{i}") for i, key in enumerate(keys))
    )
    liars: set[int] = set()
    for index in random.sample(range(count), count):
        if validators.is_blocking(sum(validators.stake(each) for each in liars)):
            break
        liars.add(index)
    return validators, keys, frozenset(liars)


Drawn = tuple[ForkedChain, History, History]


def draw_fork(seed: int, wanted: Callable[[Drawn], bool] = lambda _: True) -> Drawn:
    """A fork of a kind: a shared beginning of the epoch, then two worlds, each justified to its end."""
    for attempt in range(ATTEMPTS_MAX):
        try:
            drawn = _draw(Random(f"{seed}/{attempt}"))
        except NoFork:
            continue
        if wanted(drawn):
            return drawn
    raise AssertionError("no such fork is ever drawn")


def _draw(random: Random) -> Drawn:
    world = ForkedChain(random, *draw_stakes(random))
    base = msgspec.structs.replace(
        HEADER, chain_id=CHAIN, epoch=EPOCH - 1, next_validators_hash=validators_hash(world.validators)
    )
    return fork_on(world, base)


def fork_on(world: ForkedChain, base: Header) -> Drawn:
    """A fork in the epoch that stands on a base.

    Raises:
        NoFork
    """
    random, liars = world.random, world.liars
    everyone = frozenset(range(len(world.keys)))
    trunk = Branch([base], everyone)
    view = View(0)
    for _ in range(random.randrange(5)):
        view = View(view + 1)
        shared = random.random()
        if shared < 0.4:
            world.skip(trunk, view)
        else:
            world.grow(trunk, view, is_again=len(trunk.headers) > 1 and shared < 0.5)
    world.trunk = trunk.headers
    honest = sorted(everyone - liars)
    random.shuffle(honest)
    cut = random.randrange(len(honest) + 1)
    sides = [
        Branch(list(trunk.headers), frozenset(part), list(trunk.certificates))
        for part in (honest[:cut], honest[cut:])
    ]
    for branch in sides:
        last = view + random.randrange(1, 6)
        for number in range(view + 1, last + 1):
            step(world, branch, View(number), is_end=number == last)
    first, second = _histories(random, trunk, sides)
    return world, first, second


def _histories(random: Random, trunk: Branch, sides: Sequence[Branch]) -> Iterator[History]:
    """What each side hands to the auditor: from the last shared block on, certificates in any order."""
    shared = len(trunk.headers) - 1
    for branch in sides:
        if len(branch.headers) < shared + 2:
            raise NoFork  # this side ended without a block of its own
        certificates = list(branch.certificates)
        random.shuffle(certificates)
        yield History(tuple(branch.headers[shared:]), tuple(certificates))
