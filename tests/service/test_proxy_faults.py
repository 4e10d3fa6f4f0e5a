"""Lines to Redis that break, go silent, lose answers or are slow, one process's at a time."""

import uuid
from functools import partial

import pytest

from chaos.proxy import Fault
from chaos.workload import MEDIUM
from shared.job import Status
from tests.conftest import eventually
from tests.service.conftest import Doomed
from tests.service.test_jobs import SMALL
from tests.service.test_redis_away import check_says_503_soon

#: Silent for longer than a lease: the job is taken from the worker.
SEPARATING = {Fault.REFUSE, Fault.BLACKHOLE, Fault.DEAFEN}


@pytest.mark.parametrize("fault", sorted(SEPARATING))
def test_an_api_without_redis_says_so_within_3_seconds_and_makes_one_job_when_asked_again(
    doomed: Doomed, fault: Fault
) -> None:
    key = uuid.uuid4().hex
    headers = {"Idempotency-Key": key}
    path = f"/v1/jobs/{doomed.create(SMALL)}"
    with doomed.service.proxies["api"].suffering(fault):
        for method, url, body in (("GET", path, None), ("POST", "/v1/jobs", MEDIUM)):
            ask = partial(doomed.http.request, method, url, json=body, headers=headers)
            check_says_503_soon(ask)
        assert doomed.http.get("/healthz").ok
    eventually(lambda: doomed.try_to_create(key, MEDIUM), "acknowledged")
    assert doomed.http.get(path).ok


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.DELAY])
def test_an_api_whose_line_is_cut_or_slow_answers_all_the_same(
    doomed: Doomed, fault: Fault
) -> None:
    path = f"/v1/jobs/{doomed.create(SMALL)}"
    with doomed.service.proxies["api"].suffering(fault, delay=0.1):
        assert doomed.http.get(path).status_code == 200
        assert doomed.try_to_create(uuid.uuid4().hex, SMALL)


@pytest.mark.parametrize("fault", [*Fault])
def test_a_worker_whose_line_fails_delays_its_job_and_changes_no_bit(
    doomed: Doomed, fault: Fault
) -> None:
    def fail_while_it_trains() -> bool:
        job_id = doomed.create(MEDIUM)
        key = f"{{neuron}}:job:{job_id}"

        def fence() -> int:
            return int(doomed.store.redis.hget(key, "fence") or 0)

        eventually(lambda: doomed.store.get(job_id).epoch > 0, "an epoch")
        taken = fence()
        worker = eventually(lambda: doomed.service.trainer(job_id, taken), "who trains it")
        with doomed.service.proxies[worker].suffering(fault):
            trains = doomed.store.get(job_id).status == Status.RUNNING
            if trains and fault in SEPARATING:
                # Taken back, and claimed again.
                eventually(lambda: fence() >= taken + 2 or ended(job_id), "running elsewhere")
                return fence() >= taken + 2
        return trains

    def ended(job_id: str) -> bool:
        return doomed.store.get(job_id).status.ended

    eventually(fail_while_it_trains, "a fault in time")
    doomed.check()
