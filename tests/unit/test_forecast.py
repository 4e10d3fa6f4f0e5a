"""Forecasts, held against real runs."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

from shared.dataset import make_data
from shared.forecast import Forecast
from shared.job import (
    Auto,
    Constant,
    Dataset,
    Epoch,
    Hyperparameters,
    InverseEpoch,
    Regularization,
    Specification,
)
from tests.unit.test_training import EXTREMES, run_all
from worker.explanation import explain
from worker.forecast import forecast
from worker.stability import largest_learning_rate
from worker.training import Diverged

NONE = Regularization(kind="none")


def foresee(wanted: Specification) -> Forecast:
    data = make_data(wanted.dataset, normalize=wanted.hyperparameters.normalize)
    found = forecast(wanted, data)
    check_finite(found.model_dump())
    return found


def check_finite(value: Any) -> None:
    if isinstance(value, float):
        assert math.isfinite(value)
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            check_finite(part)


def real(wanted: Specification) -> tuple[Epoch, None] | tuple[None, Diverged]:
    _, epochs, diverged = run_all(wanted)
    return (None, diverged) if diverged else (epochs[-1], None)


def distance(found: Forecast, last: Epoch) -> float:
    """How far off the weights are, in standard deviations."""
    assert found.final_weights is not None
    assert found.final_weights_deviation is not None
    off = np.abs(np.array(found.final_weights) - last.weights)
    return float(np.max(off / (np.array(found.final_weights_deviation) + 1e-15)))


def test_the_published_run_is_foreseen() -> None:
    found = foresee(Specification())
    assert not found.diverges
    assert found.settling_weights == pytest.approx([1 + 8.57e-5] * 2, abs=3e-7)
    assert found.final_weights == pytest.approx([1.0000943, 1.0000844], abs=1e-5)
    assert found.final_weights_deviation == pytest.approx([5.5e-6] * 2, rel=0.2)
    assert 0.999 < found.accuracy_low <= found.accuracy == found.accuracy_high == 1
    assert found.learning_rates == [InverseEpoch().at(epoch) for epoch in range(1, 11)]
    assert found.training_seconds > 0
    text = " ".join(found.explanation)
    for said in ("forecast", "It will not diverge", "subtracts 1·weight", "8.57e-05 above 1"):
        assert said in text


def test_without_regularization_the_published_run_settles_at_one() -> None:
    found = foresee(Specification(hyperparameters=Hyperparameters(regularization=NONE)))
    assert found.settling_weights == found.final_weights == [1, 1]
    assert found.accuracy == 1


GENERATORS: list[Any] = ["seedrandom", "pcg64"]
SIZES = [
    Dataset(low=low, high=high, input_size=inputs, training_size=rows, test_size=1000,
            generator=generator, seed=seed)
    for seed, (low, high, inputs, rows, generator) in enumerate([
        (0, 100, 2, 20_000, GENERATORS[0]), (-3, 1, 2, 500, GENERATORS[1]),
        (0, 100, 3, 500, GENERATORS[0]), (-3, 1, 3, 20_000, GENERATORS[1]),
        (-3, 1, 10, 500, GENERATORS[0]), (0, 100, 10, 20_000, GENERATORS[1]),
    ])
]  # fmt: skip


def grid(dataset: Dataset) -> list[Specification]:
    """From rates that explode to rates that crawl, in all kinds."""
    square = max(abs(dataset.low), dataset.high) ** 2
    unit = square * dataset.input_size
    rates: list[Any] = [InverseEpoch(scale=f * unit) for f in (0.02, 0.2, 0.5, 5, 100, 1e4)]
    rates += [Constant(rate=1 / (2 * f * unit)) for f in (0.2, 0.5, 100, 1e6)]
    return [
        Specification(
            dataset=dataset,
            hyperparameters=Hyperparameters(
                epochs=5,
                learning_rate=rate,
                normalize=normalize,
                regularization=Regularization(
                    kind=kind, strength=1e-4 * square
                ),
            ),
        )
        for kind in ("published", "l2", "none")
        for rate, normalize in [*((rate, False) for rate in rates), (Auto(), False), (Auto(), True)]
    ]  # fmt: skip


@pytest.mark.parametrize(
    "dataset", SIZES, ids=lambda d: f"{d.low}-{d.input_size}-{d.training_size}"
)
def test_real_runs_end_as_foreseen(dataset: Dataset) -> None:
    distances, inside = [], []
    for wanted in grid(dataset):
        found, (last, diverged) = foresee(wanted), real(wanted)
        assert found.diverges == (diverged is not None), wanted
        if diverged is not None:
            assert found.diverges_in_epoch == diverged.epoch
        elif found.final_weights is not None:
            assert last is not None
            assert found.accuracy_low is not None
            assert found.accuracy_high is not None
            distances.append(distance(found, last))
            inside.append(found.accuracy_low - 0.05 <= last.accuracy <= found.accuracy_high + 0.05)
    assert len(distances) > 24
    assert np.quantile(distances, 0.9) < 4
    # Near the boundary of divergence fluctuations have long tails.
    assert max(distances) < 12
    assert np.mean(inside) > 0.9


@pytest.mark.parametrize("kind", ["published", "none", "l2"])
@pytest.mark.parametrize("part", [0.8, 1.25])
def test_the_boundary_of_divergence_is_that_of_real_runs(kind: Any, part: float) -> None:
    dataset = Dataset(training_size=30_000, test_size=10)
    regularization = Regularization(kind=kind, strength=0.1)
    largest = largest_learning_rate(make_data(dataset).training, regularization.coefficient)
    assert largest is not None
    wanted = Specification(
        dataset=dataset,
        hyperparameters=Hyperparameters(
            epochs=20, learning_rate=Constant(rate=part * largest), regularization=regularization
        ),
    )
    found, (_, diverged) = foresee(wanted), real(wanted)
    assert found.diverges == (diverged is not None) == (part > 1)
    assert found.largest_learning_rate == largest
    assert f"{largest:g}" in " ".join(found.explanation)


def at_the_edge(part: float, kind: Any, rows: int, seed: int = 0, epochs: int = 5) -> Specification:
    """Few rows, at a part of the largest rate that they bear."""
    dataset = Dataset(training_size=rows, test_size=200, seed=seed, generator="pcg64", high=1)
    regularization = Regularization(kind=kind, strength=1e-3)
    largest = largest_learning_rate(make_data(dataset).training, regularization.coefficient)
    assert largest is not None
    rate = Constant(rate=part * largest)
    hyperparameters = Hyperparameters(
        epochs=epochs, learning_rate=rate, regularization=regularization
    )
    return Specification(dataset=dataset, hyperparameters=hyperparameters)


@pytest.mark.parametrize("kind", ["published", "none", "l2"])
@pytest.mark.parametrize("rows", [50, 300])
def test_near_the_boundary_few_rows_end_within_the_deviation_that_is_told(
    rows: int, kind: Any
) -> None:
    distances = []
    for seed, part in enumerate([0.3, 0.7, 0.8, 0.9, 0.95] * 3):
        wanted = at_the_edge(part, kind, rows, seed, epochs=1 + seed % 3)
        found, (last, _) = foresee(wanted), real(wanted)
        assert last is not None
        assert ("deviation" in " ".join(found.explanation)) == (part > 0.8)
        distances.append(distance(found, last))
    assert np.quantile(distances, 0.7) < 3


@pytest.mark.parametrize("kind", ["published", "none", "l2"])
def test_where_errors_grow_but_stay_finite_it_says_that_no_weights_can_be_foretold(
    kind: Any,
) -> None:
    wanted = at_the_edge(1.5, kind, 500)
    found, (last, _) = foresee(wanted), real(wanted)
    assert last is not None
    assert not found.diverges
    assert found.settling_weights is found.final_weights is None
    assert found.accuracy == last.accuracy == 0
    assert found.final_weights_deviation is not None
    away = math.log(max(abs(weight) for weight in last.weights))
    assert math.log(found.final_weights_deviation[0]) == pytest.approx(away, rel=0.3)
    told = " ".join(found.explanation)
    assert "these steps are too few for it to explode" in told
    assert "Which weights come out cannot be foretold" in told


@pytest.mark.parametrize("rate", [1.0, 1e-6])
def test_regularization_that_outgrows_the_data_explodes_only_given_time(rate: float) -> None:
    wanted = Specification(
        dataset=Dataset(low=50, high=50.5, training_size=2000, test_size=100),
        hyperparameters=Hyperparameters(learning_rate=Constant(rate=rate)),
    )
    found, (last, diverged) = foresee(wanted), real(wanted)
    assert found.largest_learning_rate is None
    assert found.settling_weights is None
    assert "No learning rate is stable" in " ".join(found.explanation) or found.diverges
    assert found.diverges == (diverged is not None) == (rate == 1.0)
    if last:
        assert distance(found, last) < 4


def test_a_slow_explosion_by_regularization_is_foreseen_in_its_epoch() -> None:
    wanted = Specification(
        dataset=Dataset(low=0, high=0.1, training_size=5000, test_size=10),
        hyperparameters=Hyperparameters(epochs=100, learning_rate=Constant(rate=5e-3)),
    )
    found, (_, diverged) = foresee(wanted), real(wanted)
    assert diverged is not None
    assert found.diverges_in_epoch is not None
    assert abs(found.diverges_in_epoch - diverged.epoch) <= 1


def test_normalized_data_are_shown_as_the_neuron_sees_them() -> None:
    hyperparameters = Hyperparameters(normalize=True, learning_rate=Auto(), regularization=NONE)
    found = foresee(Specification(hyperparameters=hyperparameters))
    assert max(itertools.chain(*found.second_moments)) < 1
    assert "divided by 128" in " ".join(found.explanation)


@pytest.mark.parametrize("rate", [Auto(), Constant(rate=1e100), Constant(rate=1e-100)])
@pytest.mark.parametrize("dataset", EXTREMES.values(), ids=EXTREMES)
def test_extreme_jobs_have_a_forecast_of_finite_numbers(dataset: Dataset, rate: Any) -> None:
    extremes: list[tuple[Any, float, bool, float]] = [
        ("published", 1.0, False, 1.0), ("published", 1e100, True, 1e100),
        ("l2", 1e100, False, 1e100), ("l2", 1e-320, True, 0.0), ("none", 0.0, False, 1e100),
    ]  # fmt: skip
    for kind, strength, normalize, weights in extremes:
        hyperparameters = Hyperparameters(
            epochs=20, learning_rate=rate, normalize=normalize, weight_low=weights,
            weight_high=max(weights, 0.5),
            regularization=Regularization(kind=kind, strength=strength),
        )  # fmt: skip
        found = foresee(Specification(dataset=dataset, hyperparameters=hyperparameters))
        assert len(found.explanation) >= 3
        assert not (found.diverges and isinstance(rate, Auto))


def test_steps_that_overshoot_beyond_all_numbers_are_an_explosion() -> None:
    dataset = Dataset(training_size=500, test_size=5, low=-1e100, high=1e100)
    wanted = Specification(dataset=dataset)
    found, (_, diverged) = foresee(wanted), real(wanted)
    assert diverged is not None
    assert found.diverges_in_epoch == diverged.epoch
    assert found.accuracy == 0


def test_regularization_that_moves_no_weight_is_not_said_to() -> None:
    wanted = Specification(
        dataset=Dataset(training_size=500, test_size=5, low=-1e20, high=1e20),
        hyperparameters=Hyperparameters(learning_rate=Auto()),
    )
    found = foresee(wanted)
    assert found.settling_weights == [1, 1]
    assert any("too little to keep a weight from 1" in said for said in found.explanation)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (2.3e-5, "less than 0.01 s"),
        (0.068, "about 0.068 s"),
        (42.0, "about 42 s"),
        (690.0, "about 12 min"),
        (36_000.0, "about 10 h 0 min"),
    ],
)
def test_the_time_is_told_as_one_would_say_it(seconds: float, told: str) -> None:
    wanted = Specification(dataset=Dataset(training_size=500, test_size=5))
    found = foresee(wanted).model_copy(update={"training_seconds": seconds})
    assert explain(wanted, found)[-1] == f"Training takes {told} once a worker has it."


def test_ten_thousand_epochs_are_foreseen_too() -> None:
    dataset = Dataset(training_size=50, test_size=100, input_size=5)
    found = foresee(
        Specification(
            dataset=dataset,
            hyperparameters=Hyperparameters(epochs=10_000, learning_rate=Constant(rate=1e-9)),
        )
    )
    assert len(found.learning_rates) == 1000
    assert found.final_weights is not None
