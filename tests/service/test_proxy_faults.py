"""Lines to Redis that break, go silent, lose answers or are slow, one process's at a time."""

import uuid

import pytest

from chaos.proxy import Fault
from chaos.workload import MEDIUM
from tests.conftest import eventually
from tests.service.conftest import Doomed
from tests.service.test_bad_input import check_problem
from tests.service.test_jobs import SMALL

#: Silent for longer than a lease: the job is taken from the worker.
SEPARATING = {Fault.REFUSE, Fault.BLACKHOLE, Fault.DEAFEN}


@pytest.mark.parametrize("fault", sorted(SEPARATING))
def test_an_api_without_redis_says_so_within_3_seconds_and_makes_one_job_when_asked_again(
    doomed: Doomed, fault: Fault
) -> None:
    key = uuid.uuid4().hex
    path = f"/v1/jobs/{doomed.create(SMALL)}"
    with doomed.service.proxies["api"].suffering(fault):
        for method, url, body in (("GET", path, None), ("POST", "/v1/jobs", MEDIUM)):
            answer = doomed.http.request(method, url, json=body, headers={"Idempotency-Key": key})
            check_problem(answer, 503)
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.elapsed.total_seconds() < 3
        assert doomed.http.get("/healthz").ok
    eventually(lambda: doomed.try_to_create(key, MEDIUM), "acknowledged", 5)
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
    job_id = doomed.create(MEDIUM)
    key = f"{{neuron}}:job:{job_id}"

    def fence() -> int:
        return int(doomed.store.redis.hget(key, "fence") or 0)

    eventually(lambda: doomed.store.get(job_id).epoch >= 2, "some epochs")
    taken = fence()
    worker = doomed.service.trainer(job_id, taken)
    assert worker
    with doomed.service.proxies[worker].suffering(fault):
        if fault in SEPARATING:
            eventually(lambda: fence() > taken, "taken back", 8)
            eventually(lambda: doomed.store.get(job_id).claimed_at, "running elsewhere", 8)
    doomed.check()
