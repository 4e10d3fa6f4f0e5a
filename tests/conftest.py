"""The real service for the tests: one Redis, one worker and one API for the whole session."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from shared.settings import Settings
from shared.store import Store
from standalone.stack import Stack


def eventually(condition: Callable[[], Any], what: str, seconds: float = 15) -> Any:
    """The first true value of the condition; fails when there is none within the deadline."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return value


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole service on free ports, with data of its own."""
    with Stack() as running:
        yield running


class Http(requests.Session):
    """A session whose URLs begin at the service."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base
        self.trust_env = False

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        options.setdefault("timeout", 30)
        return super().request(method, f"{self.base}{url}", *args, **options)

    def run_job(self, body: dict[str, Any]) -> dict[str, Any]:
        """Create a job and return it when it has ended."""
        answer = self.post("/v1/jobs", json=body, headers={"Prefer": "wait=30"})
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        return job


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
