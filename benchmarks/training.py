"""The published run and its data, by the service's kernel and by others."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from benchmarks.compiled import Compiled
from benchmarks.measure import Result, compared, fastest
from shared import kernel
from shared.dataset import Data, make_data
from shared.job import Dataset, Epoch, Hyperparameters, InverseEpoch, Regularization, Specification
from shared.kernel import Floats
from worker.training import train

#: Of C's speed.
TARGET = 0.9
REPEATS = 40
#: Rows of those that take too long for the whole run: their time is extrapolated.
FEW_ROWS = 10_000

Step = Callable[[Floats, Floats, float, float], object]


def training() -> Iterator[Result]:
    """Race ten epochs of 500,000 rows; every two that race must have the very same weights."""
    c = Compiled()
    data = make_data(Dataset())
    for kind, coefficient in (("published", -1.0), ("none", 0.0)):
        name = f"training, regularization {kind}"
        yield _race(f"{name}, beside C", c.train, data, coefficient, TARGET)
        yield _race(f"{name}, beside C with -2 folded", c.train_folded, data, coefficient)
        yield _race_with_tests(f"{name}, with the tests, beside C", c, data, kind)
    for size in (3, 64):
        wide = make_data(Dataset(input_size=size, training_size=1_000_000 // size))
        yield _race(f"training, {size} inputs, beside C", c.train_many, wide, -1.0)
    yield _extrapolated("training, beside plain Python", _plain_python, data)
    yield _extrapolated("training, beside NumPy row by row", _numpy_rows, data)


def data() -> Iterator[Result]:
    """Race the making of the published data; both must make the same bits."""
    c = Compiled()
    dataset = Dataset()
    made = make_data(dataset)
    assert np.array_equal(np.concatenate((made.training, made.test)), c.draw(dataset))
    times = fastest(lambda: make_data(dataset), lambda: c.draw(dataset), repeats=REPEATS)
    yield compared("data, 1.1 million draws of seedrandom, beside C", times)


def _race(what: str, other: Step, data: Data, c: float, target: float | None = None) -> Result:
    ours, others = (partial(_ten_epochs, step, data, c) for step in (kernel.train, other))
    assert ours() == others(), what
    return compared(what, fastest(ours, others, repeats=REPEATS), target)


def _ten_epochs(step: Step, data: Data, c: float) -> list[float]:
    weights = np.array(_start(data))
    for epoch in range(1, 11):
        step(data.training, weights, InverseEpoch().at(epoch), c)
    return list(weights)


def _start(data: Data) -> list[float]:
    return list(data.initial_weights(0.0, 2.0))


def _race_with_tests(what: str, c: Compiled, data: Data, kind: str) -> Result:
    """Race the worker's own loop, with its chunks, checks and records."""
    rule = Hyperparameters(regularization=Regularization.model_validate({"kind": kind}))
    ours, others = partial(_by_worker, data, rule), partial(_by_c, c, data, rule)
    assert ours() == others(), what
    return compared(what, fastest(ours, others, repeats=REPEATS), TARGET)


#: Weights, correct rows and cost after an epoch.
Tested = tuple[list[float], int, float | None]


def _by_worker(data: Data, rule: Hyperparameters) -> list[Tested]:
    results = train(Specification(hyperparameters=rule), data, _start(data))
    epochs = [result for result in results if isinstance(result, Epoch)]
    return [(epoch.weights, epoch.correct, epoch.cost) for epoch in epochs]


def _by_c(c: Compiled, data: Data, rule: Hyperparameters) -> list[Tested]:
    weights, results = np.array(_start(data)), list[Tested]()
    for epoch in range(1, 11):
        rate = InverseEpoch().at(epoch)
        c.train(data.training, weights, rate, rule.regularization.coefficient)
        tested = c.test(data.test, weights, rule.error_margin_percent)
        results.append((list(weights), *tested))
    return results


def _extrapolated(what: str, other: Step, data: Data) -> Result:
    few = Data(data.training[:FEW_ROWS], data.test, data.weight_draws)
    assert _ten_epochs(kernel.train, few, -1.0) == _ten_epochs(other, few, -1.0), what
    deeds = partial(_ten_epochs, kernel.train, data, -1.0), partial(_ten_epochs, other, few, -1.0)
    ours, others = fastest(*deeds, repeats=5)
    return compared(what, (ours, others * len(data.training) / FEW_ROWS))


def _numpy_rows(rows: Floats, weights: Floats, rate: float, c: float) -> None:
    for x in rows:
        gradient = x * (-2.0 * (x.sum() - (x * weights).sum()))
        weights -= (gradient + c * weights) * rate


def _plain_python(rows: Floats, weights: Floats, rate: float, c: float) -> None:
    w0, w1 = weights.tolist()
    # By columns: a list for each row would set off the garbage collector, over and over.
    for x0, x1 in zip(*rows.T.tolist(), strict=True):
        g = -2.0 * ((x0 + x1) - (x0 * w0 + x1 * w1))
        w0 -= (x0 * g + c * w0) * rate
        w1 -= (x1 * g + c * w1) * rate
    weights[:] = w0, w1
