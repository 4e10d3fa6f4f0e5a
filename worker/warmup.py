"""Compile the kernel before the worker forks, and make sure that it computes what it must."""

from shared import job, kernel
from shared.dataset import label, make_data
from shared.neuron import Neuron, cost_derivative
from worker.schedule import make_rules
from worker.stability import largest_learning_rate


class KernelMismatch(Exception):
    """On this machine the compiled kernel does not have the bits of `Neuron`."""


def warm_up() -> None:
    """Call every compiled function once.

    Raises:
        KernelMismatch
    """
    rule = job.Hyperparameters(learning_rate=job.Auto())
    automatic = job.Specification(hyperparameters=rule)
    for input_size in (2, 3):
        data = make_data(job.Dataset(input_size=input_size, training_size=100, test_size=10))
        weights = data.initial_weights(0.0, 2.0)
        expected = _train_by_hand(data.training.tolist(), weights.tolist())
        again = weights.copy()
        kernel.train(data.training, weights, 5e-6, -1.0)
        kernel.train(data.training, weights.copy(), 5e-6, 0.0)
        kernel.first_divergent_row(data.training, again, 5e-6, -1.0)
        kernel.test(data.test, weights, 0.01)
        largest_learning_rate(data.training, -1.0)
        make_rules(automatic, data.training)
        if not expected == weights.tolist() == again.tolist():
            raise KernelMismatch("the compiled kernel is not exact here; it must not be used")


def _train_by_hand(rows: list[list[float]], weights: list[float]) -> list[float]:
    neuron = Neuron(weights, regularization=-1.0)
    for row in rows:
        neuron.backpropagate(cost_derivative(label(row), neuron.forward(row)))
        neuron.learn_from_grads(5e-6)
    return neuron.weights
