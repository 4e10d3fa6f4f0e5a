"""Routes of the Open Inference Protocol v2, as the official clients of model servers call them.

A model is a named model or a job; its versions are the epochs of its job.
"""

import re
import time
import zlib
from typing import Annotated, Any, Literal

from flask import Blueprint, Response, request
from pydantic import BaseModel, ConfigDict, Field
from redis.exceptions import RedisError

from api.access import Access, Visitor, access, visible_owner, visitor
from api.arithmetic import SumTooLarge, forward, forward_few
from api.metrics import count_prediction
from api.oip import DATATYPES, ERROR_BOUND, INPUT, OUTPUT, OUTPUTS, InferRequest, read, write
from api.openapi import operation
from api.parsing import parse_json
from api.predict import JSON, check_rows, model_for
from api.problems import Problem
from api.reading import turn, whole_body
from api.representation import answer
from api.scopes import needs
from api.services import Services, services
from api.serving import Served
from shared import __version__
from shared.errors import ModelNotFound, ModelVersionNotFound, NoWeights
from shared.models import is_name

blueprint = Blueprint("inference", __name__, url_prefix="/v2")

NAME, PLATFORM = "neuron-training-service", "neuron"
EXTENSIONS = ["binary_tensor_data", "model_configuration", "model_repository", "statistics"]
BINARY = "application/octet-stream"
#: Window bits of zlib for each Content-Encoding.
_ENCODINGS = {"gzip": 31, "deflate": 15}


class InputParameters(BaseModel):
    """Of an input; others are ignored."""

    model_config = ConfigDict(extra="allow")

    binary_data_size: int = Field(0, ge=0, description="its bytes behind the JSON")


class OutputParameters(BaseModel):
    """Of an output that is asked for; others are ignored."""

    model_config = ConfigDict(extra="allow")

    binary_data: bool = Field(False, description="whether as a binary tensor")


class RequestParameters(BaseModel):
    """Of a request; others are ignored."""

    model_config = ConfigDict(extra="allow")

    binary_data_output: bool = Field(False, description="whether outputs are binary tensors")


class InputTensor(BaseModel):
    """The input; with the binary extension, `binary_data_size` instead of `data`."""

    model_config = ConfigDict(extra="forbid")

    name: Literal["input"]
    shape: list[Annotated[int, Field(ge=1)]] = Field(
        min_length=2, max_length=2, description="[rows, inputs of the neuron]"
    )
    datatype: str = Field(json_schema_extra={"enum": [*DATATYPES]})
    parameters: InputParameters | None = None
    data: list[float | list[float]] = Field([], description="flat or nested, row-major")


class WantedOutput(BaseModel):
    """An output that is asked for."""

    model_config = ConfigDict(extra="forbid")

    name: Literal["output", "error_bound"]
    parameters: OutputParameters | None = None


class Infer(BaseModel):
    """Rows to add, as one tensor `input` of the shape [rows, inputs]."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = Field(None, description="echoed")
    parameters: RequestParameters | None = None
    inputs: list[InputTensor] = Field(min_length=1, max_length=1)
    outputs: list[WantedOutput] | None = Field(
        None, max_length=2, description="`output`, `error_bound`; both if left out"
    )


class Tensor(BaseModel):
    """An output; with the binary extension, `parameters` instead of `data`."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[float] | None = None


class Inferred(BaseModel):
    """Outputs of the shape [rows]."""

    model_name: str
    model_version: str = Field(description="the epoch")
    id: str | None = None
    parameters: dict[str, Any] = Field({}, description="job_id, digest; of a named model, version")
    outputs: list[Tensor]


class TensorMetadata(BaseModel):
    """What a tensor looks like; -1 stands for any number of rows."""

    name: str
    datatype: str
    shape: list[int]


class ServerMetadata(BaseModel):
    """The server."""

    name: str
    version: str
    extensions: list[str]


class ModelMetadata(BaseModel):
    """A model."""

    name: str
    versions: list[str] = Field(description="all committed epochs")
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class _Statistics:
    """Counts of what this process has inferred, by model and version."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], tuple[int, int, int, int]] = {}

    def add(self, model: tuple[str, str], rows: int, nanoseconds: int) -> None:
        if len(self.counts) >= 1_000 and model not in self.counts:
            self.counts.clear()
        calls, all_rows, spent, _ = self.counts.get(model, (0, 0, 0, 0))
        self.counts[model] = (
            calls + 1,
            all_rows + rows,
            spent + nanoseconds,
            time.time_ns() // 1_000_000,
        )


_statistics = _Statistics()


@blueprint.get("/")
@needs("predict")
def server_metadata_slash() -> Response:
    """The same with a slash: clients of the protocol follow no redirects."""
    return server_metadata()


@blueprint.get("")
@operation("Metadata of the server", "inference", {200: ServerMetadata}, scope="predict")
def server_metadata() -> Response:
    """Name, version and extensions."""
    return answer({"name": NAME, "version": __version__, "extensions": EXTENSIONS})


@blueprint.get("/health/live")
@operation("Is the server alive?", "inference", {200: JSON}, scope="open")
def server_live() -> Response:
    """200 whenever the process answers."""
    return answer({"live": True})


@blueprint.get("/health/ready")
@operation("Can the server predict?", "inference", {200: JSON}, problems=(503,), scope="open")
def server_ready() -> Response:
    """200 when Redis answers."""
    try:
        services().models.revision()
    except RedisError:
        raise Problem(503, "The model store does not answer.") from None
    return answer({"ready": True})


@operation(
    "Metadata of a model", "inference", {200: ModelMetadata}, problems=(404, 503), scope="predict"
)
def model_metadata(model: str, version: str | None = None) -> Response:
    """Its versions, its input and its outputs."""
    served = _find(model, version)
    of = served.source
    last = services().models.last_epoch(of.job_id)
    versions = [str(epoch) for epoch in range(1, last + 1)] or [str(of.epoch)]
    if version is not None:
        versions = [version]
    tensors = [{"name": name, "datatype": "FP64", "shape": [-1]} for name in OUTPUTS]
    return answer(
        {
            "name": model,
            "versions": versions,
            "platform": PLATFORM,
            "inputs": [{"name": INPUT, "datatype": "FP64", "shape": [-1, len(of.weights)]}],
            "outputs": tensors,
        }
    )


@operation("Can a model predict?", "inference", {200: JSON}, problems=(404, 503), scope="predict")
def model_ready(model: str, version: str | None = None) -> Response:
    """200 if it has weights."""
    _find(model, version)
    return answer({"name": model, "ready": True})


@operation(
    "Configuration of a model", "inference", {200: JSON}, problems=(404, 503), scope="predict"
)
def model_config(model: str, version: str | None = None) -> Response:
    """As Triton has it."""
    width = len(_find(model, version).source.weights)
    outputs = [{"name": name, "data_type": "TYPE_FP64", "dims": [-1]} for name in OUTPUTS]
    return answer(
        {
            "name": model,
            "platform": PLATFORM,
            "backend": PLATFORM,
            "max_batch_size": 0,
            "input": [{"name": INPUT, "data_type": "TYPE_FP64", "dims": [-1, width]}],
            "output": outputs,
        }
    )


@operation("Statistics of a model", "inference", {200: JSON}, problems=(404, 503), scope="predict")
def model_stats(model: str, version: str | None = None) -> Response:
    """Inferences that the process that answers has made."""
    served = _find(model, version)
    return answer({"model_stats": [_stats(model, str(served.source.epoch))]})


@blueprint.get("/models/stats")
@operation("Statistics of all models", "inference", {200: JSON}, problems=(503,), scope="predict")
def all_stats() -> Response:
    """Of all named models; inferences that the process that answers has made."""
    shown = [_stats(name, str(served.source.epoch)) for name, served in _visible_models()]
    return answer({"model_stats": shown})


@blueprint.post("/repository/index")
@operation(
    "List the named models",
    "inference",
    {200: JSON},
    problems=(400, 408, 411, 413, 503),
    scope="predict",
)
def repository_index() -> Response:
    """All named models; every job can be called by its id besides."""
    text = whole_body(services().settings.max_body_bytes)
    if text:
        parse_json(text)
    return answer(
        [
            {"name": name, "version": str(served.source.epoch), "state": "READY", "reason": ""}
            for name, served in _visible_models()
        ]
    )


@operation(
    "Add numbers (Open Inference Protocol)",
    "inference",
    {200: Inferred},
    body=Infer,
    headers={"Inference-Header-Content-Length": "bytes of JSON, before binary tensors"},
    other_form=BINARY,
    other_body=BINARY,
    problems=(400, 404, 408, 411, 413, 415, 503),
    scope="predict",
)
def infer(model: str, version: str | None = None) -> Response:
    """Outputs and their error bounds."""
    with turn():
        body = _decompressed(whole_body(services().settings.max_predict_body_bytes))
        served = _find(model, version)
        json_length = request.environ.get("HTTP_INFERENCE_HEADER_CONTENT_LENGTH")
        wanted = read(body, json_length, len(served.source.weights))
        check_rows(len(wanted.rows), services().settings, binary=wanted.binary_rows)
        return _inferred(model, served, wanted)


for _view, _rule, _methods in (
    (model_metadata, "", ["GET"]),
    (model_ready, "/ready", ["GET"]),
    (model_config, "/config", ["GET"]),
    (model_stats, "/stats", ["GET"]),
    (infer, "/infer", ["POST"]),
):
    _name = _view.__name__
    blueprint.add_url_rule(f"/models/<model>{_rule}", _name, _view, methods=_methods)
    blueprint.add_url_rule(
        f"/models/<model>/versions/<version>{_rule}", f"{_name}_of_version", _view, methods=_methods
    )


def _inferred(model: str, served: Served, wanted: InferRequest) -> Response:
    body, headers = inferred(model, served, wanted)
    response = Response(body, headers=headers)
    if "HTTP_ACCEPT_ENCODING" in request.environ:
        _compress(response, body)
    return response


def inferred(
    model: str, served: Served, wanted: InferRequest
) -> tuple[bytes, list[tuple[str, str]]]:
    """The body of an answer, and what its headers say of it.

    Raises:
        Problem: 400
    """
    started = time.perf_counter_ns()
    header: dict[str, Any] = {"model_name": model, "model_version": str(served.source.epoch)}
    if wanted.id is not None:
        header["id"] = wanted.id
    header["parameters"] = {"job_id": served.source.job_id, "digest": served.source.digest}
    if served.version is not None:
        header["parameters"]["version"] = served.version
    body, json_length = write(header, wanted.outputs, _results(served, wanted))
    spent = time.perf_counter_ns() - started
    _statistics.add((model, header["model_version"]), len(wanted.rows), spent)
    count_prediction(len(wanted.rows))
    if json_length is None:
        return body, [("Content-Type", "application/json")]
    return body, [
        ("Content-Type", BINARY),
        ("Inference-Header-Content-Length", str(json_length)),
    ]


def _results(served: Served, wanted: InferRequest) -> dict[str, Any]:
    weights, rows = served.source.weights, wanted.rows
    try:
        if isinstance(rows, list):
            return dict(zip(OUTPUTS, forward_few(rows, weights, served.factors), strict=True))
        bounded = any(output.name == ERROR_BOUND for output in wanted.outputs)
        results = forward(rows, weights, served.factors if bounded else None)
    except SumTooLarge as error:
        raise Problem(400, f"The sum of row {error.row} is no finite float64.") from None
    return dict(zip((OUTPUT, ERROR_BOUND) if bounded else (OUTPUT,), results, strict=True))


def _find(model: str, version: str | None) -> Served:
    """The weights of a model's version that the visitor may see.

    Raises:
        Problem: 503 for a job that has no weights yet.
        JobNotFound, ModelNotFound, ModelVersionNotFound, StaleModels
    """
    return find_for(visitor(), access(), services(), model, version)


def find_for(
    who: Visitor, control: Access, parts: Services, model: str, version: str | None
) -> Served:
    """The weights of a model's version that somebody may see; raises what `_find` does."""
    if version is not None and not re.fullmatch("[1-9][0-9]{0,15}", version):
        raise ModelVersionNotFound(model, version[:20])
    epoch = None if version is None else int(version)
    if is_name(model):
        named = model_for(who, parts.served_models, model)
        if epoch in (None, named.source.epoch):
            return named
        job_id = named.source.job_id
    else:
        job_id = model
    try:
        control.check_job(who, job_id)
        return parts.served_jobs.get(job_id, epoch)
    except NoWeights:
        if version is not None:
            raise ModelVersionNotFound(model, version) from None
        raise Problem(503, f"Job {model} has committed no weights yet.") from None


def _visible_models() -> list[tuple[str, Served]]:
    models, owner = services().served_models, visible_owner()
    found = []
    for name in models.names():
        try:
            served = models.get(name)
        except ModelNotFound:  # deleted in this moment
            continue
        if owner in (None, served.source.owner):
            found.append((name, served))
    return found


def _stats(name: str, version: str) -> dict[str, Any]:
    calls, rows, spent, last = _statistics.counts.get((name, version), (0, 0, 0, 0))
    none, all_calls = {"count": 0, "ns": 0}, {"count": calls, "ns": spent}
    return {
        "name": name,
        "version": version,
        "last_inference": last,
        "inference_count": rows,
        "execution_count": calls,
        "inference_stats": {
            "success": all_calls,
            "fail": none,
            "queue": none,
            "compute_input": none,
            "compute_infer": all_calls,
            "compute_output": none,
        },
        "batch_stats": [],
    }


def _decompressed(body: bytes) -> bytes:
    encoding = request.environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in _ENCODINGS:
        raise Problem(415, f"Content-Encoding {encoding[:40]} is not supported.")
    most = services().settings.max_predict_body_bytes
    reader = zlib.decompressobj(_ENCODINGS[encoding])
    try:
        plain = reader.decompress(body, most + 1)
    except zlib.error as error:
        raise Problem(400, f"The body is not {encoding}: {error}.") from None
    if len(plain) > most:
        raise Problem(413, f"The decompressed body is larger than {most} bytes.")
    if not reader.eof or reader.unused_data:
        raise Problem(400, f"The body is not one complete {encoding} stream.")
    return plain


def _compress(response: Response, body: bytes) -> None:
    qualities = {name.lower(): quality for name, quality in request.accept_encodings}
    asked = max(_ENCODINGS, key=lambda name: qualities.get(name, 0))
    if not qualities.get(asked):
        return
    writer = zlib.compressobj(1, zlib.DEFLATED, _ENCODINGS[asked])
    response.set_data(writer.compress(body) + writer.flush())
    response.headers["Content-Encoding"] = asked
    response.headers["Vary"] = "Accept-Encoding"
