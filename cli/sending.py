"""A call of a contract, from its arguments to its fate: sign, keep, tell the id, send, wait.

The order is what makes a crash harmless: the signed bytes are on the disk before they are sent, and the
id is on the screen. Whatever happens then, sending the same bytes again gives the same one transaction.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cli.answers import Receipt, Status, Submitted, TransactionAnswer
from cli.client import Refused, Unreachable
from cli.exit_code import ExitCode, exit_code_of
from cli.failure import Failure
from ledger.codec import Canonical, encode
from ledger.transaction import Transaction, TransactionBody, sign_transaction
from ledger.types import NONCE_BYTES

if TYPE_CHECKING:
    from cli.session import Session
    from ledger.crypto import KeyPair

MEDIA_TYPE: Final = "application/vnd.farmgate.tx"
WAIT_SECONDS_MAX: Final = 30  # that a node lets a request wait
POLL_SECONDS: Final = 0.2
RECEIPT_STATUSES: Final = ("accepted", "flagged", "refused", "duplicate")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a transaction stands: final with a receipt, or `pending` (it is on its way)."""

    id: str
    status: str
    height: int | None = None
    index: int | None = None
    receipt: Receipt | None = None

    @property
    def readable(self) -> dict[str, Any]:
        """As JSON."""
        code = self.receipt.code if self.receipt else ""
        pointer = self.receipt.pointer if self.receipt else ""
        found = {"id": self.id, "status": self.status, "height": self.height, "index": self.index}
        return found | ({"code": code, "pointer": pointer} if code else {})


class Sender:
    """Sends for one profile. Its key is read once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._client = session.client
        self._outbox = session.outbox()
        self._key: KeyPair = session.key()
        self._chain_id = _chain_id(session)
        self._head: int | None = None
        self._is_waiting = session.is_waiting  # settings are read before anything is signed or kept
        self._wait_seconds = session.timeout_seconds if self._is_waiting else 0.0

    def send(self, contract: str, method: str, arguments: Canonical) -> Outcome:
        """Sign a call and send it; with --no-wait, its outcome is `pending`.

        Raises:
            Refused: it was not taken. Failure: `transaction.unknown_outcome`, `node.unreachable`.
        """
        return self.deliver(self.sign(contract, method, arguments))

    def sign(self, contract: str, method: str, arguments: Canonical) -> Transaction:
        """The signed call, valid for the profile's number of blocks from now on.

        Raises:
            Failure: `transaction.wrong_chain`, `node.unreachable`.
        """
        body = TransactionBody(
            chain_id=self._chain_id,
            sender=self._key.public,
            nonce=os.urandom(NONCE_BYTES),
            valid_until=self._height() + self._session.profile.valid_blocks,
            contract=contract,
            method=method,
            arguments=encode(arguments),
        )
        return sign_transaction(body, self._key)

    def deliver(self, transaction: Transaction) -> Outcome:
        """Send a signed transaction, and wait for its fate where that is wanted.

        Raises:
            As `send`.
        """
        identifier = transaction.id.hex()
        self._session.output.note(f"transaction {identifier}")
        self._outbox.put(transaction)
        try:
            outcome = self._submit(transaction, time.monotonic() + self._wait_seconds)
        except KeyboardInterrupt:
            self._session.output.note(
                f"{identifier} may become final all the same: farmgate outbox send asks for it again"
            )
            raise
        if outcome.receipt is not None:
            self._outbox.remove(identifier)
        return outcome

    def _submit(self, transaction: Transaction, deadline: float) -> Outcome:
        """Post the bytes until they are final or the time is up; each post goes to whichever node answers."""
        is_sent, problem = False, ""
        while True:
            left = deadline - time.monotonic()
            try:
                answer = self._post(transaction, left)
            except Refused as refused:
                if refused.status in (408, 429) or refused.status >= 500:
                    problem = refused.message
                else:
                    return self._refused_at_door(transaction, refused)
            except Unreachable as unreachable:
                is_sent = is_sent or unreachable.was_sent
                problem = unreachable.message
            else:
                is_sent = True
                outcome = _outcome(answer)
                self._head = max(self._head or 0, outcome.height or 0)
                if outcome.receipt is not None or not self._is_waiting:
                    return outcome
            if time.monotonic() >= deadline:
                raise self._without_outcome(transaction, problem, is_sent=is_sent)
            time.sleep(POLL_SECONDS)

    def _post(self, transaction: Transaction, seconds_left: float) -> Submitted:
        wait = max(0, min(WAIT_SECONDS_MAX, int(seconds_left) - 1))
        return self._client.post("/v1/transactions", transaction.raw, MEDIA_TYPE, Submitted, wait)

    def _refused_at_door(self, transaction: Transaction, refused: Refused) -> Outcome:
        """A refusal counts unless the transaction was final before: the door does not remember for ever."""
        identifier = transaction.id.hex()
        try:
            known = self._client.get(f"/v1/transactions/{identifier}", TransactionAnswer)
        except Failure:
            known = None
        if known is not None and known.receipt is not None:
            return Outcome(identifier, known.receipt.status, known.height, known.index, known.receipt)
        self._outbox.remove(identifier)
        raise refused

    def _without_outcome(self, transaction: Transaction, problem: str, *, is_sent: bool) -> Failure:
        identifier = transaction.id.hex()
        if is_sent:
            return Failure(
                "transaction.unknown_outcome",
                f"{identifier} was sent and is not known to be final" + (f": {problem}" if problem else ""),
                advice=f"farmgate tx wait {identifier}   (or farmgate outbox send: the same one, harmless)",
                exit_code=ExitCode.UNKNOWN,
            )
        return Failure(
            "node.unreachable",
            f"{identifier} was signed and not sent: {problem}",
            advice="farmgate outbox send sends it when a node is back; farmgate outbox drop forgets it",
            exit_code=ExitCode.UNREACHABLE,
        )

    def _height(self) -> int:
        if self._head is None:
            status = self._client.get("/v1/status", Status)
            if status.chain_id != self._chain_id.hex():
                raise Failure(
                    "transaction.wrong_chain",
                    f"{self._client.node} is of chain {status.chain_id}, the profile signs for "
                    f"{self._chain_id.hex()}",
                    exit_code=ExitCode.CONFLICT,
                )
            self._head = status.height
        return self._head


def check_final(outcome: Outcome) -> Outcome:
    """The outcome, unless the contract refused the call.

    Raises:
        Failure: with the receipt's code and pointer.
    """
    receipt = outcome.receipt
    if receipt is not None and receipt.status == "refused":
        raise Failure(
            receipt.code,
            f"refused by the contract at height {outcome.height}",
            receipt.pointer,
            advice=f"farmgate explain {receipt.code}",
            exit_code=exit_code_of(receipt.code),
        )
    return outcome


def _outcome(answer: Submitted) -> Outcome:
    if answer.receipt is None:
        return Outcome(answer.id, "pending")
    return Outcome(answer.id, answer.receipt.status, answer.height, answer.index, answer.receipt)


def _chain_id(session: Session) -> bytes:
    if not session.profile.chain_id:
        raise Failure(
            "profile.incomplete",
            "the profile names no chain_id, so nothing is signed",
            advice="the chain_id stands in genesis.json and in network.json",
            exit_code=ExitCode.USAGE,
        )
    return bytes.fromhex(session.profile.chain_id)
