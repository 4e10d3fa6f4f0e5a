"""Small predictions, answered before Flask: its own handling costs several times the rest.

The lane takes plain requests only, and answers them as the routes do, with their functions. All
others go on to Flask, untouched: the lane decides before the request is counted or admitted.
"""

import io
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import orjson
from flask import Flask

from api.access import QUOTA, Access
from api.inference import find_for, inferred
from api.metrics import count_prediction
from api.observed import JOB_ID, ROUTE
from api.oip import read
from api.predict import JSON, check_rows, model_for, predicted, wants_npy
from api.problems import respond
from api.reading import SMALL, Inputs, fast_inputs
from api.scopes import Scope
from api.services import Services

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PREDICT = re.compile(r"/v1/(?:models/([A-Za-z0-9._-]{1,64})|jobs/([0-9a-f]{32}))/predict")
_INFER = re.compile(r"/v2/models/([A-Za-z0-9._-]{1,64})/(?:versions/([1-9][0-9]{0,14})/)?infer")
#: What makes a request less plain than the lane takes.
_SPECIAL = ("HTTP_TRANSFER_ENCODING", "HTTP_CONTENT_ENCODING")
_PROTECTION = [
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'"),
]
Answer = tuple[bytes, list[tuple[str, str]]]


class FastLane:
    """The application, behind a shorter way for what is called most."""

    def __init__(self, app: "WSGIApplication", access: Access, services: Services) -> None:
        self._app, self._access, self._services = app, access, services
        self._longest = min(SMALL, services.settings.max_predict_body_bytes)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request."""
        try:
            body = self._plain_body(environ)
            answer = body and (self._predict(environ, body) or self._infer(environ, body))
        except Exception as error:  # of any kind: Flask does not see it
            response = respond(error)
            response.headers.update([*_PROTECTION, *_quota(environ)])
            return response(environ, start_response)
        if not answer:
            return self._app(environ, start_response)
        text, headers = answer
        length = ("Content-Length", str(len(text)))
        start_response("200 OK", [*headers, length, *_PROTECTION, *_quota(environ)])
        return [text]

    def _plain_body(self, environ: "WSGIEnvironment") -> bytes | None:
        """The body of a small POST that may be for the lane; None if it is not."""
        length = environ.get("CONTENT_LENGTH") or ""
        if (
            environ["REQUEST_METHOD"] != "POST"
            or not environ["PATH_INFO"].endswith(("/predict", "/infer"))
            or environ.get("QUERY_STRING")
            or len(length) > 4
            or not length.isdecimal()
            or not 0 < int(length) <= self._longest
            or any(name in environ for name in _SPECIAL)
        ):
            return None
        body = self._services.readers.read_small(environ, int(length))
        environ["wsgi.input"] = io.BytesIO(body)  # for Flask
        return body if len(body) == int(length) else None

    def _predict(self, environ: "WSGIEnvironment", body: bytes) -> Answer | None:
        path = _PREDICT.fullmatch(environ["PATH_INFO"])
        inputs = path and environ.get("CONTENT_TYPE") == JSON and fast_inputs(body)
        if not path or not isinstance(inputs, Inputs) or (path[1] and inputs.epoch):
            return None
        if wants_npy(environ):
            return None
        environ[ROUTE] = f"/v1/{'models/<name>' if path[1] else 'jobs/<job_id>'}/predict"
        visitor = self._access.admit(environ, Scope.PREDICT)
        if path[1]:
            served = model_for(visitor, self._services.served_models, path[1])
        else:
            environ[JOB_ID] = path[2]
            self._access.check_job(visitor, path[2])
            served = self._services.served_jobs.get(path[2], inputs.epoch)
        check_rows(len(inputs.rows), self._services.settings, binary=False)
        outputs, bounds = predicted(served, inputs.rows)
        count_prediction(len(outputs))
        value = {**served.described(), "outputs": outputs, "error_bounds": bounds}
        return orjson.dumps(value), [("Content-Type", JSON)]

    def _infer(self, environ: "WSGIEnvironment", body: bytes) -> Answer | None:
        path = _INFER.fullmatch(environ["PATH_INFO"])
        if not path or environ.get("HTTP_ACCEPT_ENCODING", "identity") != "identity":
            return None
        versioned = "/versions/<version>" if path[2] else ""
        environ[ROUTE] = f"/v2/models/<model>{versioned}/infer"
        visitor = self._access.admit(environ, Scope.PREDICT)
        served = find_for(visitor, self._access, self._services, path[1], path[2])
        json_length = environ.get("HTTP_INFERENCE_HEADER_CONTENT_LENGTH")
        wanted = read(body, json_length, len(served.source.weights))
        settings = self._services.settings
        check_rows(len(wanted.rows), settings, binary=wanted.binary_rows)
        return inferred(path[1], served, wanted)


def _quota(environ: "WSGIEnvironment") -> Iterable[tuple[str, Any]]:
    quota = environ.get(QUOTA)
    return quota.headers.items() if quota else ()


def register(app: Flask) -> None:
    """Put the lane in front of the application."""
    access, services = app.extensions["neuron.access"], app.extensions["neuron"]
    app.wsgi_app = FastLane(app.wsgi_app, access, services)  # type: ignore[method-assign]
