"""Exact decimals: sums that never round, and one text for each value.

EPCIS quantities have up to 38 digits on each side of the point; a sum over every event that a
chain can hold needs 16 more. Precision covers that, and rounding would stop the node.

Source: General Decimal Arithmetic specification.
"""

from __future__ import annotations

from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from typing import Final

ZERO: Final = Decimal(0)
_EXACT: Final = Context(
    prec=100, Emax=200, Emin=-200, traps=[Inexact, InvalidOperation, Overflow, DivisionByZero]
)


def add(left: Decimal, right: Decimal) -> Decimal:
    """The exact sum."""
    return _EXACT.add(left, right)


def subtract(left: Decimal, right: Decimal) -> Decimal:
    """The exact difference."""
    return _EXACT.subtract(left, right)


def quantity_text(quantity: Decimal) -> str:
    """The canonical text: plain digits, no exponent, no trailing zeros, no minus zero."""
    return format(_EXACT.normalize(quantity), "f") if quantity else "0"


def quantity_of(text: str) -> Decimal:
    """The value of a text that `quantity_text` wrote."""
    return Decimal(text)
