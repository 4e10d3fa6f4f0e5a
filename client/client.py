"""``NeuronClient``: the REST service as Python methods."""

from __future__ import annotations

import math
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import requests

from client.errors import JobFailed, UnexpectedAnswer, WaitTimeout
from client.events import Event, Watch
from client.results import Epoch, EpochPage, Job, JobPage, Prediction, decode
from client.transport import Timeout, Transport

Result = TypeVar("Result")

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0


class NeuronClient:
    """The training service at ``base_url``. One client for one thread.

    Every request may be repeated without harm (a create carries an Idempotency-Key), so each is
    retried up to ``retries`` times when the connection fails or times out, or the answer is cut
    short, 429, 502, 503 or 504: at once, then after exponentially growing pauses with jitter, or
    when Retry-After says (unless it says more than a minute: then the refusal is raised).
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def create_job(
        self,
        *,
        dataset: Mapping[str, object] | None = None,
        hyperparameters: Mapping[str, object] | None = None,
        name: str | None = None,
        metadata: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        wait: int | None = None,
    ) -> Job:
        """Post a job; what is left out is as in the published run.

        Retries send the same key, so that they cannot make a second job. After an error whose
        effect is unknown (``ConnectionFailed``, ``Unavailable``) it is safe to call again with
        the same ``idempotency_key``. With ``wait``, the service answers when the job has ended
        or after so many seconds.

        Raises ValueError for a key that is not visible ASCII, or for numbers that are not finite.
        """
        given: dict[str, object] = {"name": name}
        parts = {"dataset": dataset, "hyperparameters": hyperparameters, "metadata": metadata}
        given.update((part, fields and dict(fields)) for part, fields in parts.items())
        key = str(uuid.uuid4()) if idempotency_key is None else checked_key(idempotency_key)
        response = self._transport.send(
            "POST",
            "/v1/jobs",
            body={part: value for part, value in given.items() if value is not None},
            headers={"Idempotency-Key": key} | ({"Prefer": f"wait={wait}"} if wait else {}),
            patience=wait or 0,
        )
        return self._decoded(Job, response)

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
        return self._decoded(JobPage, self._transport.send("GET", "/v1/jobs", query=query))

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
        return self._decoded(Job, self._transport.send("GET", _path(job_id)))

    def epochs(self, job_id: str, *, after: int = 0, limit: int | None = None) -> EpochPage:
        """One page of the epochs committed so far, from the one following ``after``."""
        query = {"after": after or None, "limit": limit}
        return self._decoded(
            EpochPage, self._transport.send("GET", _path(job_id, "epochs"), query=query)
        )

    def iter_epochs(
        self, job_id: str, *, after: int = 0, limit: int | None = None
    ) -> Iterator[Epoch]:
        """All the epochs committed so far, fetched ``limit`` at a time."""
        more = True
        while more:
            page = self.epochs(job_id, after=after, limit=limit)
            yield from page.epochs
            after, more = page.next or 0, page.has_more and page.next is not None

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
        return self._decoded(Job, self._transport.send("POST", _path(job_id, "cancel")))

    def delete(self, job_id: str) -> None:
        """Forget an ended job. Raises ``Conflict`` while it has not ended."""
        self._transport.send("DELETE", _path(job_id), gone_after_retry=True)

    def predict(
        self, job_id: str, inputs: Sequence[Sequence[float]], epoch: int | None = None
    ) -> Prediction:
        """What the job's neuron makes of each row, with its last weights or an epoch's.

        Raises ``Conflict`` while the job has no weights, ValueError for numbers not finite.
        """
        body: dict[str, object] = {"inputs": [list(row) for row in inputs]}
        if epoch is not None:
            body["epoch"] = epoch
        response = self._transport.send("POST", _path(job_id, "predict"), body=body)
        return self._decoded(Prediction, response)

    def ready(self) -> bool:
        """Whether the service answers and has a worker; asked once, without retries."""
        try:
            return self._transport.once("GET", "/readyz").ok
        except requests.RequestException:
            return False

    def _changed(self, job_id: str, etag: str | None) -> tuple[Job | None, str | None]:
        headers = {"If-None-Match": etag} if etag else {}
        response = self._transport.send("GET", _path(job_id), headers=headers)
        if response.status_code == requests.codes.not_modified:
            return None, etag
        return self._decoded(Job, response), response.headers.get("ETag")

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
    if not key or not all("!" <= letter <= "~" for letter in key):
        raise ValueError("An idempotency key is made of visible ASCII characters, without spaces.")
    return key


def _path(job_id: str, *rest: str) -> str:
    return "/".join(("/v1/jobs", quote(job_id, safe=""), *rest))


def _succeeded(job: Job) -> Job:
    if job.status != "succeeded":
        raise JobFailed(job)
    return job
