"""Predictions: the saved weights of a job add numbers."""

from typing import Annotated

import numpy as np
from flask import Blueprint, Response
from pydantic import BaseModel, ConfigDict, Field

from api.openapi import operation
from api.parsing import body
from api.problems import FieldError, Problem
from api.representation import answer
from api.services import services

blueprint = Blueprint("predict", __name__, url_prefix="/v1/jobs")

Number = Annotated[float, Field(allow_inf_nan=False)]


class PredictRequest(BaseModel):
    """Rows to add."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    inputs: list[list[Number]] = Field(min_length=1, description="rows of `input_size` numbers")
    epoch: int | None = Field(
        None, ge=1, le=2**53 - 1, description="which committed epoch; the last one if left out"
    )


class Prediction(BaseModel):
    """What the neuron answers."""

    job_id: str
    epoch: int = Field(description="whose weights were used")
    outputs: list[float] = Field(description="one for each row")
    error_bounds: list[float] = Field(
        description="Σ |weightᵢ - 1|·|inputᵢ|: how far each output can be from the true sum"
    )


@blueprint.post("/<job_id>/predict")
@operation(
    "Add numbers with the weights of a job",
    "predict",
    {200: Prediction},
    body=PredictRequest,
    problems=(400, 404, 409, 413, 415, 422, 503),
)
def predict(job_id: str) -> Response:
    """Outputs and their error bounds; 409 while there are no weights."""
    wanted, _ = body(PredictRequest)
    epoch, weights = services().store.weights(job_id, wanted.epoch)
    _check_rows(wanted.inputs, len(weights))
    outputs, bounds = _add(np.array(wanted.inputs), weights)
    return answer(
        {
            "job_id": job_id,
            "epoch": epoch,
            "outputs": outputs.tolist(),
            "error_bounds": bounds.tolist(),
        }
    )


def _check_rows(rows: list[list[float]], input_size: int) -> None:
    most = services().settings.max_predict_rows
    if len(rows) > most:
        raise Problem(413, f"/inputs: this service takes at most {most} rows, not {len(rows)}.")
    errors = [
        FieldError(f"must have {input_size} numbers, not {len(row)}", f"/inputs/{i}")
        for i, row in enumerate(rows)
        if len(row) != input_size
    ]
    if errors:
        raise Problem(422, "The rows do not fit the neuron.", errors=errors)


def _add(rows: np.ndarray, weights: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Σ inputᵢ·weightᵢ of each row, added from left to right as `Neuron.aggregation` does."""
    with np.errstate(over="ignore", invalid="ignore"):
        outputs = rows[:, 0] * weights[0]
        bounds = np.abs(rows[:, 0]) * abs(weights[0] - 1)
        for i, weight in enumerate(weights[1:], 1):
            outputs += rows[:, i] * weight
            bounds += np.abs(rows[:, i]) * abs(weight - 1)
    large = np.flatnonzero(~np.isfinite(outputs) | ~np.isfinite(bounds))
    if large.size:
        error = FieldError("the sum is too large for a float64", f"/inputs/{large[0]}")
        raise Problem(422, "A sum is too large.", errors=[error])
    return outputs, bounds
