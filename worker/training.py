"""The training loop: from a specification and its data to epochs, wherever they are kept."""

import hashlib
import math
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from shared import kernel
from shared.dataset import Data, label
from shared.job import Demo, Epoch, Specification, encode_weights
from shared.kernel import Floats
from shared.neuron import Neuron
from worker.schedule import Rule, make_rules

#: Rows of the article's demonstration; more inputs repeat their values in turn.
DEMO_ROWS = ((2.2, 1.5), (1024.0, 2048.0))
#: Input values that are trained before the loop looks up: some 10 ms.
CHUNK_VALUES = 2**21
#: Above it the kernel's shortcut is not exact any more; see `shared.kernel`.
SAFE_WEIGHT = 1e150


class Diverged(Exception):
    """The weights left the finite numbers.

    Attributes:
        epoch, step: where, both counted from 1.
        weights: the last finite ones.
    """

    def __init__(self, epoch: int, step: int, weights: Sequence[float]) -> None:
        super().__init__(f"the weights stop being finite at step {step} of epoch {epoch}")
        self.epoch, self.step, self.weights = epoch, step, list(weights)


@dataclass(frozen=True)
class Chunk:
    """Rows trained inside an epoch: `step` of them so far."""

    step: int
    weights: list[float]


def demonstrate(weights: Sequence[float]) -> list[Demo]:
    """What the neuron makes of the demo rows."""
    neuron = Neuron(weights)
    rows = [[row[i % 2] for i in range(len(weights))] for row in DEMO_ROWS]
    return [
        Demo(inputs=row, expected=label(row), actual=_finite(neuron.forward(row))) for row in rows
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def train(
    specification: Specification,
    data: Data,
    weights: Sequence[float],
    *,
    epoch: int = 0,
    step: int = 0,
    digest: str | None = None,
) -> Iterator[Chunk | Epoch]:
    """Train from `step` rows into the epoch after `epoch` to the end.

    Args:
        specification: of the job.
        data: made from it.
        weights: at that place.
        epoch: epochs that are complete.
        step: rows of the next epoch that are.
        digest: of the last complete epoch; that of the specification if there is none.

    Yields:
        A `Chunk` after some rows, an `Epoch` at the end of each epoch.

    Raises:
        Diverged
    """
    current = np.array(weights)
    hyperparameters = specification.hyperparameters
    rules = make_rules(specification, data.training)
    digest = digest or specification.digest
    rows = max(1, CHUNK_VALUES // specification.dataset.input_size)
    for number in range(epoch + 1, hyperparameters.epochs + 1):
        started = time.monotonic()
        rule = rules(number)
        for start in range(step, len(data.training), rows):
            chunk = data.training[start : start + rows]
            train_rows(chunk, current, rule, start)
            if start + rows < len(data.training):
                yield Chunk(start + rows, current.tolist())
        step = 0
        margin = hyperparameters.error_margin_percent
        result = _evaluate(data.test, current, margin, rule, digest, started)
        digest = result.digest
        yield result


def train_rows(rows: Floats, weights: Floats, rule: Rule, start: int) -> None:
    """One step a row; `weights` is changed in place.

    Args:
        rows: some that follow each other, shape (count, input_size).
        weights: before and, on return, after them.
        rule: of their epoch.
        start: how many rows of the epoch came before.

    Raises:
        Diverged
    """
    before = weights.copy()
    kernel.train(rows, weights, rule.learning_rate, rule.regularization)
    if np.all(np.abs(weights) < SAFE_WEIGHT):
        return
    weights[:] = before
    row = kernel.first_divergent_row(rows, weights, rule.learning_rate, rule.regularization)
    if row >= 0:
        raise Diverged(rule.epoch, start + row + 1, weights.tolist())


def _evaluate(
    test: Floats,
    weights: Floats,
    error_margin_percent: float,
    rule: Rule,
    digest: str,
    started: float,
) -> Epoch:
    correct, cost = kernel.test(test, weights, error_margin_percent)
    measured = (correct, len(test), cost)
    numbers = struct.pack("<qdqqd", rule.epoch, rule.learning_rate, *measured)
    chained = bytes.fromhex(digest) + numbers + encode_weights(weights)
    return Epoch(
        epoch=rule.epoch,
        learning_rate=rule.learning_rate,
        correct=correct,
        total=len(test),
        accuracy=correct / len(test),
        cost=_finite(cost),
        weights=weights.tolist(),
        digest=hashlib.sha256(chained).hexdigest(),
        duration_seconds=round(time.monotonic() - started, 6),
    )
