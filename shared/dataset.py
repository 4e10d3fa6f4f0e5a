"""Data sets: uniform rows made from a seed, the same bits on any machine, any day.

Raw draws r in [0, 1) become values as r·(low - high) + high. Their order: the training rows (first
input, second input, …), the test rows, then the initial weights. A row's label is the sum of its
inputs from left to right; it is never stored.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared import job, kernel
from shared.kernel import Floats


@dataclass(frozen=True)
class Data:
    """Read-only float64 arrays.

    Attributes:
        training: as the neuron sees them, shape (training_size, input_size).
        test: shape (test_size, input_size).
        weight_draws: raw draws, shape (input_size,); see `initial_weights`.
    """

    training: Floats
    test: Floats
    weight_draws: Floats

    @property
    def nbytes(self) -> int:
        """Bytes of the rows."""
        return self.training.nbytes + self.test.nbytes

    def initial_weights(self, low: float, high: float) -> Floats:
        """Weights drawn between `low` and `high`, a new array of shape (input_size,)."""
        return self.weight_draws * (low - high) + high


def label(inputs: Sequence[float]) -> float:
    """What the neuron is to learn: the sum of the inputs, added from left to right."""
    total = 0.0
    for value in inputs:
        total += value
    return total


def seed_text(seed: int | str) -> str:
    """The text that stands for a seed: a number's digits and one NUL, so that 1 is not "1"."""
    return seed if isinstance(seed, str) else f"{seed}\0"


def character_codes(text: str) -> list[int]:
    """The text's UTF-16 code units, as JavaScript's `charCodeAt` gives them."""
    codes: list[int] = np.frombuffer(text.encode("utf-16-le"), dtype="<u2").tolist()
    return codes


def make_data(dataset: job.Dataset, *, normalize: bool = False) -> Data:
    """Make the rows of a data set; with `normalize`, the training rows are divided by its scale."""
    rows = dataset.training_size + dataset.test_size
    flat = np.empty(rows * dataset.input_size)
    weight_draws = np.empty(dataset.input_size)
    make = _seedrandom if dataset.generator == "seedrandom" else _pcg64
    make(dataset.seed, flat, weight_draws, dataset.low - dataset.high, dataset.high)
    values = flat.reshape(rows, dataset.input_size)
    if normalize:
        values[: dataset.training_size] /= dataset.scale
    for array in (values, weight_draws):
        array.flags.writeable = False
    return Data(values[: dataset.training_size], values[dataset.training_size :], weight_draws)


def _seedrandom(
    seed: int | str, values: Floats, weight_draws: Floats, factor: float, offset: float
) -> None:
    """ARC4 as in David Bau's seedrandom, of which the first 256 bytes are thrown away."""
    key = character_codes(seed_text(seed)) or [0]
    state = kernel.arc4_state(np.array(key, dtype=np.int64))
    kernel.arc4_skip(state, 256)
    kernel.seedrandom_fill(state, values, factor, offset)
    kernel.seedrandom_fill(state, weight_draws, 1.0, 0.0)


def _pcg64(
    seed: int | str, values: Floats, weight_draws: Floats, factor: float, offset: float
) -> None:
    """NumPy's PCG64; a seed that it does not take (text, negative) enters as its text's SHA-256."""
    if isinstance(seed, str) or seed < 0:
        seed = int.from_bytes(hashlib.sha256(seed_text(seed).encode()).digest(), "little")
    random = np.random.Generator(np.random.PCG64(seed))
    random.random(out=values)
    values *= factor
    values += offset
    random.random(out=weight_draws)


class DataCache:
    """The data sets used last, up to a number of bytes; one larger than that is not kept.

    Normalized rows are rows of their own: a job needs its training rows in one form only.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._data: OrderedDict[tuple[job.Dataset, bool], Data] = OrderedDict()

    def get(self, specification: job.Specification) -> Data:
        """The data of a specification, made now if they are not kept."""
        dataset, normalize = specification.dataset, specification.hyperparameters.normalize
        data = self._data.pop((dataset, normalize), None)
        if data is None:
            data = make_data(dataset, normalize=normalize)
        if data.nbytes <= self._max_bytes:
            self._data[dataset, normalize] = data
        while sum(data.nbytes for data in self._data.values()) > self._max_bytes:
            self._data.popitem(last=False)
        return data
