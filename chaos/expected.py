"""What an undisturbed run gives, computed in this process."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from shared.dataset import DataCache
from shared.job import Epoch, JobRequest, Specification
from shared.kernel import Floats
from worker.stability import largest_learning_rate
from worker.training import Diverged, demonstrate, train

Json = dict[str, Any]

_data = DataCache(200_000_000)


@dataclass(frozen=True)
class Expected:
    """A run's every number, as the REST interface spells it.

    Attributes:
        epochs: without their durations, which are no part of the result.
        diverged: epoch, step, last finite weights and largest learning rate, if it diverges.
    """

    initial_weights: list[float]
    demo_before: list[Json]
    demo_after: list[Json] | None
    epochs: list[Json]
    diverged: Json | None

    @property
    def status(self) -> str:
        """How the job ends, if it is not cancelled."""
        return "failed" if self.diverged else "succeeded"


def expected(body: Json) -> Expected:
    """The undisturbed run of a job that is posted with this body."""
    return _expected(JobRequest.model_validate(body).specification)


@lru_cache
def _expected(specification: Specification) -> Expected:
    data = _data.get(specification)
    rule = specification.hyperparameters
    initial: list[float] = data.initial_weights(rule.weight_low, rule.weight_high).tolist()
    epochs: list[Json] = []
    diverged = None
    try:
        epochs.extend(
            without_duration(result.model_dump(mode="json"))
            for result in train(specification, data, initial)
            if isinstance(result, Epoch)
        )
    except Diverged as error:
        diverged = _describe(error, data.training, specification.coefficient)
    return Expected(
        initial_weights=initial,
        demo_before=[row.model_dump() for row in demonstrate(initial)],
        demo_after=None if diverged else _demo(epochs[-1]["weights"]),
        epochs=epochs,
        diverged=diverged,
    )


def _describe(error: Diverged, training: Floats, coefficient: float) -> Json:
    return {
        "epoch": error.epoch,
        "step": error.step,
        "weights": error.weights,
        "largest_learning_rate": largest_learning_rate(training, coefficient),
    }


def _demo(weights: list[float]) -> list[Json]:
    return [row.model_dump() for row in demonstrate(weights)]


def without_duration(epoch: Json) -> Json:
    """The epoch's result alone."""
    return {name: value for name, value in epoch.items() if name != "duration_seconds"}
