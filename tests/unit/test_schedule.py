"""The automatic learning rate: learns fast, explodes never, has the same bits everywhere."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import kernel
from shared.dataset import make_data
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
from shared.kernel import Floats
from tests.unit.test_training import EXTREMES
from worker.schedule import make_rules, moments
from worker.stability import largest_learning_rate
from worker.training import train

AUTO = Auto()


def automatic(
    dataset: Dataset, kind: Any = "none", strength: float = 1.0, **more: Any
) -> Specification:
    return Specification(
        dataset=dataset,
        hyperparameters=Hyperparameters(
            learning_rate=AUTO, regularization=Regularization(kind=kind, strength=strength), **more
        ),
    )


def run(wanted: Specification) -> list[Epoch]:
    data = make_data(wanted.dataset, normalize=wanted.hyperparameters.normalize)
    weights = data.initial_weights(
        wanted.hyperparameters.weight_low, wanted.hyperparameters.weight_high
    )
    return [epoch for epoch in train(wanted, data, weights.tolist()) if isinstance(epoch, Epoch)]


def rates(training: Floats, c: float, epochs: int = 10) -> list[float]:
    kind: Any = "published" if c < 0 else "l2"
    hyperparameters = Hyperparameters(
        learning_rate=AUTO,
        epochs=epochs,
        regularization=Regularization(kind=kind, strength=abs(c)),
    )
    rule = make_rules(Specification(hyperparameters=hyperparameters), training)
    return [rule(epoch).learning_rate for epoch in range(1, epochs + 1)]


@pytest.mark.parametrize("schedule", [InverseEpoch(scale=3), Constant(rate=0.1)])
def test_other_schedules_are_what_they_say(schedule: Any) -> None:
    wanted = Specification(hyperparameters=Hyperparameters(learning_rate=schedule))
    rule = make_rules(wanted, np.ones((1, 2)))
    assert [rule(epoch).learning_rate for epoch in (1, 7)] == [schedule.at(1), schedule.at(7)]


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("generator", ["seedrandom", "pcg64"])
@pytest.mark.parametrize("input_size", [2, 10, 64])
@pytest.mark.parametrize(
    ("low", "high"), [(0, 100), (-3, 1), (1e8, 1e9), (-1e100, 1e100), (0, 1e-150)]
)
def test_it_learns_data_of_any_range_and_width_in_one_epoch(
    low: float, high: float, input_size: int, generator: Any, normalize: bool
) -> None:
    dataset = Dataset(
        low=low, high=high, input_size=input_size, generator=generator,
        training_size=20_000, test_size=500,
    )  # fmt: skip
    (epoch,) = run(automatic(dataset, normalize=normalize, epochs=1))
    assert epoch.accuracy == 1
    assert epoch.weights == pytest.approx([1.0] * input_size, rel=1e-13)


@pytest.mark.parametrize("kind", ["published", "l2"])
@pytest.mark.parametrize(
    ("low", "high", "strength"), [(0, 100, 1), (0, 100, 1e-9), (-3, 1, 1e-4), (0, 1, 1e-5)]
)
def test_regularized_weights_come_near_enough_at_once_and_nearer_with_every_epoch(
    low: float, high: float, strength: float, kind: Any
) -> None:
    epochs = run(automatic(Dataset(low=low, high=high), kind, strength, epochs=4))
    assert min(epoch.accuracy for epoch in epochs) >= 0.9998
    by_rate = [epoch.learning_rate for epoch in epochs]
    assert by_rate == sorted(by_rate, reverse=True)


def test_few_rows_are_learned_over_many_epochs() -> None:
    few = Dataset(training_size=8, test_size=500)
    assert run(automatic(few, epochs=200))[-1].accuracy == 1
    assert run(automatic(few, "published", 0.01, epochs=2000))[-1].accuracy == 1


def test_the_rate_is_a_good_part_of_the_largest_that_is_stable() -> None:
    for input_size in (2, 10, 64):
        rows = make_data(Dataset(input_size=input_size, training_size=20_000)).training
        largest = largest_learning_rate(rows, 0.0)
        assert largest is not None
        assert 0.15 * largest < rates(rows, 0.0)[0] < largest


@given(
    rows=st.lists(
        st.tuples(*[st.floats(-1e100, 1e100) | st.floats(-3, 3)] * 3), min_size=1, max_size=9
    ),
    c=st.floats(-1e100, 1e100) | st.floats(-10, 10),
    epochs=st.integers(1, 10_000),
)
def test_no_step_enlarges_an_error_but_by_what_regularization_may_grow(
    rows: list[tuple[float, float, float]], c: float, epochs: int
) -> None:
    """A step's map has the eigenvalues 1 - r·c and 1 - r·c - 2·r·‖x‖²."""
    every = rates(np.array(rows), c, epochs)
    square = max(sum(Fraction(value) ** 2 for value in row) for row in rows)
    exact = Fraction(c)
    for rate in (Fraction(every[0]), Fraction(every[-1])):
        assert rate > 0
        assert 1 - rate * exact - 2 * rate * square >= -Fraction(1, 10**12)
    growth = math.fsum(every) * max(0.0, -c) * len(rows)
    assert growth <= 10.001


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("kind", ["published", "l2", "none"])
@pytest.mark.parametrize("dataset", EXTREMES.values(), ids=EXTREMES)
@pytest.mark.parametrize("strength", [1e-320, 1e-3, 1.0, 1e5, 1e100])
def test_nothing_makes_it_diverge(
    dataset: Dataset, strength: float, kind: Any, normalize: bool
) -> None:
    wanted = automatic(
        dataset,
        kind,
        strength,
        normalize=normalize,
        epochs=300,
        weight_low=-1e100,
        weight_high=1e100,
    )
    epochs = run(wanted)
    assert len(epochs) == 300
    assert max(abs(weight) for weight in epochs[-1].weights) <= 1e105


def test_the_same_job_has_the_same_bits_when_it_is_resumed() -> None:
    wanted = automatic(Dataset(training_size=2000, test_size=50), "published", epochs=5)
    whole = run(wanted)
    data = make_data(wanted.dataset)
    resumed = train(wanted, data, whole[2].weights, epoch=3, digest=whole[2].digest)
    assert [epoch.digest for epoch in resumed if isinstance(epoch, Epoch)] == [
        epoch.digest for epoch in whole[3:]
    ]


def test_the_published_datas_rate_has_these_bits_on_every_machine() -> None:
    data = make_data(Dataset()).training
    assert rates(data, 0.0)[0] == 2.5074165117035683e-05
    assert rates(data, -1.0)[:2] == [3.60386773428073e-08, 1.801933867140365e-08]


def test_second_moments_and_definiteness_are_those_of_linear_algebra() -> None:
    rows = make_data(Dataset(input_size=5, training_size=3000, low=-1, high=2)).training
    found = moments(rows)
    np.testing.assert_allclose(found, rows.T @ rows / 3000, rtol=1e-12)
    least = np.linalg.eigvalsh(found)[0]
    assert kernel.is_positive_definite(found, 0.999 * least)
    assert not kernel.is_positive_definite(found, 1.001 * least)
