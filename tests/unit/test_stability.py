"""The largest learning rate is a boundary: training bears it, and explodes above it."""

import pytest

from shared.dataset import make_data
from shared.job import Constant, Dataset, Hyperparameters, Regularization, Specification
from worker.stability import _round_down, largest_learning_rate
from worker.training import Diverged, train

DATA = [
    Dataset(training_size=100_000, test_size=10),
    Dataset(training_size=50_000, test_size=10, low=-3, high=1),
    Dataset(training_size=20_000, test_size=10, input_size=5, generator="pcg64"),
    Dataset(training_size=10, test_size=10, low=50),
]


def diverges(dataset: Dataset, rate: float, regularization: Regularization) -> bool:
    wanted = Specification(
        dataset=dataset,
        hyperparameters=Hyperparameters(
            epochs=20 if dataset.training_size > 1000 else 10_000,
            learning_rate=Constant(rate=rate),
            regularization=regularization,
        ),
    )
    data = make_data(dataset)
    try:
        for _ in train(wanted, data, data.initial_weights(0, 2).tolist()):
            pass
    except Diverged:
        return True
    return False


@pytest.mark.parametrize("dataset", DATA, ids=lambda dataset: f"{dataset.training_size}")
@pytest.mark.parametrize("kind", ["published", "none", "l2"])
def test_data_bear_the_rate_and_not_a_tenth_more(dataset: Dataset, kind: str) -> None:
    regularization = Regularization.model_validate({"kind": kind, "strength": 0.1})
    largest = largest_learning_rate(make_data(dataset).training, regularization.coefficient)
    assert largest is not None
    assert not diverges(dataset, largest, regularization)
    assert diverges(dataset, 1.1 * largest, regularization)


def test_there_is_no_rate_when_regularization_outgrows_the_data() -> None:
    data = make_data(Dataset(training_size=1000, low=0, high=0.1))
    assert largest_learning_rate(data.training, -1.0) is None


def test_there_is_no_finite_rate_for_data_whose_squares_vanish() -> None:
    data = make_data(Dataset(training_size=1000, low=0, high=1e-200))
    assert largest_learning_rate(data.training, 0.0) is None


@pytest.mark.parametrize("high", [1e-155, 1e-100, 1e-77, 1e77, 1e82, 1e100])
@pytest.mark.parametrize("c", [-1e-320, 0.0, 1.0, 1e100])
def test_extreme_ranges_have_an_answer_too(high: float, c: float) -> None:
    data = make_data(Dataset(training_size=100, low=-high, high=high))
    rate = largest_learning_rate(data.training, c)
    assert rate is None or 0 < rate < float("inf")


@pytest.mark.parametrize(("rows", "inputs"), [(1, 2), (2, 4), (2, 33)])
def test_fewer_rows_than_inputs_bear_a_rate(rows: int, inputs: int) -> None:
    dataset = Dataset(training_size=rows, input_size=inputs, test_size=5)
    largest = largest_learning_rate(make_data(dataset).training, 0.0)
    assert largest is not None
    assert not diverges(dataset, largest, Regularization(kind="none"))
    assert diverges(dataset, 1.1 * largest, Regularization(kind="none"))


@pytest.mark.parametrize("value", [1.42e-4, 1.4299e-4, 9.999e7, 1e-200, 3e200])
def test_rates_are_rounded_down_to_three_digits(value: float) -> None:
    rounded = _round_down(value)
    assert 0.99 * value <= rounded <= value
    assert float(f"{rounded:.2e}") == rounded
