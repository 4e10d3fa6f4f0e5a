"""The clients: they create many kinds of jobs, disturb and watch some, and note the promises."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import requests

from chaos.expected import Json

#: How long a client waits for an answer before it asks again.
PATIENCE_SECONDS = 4.0
#: Statuses that only say that the effect is unknown or not possible now.
TRY_AGAIN = {429, 503}
ENDS = {"succeeded", "failed", "cancelled"}


def _slowly(rate: float) -> Json:
    """A rate so small that the weights never forget: no mistake is trained away."""
    return {"learning_rate": {"schedule": "constant", "rate": rate}}


DIVERGING: Json = {
    "dataset": {"training_size": 4000, "test_size": 100},
    "hyperparameters": {"learning_rate": {"schedule": "constant", "rate": 1.5e-4}},
}
#: A second of training.
MEDIUM: Json = {
    "dataset": {"training_size": 4_000_000, "generator": "pcg64"},
    "hyperparameters": {"epochs": 25, "regularization": {"kind": "none"}, **_slowly(1e-12)},
}
#: Epochs of several chunks, with checkpoints between their rows when the machine is busy.
LONG: Json = {
    "dataset": {"training_size": 10_000_000, "generator": "pcg64"},
    "hyperparameters": {"epochs": 30, **_slowly(1e-12)},
}
#: Kinds of jobs and how often they are posted.
Kinds = tuple[tuple[int, Json], ...]
KINDS: Kinds = (
    (4, {"dataset": {"training_size": 100, "test_size": 10}, "hyperparameters": {"epochs": 3}}),
    (3, {"dataset": {"training_size": 500, "test_size": 100},
         "hyperparameters": {"epochs": 3000, **_slowly(1e-10)}}),
    (3, {"dataset": {"training_size": 200_000, "generator": "pcg64", "input_size": 9},
         "hyperparameters": {"epochs": 40, "regularization": {"kind": "l2"}, **_slowly(1e-11)}}),
    (3, {"dataset": {"training_size": 300_000}, "hyperparameters": {"epochs": 60}}),
    (2, MEDIUM),
    (1, LONG),
    (2, DIVERGING),
)  # fmt: skip
SEEDS: tuple[int | str, ...] = (2017, "neuron")


@dataclass
class Promise:
    """A job as its creator knows it.

    Attributes:
        body: what was posted, under the idempotency key.
        job_id: that the first 2xx named.
        cancelled: whether a cancel was answered with 200.
    """

    key: str
    body: Json
    job_id: str
    cancelled: bool = False


@dataclass
class Ledger:
    """What the service has promised to the clients, and what was wrong at once."""

    promises: dict[str, Promise] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)
    requests: int = 0
    retries: int = 0


class Clients:
    """Threads that use the service until `stop`, and finish what they have begun then.

    Args:
        url: of the service.
        seed: determines what each of them does.
        count: of threads.
        kinds: of jobs, with their weights.
    """

    def __init__(self, url: str, seed: int, count: int = 4, kinds: Kinds = KINDS) -> None:
        self.ledger, self._kinds = Ledger(), kinds
        self._stopping = threading.Event()
        self._giving_up = threading.Event()
        self._url, self._seed = url, seed
        clients = [self.another(number) for number in range(count)]
        self._threads = [
            threading.Thread(target=client.run, name="client", daemon=True) for client in clients
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Create no more jobs."""
        self._stopping.set()

    def join(self, deadline: float) -> bool:
        """Wait until all jobs have been seen to end; whether they did in time."""
        rest = self.another("rest")
        watcher = threading.Thread(target=rest.watch_all, name="client", daemon=True)
        watcher.start()
        self._threads.append(watcher)
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        self._giving_up.set()
        return not any(thread.is_alive() for thread in self._threads)

    def another(self, name: object) -> "Client":
        """A client with the same ledger whose acts are left to the caller."""
        full = f"{self._seed}-{name}"
        stops = (self._stopping, self._giving_up)
        return Client(self._url, full, self.ledger, self._kinds, *stops)


class Client:
    """One client; its acts follow from its name."""

    def __init__(
        self,
        url: str,
        name: str,
        ledger: Ledger,
        kinds: Kinds,
        stopping: threading.Event,
        giving_up: threading.Event,
    ) -> None:
        self._url, self._name, self._ledger = url, name, ledger
        self._stopping, self._giving_up = stopping, giving_up
        self._kinds = kinds
        self._random = random.Random(name)
        self._number = 0

    def run(self) -> None:
        """Live: job after job."""
        try:
            while not self._stopping.is_set():
                self._live()
        except _GaveUp:
            return
        except Exception as error:  # whatever it is, the run must not pass
            self._complain(f"client {self._name} met {error!r}")

    def watch_all(self) -> None:
        """Look at every job that no one has seen to end."""
        promises = list(self._ledger.promises.values())
        with suppress(_GaveUp):
            for promise in promises:
                if promise.job_id not in self._ledger.ended:
                    self._watch(promise)

    def _live(self) -> None:
        promises = [self.create(self._pick()) for _ in range(self._random.randint(1, 3))]
        act = self._random.choices([self._cancel, self._pause, self._repeat, None], [2, 2, 2, 6])[0]
        if act:
            self._stopping.wait(self._random.uniform(0, 1.5))
            act(self._random.choice(promises))
        for promise in promises:
            self._watch(promise)

    def _pick(self) -> Json:
        weights, bodies = zip(*self._kinds, strict=True)
        body: Json = self._random.choices(bodies, weights)[0]
        return {**body, "dataset": {**body["dataset"], "seed": self._random.choice(SEEDS)}}

    def create(self, body: Json) -> Promise:
        """Post a job until it is acknowledged, always under the same key."""
        self._number += 1
        key = f"{self._name}-{self._number}"
        response = self._insist(
            lambda: self._send("POST", "/v1/jobs", json=body, headers={"Idempotency-Key": key}),
            {200, 202},
        )
        promise = Promise(key, body, response.json()["id"])
        self._ledger.promises[promise.job_id] = promise
        return promise

    def _repeat(self, promise: Promise) -> None:
        headers = {"Idempotency-Key": promise.key}
        same = self._insist(
            lambda: self._send("POST", "/v1/jobs", json=promise.body, headers=headers), {200, 202}
        )
        if same.json()["id"] != promise.job_id:
            self._complain(f"key {promise.key} gave {promise.job_id}, then {same.json()['id']}")
        other = {**promise.body, "name": "another body"}
        self._insist(lambda: self._send("POST", "/v1/jobs", json=other, headers=headers), {422})

    def _cancel(self, promise: Promise) -> None:
        response = self._insist(self._action(promise, "cancel"), {200, 409})
        if response.status_code == 200:
            promise.cancelled = True
            if response.json()["status"] != "cancelled":
                self._complain(f"job {promise.job_id}: the cancel was answered with another status")

    def _pause(self, promise: Promise) -> None:
        self._insist(self._action(promise, "pause"), {200, 409})
        self._stopping.wait(self._random.uniform(0, 2))
        self._insist(self._action(promise, "resume"), {200, 409})

    def _action(self, promise: Promise, name: str) -> Callable[[], requests.Response]:
        return lambda: self._send("POST", f"/v1/jobs/{promise.job_id}/{name}")

    def _watch(self, promise: Promise) -> None:
        """Look at the job until it has ended; it only ever goes on."""
        path = f"/v1/jobs/{promise.job_id}"
        epoch, status = 0, ""
        while status not in ENDS:
            self._giving_up.wait(self._random.uniform(0.1, 0.4))
            job = self._insist(lambda: self._send("GET", path), {200}).json()
            if job["progress"]["epoch"] < epoch:
                self._complain(f"job {promise.job_id} went back from epoch {epoch}")
            if promise.cancelled and job["status"] != "cancelled":
                self._complain(f"job {promise.job_id} was cancelled and is {job['status']}")
            epoch, status = job["progress"]["epoch"], job["status"]
        self._ledger.ended.add(promise.job_id)

    def _insist(self, ask: Callable[[], requests.Response], wanted: set[int]) -> requests.Response:
        """Ask until the answer is certain.

        Raises:
            _GaveUp
        """
        while not self._giving_up.is_set():
            with suppress(requests.RequestException):
                response = ask()
                if response.status_code in wanted:
                    return response
                self._check_refusal(response)
            self._ledger.retries += 1
            self._giving_up.wait(self._random.uniform(0.05, 0.3))
        raise _GaveUp

    def _send(self, method: str, path: str, **how: Any) -> requests.Response:
        self._ledger.requests += 1
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, self._url + path, timeout=PATIENCE_SECONDS, **how)

    def _check_refusal(self, response: requests.Response) -> None:
        if response.status_code not in TRY_AGAIN or "Retry-After" not in response.headers:
            line = f"{response.request.method} {response.request.path_url}"
            self._complain(f"{line} was answered {response.status_code}: {response.text[:200]}")
            raise _GaveUp

    def _complain(self, violation: str) -> None:
        self._ledger.violations.append(violation)


class _GaveUp(Exception):
    """The run is over."""
