"""The checker: does what lies on the disks bear out what clients were told, and is it one chain?

It reads offline, after every node has stopped, and trusts no node: it runs the chain anew from genesis,
verifies each certificate, and compares every node and every answer with that. It is built to find what must
never be there, so its own test plants each kind of violation and demands that it be named.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate

from ledger.codec import decode
from ledger.errors import LedgerError
from ledger.genesis import Genesis
from ledger.recovery import decode_recovery, is_recovery
from ledger.types import QUORUM_CERTIFICATE_BYTES_MAX, Epoch
from ledger.vote import Certificate, VoteKind, verify_certificate
from network.chaos.history import Operation, Outcome, Sighting
from network.chaos.remains import Remains
from network.chaos.replayed import Place, Replayed
from network.chaos.statements import Conflict, Ledger


class Rule(Enum):
    """What is never to be; the value is its name in reports."""

    LOST = "lost"  # a transaction that was reported final is not in the chain
    DOUBLED = "doubled"  # a transaction stands in the chain more than once
    CHANGED = "changed"  # it stands elsewhere, or ended otherwise, than was reported
    REFUSED = "refused yet final"  # the only node that had it refused it, and it stands in the chain
    UNSENT = "unsent"  # no client sent it, and it bears a client's signature
    ORDER = "order"  # it stands in a block that was final before its client began
    SIGHTING = "sighting"  # a node showed a head that is not the chain's
    FORK = "fork"  # two nodes, or one node at two times, hold different blocks at one height
    INVALID = "invalid block"  # a final block breaks a rule of the ledger
    CERTIFICATE = "certificate"  # a block is not covered by a valid finalization
    ROOT = "root"  # a node's state is not the one after its last block
    DOUBLE_SIGN = "double sign"  # a validator signed two statements that exclude each other, and is no liar
    SLASHED = "slashed"  # a validator that did not lie was slashed, or a liar was not


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule. `rule` is a `Rule`'s value, or what a scenario calls its own expectation."""

    rule: str
    message: str


class Auditor:
    """The checker of one network: what it has once found to be the chain stays the chain."""

    def __init__(self, genesis: Genesis) -> None:
        self.chain = Replayed(genesis)
        self._statements = Ledger()
        self._verified: set[tuple[bytes, bytes | None]] = set()

    @property
    def statements(self) -> int:
        """How many different signed statements were compared."""
        return self._statements.count

    def audit(
        self,
        remains: Sequence[Remains],
        operations: Sequence[Operation],
        sightings: Sequence[Sighting],
        clients: frozenset[bytes],
        liars: frozenset[str] = frozenset(),
    ) -> tuple[Violation, ...]:
        """Every violation, the gravest kinds first.

        Args:
            remains: of all nodes; more than one block above the chain known so far is run anew.
            operations, sightings: all since the network's first block.
            clients: public keys that sign for nobody but the clients of the history.
            liars: nodes that were made to sign against the rules, and were to be punished for it.
        """
        return (
            *self._one_chain(remains),
            *self._runs(remains),
            *self._certificates(remains),
            *self._roots(remains),
            *self._signatures(remains, liars),
            *self._punished(liars),
            *check_history(operations, sightings, self.chain, clients),
        )

    def _one_chain(self, remains: Sequence[Remains]) -> Iterator[Violation]:
        """No two nodes differ at a height, and none differs from what was final at an earlier look."""
        longest = max(remains, key=lambda each: len(each.blocks))
        for each in remains:
            for height, stored in enumerate(each.blocks):
                known = height <= self.chain.height
                expected = self.chain.id_at(height) if known else longest.blocks[height].id
                if stored.id != expected:
                    whose = "the chain seen before" if known else longest.node
                    yield Violation(
                        Rule.FORK.value,
                        f"height {height} is {stored.id.hex()[:16]} at {each.node} and "
                        f"{expected.hex()[:16]} at {whose}",
                    )
                    break

    def _runs(self, remains: Sequence[Remains]) -> Iterator[Violation]:
        """Every new block, from the longest chain, is valid after the one below it."""
        longest = max(remains, key=lambda each: len(each.blocks))
        for stored in longest.blocks[self.chain.height + 1 :]:
            height = stored.block.header.height
            try:
                self.chain.extend(stored.block)
            except LedgerError as refusal:
                yield Violation(Rule.INVALID.value, f"height {height} at {longest.node}: {refusal}")
                return

    def _certificates(self, remains: Sequence[Remains]) -> Iterator[Violation]:
        """Every block of every node is covered by a finalization of itself or of a block above it."""
        for each in remains:
            covered = False
            for stored in reversed(each.blocks[1:]):
                problem = ""
                if stored.finalization:
                    problem = self._finalization_problem(stored.finalization, stored.id)
                elif not covered:  # the head may be final by a block that this node does not hold yet
                    problem = self._finalization_problem(stored.covering, None)
                covered = True
                if problem:
                    place = f"height {stored.block.header.height} at {each.node}"
                    yield Violation(Rule.CERTIFICATE.value, f"{place}: {problem}")
                    break

    def _finalization_problem(self, data: bytes, block_id: bytes | None) -> str:
        """What is wrong with an encoded finalization of `block_id`; None: of any block of the chain."""
        if not data:
            return "no certificate covers it"
        if (data, block_id) in self._verified:
            return ""
        if is_recovery(data):
            chosen = decode_recovery(data).recovery.block_id
            return "" if block_id in (None, chosen) else "the recovery chose another block"
        try:
            certificate = decode(data, Certificate, QUORUM_CERTIFICATE_BYTES_MAX)
        except LedgerError as refusal:
            return str(refusal)
        problem = self._problem_of(certificate, block_id)
        if not problem:
            self._verified.add((data, block_id))
        return problem

    def _problem_of(self, certificate: Certificate, block_id: bytes | None) -> str:
        vote = certificate.vote
        if vote.kind is not VoteKind.FINALIZE or vote.block_id is None:
            return f"a {vote.kind.name.lower()} certificate stands in its place"
        if block_id is None and all(
            self.chain.id_at(height) != vote.block_id for height in range(self.chain.height, -1, -1)
        ):
            return f"its certificate names {vote.block_id.hex()[:16]}, which is no block of the chain"
        if block_id is not None and vote.block_id != block_id:
            return f"its certificate names {vote.block_id.hex()[:16]}"
        voters = self.chain.voters(vote.epoch)
        if voters is None:
            return f"its certificate is of epoch {vote.epoch}, which was never reached"
        try:
            verify_certificate(certificate, self.chain.chain_id, Epoch(vote.epoch), voters)
        except LedgerError as refusal:
            return str(refusal)
        return ""

    def _roots(self, remains: Sequence[Remains]) -> Iterator[Violation]:
        """A node's state stands after its last block, with the root that the checker came to."""
        for each in remains:
            head = len(each.blocks) - 1
            if each.state_height != head:
                yield Violation(
                    Rule.ROOT.value,
                    f"{each.node} has blocks up to {head} and the state of {each.state_height}",
                )
            elif head <= self.chain.height and each.state_root != self.chain.header(head).state_root:
                yield Violation(
                    Rule.ROOT.value,
                    f"{each.node} has state {each.state_root.hex()[:16]} at height {head}, "
                    f"{self.chain.header(head).state_root.hex()[:16]} follows from the blocks",
                )

    def _signatures(self, remains: Sequence[Remains], liars: frozenset[str]) -> Iterator[Violation]:
        """Nobody but a liar signed two statements that exclude each other, at any time."""
        for each in remains:
            for statement in each.statements:
                self._statements.add(statement)
        for conflict in self._statements.conflicts():
            if self._node_of(conflict) not in liars:
                told = f"validator {conflict.validator} {conflict.problem}"
                yield Violation(Rule.DOUBLE_SIGN.value, told)

    def _node_of(self, conflict: Conflict) -> str:
        """Whose key it was; empty where the chain knows nobody in that place."""
        voters = self.chain.voters(conflict.epoch)
        if voters is None or conflict.validator >= len(voters):
            return ""
        return voters.validators[conflict.validator].node

    def _punished(self, liars: frozenset[str]) -> Iterator[Violation]:
        """The chain has slashed the liars, and nobody else."""
        slashed = self.chain.slashed()
        for node in sorted(slashed - liars):
            yield Violation(Rule.SLASHED.value, f"{node} was slashed, and it did not lie")
        for node in sorted(liars - slashed):
            yield Violation(Rule.SLASHED.value, f"{node} lied, and it was not slashed")


# --- what clients saw ---------------------------------------------------------------


def check_history(
    operations: Sequence[Operation],
    sightings: Sequence[Sighting],
    chain: Replayed,
    clients: frozenset[bytes],
) -> Iterator[Violation]:
    """Hold the clients' history to the chain."""
    for operation in operations:
        yield from _check_operation(operation, chain.places.get(operation.id, []))
    yield from _check_doubled(chain.places)
    yield from _check_unsent(operations, chain, clients)
    yield from _check_order(operations, sightings, chain.places)
    for seen in sightings:
        yield from _check_sighting(seen, chain)


def _check_operation(operation: Operation, places: Sequence[Place]) -> Iterator[Violation]:
    name = f"transaction {operation.id[:16]}"
    if operation.outcome is Outcome.FINAL:
        told = Place(operation.height, operation.index, operation.status)
        if not places:
            yield Violation(
                Rule.LOST.value,
                f"{name} was reported final by {operation.node} at height {told.height}, and is nowhere",
            )
        elif places[0] != told:
            yield Violation(
                Rule.CHANGED.value, f"{name} was reported as {_shown(told)}, it stands as {_shown(places[0])}"
            )
    elif operation.outcome is Outcome.REFUSED and places:
        yield Violation(
            Rule.REFUSED.value, f"{name} was refused by {operation.node}, it stands as {_shown(places[0])}"
        )


def _check_doubled(places: Mapping[str, Sequence[Place]]) -> Iterator[Violation]:
    for name, found in places.items():
        if len(found) > 1:
            heights = ", ".join(str(each.height) for each in found)
            yield Violation(Rule.DOUBLED.value, f"transaction {name[:16]} stands at heights {heights}")


def _check_unsent(
    operations: Sequence[Operation], chain: Replayed, clients: frozenset[bytes]
) -> Iterator[Violation]:
    sent = {operation.id for operation in operations}
    for name, sender in chain.senders.items():
        if sender in clients and name not in sent:
            yield Violation(
                Rule.UNSENT.value,
                f"transaction {name[:16]} stands as {_shown(chain.places[name][0])}, and no client sent it",
            )


def _check_order(
    operations: Sequence[Operation], sightings: Sequence[Sighting], places: Mapping[str, Sequence[Place]]
) -> Iterator[Violation]:
    """A transaction stands above every block that was known to be final before its client made it."""
    known = sorted(
        [
            *((each.completed, each.height) for each in sightings),
            *((each.completed, each.height) for each in operations if each.outcome is Outcome.FINAL),
        ]
    )
    moments = [moment for moment, _ in known]
    highest = list(accumulate((height for _, height in known), max))
    for operation in operations:
        before = bisect_left(moments, operation.invoked)
        for place in places.get(operation.id, ())[:1]:
            if before and place.height <= highest[before - 1]:
                yield Violation(
                    Rule.ORDER.value,
                    f"transaction {operation.id[:16]} stands at height {place.height}, and height "
                    f"{highest[before - 1]} was final before it was sent",
                )


def _check_sighting(seen: Sighting, chain: Replayed) -> Iterator[Violation]:
    if seen.height > chain.height:
        yield Violation(
            Rule.SIGHTING.value,
            f"{seen.node} showed height {seen.height} as final, the chain ends at {chain.height}",
        )
        return
    header = chain.header(seen.height)
    if (chain.id_at(seen.height).hex(), header.state_root.hex()) != (seen.block_id, seen.state_root):
        yield Violation(
            Rule.SIGHTING.value,
            f"{seen.node} showed block {seen.block_id[:16]} with state {seen.state_root[:16]} at height "
            f"{seen.height}, the chain has {chain.id_at(seen.height).hex()[:16]}",
        )


def _shown(place: Place) -> str:
    return f"{place.status} at height {place.height}, index {place.index}"
