"""Predictions: the weights of a job or of a named model add numbers."""

import io
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import orjson
from flask import Blueprint, Response, request
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError

from api.access import Visitor, visitor
from api.arithmetic import Floats, SumTooLarge, forward, forward_few
from api.metrics import count_prediction
from api.openapi import operation
from api.parsing import WHOLE, Flag, field_errors, parse_json, query
from api.problems import FieldError, Problem
from api.reading import Inputs, Rows, check_tokens, fast_inputs, read_npy, turn, whole_body
from api.services import services
from api.serving import Served, ServedModels
from shared.errors import ModelNotFound
from shared.settings import Settings

blueprint = Blueprint("predict", __name__, url_prefix="/v1")

JSON, NPY = "application/json", "application/x-npy"
Number = Annotated[float, Field(allow_inf_nan=False)]
EpochNumber = Annotated[int, Field(ge=1, le=2**53 - 1)]


class ModelPredictRequest(BaseModel):
    """Rows to add."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    inputs: Annotated[list[Annotated[list[Number], FailFast()]], FailFast()] = Field(
        min_length=1, description="rows of `input_size` numbers"
    )


class PredictRequest(ModelPredictRequest):
    """Rows to add."""

    epoch: EpochNumber | None = Field(
        None, description="which committed epoch; the last one if left out"
    )


class ModelPredictQuery(BaseModel):
    """Query of a prediction."""

    model_config = ConfigDict(extra="forbid")

    explain: Flag = Field(False, description="whether `weighted_inputs` are wanted")


class PredictQuery(ModelPredictQuery):
    """Query of a prediction."""

    epoch: Annotated[int, Field(ge=1, le=2**53 - 1), WHOLE] | None = Field(
        None, description="for a body that is a NumPy file"
    )


class Prediction(BaseModel):
    """What the neuron answers."""

    model: str | None = Field(None, description="the name that was called")
    version: int | None = Field(None, description="of that model")
    job_id: str
    epoch: int = Field(description="whose weights were used")
    digest: str = Field(description="of that epoch")
    outputs: list[float] = Field(description="one for each row")
    error_bounds: list[float] = Field(
        description="Σ |weightᵢ - 1|·|inputᵢ| and what rounding may add: "
        "how far each output can be from the true sum, proven"
    )
    weighted_inputs: list[list[float]] | None = Field(
        None,
        description="?explain=true: inputᵢ·weightᵢ, whose sum from left to right is the output",
    )


@blueprint.post("/jobs/<job_id>/predict")
@operation(
    "Add numbers with the weights of a job",
    "predict",
    {200: Prediction},
    body=PredictRequest,
    query=PredictQuery,
    other_form=NPY,
    other_body=NPY,
    problems=(400, 404, 408, 409, 411, 413, 415, 422, 503),
    scope="predict",
)
def predict(job_id: str) -> Response:
    """Outputs and their error bounds; 409 while there are no weights."""
    wanted = query(PredictQuery)[0]
    with turn():
        rows, epoch = _inputs(PredictRequest)
        if epoch and wanted.epoch:
            raise Problem(400, "The epoch stands in the query and in the body.")
        served = services().served_jobs.get(job_id, wanted.epoch or epoch)
        return _answer(served, rows, wanted.explain)


@blueprint.post("/models/<name>/predict")
@operation(
    "Add numbers with a named model",
    "predict",
    {200: Prediction},
    body=ModelPredictRequest,
    query=ModelPredictQuery,
    other_form=NPY,
    other_body=NPY,
    problems=(400, 404, 408, 411, 413, 415, 422, 503),
    scope="predict",
)
def predict_by_name(name: str) -> Response:
    """Outputs and their error bounds; by the version that is, or within the last second was."""
    wanted = query(ModelPredictQuery)[0]
    with turn():
        rows, epoch = _inputs(ModelPredictRequest)
        served = visible_model(name)
        if epoch is not None:
            error = FieldError("there is no such field", "/epoch")
            raise Problem(422, "The body does not fit.", errors=[error])
        return _answer(served, rows, wanted.explain)


def visible_model(name: str) -> Served:
    """The current version of a model that the visitor may see.

    Raises:
        ModelNotFound, StaleModels
    """
    return model_for(visitor(), services().served_models, name)


def model_for(who: Visitor, models: ServedModels, name: str) -> Served:
    """The current version of a model that somebody may see.

    Raises:
        ModelNotFound, StaleModels
    """
    served = models.get(name)
    if who.sees_all or who.owner == served.source.owner:
        return served
    raise ModelNotFound(name)


def check_rows(count: int, settings: Settings, *, binary: bool) -> None:
    """Bound the rows of a call.

    Raises:
        Problem: 413
    """
    most = settings.max_binary_rows if binary else settings.max_predict_rows
    if count > most:
        what = "" if binary else " in JSON"
        raise Problem(413, f"This service takes at most {most} rows{what}, not {count}.")


def _inputs(model: type[ModelPredictRequest]) -> Inputs:
    kind = request.environ.get("CONTENT_TYPE", "")
    if kind not in (JSON, NPY):
        _check_type(kind)
    if "HTTP_CONTENT_ENCODING" in request.environ:
        given = request.environ["HTTP_CONTENT_ENCODING"]
        if given not in ("", "identity"):
            raise Problem(415, f"Content-Encoding {given[:40]} is not supported.")
    body = whole_body(services().settings.max_predict_body_bytes)
    if kind == NPY:
        rows = read_npy(body)
        check_rows(len(rows), services().settings, binary=True)
        return Inputs(rows, None)
    inputs = fast_inputs(body) or _strict_inputs(body, model)
    check_rows(len(inputs.rows), services().settings, binary=False)
    return inputs


def _check_type(kind: str) -> None:
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != JSON or charset != "utf-8":
        raise Problem(
            415, f"Content-Type must be {JSON} in UTF-8, or {NPY}; it is {kind or 'missing'}."
        )


def _strict_inputs(body: bytes, model: type[ModelPredictRequest]) -> Inputs:
    check_tokens(body)
    value = parse_json(body)
    if not isinstance(value, dict):
        raise Problem(400, "The body must be a JSON object.")
    try:
        wanted = model.model_validate(value)
    except ValidationError as error:
        raise Problem(422, "The body does not fit.", errors=field_errors(error, value)) from None
    return Inputs(wanted.inputs, getattr(wanted, "epoch", None))


def predicted(
    served: Served, rows: Rows
) -> tuple[list[float], list[float]] | tuple[Floats, Floats]:
    """Outputs and error bounds.

    Raises:
        Problem: 422
    """
    weights = served.source.weights
    _check_widths(rows, len(weights))
    try:
        if isinstance(rows, list):
            return forward_few(rows, weights, served.factors)
        outputs, bounds = forward(rows, weights, served.factors)
    except SumTooLarge as error:
        where = FieldError("the sum is no finite float64", f"/inputs/{error.row}")
        raise Problem(422, "A sum is too large.", errors=[where]) from None
    return outputs, bounds


def _answer(served: Served, rows: Rows, explain: bool) -> Response:
    outputs, bounds = predicted(served, rows)
    count_prediction(len(rows))
    weighted = _weighted(rows, served.source.weights) if explain else None
    if wants_npy(request.environ):
        more = () if weighted is None else np.asarray(weighted).T
        return _npy(served, np.stack([outputs, bounds, *more]))
    value = {**served.described(), "outputs": outputs, "error_bounds": bounds}
    if weighted is not None:
        value["weighted_inputs"] = weighted
    return Response(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY), content_type=JSON)


def _check_widths(rows: Rows, input_size: int) -> None:
    widths = map(len, rows) if isinstance(rows, list) else [rows.shape[1]][: len(rows)]
    errors = [
        FieldError(f"must have {input_size} numbers, not {width}", f"/inputs/{i}")
        for i, width in enumerate(widths)
        if width != input_size
    ]
    if errors:
        raise Problem(422, "The rows do not fit the neuron.", errors=errors)


def _weighted(rows: Rows, weights: tuple[float, ...]) -> list[list[float]] | NDArray[Any]:
    if isinstance(rows, list):
        return [[x * w for x, w in zip(row, weights, strict=True)] for row in rows]
    return np.ascontiguousarray(rows * np.array(weights))


def wants_npy(environ: Mapping[str, Any]) -> bool:
    """Whether the answer is to be a NumPy file: as the client accepts, else as it asks."""
    accepted = environ.get("HTTP_ACCEPT", "")
    sent = environ.get("CONTENT_TYPE") == NPY
    return NPY in accepted or (sent and JSON not in accepted)


def _npy(served: Served, answer: Floats) -> Response:
    file = io.BytesIO()
    np.lib.format.write_array(file, answer, version=(1, 0), allow_pickle=False)
    headers = {
        f"Neuron-{name.title().replace('_', '-')}": str(value)
        for name, value in served.described().items()
    }
    return Response(file.getvalue(), headers=headers, content_type=NPY)
