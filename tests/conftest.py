"""The real service for the tests: one Redis, one worker and one API for the whole session."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import psutil
import pytest
import requests
from hypothesis import HealthCheck, settings

from shared.settings import Settings
from shared.store import Store
from standalone.stack import Stack
from worker.warmup import warm_up

# Short: the same examples in every run, so that each gives the same verdict; long: always others.
# Neither judges how fast the machine is.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("short", patient, max_examples=50, derandomize=True)
settings.register_profile("long", patient, max_examples=2000)
settings.load_profile("short")
pytest.register_assert_rewrite("tests.service.browser")


#: The longest first, or they would run alone at the end.
FIRST = (
    "test_standalone", "test_lifecycle", "test_brokers", "test_dashboard", "test_crash_points",
    # Each process gets two files at first: behind those, short ones.
    "test_bad_input", "test_documents", "test_jobs", "test_predict", "test_models",
    "test_redis_away", "test_schemathesis", "test_events",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(FIRST)))


def pytest_sessionstart(session: pytest.Session) -> None:
    # Who runs in the background may ignore Ctrl-C, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if session.config.getoption("numprocesses", None):
        warm_up()  # or several processes would compile the kernel at the same time


def eventually(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """The first true value of the condition; fails when there is none within the deadline.

    A deadline only bounds how long a failure takes: it is far beyond what a busy machine needs.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return value


def required(*names: str) -> str:
    """A command of the system; without any of these names the test is skipped, and fails in CI."""
    found = next(filter(None, map(shutil.which, names)), "")
    if not found:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{names[0]} is not installed")
    return found


@contextmanager
def running(settings: Mapping[str, str] | None = None, **options: Any) -> Iterator[Stack]:
    """A service with such settings, killed at the end: stopping takes seconds."""
    with Stack(environment={**os.environ, **(settings or {})}, **options) as stack:
        yield stack
        stack.kill()


def children(stack: Stack, name: str) -> list[psutil.Process]:
    """The processes that a program of the service has started."""
    return psutil.Process(stack.process(name).pid).children()


def kill_children(stack: Stack, name: str) -> list[psutil.Process]:
    """Kill those processes; one that a program ends in this moment is dead as well."""
    killed = children(stack, name)
    for child in killed:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    return killed


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole service on free ports, with data of its own."""
    with running() as stack:
        yield stack


class Http(requests.Session):
    """A session whose URLs begin at the service."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base
        self.trust_env = False

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        options.setdefault("timeout", 60)
        return super().request(method, f"{self.base}{url}", *args, **options)

    def run_job(self, body: dict[str, Any]) -> dict[str, Any]:
        """Create a job and return it when it has ended."""
        answer = self.post("/v1/jobs", json=body, headers={"Prefer": "wait=30"})
        assert answer.ok, answer.text
        job: dict[str, Any] = answer.json()
        return job if job["ended_at"] else self.await_end(job["id"])

    def await_end(self, job_id: str) -> dict[str, Any]:
        """The job when it has ended; the service may be disturbed until then."""

        def look() -> Any:
            with suppress(requests.RequestException):
                answer = self.get(f"/v1/jobs/{job_id}")
                return answer.ok and answer.json()["ended_at"] and answer.json()

        job: dict[str, Any] = eventually(look, "the end")
        return job

    def await_model(self, name: str) -> None:
        """Wait until every process serves the model: a connection stays with its one."""
        ready, new = f"/v2/models/{name}/ready", {"Connection": "close"}
        eventually(
            lambda: all(self.get(ready, headers=new).ok for _ in range(20)), "the model is served"
        )


@pytest.fixture
def http(stack: Stack) -> Iterator[Http]:
    """A client that knows nothing of the project."""
    with Http(stack.url) as session:
        yield session


@pytest.fixture
def store(stack: Stack) -> Iterator[Store]:
    """The service's job store, from inside."""
    store = Store(Settings(redis_url=stack.redis_url))
    yield store
    store.redis.close()


@pytest.fixture
def lonely(stack: Stack) -> Iterator[Store]:
    """A store without workers, in another database of the same Redis."""
    store = Store(Settings(redis_url=f"{stack.redis_url}?db=7", lease_seconds=0.5))
    store.redis.flushdb()
    yield store
    store.redis.flushdb()
    store.redis.close()
