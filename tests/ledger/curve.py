"""Edwards25519 in thirty slow lines, to make the points and signatures that libraries disagree about.

Source: RFC 8032, section 5.1. For tests alone: nothing here is constant in time.
"""

from __future__ import annotations

from hashlib import sha512

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int]
ZERO: Point = (0, 1)


def add(left: Point, right: Point) -> Point:
    (x1, y1), (x2, y2) = left, right
    product = D * x1 * x2 * y1 * y2 % P
    x3 = (x1 * y2 + x2 * y1) * pow(1 + product, P - 2, P)
    y3 = (y1 * y2 + x1 * x2) * pow(1 - product, P - 2, P)
    return x3 % P, y3 % P


def multiply(scalar: int, point: Point) -> Point:
    result = ZERO
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


def x_of(y: int) -> int | None:
    """An x with this y on the curve, the even one, or None."""
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        return None
    return P - x if x & 1 else x


def encode_point(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


_base_y = 4 * pow(5, P - 2, P) % P
_base_x = x_of(_base_y)
assert _base_x is not None
BASE: Point = (_base_x, _base_y)


def torsion() -> list[Point]:
    """The eight points of small order: multiples of one of order eight."""
    y = 2
    while True:
        x = x_of(y)
        if x is not None:
            point = multiply(L, (x, y))
            if multiply(4, point) != ZERO:
                return [multiply(times, point) for times in range(8)]
        y += 1


def secret_scalar(seed: bytes) -> int:
    digest = int.from_bytes(sha512(seed).digest()[:32], "little")
    return digest & ~7 & ~(1 << 255) | 1 << 254


def challenge(r: bytes, public: bytes, message: bytes) -> int:
    return int.from_bytes(sha512(r + public + message).digest(), "little") % L
