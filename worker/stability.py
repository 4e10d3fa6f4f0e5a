"""The largest learning rate that a data set bears.

A training step maps the error of the weights to (I - lr·(2·x·xᵀ + c·I))·error. Small rates shrink
it if the smallest eigenvalue λ of the mean of x·xᵀ, the data's second moments, has 2λ + c > 0.
Larger rates overshoot, and past a sharp boundary the error grows from row to row. The boundary is
found by bisection, running the error through the rows themselves.
"""

import math

import numpy as np

from shared import kernel
from shared.kernel import Floats

#: Input values that one try looks at: enough to see the trend, a few milliseconds.
SAMPLE_VALUES = 500_000
#: Few rows are repeated until they make this many steps.
LEAST_STEPS = 5_000
#: ln of how far the error may grow on its way, when it has shrunk at the end.
PEAK = math.log(1e20)


def largest_learning_rate(training: Floats, regularization: float) -> float | None:
    """The largest constant rate at which a pass over the rows makes the error smaller.

    Args:
        training: rows, shape (rows, input_size); a long array is judged by its first rows.
        regularization: c in "gradient + c·weight".

    Returns:
        The rate, rounded down to three digits, or None if there is none: the regularization grows
        the weights faster than these data can correct them, or the boundary is no finite number.
    """
    scale = largest_input(training)
    square = scale * scale
    if not 0 < square < math.inf or not math.isfinite(regularization / square):
        return None
    # In units of the largest input nothing over- or underflows, and the rate scales with 1/x².
    rows, regularization = sample(training) / scale, regularization / square
    moments = rows.T @ rows / len(rows)
    if regularization < 0 and 2 * np.linalg.eigvalsh(moments)[0] + regularization <= 0:
        return None
    start = 1e-3 / (2 * float(np.trace(moments)) + abs(regularization))
    rate = _boundary(rows, regularization, start) / square
    return _round_down(rate) if 0 < rate < math.inf else None


def largest_input(training: Floats) -> float:
    """The largest |x|, found without a copy of the rows."""
    return float(max(training.max(), -training.min()))


def sample(training: Floats) -> Floats:
    """The first rows, repeated if they are few: enough to see whether errors grow or shrink."""
    rows = training[: max(1, SAMPLE_VALUES // training.shape[1])]
    return np.tile(rows, (-(-LEAST_STEPS // len(rows)), 1))


def _boundary(rows: Floats, regularization: float, stable: float) -> float:
    if not _bears(rows, stable, regularization):
        return 0.0
    unstable = 2 * stable
    while _bears(rows, unstable, regularization):
        stable, unstable = unstable, 2 * unstable
    while unstable / stable > 1.002:
        middle = stable * math.sqrt(unstable / stable)
        if _bears(rows, middle, regularization):
            stable = middle
        else:
            unstable = middle
    return stable


def _bears(rows: Floats, rate: float, regularization: float) -> bool:
    error: Floats = np.random.Generator(np.random.PCG64(0)).random((rows.shape[1],))
    growth, peak = kernel.error_growth(rows, error, rate, regularization)
    return growth <= 0 and peak <= PEAK


def _round_down(value: float) -> float:
    power = math.floor(math.log10(value)) - 2
    for digits in (math.ceil(value / 10.0**power), math.floor(value / 10.0**power)):
        if (rounded := float(f"{digits}e{power}")) <= value:
            return rounded
    return value
