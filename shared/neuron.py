"""The neuron: a weighted sum that learns by gradient descent and backpropagation.

Every method is one formula of the source article, for any number of inputs. Numbers are IEEE 754
doubles, each operation is rounded on its own, and sums run from left to right, so that a training
run has the same bits everywhere. `shared.kernel` is the same arithmetic, compiled.
"""

from collections.abc import Sequence


def cost(label: float, output: float) -> float:
    """Squared error of one prediction: (label - output)²."""
    error = label - output
    return error * error


def cost_derivative(label: float, output: float) -> float:
    """d cost / d output = -2·(label - output): negative when the output is too low."""
    return -2.0 * (label - output)


class Neuron:
    """A linear neuron, trained one row at a time.

    Args:
        weights: initial weights, one for each input.
        regularization: c in "gradient + c·weight": -strength for the published rule (it subtracts
            the weight, so weights grow), +strength for L2, 0 for none.

    Attributes:
        weights: what the neuron has learned, one float for each input.
        inputs: the row that `forward` saw last.
        w_grads: d cost / d weight of that row, set by `backpropagate`.
        i_grads: d cost / d input of that row; a layer before this one would learn from it.
    """

    def __init__(self, weights: Sequence[float], regularization: float = 0.0) -> None:
        self.weights = [float(weight) for weight in weights]
        self.regularization = regularization
        self.inputs = [0.0] * len(self.weights)
        self.w_grads = [0.0] * len(self.weights)
        self.i_grads = [0.0] * len(self.weights)

    def __repr__(self) -> str:
        return f"Neuron(weights={self.weights}, regularization={self.regularization})"

    def forward(self, inputs: Sequence[float]) -> float:
        """Predict: activation(aggregation(inputs)); remembers the inputs for `backpropagate`."""
        self.inputs = [float(value) for value in inputs]
        return self.activation(self.aggregation(self.inputs))

    def aggregation(self, inputs: Sequence[float]) -> float:
        """z = Σ inputᵢ·weightᵢ, added from left to right.

        Raises:
            ValueError: if there are more or fewer inputs than weights.
        """
        z = 0.0
        for value, weight in zip(inputs, self.weights, strict=True):
            z += value * weight
        return z

    def activation(self, z: float) -> float:
        """The identity, f(z) = z; it stands where other neurons have a threshold."""
        return 1 * z

    def backpropagate(self, grad: float) -> list[float]:
        """Carry d cost / d output back through the neuron by the chain rule; returns `i_grads`."""
        pre_act_grad = self.backprop_activation(grad)
        self.i_grads, self.w_grads = self.backprop_aggregation(pre_act_grad)
        return self.i_grads

    def backprop_activation(self, grad: float) -> float:
        """f'(z) = 1, so d cost / d z is the gradient itself."""
        return 1 * grad

    def backprop_aggregation(self, grad: float) -> tuple[list[float], list[float]]:
        """(d z / d input = weight, d z / d weight = input), each times d cost / d z."""
        weight_grads = [value * grad for value in self.inputs]
        input_grads = [weight * grad for weight in self.weights]
        return input_grads, weight_grads

    def regularized_grads(self) -> list[float]:
        """The weight gradients with c·weight added to each."""
        return [
            grad + self.regularization * weight
            for grad, weight in zip(self.w_grads, self.weights, strict=True)
        ]

    def step(self, learning_rate: float) -> list[float]:
        """(gradient + c·weight)·learning rate, for each weight: what learning subtracts from it."""
        return [grad * learning_rate for grad in self.regularized_grads()]

    def learn_from_grads(self, learning_rate: float) -> None:
        """weight ← weight - step, for each weight."""
        self.weights = [
            weight - change
            for weight, change in zip(self.weights, self.step(learning_rate), strict=True)
        ]
