"""Redis gone, frozen or unfit: 503 within 3 s, nothing lost, and all recovers by itself."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from benchmarks.serving import one_process
from standalone import redis_server
from tests.conftest import Http, eventually, running
from tests.service.test_bad_input import check_problem
from tests.service.test_jobs import SMALL
from tests.service.test_lifecycle import MEDIUM, results, start

ROOT = Path(__file__).parents[2]


class OwnRedis:
    """A Redis that is not the service's: nobody starts it again but the test."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder, self._options = folder, options
        self.url = f"unix://{folder / 'redis.sock'}"
        self.start()

    def start(self) -> None:
        command = redis_server.find().command(self._folder, self._folder / "redis.sock")
        self._process = subprocess.Popen([*command, *self._options], stdout=subprocess.DEVNULL)
        eventually(lambda: redis_server.answers(self.url), "Redis")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRedis]:
    own = OwnRedis(tmp_path_factory.mktemp("redis"))
    yield own
    own.kill()


@pytest.fixture(scope="module")
def http(redis: OwnRedis) -> Iterator[Http]:
    limits = {"NEURON_RATE_LIMIT_JOBS": "999999", "NEURON_RATE_LIMIT_PREDICT": "999999"}
    settings = {"NEURON_LEASE_SECONDS": "2", **limits}
    with running(settings, redis_url=redis.url) as stack, Http(stack.url) as session:
        yield session


#: Routes that answer from the process alone, and count no requests.
LOCAL = ("/healthz", "/openapi.json", "/metrics", "/v2/health/live")
ROWS = {"inputs": [[1, 2]]}
TENSOR = {"name": "input", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}


def body_of(path: str) -> Any:
    """What the route takes."""
    if path.endswith("/infer"):
        return {"inputs": [TENSOR]}
    if path.endswith("/predict"):
        return ROWS
    return {"job_id": "0" * 32} if path == "/v1/models/{name}" else {}


def every_route(http: Http) -> list[tuple[str, str, Any]]:
    """Every route of the document that needs Redis, with a body where one is needed."""
    paths = http.get("/openapi.json").json()["paths"]
    filled = {"{job_id}": "0" * 32, "{model}": "0" * 32, "{name}": "add", "{version}": "1"}
    found = []
    for path, item in paths.items():
        url = path
        for name, value in filled.items():
            url = url.replace(name, value)
        found += [(m.upper(), url, body_of(path)) for m in item if path not in LOCAL]
    return found


def names_are_stale(base: str) -> bool:
    """Whether no API process answers from what it knew of the models any more."""

    def status() -> int:
        with Http(base) as http:
            return http.post("/v1/models/add/predict", json=ROWS).status_code

    return all(status() == 503 for _ in range(10))


def soon(ask: Callable[[], requests.Response]) -> requests.Response:
    """An answer within 3 seconds; the machine may be busy once, but not each time."""
    answers: list[requests.Response] = []

    def is_soon() -> bool:
        answers.append(ask())
        return answers[-1].elapsed.total_seconds() < 3

    eventually(is_soon, "an answer in 3 s")
    return answers[-1]


def check_says_503_soon(ask: Callable[[], requests.Response]) -> None:
    answer = soon(ask)
    problem = check_problem(answer, 503)
    assert int(answer.headers["Retry-After"]) >= 1
    assert "Redis" in problem["detail"] or "store" in problem["detail"]


def check_route(base: str, method: str, path: str, body: Any) -> None:
    given = body if method in ("POST", "PUT") else None
    with Http(base) as http:
        for _ in range(2):
            check_says_503_soon(lambda: http.request(method, path, json=given))


def is_ready(http: Http) -> bool:
    try:
        return http.get("/readyz").ok
    except requests.RequestException:
        return False


@pytest.fixture(scope="module")
def expected(http: Http) -> list[dict[str, Any]]:
    return results(http, http.run_job(MEDIUM)["id"])


@pytest.mark.parametrize("how", ["frozen", "killed"])
def test_every_route_says_503_and_all_goes_on_when_redis_is_back(
    http: Http, redis: OwnRedis, expected: list[dict[str, Any]], how: str
) -> None:
    job_id = start(http, MEDIUM, epochs=1)
    routes = every_route(http)
    redis.send(signal.SIGSTOP) if how == "frozen" else redis.kill()
    try:
        eventually(lambda: names_are_stale(http.base), "named models, kept for a second, given up")
        with ThreadPoolExecutor(24) as pool:
            list(pool.map(lambda route: check_route(http.base, *route), routes))
        for path in LOCAL:
            assert soon(partial(http.get, path)).status_code == 200, path
    finally:
        redis.send(signal.SIGCONT) if how == "frozen" else redis.start()
    eventually(lambda: is_ready(http), "ready")
    assert all(http.get(path).status_code == 200 for path in (*LOCAL, "/readyz", "/v2", "/v1/jobs"))
    assert http.run_job(SMALL)["status"] == "succeeded"
    assert http.await_end(job_id)["status"] == "succeeded"
    assert results(http, job_id) == expected


@pytest.mark.parametrize("how", ["frozen", "killed"])
def test_metrics_say_that_redis_is_away(http: Http, redis: OwnRedis, how: str) -> None:
    redis.send(signal.SIGSTOP) if how == "frozen" else redis.kill()
    try:
        for _ in range(3):
            answer = soon(lambda: http.get("/metrics"))
            assert answer.status_code == 200
            assert "\nneuron_redis_up 0.0\n" in answer.text
            assert "neuron_requests_total{" in answer.text
            assert "neuron_workers" not in answer.text
    finally:
        redis.send(signal.SIGCONT) if how == "frozen" else redis.start()
    eventually(lambda: is_ready(http), "ready")
    assert "\nneuron_redis_up 1.0\n" in http.get("/metrics").text


def test_a_redis_that_may_evict_is_refused_at_start(tmp_path: Path) -> None:
    own = OwnRedis(tmp_path, "--maxmemory-policy", "allkeys-lru")
    commands = {
        "worker": ["celery", "-A", "worker.app", "worker", "--concurrency", "1"],
        "api": ["granian", "--interface", "wsgi", "--factory", "--port", "0", "api:create_app"],
    }
    try:
        for name, command in commands.items():
            ran = subprocess.run(
                [sys.executable, "-m", *command], cwd=ROOT, check=False,
                env={**os.environ, "NEURON_REDIS_URL": own.url}, capture_output=True, text=True,
            )  # fmt: skip
            assert ran.returncode != 0, name
            assert "noeviction" in ran.stdout + ran.stderr, name
    finally:
        own.kill()


def heard(lines: list[str], name: str, line: str) -> None:
    lines.append(f"{name} {line}")


def test_a_redis_without_append_only_file_is_warned_of(tmp_path: Path) -> None:
    own = OwnRedis(tmp_path, "--appendonly", "no")
    lines: list[str] = []
    try:
        echo = partial(heard, lines)
        with running(redis_url=own.url, programs=one_process, echo=echo):
            pass
    finally:
        own.kill()
    for name in ("api", "worker"):
        assert any(line.startswith(name) and "append-only" in line for line in lines)
