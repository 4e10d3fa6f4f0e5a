"""What the service answers, as frozen dataclasses. Fields of newer servers are passed over."""

from __future__ import annotations

from dataclasses import dataclass, field, is_dataclass
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints


@dataclass(frozen=True, slots=True)
class Dataset:
    """Where the rows come from; everything follows from the seed."""

    input_size: int
    training_size: int
    test_size: int
    low: float
    high: float
    generator: str
    seed: int | str


@dataclass(frozen=True, slots=True)
class LearningRate:
    """``inverse_epoch`` has a scale, ``constant`` a rate, ``auto`` neither."""

    schedule: str
    scale: float | None = None
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Regularization:
    """``published``, ``l2`` or ``none``, and its strength."""

    kind: str
    strength: float | None = None


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """How the neuron learns."""

    epochs: int
    learning_rate: LearningRate
    regularization: Regularization
    weight_low: float
    weight_high: float
    error_margin_percent: float
    normalize: bool = False


@dataclass(frozen=True, slots=True)
class Specification:
    """All that a job's result depends on, with the service's defaults filled in."""

    dataset: Dataset
    hyperparameters: Hyperparameters


@dataclass(frozen=True, slots=True)
class Progress:
    """Committed epochs, rows done inside the current one, and the seconds that are left."""

    epoch: int
    epochs: int
    step: int = 0
    steps: int = 0
    fraction: float = 0.0
    eta_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Demo:
    """One demonstration sum; ``actual`` is None where it overflows."""

    inputs: tuple[float, ...]
    expected: float
    actual: float | None


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed; ``code``: diverged, mismatch, timed_out, worker_lost or internal."""

    code: str
    detail: str
    epoch: int | None = None
    step: int | None = None
    weights: tuple[float, ...] | None = None
    largest_learning_rate: float | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """How far the announcement of the job's newest end is."""

    url: str
    status: str
    attempts: int = 0
    error: str | None = None
    next_attempt_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A training job as it stood when the service answered."""

    id: str
    status: str
    progress: Progress
    specification: Specification
    url: str | None = None
    name: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    priority: str | None = None
    time_limit_seconds: float | None = None
    verifies: str | None = None
    specification_digest: str | None = None
    digest: str | None = None
    initial_weights: tuple[float, ...] | None = None
    weights: tuple[float, ...] | None = None
    accuracy: float | None = None
    demo_before: tuple[Demo, ...] | None = None
    demo_after: tuple[Demo, ...] | None = None
    error: JobError | None = None
    webhook: Webhook | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    updated_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether the job has reached a state that it never leaves."""
        return self.status in ("succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Epoch:
    """One committed epoch; ``accuracy`` is ``correct / total``, in 0 … 1."""

    epoch: int
    learning_rate: float
    correct: int
    total: int
    accuracy: float
    weights: tuple[float, ...]
    cost: float | None = None
    digest: str | None = None
    duration_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs, newest first; ``next`` is the cursor of the following one."""

    jobs: tuple[Job, ...]
    has_more: bool = False
    next: str | None = None


@dataclass(frozen=True, slots=True)
class EpochPage:
    """A page of epochs, oldest first; ``next`` is the ``after`` of the following one."""

    job_id: str
    epochs: tuple[Epoch, ...]
    has_more: bool = False
    next: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of training, one row: all that the neuron computes. None: not finite."""

    step: int
    inputs: tuple[float, ...]
    weights: tuple[float, ...]
    weighted_inputs: tuple[float | None, ...]
    aggregate: float | None
    output: float | None
    label: float
    cost: float | None
    cost_derivative: float | None
    aggregate_gradient: float | None
    weight_gradients: tuple[float | None, ...]
    input_gradients: tuple[float | None, ...]
    regularized_gradients: tuple[float | None, ...]
    learning_rate: float
    changes: tuple[float | None, ...]
    weights_after: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class StepPage:
    """Steps of one epoch of ``total``; ``next`` is the ``step`` of the following page.

    ``regularization`` is c in the regularized gradient, gradient + c·weight.
    """

    job_id: str
    epoch: int
    learning_rate: float
    regularization: float
    total: int
    steps: tuple[Step, ...]
    has_more: bool = False
    next: int | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What to expect of a job that is not created; None where there is no such number.

    ``learning_rates`` are those of the first epochs, at most 1000. ``second_moments`` is the mean
    of x·xᵀ over the training rows. The weights drift to ``settling_weights``; those after the last
    epoch are expected to be ``final_weights``, give or take ``final_weights_deviation``. Where
    errors grow there are no ``final_weights``, and the deviation is about how far from 1 they are.
    ``accuracy`` is in 0 … 1.
    """

    specification: Specification
    diverges: bool
    diverges_in_epoch: int | None = None
    learning_rates: tuple[float, ...] = ()
    largest_learning_rate: float | None = None
    second_moments: tuple[tuple[float, ...], ...] = ()
    initial_weights: tuple[float, ...] | None = None
    settling_weights: tuple[float, ...] | None = None
    final_weights: tuple[float, ...] | None = None
    final_weights_deviation: tuple[float, ...] | None = None
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    training_seconds: float | None = None
    queue_seconds: float | None = None
    explanation: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prediction:
    """One output a row, each with the bound of its error; ``model`` is the name that was asked."""

    job_id: str
    epoch: int
    outputs: tuple[float, ...]
    error_bounds: tuple[float, ...] = ()
    weighted_inputs: tuple[tuple[float, ...], ...] | None = None
    digest: str | None = None
    model: str | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """The weights of an epoch, as a version of a named model, counted from 1."""

    version: int
    job_id: str
    epoch: int
    weights: tuple[float, ...]
    digest: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(ModelVersion):
    """A named model: its current version, and in ``versions`` its history, oldest first."""

    name: str
    versions: tuple[ModelVersion, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelList:
    """All named models."""

    models: tuple[Model, ...]


def decode(kind: Any, value: Any) -> Any:
    """``value``, as read from JSON, as a ``kind``: one of the classes above or a field's type.

    Raises TypeError, ValueError or AttributeError when ``value`` has not that shape.
    """
    if value is None:
        return None
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind).items()
        return kind(**{name: decode(hint, value[name]) for name, hint in hints if name in value})
    if kind is datetime:
        return datetime.fromisoformat(value)
    if get_origin(kind) is tuple:
        return tuple(decode(get_args(kind)[0], each) for each in value)
    if get_origin(kind) is UnionType:
        return decode(get_args(kind)[0], value)
    return value


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
