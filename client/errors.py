"""Everything that can go wrong, as one tree.

NeuronError
├── ConnectionFailed      no answer: refused, dropped, timed out, after every retry
├── UnexpectedAnswer      an answer, but not one of this service (a proxy's page, another server)
├── ApiError              the service refused: status, title, detail, errors, retry_after
│   ├── BadRequest        400, 413, 415, 422: the request is wrong and stays wrong
│   ├── Unauthorized      401: the API key is missing or wrong
│   ├── Forbidden         403: the API key lacks a scope
│   ├── NotFound          404
│   ├── Conflict          409: not in the present state
│   ├── TooManyRequests   429
│   └── Unavailable       502, 503, 504
├── JobFailed             the job ended as failed or cancelled: job
└── WaitTimeout           the job has not ended yet; it goes on: job
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from client.results import Job


class NeuronError(Exception):
    """Base of every error that this package raises on purpose."""


class ConnectionFailed(NeuronError):
    """The service gave no answer; what was asked may have been done all the same."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"No answer from {url}: {reason}.")
        self.url = url
        self.reason = reason


class UnexpectedAnswer(NeuronError):
    """The answer is not JSON, or lacks what every answer of the service has."""

    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"{url} answered {status}, but not as the neuron service does.")
        self.url = url
        self.status = status


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field; ``pointer`` is a JSON Pointer into the body."""

    detail: str
    pointer: str = ""

    def __str__(self) -> str:
        return f"{self.pointer}: {self.detail}" if self.pointer else self.detail


class ApiError(NeuronError):
    """A refusal, as the service's problem document tells it (RFC 9457)."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        errors: Sequence[FieldError] = (),
        retry_after: float | None = None,
    ) -> None:
        fields = f" ({'; '.join(map(str, errors))})" if errors else ""
        super().__init__(f"{detail or title}{fields}")
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after


class BadRequest(ApiError):
    """400, 413, 415 or 422: the request is wrong and stays wrong."""


class Unauthorized(ApiError):
    """401: the API key is missing or wrong."""


class Forbidden(ApiError):
    """403: the API key lacks the scope that this needs, or the service answers others only."""


class NotFound(ApiError):
    """404: no such job, epoch, model or version."""


class Conflict(ApiError):
    """409: not in the present state of the job or the model."""


class TooManyRequests(ApiError):
    """429: too many open jobs; ``retry_after`` says when to come again."""


class Unavailable(ApiError):
    """502, 503 or 504: the service cannot answer now."""


class JobFailed(NeuronError):
    """The job ended, but not by succeeding."""

    def __init__(self, job: Job) -> None:
        reason = f": {job.error.detail}" if job.error else "."
        super().__init__(f"Job {job.id} ended as {job.status}{reason}")
        self.job = job


class WaitTimeout(NeuronError):
    """The job had not ended in time; ``job`` is how it was last seen."""

    def __init__(self, job_id: str, timeout: float, job: Job | None) -> None:
        super().__init__(f"Job {job_id} had not ended after {timeout:g} s; it goes on.")
        self.job = job
        self.timeout = timeout


_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: BadRequest,
    415: BadRequest,
    422: BadRequest,
    429: TooManyRequests,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def api_error(status: int, reason: str, problem: object, retry_after: float | None) -> ApiError:
    """The error for a refusal whose body is ``problem``, if that could be read at all."""
    told = problem if isinstance(problem, dict) else {}
    errors = told.get("errors")
    return _BY_STATUS.get(status, ApiError)(
        status,
        str(told.get("title") or f"{status} {reason}".strip()),
        str(told.get("detail") or ""),
        [_field_error(each) for each in errors] if isinstance(errors, list) else (),
        retry_after,
    )


def _field_error(told: object) -> FieldError:
    if not isinstance(told, dict):
        return FieldError(str(told))
    return FieldError(str(told.get("detail", "")), str(told.get("pointer", "")))
