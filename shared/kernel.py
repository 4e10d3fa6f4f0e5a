"""`shared.neuron` for whole epochs, compiled by Numba: the same operations in the same order.

Nothing here may be re-associated or contracted (no fastmath), so every result has the bits that
`Neuron` computes row by row. The one liberty is exact: x·(-2·d) is computed as (-2·x)·d, which
takes the factor out of the chain of operations that wait for each other; scaling by a power of two
commutes with rounding. (It does not where -2·d overflows: `first_divergent_row` is written out in
full, and the training loop asks it whenever weights come near that size.)

All arrays are C-contiguous float64; `inputs` has the shape (rows, input_size), `weights` has
(input_size,). The functions release the GIL.
"""

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_compiled = numba.njit(nogil=True, cache=True, error_model="numpy")
_inlined = numba.njit(inline="always", error_model="numpy")


@_compiled
def _train_pair(
    inputs: Floats, weights: Floats, learning_rate: float, regularization: float
) -> None:
    w0, w1 = weights[0], weights[1]
    for row in range(inputs.shape[0]):
        x0, x1 = inputs[row, 0], inputs[row, 1]
        m0, m1 = -2.0 * x0, -2.0 * x1
        d = (x0 + x1) - (x0 * w0 + x1 * w1)
        w0 -= (m0 * d + regularization * w0) * learning_rate
        w1 -= (m1 * d + regularization * w1) * learning_rate
    weights[0], weights[1] = w0, w1


@_compiled
def _train_pair_unregularized(inputs: Floats, weights: Floats, learning_rate: float) -> None:
    w0, w1 = weights[0], weights[1]
    for row in range(inputs.shape[0]):
        x0, x1 = inputs[row, 0], inputs[row, 1]
        m0, m1 = -2.0 * x0, -2.0 * x1
        d = (x0 + x1) - (x0 * w0 + x1 * w1)
        w0 -= (m0 * d) * learning_rate
        w1 -= (m1 * d) * learning_rate
    weights[0], weights[1] = w0, w1


@_inlined
def _forward(inputs: Floats, row: int, weights: Floats) -> tuple[float, float]:
    label, output = inputs[row, 0], inputs[row, 0] * weights[0]
    for i in range(1, weights.shape[0]):
        label += inputs[row, i]
        output += inputs[row, i] * weights[i]
    return label, output


@_compiled
def _train_many(
    inputs: Floats, weights: Floats, learning_rate: float, regularization: float
) -> None:
    for row in range(inputs.shape[0]):
        label, output = _forward(inputs, row, weights)
        d = label - output
        for i in range(weights.shape[0]):
            grad = (-2.0 * inputs[row, i]) * d
            weights[i] -= (grad + regularization * weights[i]) * learning_rate


@_compiled
def train(inputs: Floats, weights: Floats, learning_rate: float, regularization: float) -> None:
    """One step a row, over all rows; `weights` is changed in place.

    Args:
        inputs: training rows; a row's label is the sum of its inputs.
        weights: the neuron's weights before and, on return, after these rows.
        learning_rate: of this epoch.
        regularization: c in "gradient + c·weight".
    """
    if weights.shape[0] == 2 and regularization == 0.0:
        _train_pair_unregularized(inputs, weights, learning_rate)
    elif weights.shape[0] == 2:
        _train_pair(inputs, weights, learning_rate, regularization)
    else:
        _train_many(inputs, weights, learning_rate, regularization)


@_compiled
def first_divergent_row(
    inputs: Floats, weights: Floats, learning_rate: float, regularization: float
) -> int:
    """`train`, looking at the weights after every row.

    Returns:
        The index of the first row after which some weight is not finite, with `weights` left as
        they were before that row; -1, with all rows trained, if there is none.
    """
    before = weights.copy()
    for row in range(inputs.shape[0]):
        before[:] = weights
        label, output = _forward(inputs, row, weights)
        gradient = -2.0 * (label - output)
        for i in range(weights.shape[0]):
            grad = inputs[row, i] * gradient
            weights[i] -= (grad + regularization * weights[i]) * learning_rate
        if not np.all(np.isfinite(weights)):
            weights[:] = before
            return row
    return -1


@_compiled
def test(inputs: Floats, weights: Floats, error_margin_percent: float) -> tuple[int, float]:
    """How well the weights add.

    Returns:
        The number of rows with |label - output| ≤ |label|·(margin/100), and the mean of
        (label - output)², summed in the order of the rows (infinite where it overflows).
    """
    correct = 0
    total_cost = 0.0
    margin = error_margin_percent / 100.0
    for row in range(inputs.shape[0]):
        label, output = _forward(inputs, row, weights)
        error = label - output
        if abs(error) <= abs(label) * margin:
            correct += 1
        total_cost += error * error
    return correct, total_cost / inputs.shape[0]


@_compiled
def error_growth(
    inputs: Floats, error: Floats, learning_rate: float, regularization: float
) -> tuple[float, float]:
    """How the distance to the right weights grows over the rows, whatever its size.

    A step maps the error e of the weights to (I - lr·(2·x·xᵀ + c·I))·e (plus a constant when c is
    not 0). The error is scaled back to length 1 when it leaves [1e-100, 1e100], so nothing
    overflows.

    Returns:
        ln of (length after the last row / length before the first), and the largest value that
        this had after any row.
    """
    log_length = -np.log(np.sqrt(np.sum(error * error)))
    peak = -np.inf
    highest = 0.0
    for row in range(inputs.shape[0]):
        dot = 0.0
        for i in range(error.shape[0]):
            dot += inputs[row, i] * error[i]
        square = 0.0
        for i in range(error.shape[0]):
            error[i] -= (2.0 * inputs[row, i] * dot + regularization * error[i]) * learning_rate
            square += error[i] * error[i]
        highest = max(highest, square)
        if square == 0.0:
            return -np.inf, max(peak, log_length + 0.5 * np.log(highest))
        if square > 1e200 or square < 1e-200 or row == inputs.shape[0] - 1:
            peak = max(peak, log_length + 0.5 * np.log(highest))
            log_length += 0.5 * np.log(square)
            error /= np.sqrt(square)
            highest = 0.0
    return log_length, peak


@_compiled
def largest_square(inputs: Floats) -> float:
    """The largest ‖x‖² of a row."""
    largest = 0.0
    for row in range(inputs.shape[0]):
        square = 0.0
        for i in range(inputs.shape[1]):
            square += inputs[row, i] * inputs[row, i]
        largest = max(largest, square)
    return largest


@_compiled
def second_moments(inputs: Floats) -> Floats:
    """The mean of x·xᵀ over the rows, added in their order: shape (input_size, input_size)."""
    size = inputs.shape[1]
    total = np.zeros((size, size))
    for row in range(inputs.shape[0]):
        for i in range(size):
            for j in range(size):
                total[i, j] += inputs[row, i] * inputs[row, j]
    total /= inputs.shape[0]
    return total


@_compiled
def is_positive_definite(matrix: Floats, shift: float) -> bool:
    """Whether all eigenvalues of a symmetric matrix exceed `shift`: all pivots are positive."""
    size = matrix.shape[0]
    rest = matrix - shift * np.eye(size)
    for k in range(size):
        if not rest[k, k] > 0.0:
            return False
        for i in range(k + 1, size):
            factor = rest[i, k] / rest[k, k]
            for j in range(k + 1, size):
                rest[i, j] -= factor * rest[k, j]
    return True


@_compiled
def arc4_state(key: Integers) -> Integers:
    """ARC4 after its key schedule: the permutation of 256 entries, then the indices i and j.

    Args:
        key: at least one character code; only its low eight bits count.
    """
    state = np.arange(258)
    state[256:] = 0
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % key.shape[0]]) & 255
        state[i], state[j] = state[j], state[i]
    return state


@_compiled
def arc4_skip(state: Integers, count: int) -> None:
    """Throw the next `count` bytes of the generator away."""
    i, j = state[256], state[257]
    for _ in range(count):
        i = (i + 1) & 255
        j = (j + state[i]) & 255
        state[i], state[j] = state[j], state[i]
    state[256], state[257] = i, j


@_compiled
def seedrandom_fill(state: Integers, out: Floats, factor: float, offset: float) -> None:
    """Fill the flat `out` with the next draws r of seedrandom, in [0, 1), each r·factor + offset.

    A draw is David Bau's `Math.seedrandom`: six ARC4 bytes are a 48-bit number, and more bytes fill
    its significand up to 53 bits. `state` (see `arc4_state`) moves on.
    """
    i, j = state[256], state[257]
    for k in range(out.shape[0]):
        n = 0.0
        d = 1.0
        x = 0
        drawn = 0
        while drawn < 6 or n < 2.0**52:
            n = (n + x) * 256.0
            d *= 256.0
            i = (i + 1) & 255
            t = state[i]
            j = (j + t) & 255
            u = state[j]
            state[i] = u
            state[j] = t
            x = state[(t + u) & 255]
            drawn += 1
            if drawn <= 6:
                n += x
                x = 0
        while n >= 2.0**53:
            n /= 2.0
            d /= 2.0
            x >>= 1
        out[k] = ((n + x) / d) * factor + offset
    state[256], state[257] = i, j
