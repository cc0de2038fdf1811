"""`farmgate explain`: a record, one of its fields, a call, a code, or the exit codes."""

from __future__ import annotations

import difflib
import inspect
from typing import Any

import click

from cli.exit_code import MEANINGS, ExitCode
from cli.failure import Failure
from cli.group import Command
from cli.session import Session, with_session

EXIT_CODES = "exit-codes"


@click.command(cls=Command)
@click.argument("subject", required=False, metavar="[TYPE[.FIELD]]")
@with_session
def explain(session: Session, subject: str | None) -> None:
    """Explain a record or one of its fields, a call, an error or flag code, or the exit codes.

    \b
    farmgate explain                           lists what can be explained
    farmgate explain header.state_root         a field of a record
    farmgate explain organisations.add_key     a call and its arguments
    farmgate explain custody.not_holder        a code
    """
    if subject is None:
        _list(session)
    elif subject == EXIT_CODES:
        _exit_codes(session)
    else:
        _explain(session, subject)


def record_types() -> dict[str, type]:
    """The records that can be explained, by the name that people use."""
    from contracts.epcis.captured import CapturedEvent
    from ledger import block, genesis, members, receipt, transaction, validators, vote
    from ledger.consensus.timeouts import ConsensusParameters
    from network.profile import Profile
    from node.registration import KeyRegistration, NodeRegistration

    return {
        "transaction": transaction.TransactionBody,
        "signed-transaction": transaction.SignedBody,
        "captured-event": CapturedEvent,
        "block": block.Block,
        "header": block.Header,
        "receipt": receipt.Receipt,
        "vote": vote.Vote,
        "certificate": vote.Certificate,
        "validator": validators.Validator,
        "genesis": genesis.Genesis,
        "parameters": genesis.Parameters,
        "consensus-parameters": ConsensusParameters,
        "organisation": members.Organisation,
        "key": members.Key,
        "site": members.Site,
        "node": members.Node,
        "profile": Profile,
        "key-request": KeyRegistration,
        "node-request": NodeRegistration,
    }


def calls() -> dict[str, Any]:
    """The methods of the core contracts by `contract.method`."""
    from contracts import master_data, organisations
    from contracts.provenance import capture

    methods = (*organisations.METHODS, *master_data.METHODS, *capture.METHODS)
    return {f"{each.contract}.{each.name}": each for each in methods}


def _explain(session: Session, subject: str) -> None:
    from cli.reference import codes, meanings

    types, methods = record_types(), calls()
    name, _, field = subject.partition(".")
    if subject in methods:
        _call(session, subject, methods[subject])
    elif name in types and (not field or field in _fields(types[name])):
        _record(session, name, types[name], field)
    elif meanings(subject):
        found = [{"page": page, "meaning": meaning} for page, meaning in meanings(subject)]
        session.output.data(
            {"code": subject, "explained": found},
            lambda: "\n".join(f"{subject} ({each['page']}): {each['meaning']}" for each in found),
        )
    else:
        known = [*types, *methods, *codes(), EXIT_CODES]
        known += [f"{name}.{each}" for each in _fields(types[name])] if name in types else []
        near = difflib.get_close_matches(subject, known, n=1, cutoff=0.5)
        raise Failure(
            "explain.unknown",
            f"{subject[:80]!r} is no record, field, call or code",
            advice=f"farmgate explain {near[0]}" if near else "farmgate explain lists what there is",
            exit_code=ExitCode.NOT_FOUND,
        )


def _record(session: Session, name: str, kind: type, field: str) -> None:
    fields = _fields(kind)
    shown = {field: fields[field]} if field else fields
    words = _words(kind)
    session.output.data(
        {"type": name, "description": words, "fields": shown},
        lambda: f"{name}: {words}\n\n{session.output.table(('field', 'type'), list(shown.items()))}",
    )


def _call(session: Session, name: str, method: Any) -> None:
    arguments = _fields(method.arguments)
    roles = [role.value for role in method.roles]
    words = inspect.cleandoc(method.run.__doc__ or "")
    session.output.data(
        {"call": name, "description": words, "roles": roles, "arguments": arguments},
        lambda: (
            f"{name}: {words}\n\nneeds a key with one of: {', '.join(roles)}\n\n"
            f"{session.output.table(('argument', 'type'), list(arguments.items()))}"
        ),
    )


def _fields(kind: type) -> dict[str, str]:
    """Field names and their types in words."""
    import dataclasses

    from contracts.arguments import fields

    if dataclasses.is_dataclass(kind):
        return {each.name: str(each.type) for each in dataclasses.fields(kind)}
    return {each.name: each.type for each in fields(kind)}


def _words(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "")


def _exit_codes(session: Session) -> None:
    rows = [(code.value, words) for code, words in MEANINGS.items()]
    session.output.data(
        {"exit_codes": [{"code": code, "meaning": words} for code, words in rows]},
        lambda: session.output.table(("exit code", "meaning"), rows),
    )


def _list(session: Session) -> None:
    from cli.reference import codes

    found = {"records": [*record_types()], "calls": [*calls()], "codes": codes(), "others": [EXIT_CODES]}
    session.output.data(
        found,
        lambda: "\n".join(
            f"{session.output.styled(name, 'bold')}\n  " + "\n  ".join(entries)
            for name, entries in found.items()
        ),
    )
