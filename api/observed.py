"""Around the whole application: request ids, trace context, metrics and the access log.

A WSGI middleware, so that it also sees requests that are answered before Flask.
"""

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, request

from api.notes import Note, Notes
from shared import telemetry, tracing
from shared.settings import Settings
from shared.store import is_job_id

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Where the application leaves the route's template, and the id of the job that it is about.
ROUTE, JOB_ID = "neuron.route", "neuron.job_id"
UNMATCHED = "unmatched"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def register(app: Flask, settings: Settings) -> None:
    """Observe every request of the application; what wraps `wsgi_app` later is not seen."""
    # Before what may refuse the request.
    app.before_request_funcs.setdefault(None, []).insert(0, _name_route)
    notes = app.extensions["neuron.notes"] = Notes(settings.log_level)
    telemetry.start("neuron-api")
    app.wsgi_app = Observed(app.wsgi_app, notes)  # type: ignore[method-assign]


def _name_route() -> None:
    if request.url_rule:
        request.environ[ROUTE] = request.url_rule.rule
        job_id = (request.view_args or {}).get("job_id", "")
        if is_job_id(job_id):  # anything else may be a secret
            request.environ[JOB_ID] = job_id


class Observed:
    """The application, observed."""

    def __init__(self, app: "WSGIApplication", notes: Notes) -> None:
        self._app, self._notes = app, notes

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request."""
        started = time.perf_counter()
        origin = tracing.of_request(
            environ.get("HTTP_X_REQUEST_ID"), environ.get("HTTP_TRACEPARENT")
        )
        span = telemetry.begin_request(environ.get("HTTP_TRACEPARENT"))
        if span:
            origin = span.origin(origin.request_id)
        tracing.current.set(origin)
        status = 500

        def start(line: str, headers: list[tuple[str, str]], *more: Any) -> Callable[..., object]:
            nonlocal status
            status = int(line[:3])
            headers.append(("X-Request-Id", origin.request_id))
            return start_response(line, headers, *more)

        active = self._notes.active
        active.add(start)
        try:
            return self._app(environ, start)
        finally:
            active.discard(start)
            seconds = time.perf_counter() - started
            route, method = environ.get(ROUTE, UNMATCHED), environ["REQUEST_METHOD"]
            if method not in METHODS:
                method = "other"
            job_id = environ.get(JOB_ID)
            self._notes.add(Note(time.time(), method, route, status, seconds, origin, job_id))
            if span:
                span.end_request(method, route, status)
