"""`farmgate barcode`: what a scanned code holds, without asking the network."""

from __future__ import annotations

import click

from cli.group import Command, Group
from cli.session import Session, with_session


@click.group(cls=Group)
def barcode() -> None:
    """What a scanned code holds, without asking the network."""


@barcode.command(cls=Command)
@click.argument("texts", nargs=-1, required=True, metavar="TEXT...")
@with_session
def parse(session: Session, texts: tuple[str, ...]) -> None:
    """What the codes of one item say, and what is wrong with them.

    TEXT is what a scanner sends or what is printed under the code: a GS1 element string with brackets
    or without, a GS1 Digital Link, an EPC URN, or the digits of a retail code. Name all codes of an
    item together: what one of them needs beside it may be on another.

    \b
    farmgate barcode parse "(01)09521001001106(10)N-0504(17)261231"
    farmgate barcode parse "]C100095210020000007015" "^0209521001001106^3740^10N-0504"
    """
    from datetime import datetime

    from cli.barcodes import answer, answer_text

    found = answer(texts, datetime.now().astimezone().year)
    session.output.data(found, lambda: answer_text(session.output, found))
