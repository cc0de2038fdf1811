"""What a validator's key has promised, as a file: how a validator moves to another host.

In purpose as EIP-3076: floor and promises, bound to chain and key. A file is only made from a record
that is whole, and the home that it comes from has given up signing, durably, before the file exists.
Taking one in only ever adds promises: no floor sinks, and what contradicts is refused.

Source: docs/spec/signer.md, rules H1-H8.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final

from msgspec import Meta

from ledger.codec import Canonical, encode
from ledger.consensus.records import OwnProposal, OwnVote, Record, SignerFloor
from ledger.crypto import KeyPair, Tag, is_signature, sign
from ledger.errors import LedgerError
from ledger.readable import from_readable, to_readable
from ledger.types import Bytes32, Bytes64, ChainId, Counter, Epoch, PublicKey, Signature, View
from ledger.vote import Proposal, SignedProposal, SignedVote, Vote, VoteKind, is_vote_signature

FORMAT: Final = "farmgate-signing-history"
VERSION: Final = 1
SIGNATURE_FIELD: Final = "signature"
PROMISES_MAX: Final = 4_096  # above a floor lie a few views; an outage of hours leaves a thousand or so
FILE_BYTES_MAX: Final = 4 << 20  # PROMISES_MAX votes and proposals at 450 bytes each, with room

Place = tuple[Epoch, View]


class SigningHistory(Canonical):
    """Every promise of one key above a floor at and below which it signs nothing more."""

    format: str
    version: int
    chain_id: Bytes32
    public_key: Bytes32
    floor_epoch: Counter
    floor_view: Counter
    votes: Annotated[tuple[SignedVote, ...], Meta(max_length=PROMISES_MAX)]
    proposals: Annotated[tuple[SignedProposal, ...], Meta(max_length=PROMISES_MAX)]

    @property
    def floor(self) -> Place:
        """The (epoch, view) at and below which nothing is signed."""
        return Epoch(self.floor_epoch), View(self.floor_view)


def history_of(records: Sequence[Record], chain_id: ChainId, public_key: PublicKey) -> SigningHistory:
    """The floor of this key in a log, and what it promised above it, by ascending view.

    What else a log may hold, of another key or chain, is no promise of this one.
    """
    bound = (chain_id, public_key)
    own = [each for each in records if isinstance(each, SignerFloor) and _is_of(each, *bound)]
    floor = max(((Epoch(each.epoch), View(each.view)) for each in own), default=(Epoch(0), View(0)))
    votes = {
        (place_of(each.signed.vote), each.signed.vote.kind.value): each.signed
        for each in records
        if isinstance(each, OwnVote) and place_of(each.signed.vote) > floor and _is_vote_of(each, *bound)
    }
    proposals = {
        place_of(each.signed.proposal): each.signed
        for each in records
        if isinstance(each, OwnProposal)
        and place_of(each.signed.proposal) > floor
        and _is_proposal_of(each, *bound)
    }
    return SigningHistory(
        FORMAT,
        VERSION,
        chain_id,
        public_key,
        *floor,
        tuple(votes[each] for each in sorted(votes)),
        tuple(proposals[each] for each in sorted(proposals)),
    )


def records_of(history: SigningHistory) -> tuple[Record, ...]:
    """The promises of a history as a log holds them; without a floor, which names a host."""
    votes = tuple(OwnVote(each) for each in history.votes)
    return (*votes, *(OwnProposal(each) for each in history.proposals))


def merge(ours: SigningHistory, theirs: SigningHistory) -> SigningHistory:
    """All that either promised above the higher floor.

    Raises:
        LedgerError: `history.contradicts`: in one view they promised what one signer never promises both.
    """
    for one, other in ((ours, theirs), (theirs, ours)):
        _check_agreement(one, other)
    above = [*(records_of(ours)), *(records_of(theirs))]
    top = max(ours, theirs, key=lambda each: each.floor)
    floor = SignerFloor(ours.chain_id, ours.public_key, bytes(16), *top.floor)
    return history_of([floor, *above], ChainId(ours.chain_id), PublicKey(ours.public_key))


def place_of(statement: Vote | Proposal) -> Place:
    """Epoch and view that a statement is of."""
    return Epoch(statement.epoch), View(statement.view)


# --- the file ---------------------------------------------------------------------------


def history_text(history: SigningHistory, key: KeyPair) -> bytes:
    """The one file of a history, signed by the key that it is of."""
    return _text(history, sign(key, Tag.SIGNING_HISTORY, encode(history)))


def _text(history: SigningHistory, signature: bytes) -> bytes:
    """JSON with sorted names, no spaces, and a line end."""
    document = to_readable(history) | {SIGNATURE_FIELD: signature.hex()}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def parse_history(data: bytes, chain_id: ChainId, public_key: PublicKey) -> SigningHistory:
    """The history of this key on this chain that a file holds; every signature in it is verified.

    Raises:
        LedgerError: `history.too_large`, `history.malformed`, `history.version`, `history.other_chain`,
            `history.other_key`, `history.wrong_signature`, `history.wrong_promise`,
            `history.contradicts`, or a `readable.*` code.
    """
    if len(data) > FILE_BYTES_MAX:
        raise LedgerError("history.too_large", f"{len(data)} bytes, at most {FILE_BYTES_MAX} are read")
    document = _document(data)
    signature = from_readable(document.pop(SIGNATURE_FIELD, None), Bytes64)
    history = from_readable(document, SigningHistory)
    if _text(history, signature) != data:
        raise LedgerError(
            "history.malformed", "not written as a history is: sorted names, no spaces, one line"
        )
    if history.chain_id != chain_id:
        raise LedgerError("history.other_chain", f"of chain {history.chain_id.hex()}, not {chain_id.hex()}")
    if history.public_key != public_key:
        raise LedgerError("history.other_key", f"of key {history.public_key.hex()}, not {public_key.hex()}")
    if not is_signature(public_key, Tag.SIGNING_HISTORY, encode(history), signature):
        raise LedgerError("history.wrong_signature", "not signed by the key that it is of", "/signature")
    _check_promises(history)
    return history


def _document(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError) as problem:
        raise LedgerError("history.malformed", f"not JSON: {problem}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise LedgerError("history.malformed", f"not a {FORMAT}")
    if document.get("version") != VERSION:
        raise LedgerError("history.version", f"version {document.get('version')!r}, expected {VERSION}"[:200])
    return document


def _check_promises(history: SigningHistory) -> None:
    """Refuse promises that are not this key's, not above the floor, twice, or that contradict each other."""
    public_key = PublicKey(history.public_key)
    for index, vote in enumerate(history.votes):
        is_valid = is_vote_signature(public_key, encode(vote.vote), Signature(vote.signature))
        _check_place(history, vote.vote, is_valid, f"/votes/{index}")
    for index, proposal in enumerate(history.proposals):
        is_valid = is_signature(public_key, Tag.PROPOSAL, encode(proposal.proposal), proposal.signature)
        _check_place(history, proposal.proposal, is_valid, f"/proposals/{index}")
    again = history_of(_all_of(history), ChainId(history.chain_id), public_key)
    if again != history:
        raise LedgerError("history.wrong_promise", "promises stand twice or not by ascending epoch and view")
    _check_agreement(history, history)


def _check_place(history: SigningHistory, statement: Vote | Proposal, is_valid: bool, pointer: str) -> None:
    if statement.chain_id != history.chain_id or not is_valid:
        raise LedgerError("history.wrong_promise", "not signed by this key for this chain", pointer)
    if place_of(statement) <= history.floor:
        raise LedgerError("history.wrong_promise", "not above the floor", pointer)
    if isinstance(statement, Vote) and (statement.block_id is None) is not (
        statement.kind is VoteKind.NULLIFY
    ):
        raise LedgerError(
            "history.wrong_promise", "a block where none belongs, or none where one does", pointer
        )


def _all_of(history: SigningHistory) -> list[Record]:
    floor = SignerFloor(history.chain_id, history.public_key, bytes(16), *history.floor)
    return [floor, *records_of(history)]


def _check_agreement(one: SigningHistory, other: SigningHistory) -> None:
    """Refuse two histories of which one holds what S1 or S2 forbids beside what the other holds."""
    votes = {(place_of(each.vote), each.vote.kind): each.vote for each in other.votes}
    proposals = {place_of(each.proposal): each.proposal for each in other.proposals}
    for signed in one.votes:
        place = place_of(signed.vote)
        notarize, finalize = votes.get((place, VoteKind.NOTARIZE)), votes.get((place, VoteKind.FINALIZE))
        is_second = any(
            each is not None and each.block_id != signed.vote.block_id
            for each in (notarize, finalize)
            if signed.vote.kind is not VoteKind.NULLIFY
        )
        if is_second or (signed.vote.kind is VoteKind.NULLIFY and finalize is not None):
            raise _contradiction(place)
    for made in one.proposals:
        held = proposals.get(place_of(made.proposal))
        if held is not None and held != made.proposal:
            raise _contradiction(place_of(made.proposal))


def _contradiction(place: Place) -> LedgerError:
    return LedgerError(
        "history.contradicts",
        f"epoch {place[0]}, view {place[1]}: this key made two promises that no signer makes both; "
        "it has signed in two places",
    )


def _is_vote_of(record: OwnVote, chain_id: ChainId, public_key: PublicKey) -> bool:
    vote, signature = record.signed.vote, Signature(record.signed.signature)
    return vote.chain_id == chain_id and is_vote_signature(public_key, encode(vote), signature)


def _is_proposal_of(record: OwnProposal, chain_id: ChainId, public_key: PublicKey) -> bool:
    proposal, signature = record.signed.proposal, record.signed.signature
    is_here = proposal.chain_id == chain_id
    return is_here and is_signature(public_key, Tag.PROPOSAL, encode(proposal), signature)


def _is_of(floor: SignerFloor, chain_id: ChainId, public_key: PublicKey) -> bool:
    return (floor.chain_id, floor.public_key) == (chain_id, public_key)
