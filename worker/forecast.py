"""The forecast: what a training run will come to, from the second moments of its data.

A step maps the error e = w - 1 of the weights to e - r·((2·x·xᵀ + c·I)·e + c·1). In the mean over
the rows that is e - r·(H·e + c·1), with H = 2·M + c·I and M the mean of x·xᵀ: along each of H's
eigenvectors the error goes its own way to where it settles, -c/h, shrinking by 1 - r·h a step.
Weights fluctuate around that way, because each row pulls elsewhere. In an epoch all rows have
their turn, so that their pulls add up to the mean, and in the next one the same again.

Whether errors shrink at all is asked of the rows themselves, as in `worker.stability`.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from shared import kernel
from shared.dataset import Data, make_data
from shared.forecast import Forecast
from shared.job import Specification
from shared.kernel import Floats
from worker.explanation import explain
from worker.schedule import VANISHING, make_rules, moments
from worker.stability import largest_input, largest_learning_rate, sample

Bools = npt.NDArray[np.bool_]

#: Input values from which the pulls of single rows are judged.
NOISE_VALUES = 2**15
#: How far the expected error may move, as a part of itself, until they are judged again; an epoch
#: in which it moves is cut into at most so many parts (beside the first).
MOVED, MOST_PARTS = 0.2, 16
#: How much of the fluctuation the fluctuation itself may cause.
MOST_FEEDBACK = 0.95
#: The deviation of weights that rounding causes, where a step corrects the error in full.
ROUNDING = 3 * 2.0**-53
#: ln of what is left of an error when it does not matter any more, and when nothing is.
FORGOTTEN, GONE = -40.0, -1e6
#: From this part of the largest stable rate on, rows shrink errors less than their moments say.
NEAR = 0.1
#: Rates whose growth is measured; between them it is interpolated.
MOST_GROWTHS = 48
#: Larger rates grow at least as fast as this one, which `error_growth` can follow step by step.
LARGEST_RATE = 1e40
#: Weights that are drawn around the expected ones, and values of the test rows they are tested on.
DRAWS, TEST_VALUES = 100, 20_000
#: Rows that the speed is measured with.
TIMED_ROWS = 10_000
#: ln of the largest finite number.
LARGEST = math.log(1.7e308)
#: Learning rates that are shown.
SHOWN_RATES = 1000


@dataclass(frozen=True)
class Course:
    """How the error of the weights goes, in units in which no input exceeds 1.

    Attributes:
        rows: training rows, repeated or cut to a sample, shape (rows, input_size).
        steps: of an epoch.
        rates: of each epoch.
        c: the regularization's coefficient.
        h: eigenvalues of H, ascending.
        directions: their eigenvectors, in columns.
        start: the initial error along each of them.
    """

    rows: Floats
    steps: int
    rates: Floats
    c: float
    h: Floats
    directions: Floats
    start: Floats

    def shrinking(self) -> Floats:
        """ln of how each epoch shrinks the error along each direction: (epochs, input_size).

        In the mean over the rows; near the largest stable rate that is not what happens.
        """
        step = self.rates[:, None] * self.h
        logs = np.where(step < 0.5, np.log1p(-np.minimum(step, 0.5)), np.log(np.abs(1 - step)))
        return np.asarray(np.maximum(self.steps * logs, GONE))

    def slowest(self) -> Floats:
        """`shrinking` along the direction in which it does least: (epochs,)."""
        return np.asarray(np.max(self.shrinking()[:, self.seen()], axis=1, initial=GONE))

    def bounded(self, growth: Floats) -> Floats:
        """`shrinking`, but along no direction slower than the error shrinks at all."""
        mean = self.shrinking()
        return np.where(self.seen(), np.minimum(mean, growth[:, None]), mean)

    def seen(self) -> Bools:
        """The directions in which the rows vary: others never change unless regularized."""
        return np.asarray(np.abs(self.h) > 1e-13 * np.max(np.abs(self.h)))

    def settling(self) -> Floats | None:
        """The error, along each direction, at which the pulls are equal; None if it runs away."""
        if self.c == 0:
            return np.where(self.seen(), 0.0, self.start)
        return -self._pull() / self.h if self.h[0] > 0 else None

    def after(self, shrunk: Floats) -> Floats:
        """The expected error once the initial one has shrunk e^`shrunk` times: any shape."""
        settled = np.where(self.h == 0, 0.0, -self._pull() / self.h)
        return np.asarray(settled + (self.start - settled) * np.exp(shrunk))

    def _pull(self) -> Floats:
        return np.asarray(self.c * self.directions.sum(axis=0))


@dataclass(frozen=True)
class Expected:
    """Weights as they are expected, and how they spread: weights + spread·(normal draws)."""

    weights: Floats
    spread: Floats

    @property
    def deviation(self) -> list[float]:
        """The standard deviation of each weight."""
        deviation: list[float] = np.sqrt(np.sum(self.spread**2, axis=1)).tolist()
        return deviation


# What is not finite becomes null at the end.
@np.errstate(all="ignore")
def forecast(specification: Specification, data: Data) -> Forecast:
    """Forecast a training run.

    Args:
        specification: of the job.
        data: made from it.
    """
    hyperparameters = specification.hyperparameters
    c = specification.coefficient
    initial = data.initial_weights(hyperparameters.weight_low, hyperparameters.weight_high)
    rules, epochs = make_rules(specification, data.training), hyperparameters.epochs
    rates = np.array([rules(epoch).learning_rate for epoch in range(1, epochs + 1)])
    means, largest = moments(data.training), largest_learning_rate(data.training, c)
    unit = max(largest_input(data.training) ** 2, abs(c), VANISHING)
    course = _course(data.training, means, rates, c, initial - 1, unit)
    bearable = largest if largest or c >= 0 else largest_learning_rate(data.training, 0.0)
    overshooting = int(np.sum(rates > (bearable or math.inf)))
    growth = _growth(course, NEAR * (bearable or math.inf) * unit)
    lengths = _lengths(course, growth, overshooting)
    # What is computed on the way, 2·x·x·error, overflows earlier than the error.
    finite = lengths < LARGEST - max(0.0, math.log(2 * unit))
    diverges = not finite.all()
    expected = None
    if not diverges and not (overshooting and lengths[-1] > 0):
        expected = _expect(course, growth, overshooting)
    accuracy = _accuracy(data, expected, hyperparameters.error_margin_percent)
    deviation = expected and expected.deviation
    if expected is None and not diverges:
        deviation = [float(np.exp(lengths[-1]))] * len(initial)
    made = Forecast(
        diverges=diverges,
        diverges_in_epoch=int(np.argmin(finite)) + 1 if diverges else None,
        learning_rates=rates[:SHOWN_RATES].tolist(),
        largest_learning_rate=largest,
        second_moments=means.tolist(),
        initial_weights=initial.tolist(),
        settling_weights=expected and _settling_weights(course),
        final_weights=expected and expected.weights.tolist(),
        final_weights_deviation=deviation,
        accuracy=accuracy[0],
        accuracy_low=accuracy[1],
        accuracy_high=accuracy[2],
        training_seconds=_seconds(specification, data),
        explanation=[],
    )
    return made.model_copy(update={"explanation": explain(specification, made)})


def _course(
    training: Floats, means: Floats, rates: Floats, c: float, error: Floats, unit: float
) -> Course:
    h, directions = np.linalg.eigh(2 * means / unit + c / unit * np.eye(len(means)))
    return Course(
        rows=sample(training) / math.sqrt(unit),
        steps=len(training),
        rates=rates * unit,
        c=c / unit,
        h=np.maximum(h, c / unit),
        directions=directions,
        start=error @ directions,
    )


def _settling_weights(course: Course) -> list[float] | None:
    error = course.settling()
    if error is None or not np.isfinite(error).all():
        return None
    weights: list[float] = (1 + course.directions @ error).tolist()
    return weights


def _lengths(course: Course, growth: Floats, overshooting: int) -> Floats:
    """ln of the length of the error after each epoch, as far as it can run away."""
    if not overshooting:
        errors = course.after(np.cumsum(course.bounded(growth), axis=0))
        return np.asarray(np.log(np.max(np.abs(errors), axis=1)))
    start = np.maximum(np.linalg.norm(course.start), abs(course.c))
    return np.asarray(np.log(start) + np.cumsum(growth))


def _growth(course: Course, near: float) -> Floats:
    """ln of how the error grows in each epoch where it shrinks least.

    From rates of `near` on it is measured on the rows: moments do not tell what one row after the
    other does. Below it is that of the moments.
    """
    growth = course.slowest()
    logs = np.log(np.minimum(course.rates, LARGEST_RATE))
    measured = course.rates >= near
    known = np.unique(logs[measured])
    if len(known) > MOST_GROWTHS:
        known = np.linspace(known[0], known[-1], MOST_GROWTHS)
    start = np.sum(course.directions[:, course.seen()], axis=1)
    growths = [
        max(GONE, kernel.error_growth(course.rows, start.copy(), math.exp(rate), course.c)[0])
        for rate in known
    ]
    if len(known):
        passes = course.steps / len(course.rows)
        growth[measured] = passes * np.interp(logs[measured], known, growths)
    return growth


def _expect(course: Course, growth: Floats, overshooting: int) -> Expected | None:
    """The weights after the last epoch; None if they are too large for numbers."""
    shrinking = course.bounded(growth)
    left = _left(course, growth, overshooting)
    if overshooting:
        # What grew in these epochs may point anywhere.
        shrinking[:overshooting] = 0.0
        course = replace(course, start=np.zeros_like(course.start))
    shrunk = np.cumsum(shrinking, axis=0)
    error = course.after(shrunk[-1])
    forgotten = np.max(shrunk[-1] - shrunk, axis=1) < FORGOTTEN
    covariance = _fluctuation(course, shrunk, max(overshooting, int(np.sum(forgotten))))
    covariance += left**2 * np.eye(len(covariance))
    if not (np.isfinite(error).all() and np.isfinite(covariance).all()):
        return None
    values, vectors = np.linalg.eigh(covariance)
    spread = course.directions @ vectors * np.sqrt(np.maximum(values, 0))
    return Expected(1 + course.directions @ error, spread)


def _left(course: Course, growth: Floats, overshooting: int) -> float:
    """How much more is left of the initial error than moments say."""
    grown = float(np.exp(np.sum(growth)))
    length = float(np.linalg.norm(course.start[course.seen()]))
    if overshooting:
        return max(length, abs(course.c)) * grown
    return length * max(0.0, grown - float(np.exp(np.sum(course.slowest()))))


def _fluctuation(course: Course, shrunk: Floats, first: int) -> Floats:
    """The covariance of the error along the directions, from the pulls in the epochs from `first`.

    Each epoch has the same pulls in the same order, so what one adds is added in full, and not as
    independent chances are. Errors that fluctuate pull themselves, in proportion: a geometric sum.
    """
    rows = course.rows[: max(1, NOISE_VALUES // course.rows.shape[1])] @ course.directions
    amplitude = added = np.zeros((len(course.h), len(course.h)))
    ends, judged = course.after(shrunk), -1
    for epoch in range(first, len(course.rates)):
        before = shrunk[epoch - 1] if epoch else np.zeros_like(course.h)
        if judged < 0 or _differs(ends, course.rates, judged, epoch):
            added, judged = _added(course, rows, course.rates[epoch], before, shrunk[epoch]), epoch
        kept = np.exp((shrunk[epoch] - before) / 2)
        amplitude = np.outer(kept, kept) * amplitude + np.sign(added) * np.sqrt(np.abs(added))
    covariance = np.sign(amplitude) * amplitude**2
    covariance /= 1 - _feedback(course, rows, covariance)
    rounding = ROUNDING / np.sqrt(np.clip(course.rates[-1] * course.h, 1e-12, 1))
    return np.asarray(covariance + np.diag(rounding**2))


def _differs(ends: Floats, rates: Floats, one: int, other: int) -> bool:
    """Whether what two epochs add must be told apart."""
    moved = np.linalg.norm(ends[other] - ends[one]) > MOVED / 4 * np.linalg.norm(ends[other])
    return bool(moved or abs(rates[other] - rates[one]) > MOVED / 4 * rates[other])


def _added(course: Course, rows: Floats, rate: float, before: Floats, after: Floats) -> Floats:
    """What an epoch adds to the covariance; in parts, each twice the last, while the error moves.

    All rows of an epoch are as if drawn without replacement: their pulls add up to the mean.
    """
    steps, step = course.steps, rate * course.h
    both = step[:, None] + step - np.outer(step, step)
    start, end = course.after(before), course.after(after)
    moving = np.abs(end - start) > MOVED * np.linalg.norm(end)
    parts = 0
    if moving.any():
        span = float(np.max(np.abs(after - before)[moving]))
        parts = max(0, math.ceil(math.log2(min(span / MOVED, 2.0**MOST_PARTS))))
    added, begin = np.zeros_like(both), 0.0
    for part in range(parts, -1, -1):
        share = 2.0**-part
        pulls = _pulls(rows, course.after(before + begin * (after - before)))
        kept = np.exp((share - begin) * (after - before))
        chances = _geometric(both, steps * (share - begin))
        if not parts:
            alone = _geometric(step, steps)
            chances = np.maximum(0, chances - np.outer(alone, alone) / steps)
        added = np.outer(kept, kept) * added + rate**2 * pulls * chances
        # On its way through the epoch the error has fluctuated, and rows pulled at that, too.
        count = steps * (share - begin)
        between = rate**2 * pulls / (6 / count + both)
        added += rate**2 * _pulled(course, rows, between) * _geometric(both, count)
        begin = share
    return added


def _pulls(rows: Floats, error: Floats) -> Floats:
    """The covariance of single rows' gradients at an error, along the directions."""
    gradients = 2 * rows * (rows @ error)[:, None]
    gradients -= gradients.mean(axis=0)
    return np.asarray(gradients.T @ gradients / max(1, len(rows) - 1))


def _pulled(course: Course, rows: Floats, covariance: Floats) -> Floats:
    """The covariance of single rows' gradients at errors that have this covariance."""
    squares = np.sum(rows @ covariance * rows, axis=1)
    pulls = 4 * (rows * squares[:, None]).T @ rows / len(rows)
    return np.asarray(pulls - np.outer(course.h, course.h) * covariance)


def _feedback(course: Course, rows: Floats, covariance: Floats) -> float:
    """The covariance that a fluctuating error adds by its own pulls, as a part of it."""
    rate, total = course.rates[-1], float(np.trace(covariance))
    pulls = _pulled(course, rows, covariance).diagonal()
    step = rate * course.h
    added = rate**2 * pulls * _geometric(2 * step - step**2, course.steps)
    return min(MOST_FEEDBACK, max(0.0, float(np.sum(added)) / total)) if total > 0 else 0.0


def _geometric(complement: Floats, count: float) -> Floats:
    """1 + q + q² + … (`count` terms) for q = 1 - complement."""
    small = np.abs(complement) * count < 1e-9
    x = np.where(small, 1.0, complement)
    power = np.where(
        x < 0.5,
        -np.expm1(count * np.log1p(-np.minimum(x, 0.5))),
        1 - np.sign(1 - x) * np.abs(1 - x) ** count,
    )
    return np.where(small, count, power / x)


def _accuracy(data: Data, expected: Expected | None, margin: float) -> tuple[float, float, float]:
    """That of the expected weights, the least and the most of a hundred drawn around them."""
    if expected is None:
        return 0.0, 0.0, 0.0
    middle = kernel.test(data.test, expected.weights, margin)[0] / len(data.test)
    size = len(expected.weights)
    normal = np.random.Generator(np.random.PCG64(0)).standard_normal((DRAWS, size))
    rows = data.test[: max(1, TEST_VALUES // size)]
    found = [
        kernel.test(rows, expected.weights + expected.spread @ draw, margin)[0] / len(rows)
        for draw in normal
    ]
    return middle, min(middle, *found), max(middle, *found)


def _seconds(specification: Specification, data: Data) -> float:
    """How long it takes here to make the data, train and test; measured on a few rows."""
    dataset, epochs = specification.dataset, specification.hyperparameters.epochs
    few = dataset.model_copy(update={"training_size": TIMED_ROWS, "test_size": 1})
    c = specification.coefficient
    weights = np.ones(dataset.input_size)
    training, test = data.training[:TIMED_ROWS], data.test[:TIMED_ROWS]
    row = _time(lambda: make_data(few)) / (TIMED_ROWS + 1)
    step = _time(lambda: kernel.train(training, weights, 0.0, c)) / len(training)
    tested = _time(lambda: kernel.test(test, weights, 0.01)) / len(test)
    making = row * (dataset.training_size + dataset.test_size)
    learning = epochs * (step * dataset.training_size + tested * dataset.test_size)
    return float(f"{making + learning:.3g}")


def _time(deed: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        started = time.perf_counter()
        deed()
        times.append(time.perf_counter() - started)
    return min(times)
