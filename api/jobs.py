"""Routes of the life of a job: create, look, list, cancel, delete."""

import base64
import hashlib
import json
import re
from typing import Annotated, Any

import orjson
from flask import Blueprint, Response, request
from pydantic import BaseModel, ConfigDict, Field, RootModel

from api import representation
from api.access import visible_owner, visitor
from api.observed import JOB_ID
from api.openapi import operation
from api.parsing import WHOLE, Flag, body, check_limits, idempotency_key, query, wait_seconds
from api.problems import Problem
from api.representation import answer, job_answer
from api.services import services
from api.webhooks import check_webhook
from shared import queue, tracing
from shared.errors import NoWeights
from shared.forecast import Forecast
from shared.job import Epoch, JobRequest, Record, Specification, Status
from shared.observation import inputs_waiting
from shared.questions import ForecastQuestion, ask

blueprint = Blueprint("jobs", __name__, url_prefix="/v1/jobs")


class ListQuery(BaseModel):
    """Query of the list of jobs."""

    model_config = ConfigDict(extra="forbid")

    status: list[Status] = Field([], description="only jobs of this status; may be repeated")
    limit: Annotated[int, Field(ge=1, le=200), WHOLE] = 50
    after: str | None = Field(
        None, pattern="^[A-Za-z0-9_-]+$", description="`next` of the page before"
    )


class JobList(BaseModel):
    """Some jobs, newest first."""

    jobs: list[representation.Job]
    has_more: bool
    next: str | None = Field(description="pass it as `after` for the next page")


class EpochsQuery(BaseModel):
    """Query of the epochs of a job."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=1000), WHOLE] = 1000
    after: Annotated[int, Field(ge=0, le=2**53), WHOLE] = Field(
        0, description="only epochs after this one"
    )


class EpochList(BaseModel):
    """Results of epochs."""

    job_id: str
    epochs: list[Epoch]
    has_more: bool
    next: int | None = Field(description="pass it as `after` for the next page")


class CreateQuery(BaseModel):
    """Query of a create."""

    model_config = ConfigDict(extra="forbid")

    dry_run: Flag = Field(False, description="answer 200 with a forecast, and create nothing")


class DryRun(Forecast):
    """What a job would come to: derived from its data's second moments, without training."""

    specification: Specification
    queue_seconds: float = Field(
        description="until a worker is free, if each trains one job at a time, at this one's speed"
    )


class Created(RootModel[representation.Job | DryRun]):
    """The job, which has ended; with `dry_run`, the forecast."""


@blueprint.post("")
@operation(
    "Create a training job, or forecast one",
    "jobs",
    {202: representation.Job, 200: Created},
    body=JobRequest,
    query=CreateQuery,
    headers={
        "Idempotency-Key": "the same key and body give the same job for 24 hours",
        "Prefer": "wait=N: answer when the job has ended, at most N seconds later",
    },
    problems=(400, 408, 409, 411, 413, 415, 422, 429, 503),
    scope="train",
)
def create_job() -> Response:
    """202 with the queued job, or 200 with the finished one if the client prefers to wait.

    With `dry_run`, 200 with a forecast that a worker makes; nothing is created.
    """
    asked, _ = query(CreateQuery)
    key = idempotency_key()
    wanted, given = body(JobRequest)
    check_limits(wanted, services().settings)
    check_webhook(wanted.webhook, services().settings)
    if asked.dry_run:
        return _forecast(wanted.specification)
    return _create(wanted, key, given)


def _forecast(specification: Specification) -> Response:
    store = services().store
    found = orjson.loads(ask(store, ForecastQuestion(specification=specification)))
    speed = found["training_seconds"] / specification.inputs_seen
    return answer(
        {
            **found,
            "specification": specification.model_dump(),
            "queue_seconds": inputs_waiting(store) * speed,
        }
    )


def _create(wanted: JobRequest, key: str | None, given: Any, **more: str) -> Response:
    store = services().store
    origin = tracing.current.get()
    job_id, replayed = store.accept(
        wanted,
        owner=visitor().owner,
        idempotency_key=key,
        fingerprint=_digest(given),
        origin=origin,
        **more,
    )
    request.environ[JOB_ID] = job_id
    if not replayed:
        queue.publish(services().publisher, job_id)
    response = _created(job_id)
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def _created(job_id: str) -> Response:
    wait = wait_seconds(services().settings.max_wait_seconds)
    waited = wait is not None and services().waiting.acquire(blocking=False)
    if not waited or wait is None:
        return _accepted(services().store.get(job_id))
    try:
        record = services().store.wait_for_end(job_id, wait)
    finally:
        services().waiting.release()
    if not record.status.ended:
        return _accepted(record)
    response = job_answer(record)
    response.headers["Preference-Applied"] = f"wait={wait:g}"
    return response


def _accepted(record: Record) -> Response:
    response = job_answer(record, 202)
    response.headers["Retry-After"] = "1"
    response.location = representation.job_url(record.id)
    return response


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@blueprint.get("")
@operation(
    "List jobs, newest first",
    "jobs",
    {200: JobList},
    query=ListQuery,
    extra_query={"metadata.<key>": "only jobs whose metadata has this value"},
    problems=(400, 503),
    scope="train",
)
def list_jobs() -> Response:
    """A page of jobs."""
    wanted, metadata = query(ListQuery, prefix="metadata")
    owner = visible_owner()
    filters = _digest([sorted(wanted.status), metadata, owner])[:16]
    page = services().store.list_jobs(
        statuses=wanted.status,
        metadata=metadata,
        owner=owner,
        limit=wanted.limit,
        before=_read_cursor(wanted.after, filters),
    )
    return answer(
        {
            "jobs": [representation.job(record) for record in page.jobs],
            "has_more": page.next is not None,
            "next": None if page.next is None else _make_cursor(page.next, filters),
        }
    )


def _make_cursor(sequence: int, filters: str) -> str:
    return base64.urlsafe_b64encode(f"{sequence}.{filters}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str | None, filters: str) -> int | None:
    if cursor is None:
        return None
    padded = cursor + "=" * (-len(cursor) % 4)
    try:
        text = base64.urlsafe_b64decode(padded).decode("ascii")
    except ValueError:
        text = ""
    parts = re.fullmatch(r"([0-9]{1,15})\.(\w+)", text)
    if not parts:
        raise Problem(400, "The query's after is not a cursor that a list gave.")
    if parts[2] != filters:
        raise Problem(400, "The query's after is a cursor of a list with other filters.")
    return int(parts[1])


@blueprint.get("/<job_id>")
@operation(
    "Look at a job",
    "jobs",
    {200: representation.Job, 304: None},
    headers={"If-None-Match": "the ETag of an earlier answer"},
    problems=(404, 503),
    scope="train",
)
def get_job(job_id: str) -> Response:
    """The job, or 304 if it is as the client has it."""
    response = job_answer(services().store.get(job_id))
    response.make_conditional(request)
    return response


@blueprint.get("/<job_id>/epochs")
@operation(
    "Results of the epochs",
    "jobs",
    {200: EpochList},
    query=EpochsQuery,
    problems=(400, 404, 503),
    scope="train",
)
def list_epochs(job_id: str) -> Response:
    """A page of epochs, oldest first."""
    wanted, _ = query(EpochsQuery)
    found = services().store.epochs(job_id, after=wanted.after, limit=wanted.limit + 1)
    more = len(found) > wanted.limit
    following = str(wanted.after + wanted.limit) if more else "null"
    page = b'{"job_id":"%b","epochs":[%b],"has_more":%b,"next":%b}' % (
        job_id.encode(),
        b",".join(found[: wanted.limit]),
        b"true" if more else b"false",
        following.encode(),
    )
    return Response(page, content_type="application/json")


@blueprint.post("/<job_id>/cancel")
@operation(
    "Cancel a job", "jobs", {200: representation.Job}, problems=(404, 409, 503), scope="train"
)
def cancel_job(job_id: str) -> Response:
    """The cancelled job; 409 if it has ended otherwise."""
    return job_answer(services().store.cancel(job_id))


@blueprint.post("/<job_id>/pause")
@operation(
    "Pause a job", "jobs", {200: representation.Job}, problems=(404, 409, 503), scope="train"
)
def pause_job(job_id: str) -> Response:
    """The paused job; what it has committed stays. 409 if it has ended."""
    return job_answer(services().store.pause(job_id))


@blueprint.post("/<job_id>/resume")
@operation(
    "Resume a paused job",
    "jobs",
    {200: representation.Job},
    problems=(404, 409, 503),
    scope="train",
)
def resume_job(job_id: str) -> Response:
    """The job, queued again; it goes on where it stopped. 409 if it has ended."""
    record = services().store.resume(job_id)
    queue.publish(services().publisher, job_id)
    return job_answer(record)


@blueprint.post("/<job_id>/retry")
@operation(
    "Retry a failed job",
    "jobs",
    {200: representation.Job},
    problems=(404, 409, 429, 503),
    scope="train",
)
def retry_job(job_id: str) -> Response:
    """The job, queued again; it goes on after its last commit. 409 if it has not failed."""
    record = services().store.retry(job_id)
    queue.publish(services().publisher, job_id)
    return job_answer(record)


@blueprint.post("/<job_id>/verify")
@operation(
    "Train again and compare every epoch with what is stored",
    "jobs",
    {202: representation.Job, 200: representation.Job},
    headers={
        "Idempotency-Key": "the same key gives the same verification for 24 hours",
        "Prefer": "wait=N: answer when the verification has ended, at most N seconds later",
    },
    problems=(400, 404, 409, 422, 429, 503),
    scope="train",
)
def verify_job(job_id: str) -> Response:
    """A job that succeeds if all committed epochs are the same to the bit.

    It fails with the code `mismatch` and the first epoch that differs.
    """
    key = idempotency_key()
    record = services().store.get(job_id)
    if record.epoch == 0:
        raise NoWeights(job_id)
    hyperparameters = record.specification.hyperparameters
    wanted = JobRequest(
        name=f"verify {job_id}",
        dataset=record.specification.dataset,
        hyperparameters=hyperparameters.model_copy(update={"epochs": record.epoch}),
    )
    return _create(wanted, key, {"verify": job_id}, verifies=job_id)


@blueprint.delete("/<job_id>")
@operation("Delete an ended job", "jobs", {204: None}, problems=(404, 409, 503), scope="train")
def delete_job(job_id: str) -> Response:
    """Nothing; 409 if the job has not ended."""
    services().store.delete(job_id)
    return Response(status=204)
