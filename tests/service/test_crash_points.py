"""SIGKILL at each point between two steps that belong together: the job ends once, to the bit."""

import signal
from contextlib import suppress
from typing import Any

import pytest

from chaos.workload import DIVERGING, MEDIUM
from tests.conftest import eventually
from tests.service.conftest import Doomed

SHORT: dict[str, Any] = {
    "dataset": MEDIUM["dataset"],
    "hyperparameters": {**MEDIUM["hyperparameters"], "epochs": 5},
}


@pytest.mark.parametrize(
    ("point", "passes"),
    [
        ("before claim", 0), ("after claim", 0), ("after begin", 0),
        ("before checkpoint", 2), ("after checkpoint", 2),
        ("before commit", 1), ("after commit", 1),
        ("before final commit", 0), ("after final commit", 0),
    ],
)  # fmt: skip
def test_a_worker_that_dies_there_changes_nothing(doomed: Doomed, point: str, passes: int) -> None:
    doomed.plan(point, passes=passes)
    assert doomed.http.await_end(doomed.create(SHORT))["status"] == "succeeded"
    doomed.check()


@pytest.mark.parametrize("point", ["before fail", "after fail"])
def test_a_diverging_job_whose_worker_dies_at_its_end_has_diverged(
    doomed: Doomed, point: str
) -> None:
    doomed.plan(point)
    assert doomed.http.await_end(doomed.create(DIVERGING))["error"]["code"] == "diverged"
    doomed.check()


def test_a_sweeper_that_dies_before_it_tells_of_a_lost_job_does_not_lose_it(
    doomed: Doomed,
) -> None:
    doomed.plan("after claim", "after sweep")
    doomed.http.await_end(doomed.create(SHORT))
    doomed.check()


def test_a_worker_that_dies_while_it_hands_its_job_back_does_not_lose_it(doomed: Doomed) -> None:
    doomed.plan("before release")

    def stop_the_workers() -> bool:
        job_id = doomed.create(MEDIUM)
        eventually(lambda: doomed.store.get(job_id).epoch > 0, "an epoch")
        for name in doomed.service.workers:
            with suppress(ProcessLookupError):  # it has not come back from the last time
                doomed.service.stack.process(name).send(signal.SIGTERM)
        doomed.http.await_end(job_id)
        return doomed.all_met()  # not by a job that had ended before

    eventually(stop_the_workers, "stopped while one trains")
    doomed.check()


@pytest.mark.parametrize("point", ["after accept", "after publish"])
def test_an_api_that_dies_there_makes_one_job_when_asked_again(doomed: Doomed, point: str) -> None:
    doomed.plan(point)
    doomed.http.await_end(doomed.create(SHORT))
    doomed.check()


def test_a_job_that_kills_every_worker_in_its_first_rows_is_given_up(doomed: Doomed) -> None:
    doomed.plan(*["after begin"] * 3)
    job_id = doomed.create(SHORT)
    job = doomed.http.await_end(job_id)
    del doomed.ledger.promises[job_id]
    doomed.store.delete(job_id)
    assert (job["status"], (job["error"] or {}).get("code")) == ("failed", "worker_lost")
    doomed.check()
