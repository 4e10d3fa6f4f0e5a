"""Errors as HTTP answers: RFC 9457 problem details, from here only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from flask import Flask, Response
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException

from shared import errors

RETRY_SECONDS = 1
#: An answer names so many bad fields at most.
MOST_ERRORS = 50
_log = structlog.get_logger()

_STATUS: dict[type[errors.NeuronServiceError], int] = {
    errors.JobNotFound: 404,
    errors.StateConflict: 409,
    errors.NoWeights: 409,
    errors.IdempotencyKeySpent: 409,
    errors.IdempotencyMismatch: 422,
    errors.TooManyOpenJobs: 429,
    errors.ModelNotFound: 404,
    errors.ModelVersionNotFound: 404,
    errors.ModelChanged: 412,
    errors.NameTaken: 409,
    errors.TooManyModels: 409,
    errors.StaleModels: 503,
    errors.NoAnswer: 503,
    errors.UnsafeRedis: 503,
}


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field; `pointer` is a JSON Pointer into the body."""

    detail: str
    pointer: str | None = None

    def as_json(self) -> dict[str, str]:
        """The member of a problem's `errors`."""
        where = {} if self.pointer is None else {"pointer": self.pointer}
        return {"detail": self.detail, **where}

    def __str__(self) -> str:
        return f"{self.pointer}: {self.detail}" if self.pointer else self.detail


class Problem(Exception):
    """An answer that is an error."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The problem as `application/problem+json`, never cached."""
        title = HTTPStatus(self.status).phrase
        shown = [*map(str, self.errors[:MOST_ERRORS])]
        if len(self.errors) > MOST_ERRORS:
            shown.append(f"and {len(self.errors) - MOST_ERRORS} more")
        sentence = f"{self.detail} {'; '.join(shown)}".strip()
        problem: dict[str, Any] = {
            "type": "about:blank",
            "title": title,
            "status": self.status,
            "detail": self.detail,
            "error": sentence,
        }
        if self.errors:
            problem["errors"] = [error.as_json() for error in self.errors[:MOST_ERRORS]]
        if self.status in (429, 503):
            self.headers.setdefault("Retry-After", str(RETRY_SECONDS))
        headers = {"Cache-Control": "no-store", **self.headers}
        return Response(
            orjson.dumps(problem), self.status, headers, content_type="application/problem+json"
        )


def register(app: Flask) -> None:
    """Answer every error of the application with a problem."""
    app.register_error_handler(Problem, respond)
    app.register_error_handler(errors.NeuronServiceError, _service_error)
    app.register_error_handler(RedisError, _redis_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def respond(error: Exception) -> Response:
    """The answer to an error that was raised outside of Flask."""
    if isinstance(error, Problem):
        return error.response()
    if isinstance(error, errors.NeuronServiceError):
        return _service_error(error)
    return _redis_error(error) if isinstance(error, RedisError) else _unexpected(error)


def _service_error(error: errors.NeuronServiceError) -> Response:
    return Problem(_STATUS[type(error)], str(error)).response()


def _redis_error(error: RedisError) -> Response:
    _log.warning("redis failed", reason=str(error), kind=type(error).__name__)
    return Problem(503, "The job store does not answer; nothing is lost, try again.").response()


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    headers = {k: v for k, v in error.get_headers() if k in ("Allow", "Retry-After", "Location")}
    if status < 400:
        return Response(status=status, headers=headers)
    return Problem(status, error.description or "", headers=headers).response()


def _unexpected(error: Exception) -> Response:
    _log.exception("unexpected error", exc_info=error)
    return Problem(500, "The service met an unexpected error; it has been logged.").response()
