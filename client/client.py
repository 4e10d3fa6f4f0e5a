"""``NeuronClient``: the REST service as Python methods."""

from __future__ import annotations

import math
import os
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, TypedDict, TypeVar, Unpack
from urllib.parse import quote

import requests

from client.errors import JobFailed, UnexpectedAnswer, WaitTimeout
from client.events import Event, Watch
from client.results import (
    Epoch,
    EpochPage,
    Forecast,
    Job,
    JobPage,
    Model,
    ModelList,
    Prediction,
    StepPage,
    decode,
)
from client.transport import Timeout, Transport

Result = TypeVar("Result")

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
#: How long the service itself waits for a worker's answer.
ANSWER_SECONDS = 10.0


class JobFields(TypedDict, total=False):
    """What a job is made of; what is left out, or None, is as in the published run."""

    dataset: Mapping[str, object] | None
    hyperparameters: Mapping[str, object] | None
    name: str | None
    metadata: Mapping[str, str] | None
    priority: str | None
    time_limit_seconds: float | None
    webhook: Mapping[str, str] | None


class NeuronClient:
    """The training service at ``base_url``. One client for one thread.

    Requests may be repeated without harm (a create carries an Idempotency-Key; for the exception
    see ``roll_back_model``), so each is retried up to ``retries`` times when the connection fails
    or times out, or the answer is cut short, 429, 502, 503 or 504: at once, then after
    exponentially growing pauses with jitter, or when Retry-After says (unless it says more than
    a minute: then the refusal is raised).
    ``timeout`` is in seconds: one for connecting and for reading, or a pair.

    ``api_key`` comes from the environment's ``NEURON_API_KEY`` if left out; "" sends none.

    Raises ValueError for a ``base_url`` or an ``api_key`` that is none; the methods raise
    ``NeuronError``.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        timeout: Timeout = 10.0,
        retries: int = 5,
        *,
        api_key: str | None = None,
    ) -> None:
        key = os.environ.get("NEURON_API_KEY") if api_key is None else api_key
        self._transport = Transport(base_url, timeout, retries, key)

    @property
    def base_url(self) -> str:
        """The service's address, without a slash at its end."""
        return self._transport.base_url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def create_job(
        self,
        *,
        idempotency_key: str | None = None,
        wait: int | None = None,
        **job: Unpack[JobFields],
    ) -> Job:
        """Post a job; what is left out is as in the published run.

        Retries send the same key, so that they cannot make a second job. After an error whose
        effect is unknown (``ConnectionFailed``, ``Unavailable``) it is safe to call again with
        the same ``idempotency_key``. With ``wait``, the service answers when the job has ended
        or after so many seconds.

        Raises ValueError for a key that is not visible ASCII, or for numbers that are not finite.
        """
        return self._created("/v1/jobs", idempotency_key, wait, body=_body(job))

    def forecast(self, **job: Unpack[JobFields]) -> Forecast:
        """What such a job would come to: a forecast, without training and without a job."""
        query = {"dry_run": "true"}
        how = {"body": _body(job), "query": query, "patience": ANSWER_SECONDS}
        return self._asked(Forecast, "POST", "/v1/jobs", **how)

    def list_jobs(
        self,
        *,
        status: Iterable[str] = (),
        metadata: Mapping[str, str] | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> JobPage:
        """One page of the jobs in any of these states and with all of these metadata."""
        query: dict[str, object] = {"status": list(status), "limit": limit, "after": after}
        query |= {f"metadata.{key}": value for key, value in (metadata or {}).items()}
        return self._asked(JobPage, "GET", "/v1/jobs", query=query)

    def iter_jobs(
        self,
        *,
        status: Iterable[str] = (),
        metadata: Mapping[str, str] | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """All of these jobs, newest first, fetched ``limit`` at a time."""
        states, after, more = tuple(status), None, True
        while more:
            page = self.list_jobs(status=states, metadata=metadata, limit=limit, after=after)
            yield from page.jobs
            after, more = page.next, page.has_more and page.next is not None

    def get_job(self, job_id: str) -> Job:
        """The job as it stands now."""
        return self._asked(Job, "GET", _path(job_id))

    def epochs(self, job_id: str, *, after: int = 0, limit: int | None = None) -> EpochPage:
        """One page of the epochs committed so far, from the one following ``after``."""
        query = {"after": after or None, "limit": limit}
        return self._asked(EpochPage, "GET", _path(job_id, "epochs"), query=query)

    def iter_epochs(
        self, job_id: str, *, after: int = 0, limit: int | None = None
    ) -> Iterator[Epoch]:
        """All the epochs committed so far, fetched ``limit`` at a time."""
        more = True
        while more:
            page = self.epochs(job_id, after=after, limit=limit)
            yield from page.epochs
            after, more = page.next or 0, page.has_more and page.next is not None

    def steps(
        self, job_id: str, *, epoch: int = 1, step: int = 1, count: int = 1, every: int = 1
    ) -> StepPage:
        """Every number of ``count`` steps of an epoch, from ``step`` on, each ``every``-th.

        Epochs and steps are counted from 1. Raises ``Conflict`` for what is not trained yet.
        """
        query = {"epoch": epoch, "step": step, "count": count, "every": every}
        path = _path(job_id, "steps")
        return self._asked(StepPage, "GET", path, query=query, patience=ANSWER_SECONDS)

    def watch(self, job_id: str, after: str | None = None) -> Iterator[Event]:
        """What has happened to the job and what happens, live, until it has ended.

        ``after`` is the id of an event: only what follows it. When the connection breaks or falls
        silent, or the service is away for up to a minute, this goes on where it was, without a
        gap or a repeat; while the service has no stream to spare, it polls every second.
        """
        return Watch(self._transport, _path(job_id, "events"), after).events()

    def wait(
        self,
        job_id: str,
        timeout: float | None = None,
        on_progress: Callable[[Job], object] | None = None,
    ) -> Job:
        """The job once it has succeeded; ``on_progress`` gets it whenever it has changed.

        Raises ``JobFailed`` when it ends otherwise, ``WaitTimeout`` after ``timeout`` seconds
        (a request under way then, with its own timeout and retries, is finished first).
        """
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        job, etag, pause = None, None, FIRST_PAUSE_SECONDS
        while True:
            fresh, etag = self._changed(job_id, etag)
            if fresh is not None:
                job = fresh
                if on_progress:
                    on_progress(job)
                if job.ended:
                    return _succeeded(job)
            left = deadline - time.monotonic()
            if timeout is not None and left <= 0:
                raise WaitTimeout(job_id, timeout, job)
            time.sleep(min(pause, left))
            pause = min(1.5 * pause, LONGEST_PAUSE_SECONDS)

    def cancel(self, job_id: str) -> Job:
        """Cancel the job for good. Raises ``Conflict`` when it has ended otherwise."""
        return self._asked(Job, "POST", _path(job_id, "cancel"))

    def pause(self, job_id: str) -> Job:
        """Stop training; what is committed stays. Raises ``Conflict`` when the job has ended."""
        return self._asked(Job, "POST", _path(job_id, "pause"))

    def resume(self, job_id: str) -> Job:
        """Go on with a paused job. Raises ``Conflict`` when it has ended."""
        return self._asked(Job, "POST", _path(job_id, "resume"))

    def retry(self, job_id: str) -> Job:
        """Queue a failed job again, to go on after its last commit.

        Raises ``Conflict`` when it has not failed, ``TooManyRequests`` when too many are open.
        """
        return self._asked(Job, "POST", _path(job_id, "retry"))

    def verify(
        self, job_id: str, *, idempotency_key: str | None = None, wait: int | None = None
    ) -> Job:
        """A new job that trains the committed epochs again and compares them, to the bit.

        It succeeds if they are the same, and fails with the code ``mismatch`` if not. Keys and
        ``wait`` as in ``create_job``. Raises ``Conflict`` when no epoch is committed.
        """
        return self._created(_path(job_id, "verify"), idempotency_key, wait)

    def delete(self, job_id: str) -> None:
        """Forget an ended job. Raises ``Conflict`` while it has not ended."""
        self._transport.send("DELETE", _path(job_id), gone_after_retry=True)

    def predict(
        self,
        job_id: str,
        inputs: Sequence[Sequence[float]],
        epoch: int | None = None,
        *,
        explain: bool = False,
    ) -> Prediction:
        """What the job's neuron makes of each row, with its last weights or an epoch's.

        With ``explain``, the weighted inputs that make up each output come too.

        Raises ``Conflict`` while the job has no weights, ValueError for numbers not finite.
        """
        chosen = {} if epoch is None else {"epoch": epoch}
        return self._predicted(_path(job_id, "predict"), inputs, explain, chosen)

    def put_model(self, name: str, job_id: str, epoch: int | None = None) -> Model:
        """Point a name at the weights of a job's last committed epoch, or of another one.

        The service answers by the new version within a second. Raises ``Conflict`` while the job
        has no such weights, ``BadRequest`` for a name that does not fit.
        """
        body: dict[str, object] = {"job_id": job_id}
        if epoch is not None:
            body["epoch"] = epoch
        return self._asked(Model, "PUT", _model_path(name), body=body)

    def list_models(self) -> tuple[Model, ...]:
        """All models, by name, with their current versions only."""
        return self._asked(ModelList, "GET", "/v1/models").models

    def get_model(self, name: str) -> Model:
        """The model, with its history."""
        return self._asked(Model, "GET", _model_path(name))

    def roll_back_model(self, name: str, version: int | None = None) -> Model:
        """Serve a version again, or what was served before the current one was put.

        Without ``version`` it is not retried, since doing it twice goes back twice. Raises
        ``Conflict`` when nothing was served before.
        """
        body = {} if version is None else {"version": version}
        path = _model_path(name, "rollback")
        return self._asked(Model, "POST", path, body=body, retried=version is not None)

    def delete_model(self, name: str) -> None:
        """Forget the model and its history; jobs keep their weights."""
        self._transport.send("DELETE", _model_path(name), gone_after_retry=True)

    def predict_with_model(
        self, name: str, inputs: Sequence[Sequence[float]], *, explain: bool = False
    ) -> Prediction:
        """As ``predict``, by the model's current version, or the one a second ago."""
        return self._predicted(_model_path(name, "predict"), inputs, explain)

    def ready(self) -> bool:
        """Whether the service answers and has a worker; asked once, without retries."""
        try:
            return self._transport.once("GET", "/readyz").ok
        except requests.RequestException:
            return False

    def _created(
        self, path: str, key: str | None, wait: int | None, body: Mapping[str, object] | None = None
    ) -> Job:
        sent = str(uuid.uuid4()) if key is None else checked_key(key)
        headers = {"Idempotency-Key": sent} | ({"Prefer": f"wait={wait}"} if wait else {})
        return self._asked(Job, "POST", path, body=body, headers=headers, patience=wait or 0)

    def _predicted(
        self,
        path: str,
        inputs: Sequence[Sequence[float]],
        explain: bool,
        chosen: Mapping[str, object] | None = None,
    ) -> Prediction:
        body = {"inputs": [list(row) for row in inputs], **(chosen or {})}
        query = {"explain": "true"} if explain else None
        return self._asked(Prediction, "POST", path, body=body, query=query)

    def _changed(self, job_id: str, etag: str | None) -> tuple[Job | None, str | None]:
        headers = {"If-None-Match": etag} if etag else {}
        response = self._transport.send("GET", _path(job_id), headers=headers)
        if response.status_code == requests.codes.not_modified:
            return None, etag
        return self._decoded(Job, response), response.headers.get("ETag")

    def _asked(self, kind: type[Result], method: str, path: str, **how: Any) -> Result:
        return self._decoded(kind, self._transport.send(method, path, **how))

    def _decoded(self, kind: type[Result], response: requests.Response) -> Result:
        try:
            result = decode(kind, response.json())
        except (ValueError, TypeError, AttributeError, KeyError, IndexError):
            result = None
        if not isinstance(result, kind):
            raise UnexpectedAnswer(self.base_url, response.status_code)
        return result


def checked_key(key: str) -> str:
    """``key``, if it can be an Idempotency-Key; raises ValueError if not."""
    if not re.fullmatch(r"[!#-~]{1,255}", key):
        rule = "1 to 255 visible ASCII characters, without spaces and quotation marks"
        raise ValueError(f"An idempotency key is made of {rule}.")
    return key


def _path(job_id: str, *rest: str) -> str:
    return "/".join(("/v1/jobs", quote(job_id, safe=""), *rest))


def _model_path(name: str, *rest: str) -> str:
    return "/".join(("/v1/models", quote(name, safe=""), *rest))


def _body(job: JobFields) -> dict[str, object]:
    """The fields that are given, as JSON has them."""
    return {
        field: dict(value) if isinstance(value, Mapping) else value
        for field, value in job.items()
        if value is not None
    }


def _succeeded(job: Job) -> Job:
    if job.status != "succeeded":
        raise JobFailed(job)
    return job
