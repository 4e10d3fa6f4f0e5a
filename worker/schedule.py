"""The learning rule of each epoch; an automatic learning rate follows from the data.

Nothing here may depend on the machine, so there is no linear algebra library: only sums from left
to right, comparisons and the four operations.
"""

from collections.abc import Callable
from dataclasses import dataclass

from shared import kernel
from shared.job import Auto, Specification
from shared.kernel import Floats

#: Multiplications that second moments may cost; a long array is judged by its first rows.
MOMENT_OPERATIONS = 10**8
#: Squares below it have lost digits, and their inverse may not be finite.
VANISHING = 1e-300
#: e-foldings by which the first epoch shrinks the slowest part of the initial error.
FORGETTING = 30.0
#: e-foldings by which a regularization that grows weights may grow them at most, if the data did
#: not correct them at all: where they do, and where they do not.
GROWTH, UNCORRECTED_GROWTH = 10.0, 1.0


@dataclass(frozen=True)
class Rule:
    """How a row changes the weights: by (gradient + regularization·weight)·learning rate.

    Attributes:
        epoch: counted from 1.
        learning_rate: of this epoch.
        regularization: the coefficient.
    """

    epoch: int
    learning_rate: float
    regularization: float


def make_rules(specification: Specification, training: Floats) -> Callable[[int], Rule]:
    """The rule of an epoch, counted from 1.

    Args:
        specification: of the job.
        training: rows as the neuron sees them, shape (rows, input_size).
    """
    hyperparameters, c = specification.hyperparameters, specification.coefficient
    schedule = hyperparameters.learning_rate
    if isinstance(schedule, Auto):
        rate = _automatic(training, c, hyperparameters.epochs)
    else:
        rate = schedule.at
    return lambda epoch: Rule(epoch, rate(epoch), c)


def moments(training: Floats) -> Floats:
    """The mean of x·xᵀ over the rows, or over the first of very many."""
    rows = MOMENT_OPERATIONS // training.shape[1] ** 2
    return kernel.second_moments(training[:rows])


def _automatic(training: Floats, c: float, epochs: int) -> Callable[[int], float]:
    """A rate that learns fast and cannot explode on these rows.

    A step maps the error of the weights to (I - r·(2·x·xᵀ + c·I))·error - r·c. With B, the largest
    ‖x‖², let r be at most 1/(2·B + |c|).

    Without regularization (c = 0) that is the rate. The eigenvalues of a step's map are then 1 and
    1 - 2·r·‖x‖² ≥ 0, so no step makes the error larger, and the error goes to 0: there is nothing
    that a smaller rate would still improve.

    With it, every row pulls the weights elsewhere, by r·c. Only a falling rate averages that out,
    and A/k in epoch k does it best when the slowest direction, in which an error shrinks by
    h = 2·λ + c a unit of rate (λ is the least eigenvalue of the mean of x·xᵀ), shrinks well within
    an epoch: A = 30/(h·rows) shrinks it e³⁰ times in the first epoch, and k³⁰ times until the k-th.
    For c > 0 the eigenvalues of a step's map are between 0 and 1 - r·c: it cannot explode either.

    For c < 0 the map has the norm 1 + r·|c|: weights grow where the data do not correct them. The
    sum of all r·|c| is bounded, and so is what weights can grow in all: A ≤ G/(|c|·rows·(1 + 1/2 +
    … + 1/epochs)) leaves e^G, e¹⁰ if the data correct the growth in the mean (h > 0), else e. If
    they do, r ≤ h/(4·B·λ + c²) besides, at which they also do in the mean square.
    """
    square = kernel.largest_square(training)
    bound = 1 / max(2 * square + abs(c), VANISHING)
    if c == 0:
        return lambda _epoch: bound
    least = _least_eigenvalue(moments(training))
    shrinking = 2 * least + c
    first = FORGETTING / shrinking if shrinking > 0 else float("inf")
    if c < 0:
        growth = GROWTH if shrinking > 0 else UNCORRECTED_GROWTH
        # 1 + 1/2 + … + 1/n is at most the number of n's binary digits.
        first = min(first, growth / (-c * epochs.bit_length()))
        if shrinking > 0:
            bound = min(bound, shrinking / least / (4 * square + c * (c / least)))
    first /= len(training)
    return lambda epoch: min(bound, first / epoch)


def _least_eigenvalue(matrix: Floats) -> float:
    """Of a symmetric matrix without negative ones; rounded down, to 0 if it is singular."""
    low, high = 0.0, float(matrix.diagonal().min())
    for _ in range(50):
        middle = low + (high - low) / 2
        if kernel.is_positive_definite(matrix, middle):
            low = middle
        else:
            high = middle
    return low
