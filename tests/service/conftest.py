"""What several files of tests share: a browser, a job to look at, a service that may die."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser

from chaos.service import Service
from chaos.verdict import judge
from chaos.workload import Ledger, Promise
from standalone import Program
from standalone.stack import Stack, worker_and_api
from tests.conftest import Http, eventually
from tests.service.browser import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def published(stack: Stack) -> Any:
    """The published run, which has ended; nobody may change it."""
    with Http(stack.url) as http:
        return http.run_job({"name": "published run"})


class Doomed:
    """The service, what it has promised so far, and the points at which it is to die."""

    def __init__(self, service: Service, http: Http, points: Path) -> None:
        self.service, self.http, self.store = service, http, service.store()
        self.ledger = Ledger()
        self._points = points

    def plan(self, *points: str, passes: int = 0) -> None:
        """Crash at these points in turn, at the first one only when it was passed before."""
        script = [(points[0], False)] * passes + [(point, True) for point in points]
        new = self._points.with_name("plan")
        new.write_text(json.dumps(script))
        new.replace(self._points)

    def create(self, body: dict[str, Any]) -> str:
        """Create a job, however often that takes."""
        key = uuid.uuid4().hex
        job_id: str = eventually(lambda: self.try_to_create(key, body), "acknowledged")
        return job_id

    def try_to_create(self, key: str, body: dict[str, Any]) -> str | None:
        """The id of a job that is acknowledged at once."""
        try:
            answer = self.http.post("/v1/jobs", json=body, headers={"Idempotency-Key": key})
        except requests.RequestException:
            return None
        if answer.status_code != 202:
            return None
        job_id: str = answer.json()["id"]
        self.ledger.promises[job_id] = Promise(key, body, job_id)
        return job_id

    def all_met(self) -> bool:
        """Whether no point is left."""
        found: list[Any] = json.loads(self._points.read_text())
        return found == []

    def check(self) -> None:
        """All points were met, and every promise was kept."""
        # A point after a write is passed a moment after others can see what was written.
        eventually(self.all_met, "all points are met")
        for job_id in self.ledger.promises:
            self.http.await_end(job_id)
        assert judge(self.ledger, self.store, self.service.url).violations == []


def doomed_programs(host: str, port: int) -> Iterator[Program]:
    for program in worker_and_api(host, port):
        python, option, *rest = program.command
        yield replace(program, command=(python, option, "tests.service.crashing", *rest))


@pytest.fixture(scope="session")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doomed]:
    points = tmp_path_factory.mktemp("doomed") / "points"
    points.write_text("[]")
    environment = {
        "CRASH_FILE": str(points),
        "NEURON_LEASE_SECONDS": "0.5",
        "NEURON_MAX_CLAIMS": "3",
    }
    with (
        Service(environment=environment, programs=doomed_programs) as service,
        Http(service.url) as http,
    ):
        yield Doomed(service, http, points)
