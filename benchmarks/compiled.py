"""`training.c`, compiled at run time, behind the signatures of the kernel's functions."""

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from shared.dataset import character_codes, seed_text
from shared.job import Dataset
from shared.kernel import Floats

FLAGS = ("-O3", "-march=native", "-ffp-contract=off", "-shared", "-fPIC")


class NoCompilerError(Exception):
    """There is no gcc to compare with."""


class Compiled:
    """`training.c`, compiled for this machine; its functions take what those of the kernel do."""

    def __init__(self) -> None:
        gcc = shutil.which("gcc")
        if gcc is None:
            raise NoCompilerError("no gcc on the PATH: nothing to compare with")
        source = Path(__file__).with_name("training.c")
        with tempfile.TemporaryDirectory() as directory:
            library = Path(directory, "training.so")
            subprocess.run([gcc, *FLAGS, "-o", library, source], check=True)
            self._library = ctypes.CDLL(str(library))

    def train(self, rows: Floats, weights: Floats, rate: float, c: float) -> None:
        """Train as the article does, two weights."""
        self._train("train_pair", rows, weights, rate, c)

    def train_folded(self, rows: Floats, weights: Floats, rate: float, c: float) -> None:
        """Train with the kernel's own shortcut, two weights."""
        self._train("train_pair_folded", rows, weights, rate, c)

    def train_many(self, rows: Floats, weights: Floats, rate: float, c: float) -> None:
        """Train any number of weights."""
        self._train("train_many", rows, weights, rate, c, ctypes.c_long(rows.shape[1]))

    def test(self, rows: Floats, weights: Floats, margin: float) -> tuple[int, float]:
        """Test two weights."""
        cost = ctypes.c_double()
        correct: int = self._library.test_pair(
            *_rows(rows), _pointer(weights), ctypes.c_double(margin), ctypes.byref(cost)
        )
        return correct, cost.value

    def draw(self, dataset: Dataset) -> Floats:
        """Make all the inputs of a data set."""
        key = bytes(character_codes(seed_text(dataset.seed)))
        out = np.empty((dataset.training_size + dataset.test_size, dataset.input_size))
        factor, offset = map(ctypes.c_double, (dataset.low - dataset.high, dataset.high))
        length, count = map(ctypes.c_long, (len(key), out.size))
        self._library.seedrandom(key, length, _pointer(out), count, factor, offset)
        return out

    def _train(
        self, name: str, rows: Floats, weights: Floats, rate: float, c: float, *more: ctypes.c_long
    ) -> None:
        numbers = map(ctypes.c_double, (rate, c))
        self._library[name](*_rows(rows), _pointer(weights), *numbers, *more)


def _pointer(array: Floats) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _rows(array: Floats) -> tuple[ctypes.c_void_p, ctypes.c_long]:
    return _pointer(array), ctypes.c_long(len(array))
