"""The microscope: any step of a training run, computed again from the weights before its epoch.

The kernel trains up to the step, with the bits that training had; `Neuron` makes the step itself,
so that each quantity of the article can be shown.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.dataset import Data, label
from shared.job import Specification
from shared.neuron import Neuron, cost, cost_derivative
from worker.schedule import Rule, make_rules
from worker.training import Diverged, train_rows


def replay(
    specification: Specification,
    data: Data,
    weights: Sequence[float],
    *,
    epoch: int,
    step: int,
    count: int,
    every: int = 1,
) -> list[dict[str, Any]]:
    """Make steps of an epoch again.

    Args:
        specification: of the job.
        data: made from it.
        weights: at the beginning of the epoch.
        epoch: counted from 1.
        step: the first one to show, counted from 1.
        count: how many to show at most.
        every: the distance between those that are shown.

    Returns:
        The steps, as `shared.job.Step` describes them. They end with the epoch, or with the step
        that leaves the finite numbers.

    Raises:
        Diverged: if that happens before the first one.
    """
    rule = make_rules(specification, data.training)(epoch)
    shown: list[dict[str, Any]] = []
    current, trained = np.array(weights), 0
    for number in range(step, min(len(data.training), step + count * every - 1) + 1, every):
        try:
            rows = data.training[trained : number - 1]
            train_rows(rows, current, rule, trained)
        except Diverged:
            if not shown:
                raise
            break
        row = data.training[number - 1].tolist()
        made = make_step(rule, row, current.tolist())
        shown.append({"step": number, **made})
        current[:] = made["weights_after"]
        trained = number
        if not np.isfinite(current).all():
            break
    return shown


def make_step(rule: Rule, row: Sequence[float], weights: Sequence[float]) -> dict[str, Any]:
    """One step with all that leads to it, as `shared.job.Step` describes it without its number."""
    neuron = Neuron(weights, rule.regularization)
    expected, output = label(row), neuron.forward(row)
    derivative = cost_derivative(expected, output)
    neuron.backpropagate(derivative)
    changes = neuron.step(rule.learning_rate)
    regularized = neuron.regularized_grads()
    neuron.learn_from_grads(rule.learning_rate)
    return {
        "inputs": row,
        "weights": weights,
        "weighted_inputs": [x * w for x, w in zip(row, weights, strict=True)],
        "aggregate": Neuron(weights).aggregation(row),
        "output": output,
        "label": expected,
        "cost": cost(expected, output),
        "cost_derivative": derivative,
        "aggregate_gradient": neuron.backprop_activation(derivative),
        "weight_gradients": neuron.w_grads,
        "input_gradients": neuron.i_grads,
        "regularized_gradients": regularized,
        "learning_rate": rule.learning_rate,
        "changes": changes,
        "weights_after": neuron.weights,
    }
