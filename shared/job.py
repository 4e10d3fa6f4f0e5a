"""A job: the specification that determines its result, and the record that Redis holds of it."""

import hashlib
import json
import math
import operator
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
    ValidationInfo,
    field_validator,
)

from shared.webhook import Webhook

#: Largest magnitude of an input or weight: its square and the sums of 64 of them stay finite.
LARGEST_VALUE = 1e100
#: Integers up to this size are the same number in JSON, in JavaScript and in a double.
LARGEST_INTEGER = 2**53 - 1


def _fits_the_key(seed: str) -> str:
    if len(seed.encode("utf-16-le", "surrogatepass")) > 512:
        raise ValueError("String should have at most 256 UTF-16 code units")
    return seed


Value = Annotated[float, Field(ge=-LARGEST_VALUE, le=LARGEST_VALUE, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, le=LARGEST_VALUE, allow_inf_nan=False)]


class Status(StrEnum):
    """Where a job is in its life; the last three are ends."""

    #: accepted, waiting for a worker
    QUEUED = "queued"
    #: a worker trains it
    RUNNING = "running"
    #: stopped on request, until it is resumed
    PAUSED = "paused"
    #: trained to its last epoch
    SUCCEEDED = "succeeded"
    #: ended with an error: see `error`
    FAILED = "failed"
    #: ended on request
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)


class Priority(StrEnum):
    """Which of the queued jobs is taken first; a job that waits long overtakes all."""

    #: as if it had been queued a minute earlier
    HIGH = "high"
    #: in the order of arrival
    NORMAL = "normal"
    #: as if it had been queued a minute later
    LOW = "low"


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Dataset(_Model):
    """Rows of uniform inputs, labelled with their sum; made from the seed, never stored."""

    input_size: int = Field(2, ge=2, le=64, description="inputs of the neuron")
    training_size: int = Field(500_000, ge=1, description="rows of one epoch")
    test_size: int = Field(50_000, ge=1, description="rows that measure the accuracy")
    low: Value = Field(0.0, description="inputs are drawn between `low` and `high`")
    high: Value = Field(100.0, validate_default=True, description="greater than `low`")
    generator: Literal["seedrandom", "pcg64"] = Field(
        "seedrandom", description="seedrandom: as published; pcg64: NumPy's, faster"
    )
    seed: (
        Annotated[int, Field(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)]
        | Annotated[str, Field(max_length=256), AfterValidator(_fits_the_key)]
    ) = Field(2017, description="a whole number or a text")

    @property
    def scale(self) -> float:
        """What normalized inputs are divided by: the least power of two that brings all to [-1, 1].

        Dividing by a power of two is exact (unless it underflows) and commutes with every rounding,
        so what the neuron predicts from x/scale is its prediction from x, divided by scale, to the
        bit.
        """
        fraction, exponent = math.frexp(max(abs(self.low), abs(self.high)))
        return math.ldexp(1.0, exponent - (fraction == 0.5))

    @field_validator("high")
    @classmethod
    def _above_low(cls, high: float, info: ValidationInfo) -> float:
        if "low" in info.data and not info.data["low"] < high:
            raise ValueError(f"high ({high}) must be greater than low ({info.data['low']})")
        return high


class InverseEpoch(_Model):
    """1/(2·scale·epoch), with epochs counted from 1: shrinks as training goes on."""

    schedule: Literal["inverse_epoch"] = "inverse_epoch"
    scale: Positive = 100_000.0

    def at(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 1; finite, however small the scale."""
        return min(1 / (2 * self.scale * epoch), sys.float_info.max)


class Constant(_Model):
    """The same rate in every epoch."""

    schedule: Literal["constant"] = "constant"
    rate: Positive

    def at(self, _epoch: int) -> float:
        """The learning rate of an epoch, counted from 1."""
        return self.rate


class Auto(_Model):
    """A rate that the worker derives from the data: it learns fast and cannot explode on them."""

    schedule: Literal["auto"] = "auto"


def _schedule(value: Any) -> Any:
    if isinstance(value, dict):
        return value.get("schedule", "inverse_epoch")
    return getattr(value, "schedule", None)


LearningRate = Annotated[
    Annotated[InverseEpoch, Tag("inverse_epoch")]
    | Annotated[Constant, Tag("constant")]
    | Annotated[Auto, Tag("auto")],
    Discriminator(
        _schedule,
        custom_error_type="learning_rate",
        custom_error_message="'schedule' must be 'inverse_epoch', 'constant' or 'auto', "
        "in an object",
    ),
]


class Regularization(_Model):
    """What a step adds to the gradient: coefficient·weight."""

    kind: Literal["published", "l2", "none"] = Field(
        "published",
        description="published: subtracts strength·weight, as the article does (weights grow); "
        "l2: adds it (weights shrink); none: the gradient as it is",
    )
    strength: float = Field(1.0, ge=0, le=LARGEST_VALUE, allow_inf_nan=False)

    @property
    def coefficient(self) -> float:
        """c in "gradient + c·weight", for inputs as they are."""
        return {"published": 0.0 - self.strength, "l2": self.strength, "none": 0.0}[self.kind]


class Hyperparameters(_Model):
    """How the neuron learns."""

    epochs: int = Field(10, ge=1, description="passes over the training rows")
    learning_rate: LearningRate = InverseEpoch()
    regularization: Regularization = Regularization()
    normalize: bool = Field(
        False,
        exclude_if=operator.not_,
        description="whether the neuron trains on inputs divided by the power of two s that brings "
        "them into [-1, 1] (and on regularization by s², as it divides the cost); weights, "
        "accuracy, cost and predictions are those of the inputs as they are; shown only when true",
    )
    weight_low: Value = Field(0.0, description="initial weights are drawn between these")
    weight_high: Value = Field(2.0, validate_default=True, description="at least `weight_low`")
    error_margin_percent: float = Field(
        0.01,
        ge=0,
        le=LARGEST_VALUE,
        allow_inf_nan=False,
        description="a prediction is correct within this percentage of its label",
    )

    @field_validator("weight_high")
    @classmethod
    def _not_below_weight_low(cls, high: float, info: ValidationInfo) -> float:
        if "weight_low" in info.data and high < info.data["weight_low"]:
            raise ValueError(
                f"weight_high ({high}) must be at least weight_low ({info.data['weight_low']})"
            )
        return high


class Specification(_Model):
    """Everything that determines a job's result, to the bit. The defaults are the published run."""

    dataset: Dataset = Dataset()
    hyperparameters: Hyperparameters = Hyperparameters()

    @property
    def coefficient(self) -> float:
        """c in "gradient + c·weight".

        Normalizing divides inputs by the scale, and with them the cost by its square; the
        regularization goes along (up to ±1e100), so that weights settle where they settle without.
        """
        c = self.hyperparameters.regularization.coefficient
        if not self.hyperparameters.normalize:
            return c
        return max(-LARGEST_VALUE, min(LARGEST_VALUE, c / self.dataset.scale / self.dataset.scale))

    @property
    def inputs_seen(self) -> int:
        """How many inputs the neuron sees while it trains: the size of the work."""
        dataset = self.dataset
        return self.hyperparameters.epochs * dataset.training_size * dataset.input_size

    @property
    def digest(self) -> str:
        """SHA-256 of the specification as JSON with sorted keys and no spaces, in hex."""
        text = json.dumps(self.specification_json, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def specification_json(self) -> dict[str, Any]:
        """The specification alone, as JSON values."""
        return self.model_dump(mode="json", include={"dataset", "hyperparameters"})


class JobRequest(Specification):
    """What a client posts: a specification, and what the client calls it."""

    name: str | None = Field(None, max_length=200)
    metadata: dict[
        Annotated[str, Field(min_length=1, max_length=64)], Annotated[str, Field(max_length=500)]
    ] = Field({}, max_length=16, description="your own labels, which lists can be filtered by")

    priority: Annotated[Priority, Strict(False)] = Priority.NORMAL
    time_limit_seconds: float | None = Field(
        None,
        gt=0,
        le=LARGEST_VALUE,
        allow_inf_nan=False,
        description="training longer than this fails; the service has a limit of its own",
    )
    webhook: Webhook | None = Field(None, description="where the end of the job is announced")

    @property
    def specification(self) -> Specification:
        """The part that determines the result."""
        return Specification(dataset=self.dataset, hyperparameters=self.hyperparameters)


class Demo(BaseModel):
    """One of the article's two demonstrations: what the neuron makes of a row."""

    inputs: list[float]
    expected: float
    actual: float | None = Field(description="null where it overflows")


class Epoch(BaseModel):
    """The result of one epoch."""

    epoch: int = Field(description="counted from 1")
    learning_rate: float
    correct: int = Field(description="test rows predicted within the error margin")
    total: int = Field(description="test rows")
    accuracy: float = Field(description="correct / total")
    cost: float | None = Field(
        description="mean of (label - output)² over the test rows; null where it overflows"
    )
    weights: list[float] = Field(description="after the epoch")
    digest: str = Field(
        description="SHA-256, chained: of the digest before (of epoch 0: the specification's) and "
        "this epoch's numbers as little-endian 64-bit values: epoch, learning rate, correct, "
        "total, cost, weights"
    )
    duration_seconds: float = Field(description="training and test; not part of the result")


class Step(BaseModel):
    """One step of training, one row: all that the neuron computes. Null: not finite."""

    step: int = Field(description="counted from 1")
    inputs: list[float]
    weights: list[float] = Field(description="before the step")
    weighted_inputs: list[float | None] = Field(description="inputᵢ·weightᵢ")
    aggregate: float | None = Field(description="z = Σ inputᵢ·weightᵢ")
    output: float | None = Field(description="f(z) = z")
    label: float = Field(description="what the output should be: Σ inputᵢ")
    cost: float | None = Field(description="(label - output)²")
    cost_derivative: float | None = Field(description="d cost / d output = -2·(label - output)")
    aggregate_gradient: float | None = Field(
        description="d cost / d z = f'(z)·d cost / d output: the gradient before the activation"
    )
    weight_gradients: list[float | None] = Field(
        description="d cost / d weightᵢ = inputᵢ·d cost / d z"
    )
    input_gradients: list[float | None] = Field(
        description="d cost / d inputᵢ = weightᵢ·d cost / d z"
    )
    regularized_gradients: list[float | None] = Field(description="gradientᵢ + c·weightᵢ")
    learning_rate: float
    changes: list[float | None] = Field(description="regularized gradientᵢ·learning rate")
    weights_after: list[float | None] = Field(description="weightᵢ - changeᵢ")


class JobError(BaseModel):
    """Why a job failed."""

    code: Literal["diverged", "mismatch", "timed_out", "worker_lost", "internal"]
    detail: str
    epoch: int | None = Field(None, description="diverged, mismatch: the epoch, counted from 1")
    step: int | None = Field(
        None, description="diverged: the step (row) of that epoch, counted from 1"
    )
    weights: list[float] | None = Field(None, description="diverged: the last finite weights")
    largest_learning_rate: float | None = Field(
        None,
        description="diverged: the largest learning rate that these data bear; null if none does",
    )


def encode_weights(weights: Iterable[float]) -> bytes:
    """Weights as little-endian float64 bytes."""
    values = tuple(weights)
    return struct.pack(f"<{len(values)}d", *values)


def decode_weights(data: bytes) -> list[float]:
    """The inverse of `encode_weights`."""
    return list(struct.unpack(f"<{len(data) // 8}d", data))


@dataclass(frozen=True)
class WebhookState:
    """How far the announcement of the job's newest end is; without the secret.

    Attributes:
        url: as the client gave it.
        status: "pending", "delivered", "failed" (attempts used up) or "disabled" (by a 410).
        attempts: that have been made.
        error: what was wrong with the last one.
        next_attempt_at: milliseconds since 1970, or None.
    """

    url: str
    status: str
    attempts: int
    error: str | None
    next_attempt_at: int | None


@dataclass(frozen=True)
class Record:
    """What Redis holds of a job. Times are in milliseconds since 1970."""

    id: str
    revision: int
    status: Status
    owner: str
    name: str | None
    metadata: dict[str, str]
    specification: Specification
    priority: Priority
    time_limit_seconds: float
    verifies: str | None
    digest: str | None
    created_at: int
    started_at: int | None
    updated_at: int
    ended_at: int | None
    epoch: int
    step: int
    claimed_at: int | None
    claimed_epoch: int | None
    claimed_step: int | None
    accuracy: float | None
    initial_weights: list[float] | None
    weights: list[float] | None
    demo_before: list[Demo] | None
    demo_after: list[Demo] | None
    error: JobError | None
    webhook: WebhookState | None

    @property
    def fraction(self) -> float:
        """How much of the training is done, from 0 to 1."""
        return self._steps(self.epoch, self.step) / self._steps(
            self.specification.hyperparameters.epochs, 0
        )

    @property
    def eta_seconds(self) -> float | None:
        """Seconds from `updated_at` to the end, at the speed since the job was claimed last."""
        if self.status is not Status.RUNNING or self.claimed_at is None:
            return None
        done = self._steps(self.epoch, self.step)
        trained = done - self._steps(self.claimed_epoch or 0, self.claimed_step or 0)
        if trained <= 0:
            return None
        left = self._steps(self.specification.hyperparameters.epochs, 0) - done
        return (self.updated_at - self.claimed_at) / 1000 * left / trained

    def _steps(self, epochs: int, step: int) -> int:
        return epochs * self.specification.dataset.training_size + step
