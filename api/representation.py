"""How a job looks in an answer."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
from flask import Response, request, url_for
from pydantic import BaseModel, Field

from shared.job import Demo, JobError, Priority, Record, Specification, Status, WebhookState


class Progress(BaseModel):
    """How far a job is."""

    epoch: int = Field(description="committed epochs")
    epochs: int = Field(description="epochs in all")
    step: int = Field(description="rows trained inside the epoch that is running")
    steps: int = Field(description="rows of an epoch")
    fraction: float = Field(description="of the whole training, from 0 to 1")
    eta_seconds: float | None = Field(description="seconds from `updated_at` to the end")


class WebhookDelivery(BaseModel):
    """How far the announcement of the job's newest end is."""

    url: str
    status: Literal["pending", "delivered", "failed", "disabled"] = Field(
        description="failed: all attempts are used up; disabled: the receiver answered 410"
    )
    attempts: int = Field(description="messages sent")
    error: str | None = Field(description="what was wrong with the last attempt")
    next_attempt_at: datetime | None


class Job(BaseModel):
    """A training job."""

    id: str
    url: str
    name: str | None
    metadata: dict[str, str]
    status: Status
    priority: Priority
    time_limit_seconds: float = Field(description="of training; a job that needs longer fails")
    verifies: str | None = Field(description="id of the job whose epochs this one compares")
    progress: Progress
    specification: Specification
    specification_digest: str = Field(
        description="SHA-256 of the specification as JSON with sorted keys and no spaces"
    )
    digest: str | None = Field(description="of the last committed epoch; see the epochs")
    initial_weights: list[float] | None
    weights: list[float] | None = Field(description="after the last committed epoch")
    accuracy: float | None = Field(description="of the last committed epoch, from 0 to 1")
    demo_before: list[Demo] | None = Field(description="the demo rows with the initial weights")
    demo_after: list[Demo] | None = Field(description="the demo rows with the final weights")
    error: JobError | None
    webhook: WebhookDelivery | None
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    ended_at: datetime | None


def job_url(job_id: str) -> str:
    """Where the job is; only the path if the client does not say by which name it came."""
    return url_for("jobs.get_job", job_id=job_id, _external=bool(request.host))


def job(record: Record) -> dict[str, Any]:
    """The record as a `Job`, ready for JSON."""
    return {
        "id": record.id,
        "url": job_url(record.id),
        "name": record.name,
        "metadata": record.metadata,
        "status": record.status,
        "priority": record.priority,
        "time_limit_seconds": record.time_limit_seconds,
        "verifies": record.verifies,
        "progress": {
            "epoch": record.epoch,
            "epochs": record.specification.hyperparameters.epochs,
            "step": record.step,
            "steps": record.specification.dataset.training_size,
            "fraction": record.fraction,
            "eta_seconds": record.eta_seconds,
        },
        "specification": record.specification.model_dump(),
        "specification_digest": record.specification.digest,
        "digest": record.digest,
        "initial_weights": record.initial_weights,
        "weights": record.weights,
        "accuracy": record.accuracy,
        "demo_before": _dump(record.demo_before),
        "demo_after": _dump(record.demo_after),
        "error": record.error and record.error.model_dump(exclude_unset=True),
        "webhook": record.webhook and _webhook(record.webhook),
        "created_at": moment(record.created_at),
        "started_at": moment(record.started_at),
        "updated_at": moment(record.updated_at),
        "ended_at": moment(record.ended_at),
    }


def _webhook(state: WebhookState) -> dict[str, Any]:
    return asdict(state) | {"next_attempt_at": moment(state.next_attempt_at)}


def _dump(demo: list[Demo] | None) -> list[dict[str, Any]] | None:
    return None if demo is None else [row.model_dump() for row in demo]


def moment(milliseconds: int | None) -> str | None:
    """Milliseconds since 1970 as RFC 3339."""
    if milliseconds is None:
        return None
    time = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def answer(value: Any, status: int = 200) -> Response:
    """The value as a JSON answer."""
    return Response(orjson.dumps(value), status, content_type="application/json")


def job_answer(record: Record, status: int = 200) -> Response:
    """The job as an answer with its ETag."""
    response = answer(job(record), status)
    response.set_etag(f"{record.id}-{record.revision}")
    response.cache_control.no_cache = True
    return response
