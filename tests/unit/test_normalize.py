"""Normalized inputs: the range stops to matter, and the weights are those of the raw inputs."""

from typing import Any

import numpy as np
import pytest

from shared.dataset import make_data
from shared.job import (
    Auto,
    Constant,
    Dataset,
    Epoch,
    Hyperparameters,
    Regularization,
    Specification,
    encode_weights,
)
from shared.neuron import Neuron
from worker.stability import largest_learning_rate
from worker.training import Diverged, train

RANGES = [(0.0, 100.0), (-3.0, 1.0), (0.0, 1e-30), (-1e100, 1e100), (0.0, 64.0), (1e8, 1e9)]


def normalized(low: float, high: float, rate: float, **more: Any) -> Specification:
    return Specification(
        dataset=Dataset(low=low, high=high, training_size=20_000, test_size=500, **more),
        hyperparameters=Hyperparameters(
            normalize=True,
            epochs=2,
            learning_rate=Constant(rate=rate),
            regularization=Regularization(kind="none"),
        ),
    )


def run(wanted: Specification) -> Epoch:
    data = make_data(wanted.dataset, normalize=wanted.hyperparameters.normalize)
    *_, last = train(wanted, data, data.initial_weights(0, 2).tolist())
    assert isinstance(last, Epoch)
    return last


@pytest.mark.parametrize(
    ("low", "high", "power"),
    [(0, 100, 128.0), (-100, 1, 128.0), (0, 64, 64.0), (0, 0.3, 0.5), (0, 5e-324, 5e-324)],
)
def test_the_scale_is_the_least_power_of_two_that_is_not_smaller(
    low: float, high: float, power: float
) -> None:
    assert Dataset(low=low, high=high).scale == power


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_training_rows_lie_within_one_and_test_rows_stay_as_they_are(
    low: float, high: float
) -> None:
    dataset = Dataset(low=low, high=high, training_size=1000, test_size=100)
    raw, made = make_data(dataset), make_data(dataset, normalize=True)
    assert np.abs(made.training).max() <= 1
    assert (made.training * dataset.scale).tolist() == raw.training.tolist()
    assert made.test.tolist() == raw.test.tolist()
    assert made.weight_draws.tolist() == raw.weight_draws.tolist()


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_predictions_from_scaled_inputs_are_those_from_raw_inputs_to_the_bit(
    low: float, high: float
) -> None:
    wanted = normalized(low, high, 0.25, input_size=3)
    neuron, power = Neuron(run(wanted).weights), wanted.dataset.scale
    for row in make_data(wanted.dataset).test[:100].tolist():
        assert power * neuron.forward([value / power for value in row]) == neuron.forward(row)


@pytest.mark.parametrize(("low", "high"), RANGES[:4])
def test_one_rate_learns_to_add_raw_numbers_of_any_range(low: float, high: float) -> None:
    last = run(normalized(low, high, 0.25))
    assert last.accuracy == 1
    row = [low, (low + high) / 2]
    assert Neuron(last.weights).forward(row) == pytest.approx(sum(row), rel=1e-12)


def test_without_it_the_range_decides_which_rate_is_stable() -> None:
    largest = [
        [
            largest_learning_rate(make_data(dataset, normalize=on).training, 0.0)
            for dataset in (Dataset(training_size=5000, high=high) for high in (1, 2**10, 2**40))
        ]
        for on in (False, True)
    ]
    assert len(set(largest[0])) == 3
    assert len(set(largest[1])) == 1
    raw = normalized(0, 1000, 0.25)
    hyperparameters = raw.hyperparameters.model_copy(update={"normalize": False})
    with pytest.raises(Diverged):
        run(raw.model_copy(update={"hyperparameters": hyperparameters}))


@pytest.mark.parametrize("kind", ["published", "l2", "none"])
def test_it_is_training_at_a_rate_in_units_of_the_scale(kind: Any) -> None:
    """An independent way to the same bits: (x/s)·(d/s)·r = x·d·(r/s²), and s² is a power of two."""
    results = [
        run(Specification(
            dataset=Dataset(training_size=5000, test_size=500),
            hyperparameters=Hyperparameters(
                normalize=on,
                epochs=2,
                learning_rate=Constant(rate=0.125 / unit),
                regularization=Regularization(kind=kind),
            ),
        ))
        for on, unit in ((True, 1.0), (False, Dataset().scale ** 2))
    ]  # fmt: skip
    assert len({encode_weights(result.weights) for result in results}) == 1
    assert len({(result.correct, result.cost) for result in results}) == 1


def test_the_published_regularization_is_no_stronger_for_normalized_inputs() -> None:
    settings = Hyperparameters(normalize=True, learning_rate=Auto())
    last = run(Specification(hyperparameters=settings))
    assert last.accuracy == 1
    assert last.weights == pytest.approx([1 + 8.57e-5] * 2, abs=1e-5)


def test_specifications_that_do_not_ask_for_it_keep_their_text_and_digest() -> None:
    assert "normalize" not in Specification().specification_json["hyperparameters"]
    assert Specification().digest == (
        "5cf25bc4a4b9f25101a3ab22aef8deb957d0588d70e4e0068d081c6a59115350"
    )
    asked = Specification(hyperparameters=Hyperparameters(normalize=True))
    assert asked.specification_json["hyperparameters"]["normalize"] is True
    assert Specification.model_validate(asked.specification_json) == asked
