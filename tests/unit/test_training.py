"""The numbers of a training run, compared with == to those of the article's own program."""

from typing import Any

import pytest

from shared.dataset import label, make_data
from shared.job import Constant, Dataset, Epoch, Hyperparameters, Regularization, Specification
from shared.neuron import Neuron, cost, cost_derivative
from tests.reference import GOLDEN, specification
from worker import training
from worker.schedule import make_rules
from worker.training import Chunk, Diverged, demonstrate, train

RUNS = GOLDEN["runs"]
NAMES = [f"{i}-{run['request']['seed']!s:.10}" for i, run in enumerate(RUNS)]
#: Data at the edges of what a job may have.
EXTREMES = {
    "one row": Dataset(training_size=1, test_size=5),
    "wide": Dataset(training_size=3, test_size=5, input_size=64),
    "huge": Dataset(training_size=500, test_size=5, low=-1e100, high=1e100),
    "tiny": Dataset(training_size=500, test_size=5, low=0, high=5e-324),
    "narrow": Dataset(training_size=500, test_size=5, low=50, high=50.0001),
}


def run_all(wanted: Specification) -> tuple[list[float], list[Epoch], Diverged | None]:
    hyperparameters = wanted.hyperparameters
    data = make_data(wanted.dataset, normalize=hyperparameters.normalize)
    weights = data.initial_weights(hyperparameters.weight_low, hyperparameters.weight_high).tolist()
    epochs: list[Epoch] = []
    try:
        epochs.extend(
            result for result in train(wanted, data, weights) if isinstance(result, Epoch)
        )
    except Diverged as error:
        return weights, epochs, error
    return weights, epochs, None


@pytest.mark.parametrize("expected", RUNS, ids=NAMES)
def test_a_run_has_every_figure_of_the_articles_program(expected: dict[str, Any]) -> None:
    wanted = specification(expected["request"])
    first_row = make_data(wanted.dataset).training[0].tolist()
    weights, epochs, diverged = run_all(wanted)
    assert {"inputs": first_row, "label": label(first_row)} == expected["first_training_row"]
    assert weights == expected["initial_weights"]
    assert [row.model_dump() for row in demonstrate(weights)] == expected["demo_before"]
    for epoch, reference in zip(epochs, expected["epochs"], strict=True):
        assert {name: getattr(epoch, name) for name in reference} == reference
    if diverged is None:
        assert expected["diverged"] is None
        after = demonstrate(epochs[-1].weights)
        assert [row.model_dump() for row in after] == expected["demo_after"]
    else:
        found = {"epoch": diverged.epoch, "step": diverged.step, "weights": diverged.weights}
        assert found == expected["diverged"]


@pytest.mark.parametrize("draws", GOLDEN["draws"], ids=lambda draws: repr(draws["seed"]))
def test_raw_draws_are_those_of_seedrandom(draws: dict[str, Any]) -> None:
    data = make_data(Dataset(seed=draws["seed"], training_size=4, test_size=1, low=-1, high=0))
    assert [-r for r in [*data.training.flat, *data.test.flat]] == draws["first"]


def train_by_hand(wanted: Specification) -> list[list[float]]:
    """The article's loop over `Neuron`: the weights after each epoch."""
    data = make_data(wanted.dataset)
    hyperparameters = wanted.hyperparameters
    neuron = Neuron(
        data.initial_weights(hyperparameters.weight_low, hyperparameters.weight_high).tolist(),
        wanted.coefficient,
    )
    rules = make_rules(wanted, data.training)
    after = []
    for epoch in range(1, hyperparameters.epochs + 1):
        for row in data.training.tolist():
            neuron.backpropagate(cost_derivative(label(row), neuron.forward(row)))
            neuron.learn_from_grads(rules(epoch).learning_rate)
        after.append(list(neuron.weights))
    return after


@pytest.mark.parametrize("input_size", [2, 3, 7, 64])
@pytest.mark.parametrize("kind", ["published", "l2", "none"])
@pytest.mark.parametrize("generator", ["seedrandom", "pcg64"])
def test_the_kernel_has_the_bits_of_the_neuron(input_size: int, kind: Any, generator: Any) -> None:
    wanted = Specification(
        dataset=Dataset(
            input_size=input_size, training_size=400, test_size=5, low=-3, high=4,
            generator=generator, seed="x",
        ),
        hyperparameters=Hyperparameters(
            epochs=3,
            learning_rate=Constant(rate=1e-3),
            regularization=Regularization(kind=kind, strength=0.3),
        ),
    )  # fmt: skip
    assert [epoch.weights for epoch in run_all(wanted)[1]] == train_by_hand(wanted)


def test_chunks_and_resuming_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = Specification(
        dataset=Dataset(training_size=1000, test_size=50), hyperparameters=Hyperparameters(epochs=3)
    )
    _, whole, _ = run_all(wanted)
    monkeypatch.setattr(training, "CHUNK_VALUES", 2 * 64)
    data = make_data(wanted.dataset)
    results = list(train(wanted, data, data.initial_weights(0, 2).tolist()))
    chunk = [result for result in results if isinstance(result, Chunk)][20]
    resumed = list(
        train(wanted, data, chunk.weights, epoch=1, step=chunk.step, digest=whole[0].digest)
    )
    for run in (results, resumed):
        last = run[-1]
        assert isinstance(last, Epoch)
        assert last.model_dump(exclude={"duration_seconds"}) == whole[-1].model_dump(
            exclude={"duration_seconds"}
        )


@pytest.mark.parametrize("rows", [64, 2**20])
def test_divergence_is_found_at_its_step_however_rows_are_chunked(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CHUNK_VALUES", 2 * rows)
    wanted = Specification(
        dataset=Dataset(training_size=2000, test_size=5),
        hyperparameters=Hyperparameters(learning_rate=Constant(rate=1e-3)),
    )
    _, epochs, diverged = run_all(wanted)
    assert diverged is not None
    assert (diverged.epoch, diverged.step, epochs) == (1, 352, [])


def test_gradients_agree_with_finite_differences() -> None:
    neuron, row, total = Neuron([0.3, -1.2, 2.0]), [1.5, -2.0, 0.5], 3.0
    neuron.backpropagate(cost_derivative(total, neuron.forward(row)))
    h = 1e-6
    for i in range(3):
        shifted = [[w + sign * h * (i == j) for j, w in enumerate(neuron.weights)]
                   for sign in (1, -1)]  # fmt: skip
        up, down = (cost(total, Neuron(weights).forward(row)) for weights in shifted)
        assert neuron.w_grads[i] == pytest.approx((up - down) / (2 * h), rel=1e-6)
        moved = [[x + sign * h * (i == j) for j, x in enumerate(row)] for sign in (1, -1)]
        up, down = (cost(total, Neuron(neuron.weights).forward(inputs)) for inputs in moved)
        assert neuron.i_grads[i] == pytest.approx((up - down) / (2 * h), rel=1e-6)


def test_a_neuron_refuses_rows_of_another_size() -> None:
    with pytest.raises(ValueError, match="zip"):
        Neuron([1.0, 2.0]).forward([1.0, 2.0, 3.0])
