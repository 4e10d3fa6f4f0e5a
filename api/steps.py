"""The microscope: every number of any step of a job, replayed by a worker."""

from typing import Annotated, Any

import orjson
from flask import Blueprint, Response
from pydantic import BaseModel, ConfigDict, Field

from api.openapi import operation
from api.parsing import WHOLE, query
from api.problems import Problem
from api.representation import answer
from api.services import services
from shared.job import LARGEST_INTEGER, Record, Step
from shared.questions import StepsQuestion, ask

blueprint = Blueprint("steps", __name__, url_prefix="/v1/jobs")

Place = Annotated[int, Field(ge=1, le=LARGEST_INTEGER), WHOLE]


class StepsQuery(BaseModel):
    """Query of the steps of a job."""

    model_config = ConfigDict(extra="forbid")

    epoch: Place = Field(1, description="up to the one after the last committed epoch")
    step: Place = Field(1, description="the first step that is shown, counted from 1")
    count: Annotated[int, Field(ge=1, le=1000), WHOLE] = Field(1, description="steps at most")
    every: Place = Field(1, description="distance between the steps that are shown")


class StepList(BaseModel):
    """Steps of one epoch."""

    job_id: str
    epoch: int
    learning_rate: float
    regularization: float = Field(description="c in the regularized gradient")
    total: int = Field(description="steps of the epoch")
    steps: list[Step] = Field(
        description="they end with the epoch, or with the step after which a weight is not finite"
    )
    has_more: bool
    next: int | None = Field(description="pass it as `step` for the next page")


@blueprint.get("/<job_id>/steps")
@operation(
    "Every number of any step of the training",
    "jobs",
    {200: StepList},
    query=StepsQuery,
    problems=(400, 404, 409, 503),
    scope="train",
)
def list_steps(job_id: str) -> Response:
    """Steps, replayed by a worker from the last commit before them, to the bit."""
    wanted, _ = query(StepsQuery)
    record = services().store.get(job_id)
    total = record.specification.dataset.training_size
    if wanted.step > total:
        raise Problem(400, f"The query does not fit: step must be at most {total}.")
    question = StepsQuestion(
        specification=record.specification,
        weights=_weights_before(record, wanted.epoch),
        # One more than is shown tells whether there are more.
        **wanted.model_dump() | {"count": wanted.count + 1},
    )
    found = orjson.loads(ask(services().store, question))
    if "diverged_at" in found:
        raise Problem(
            409, f"The weights of job {job_id} stop being finite at step {found['diverged_at']} "
            f"of epoch {wanted.epoch}; there is no step {wanted.step}."
        )  # fmt: skip
    return _page(record, wanted, found["steps"], total)


def _weights_before(record: Record, epoch: int) -> list[float] | None:
    """The weights at the beginning of an epoch; None: the initial ones, which a worker makes.

    Raises:
        Problem: 400 or 409
    """
    epochs = record.specification.hyperparameters.epochs
    if epoch > epochs:
        raise Problem(400, f"The query does not fit: epoch must be at most {epochs}.")
    if epoch > record.epoch + 1:
        raise Problem(
            409, f"Epoch {epoch} of job {record.id} has not begun: "
            f"{record.epoch} are committed, and the next can be looked at."
        )  # fmt: skip
    if epoch == 1:
        return record.initial_weights
    before = services().store.epochs(record.id, after=epoch - 2, limit=1)
    weights: list[float] = orjson.loads(before[0])["weights"]
    return weights


def _page(record: Record, wanted: StepsQuery, found: list[dict[str, Any]], total: int) -> Response:
    steps, more = found[: wanted.count], len(found) > wanted.count
    return answer(
        {
            "job_id": record.id,
            "epoch": wanted.epoch,
            "learning_rate": steps[0]["learning_rate"],
            "regularization": record.specification.coefficient,
            "total": total,
            "steps": steps,
            "has_more": more,
            "next": found[-1]["step"] if more else None,
        }
    )
