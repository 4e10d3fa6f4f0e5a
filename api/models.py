"""Routes of named models: names that point at an epoch of a job, with history and rollback."""

from typing import Any

from flask import Blueprint, Response
from pydantic import BaseModel, ConfigDict, Field

from api.access import access, visible_owner, visitor
from api.openapi import operation
from api.parsing import body
from api.predict import EpochNumber
from api.problems import FieldError, Problem
from api.representation import answer, moment
from api.services import services
from shared.errors import ModelNotFound, ModelVersionNotFound
from shared.models import Version, is_name

blueprint = Blueprint("models", __name__, url_prefix="/v1/models")


class ModelRequest(BaseModel):
    """What a name is to point at."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    job_id: str
    epoch: EpochNumber | None = Field(
        None, description="a committed epoch; the last one if left out"
    )


class RollbackRequest(BaseModel):
    """Which version to serve again."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    version: EpochNumber | None = Field(
        None, description="if left out, what was served before the current version was put"
    )


class ModelVersion(BaseModel):
    """A version of a named model."""

    version: int = Field(description="counted from 1")
    job_id: str
    epoch: int
    digest: str = Field(description="of the epoch")
    weights: list[float]
    created_at: str


class NamedModel(ModelVersion):
    """A named model: its current version."""

    name: str


class ModelWithHistory(NamedModel):
    """A named model and its versions."""

    versions: list[ModelVersion] = Field(description="oldest first, at most the 1000 newest")


class ModelList(BaseModel):
    """All named models."""

    models: list[NamedModel]


@blueprint.put("/<name>")
@operation(
    "Point a name at a job",
    "models",
    {200: ModelWithHistory, 201: ModelWithHistory},
    body=ModelRequest,
    problems=(400, 404, 408, 409, 411, 413, 415, 422, 503),
    scope="train",
)
def put_model(name: str) -> Response:
    """201 if the name is new; every process serves the new version within a second."""
    wanted, _ = body(ModelRequest)
    if not is_name(name):
        rule = "1 to 64 letters, digits, dots, hyphens or underscores, and not look like a job id"
        raise Problem(422, "The name does not fit.", errors=[FieldError(f"name must be {rule}")])
    access().check_job(visitor(), wanted.job_id)
    created = services().models.put(name, wanted.job_id, wanted.epoch, owner=visible_owner())
    return answer(_with_history(name), 201 if created else 200)


@blueprint.get("")
@operation("List the models", "models", {200: ModelList}, problems=(503,), scope="predict")
def list_models() -> Response:
    """All models, by name."""
    _, versions = services().models.all()
    owner = visible_owner()
    shown = [
        {"name": name, **_version(version)}
        for name, version in sorted(versions.items(), key=lambda item: item[0])
        if owner in (None, version.source.owner)
    ]
    return answer({"models": shown})


@blueprint.get("/<name>")
@operation(
    "Look at a model", "models", {200: ModelWithHistory}, problems=(404, 503), scope="predict"
)
def get_model(name: str) -> Response:
    """The current version, and all that are kept."""
    return answer(_with_history(name))


@blueprint.post("/<name>/rollback")
@operation(
    "Serve an earlier version again",
    "models",
    {200: ModelWithHistory},
    body=RollbackRequest,
    problems=(400, 404, 408, 409, 411, 412, 413, 415, 422, 503),
    scope="train",
)
def roll_back(name: str) -> Response:
    """The model; 409 if nothing was served before, 412 if it was changed at the same time."""
    wanted, _ = body(RollbackRequest)
    current, versions = _visible(name)
    number = wanted.version or current.before
    if not number:
        raise Problem(409, f"Nothing was served before version {current.number} of {name}.")
    if all(version.number != number for version in versions):
        raise ModelVersionNotFound(name, number)
    expected = None if wanted.version else current.number
    services().models.select(name, number, expected=expected)
    return answer(_with_history(name))


@blueprint.delete("/<name>")
@operation("Delete a model", "models", {204: None}, problems=(404, 503), scope="train")
def delete_model(name: str) -> Response:
    """Nothing; no process serves the model a second later."""
    _visible(name)
    services().models.delete(name)
    return Response(status=204)


def _visible(name: str) -> tuple[Version, list[Version]]:
    """The current version and the kept ones, of which an admin may have put some of others' jobs.

    Raises:
        ModelNotFound
    """
    current, versions = services().models.get(name)
    owner = visible_owner()
    if owner not in (None, current.source.owner):
        raise ModelNotFound(name)
    return current, [version for version in versions if owner in (None, version.source.owner)]


def _with_history(name: str) -> dict[str, Any]:
    current, versions = _visible(name)
    return {"name": name, **_version(current), "versions": [*map(_version, versions)]}


def _version(version: Version) -> dict[str, Any]:
    source = version.source
    return {
        "version": version.number,
        "job_id": source.job_id,
        "epoch": source.epoch,
        "digest": source.digest,
        "weights": source.weights,
        "created_at": moment(version.created_at),
    }
