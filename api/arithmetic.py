"""The neuron's sums for many rows, with the bits of `shared.neuron.Neuron`, and their error bounds.

The bound of a row is proven for the float64 that is answered. With weights w, inputs x, n of them:

    |computed - Σxᵢ| ≤ Σ|wᵢ - 1|·|xᵢ| + γₙ·Σ|wᵢ|·|xᵢ| + n·2⁻¹⁰⁷⁵,   γₙ = n·u/(1 - n·u), u = 2⁻⁵³

The first term is what the neuron has not learned. The others are what rounding and underflow can
add (N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, sections 3.1 and
2.2). `bound_factors` rounds all of it up, by more than computing the bound can lose.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: Rows worked on at once: they stay in the processor's cache.
BLOCK = 8_192
_EPSILON = 2.0**-52
#: Below this, underflow counts; above it, rounding up outweighs it.
_TINY = 1e-280


class SumTooLarge(Exception):
    """The sum of a row, or its bound, is not a finite float64."""

    def __init__(self, row: int) -> None:
        super().__init__(f"the sum of row {row} is not finite")
        self.row = row


def bound_factors(weights: Sequence[float]) -> tuple[float, ...]:
    """c in "error bound = Σ cᵢ·|xᵢ|", plus `underflow` if that is tiny but not 0."""
    n = len(weights)
    up = 1 + (n + 8) * _EPSILON
    return tuple((abs(w - 1) + n * _EPSILON * abs(w)) * up for w in weights)


def underflow(n: int) -> float:
    """What underflow can do to n products and to the n products of their bound."""
    return (2 * n + 4) * 2.0**-1074


def forward_one(
    row: Sequence[float], weights: Sequence[float], factors: Sequence[float]
) -> tuple[float, float]:
    """Output and error bound of one row; either may be infinite or NaN."""
    output = bound = 0.0
    for value, weight, factor in zip(row, weights, factors, strict=True):
        output += value * weight
        bound += abs(value) * factor
    if 0 < bound < _TINY:
        bound += underflow(len(weights))
    return output, bound


def forward_few(
    rows: Sequence[Sequence[float]], weights: Sequence[float], factors: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Outputs and error bounds, without the cost of making arrays.

    Raises:
        SumTooLarge
    """
    outputs, bounds = [], []
    for number, row in enumerate(rows):
        output, bound = forward_one(row, weights, factors)
        if output - output or bound - bound:  # not 0: infinite or NaN
            raise SumTooLarge(number)
        outputs.append(output)
        bounds.append(bound)
    return outputs, bounds


def forward(
    rows: NDArray[Any], weights: Sequence[float], factors: Sequence[float] | None
) -> Floats:
    """Outputs, and below them (without factors: nothing) error bounds: float64[2 or 1, rows].

    Raises:
        SumTooLarge
    """
    answer = np.empty((2 if factors else 1, len(rows)))
    with np.errstate(all="ignore"):
        for start in range(0, len(rows), BLOCK):
            columns = np.array(rows[start : start + BLOCK].T, dtype=np.float64, order="C")
            part = answer[:, start : start + BLOCK]
            _add(columns, weights, part[0])
            if factors:
                _bound(columns, factors, part[1])
            if not np.isfinite(part).all():
                raise SumTooLarge(start + int(np.argmin(np.isfinite(part).all(axis=0))))
    return answer


def _add(columns: Floats, weights: Sequence[float], out: Floats) -> None:
    """Σ inputᵢ·weightᵢ from left to right, beginning with 0, so that it is never -0."""
    np.multiply(columns[0], weights[0], out=out)
    out += 0.0
    for column, weight in zip(columns[1:], weights[1:], strict=True):
        out += column * weight


def _bound(columns: Floats, factors: Sequence[float], out: Floats) -> None:
    np.abs(columns, out=columns)
    np.multiply(columns[0], factors[0], out=out)
    for column, factor in zip(columns[1:], factors[1:], strict=True):
        out += column * factor
    tiny = out < _TINY
    if tiny.any():
        out[tiny & (out > 0)] += underflow(len(factors))
