"""Pause, resume, retry, time limits, priorities, verification and hand-over, on a real service."""

import hashlib
import json
import signal
import struct
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, TypeVar

import orjson
import pytest
import requests

from shared.job import JobRequest, Status
from shared.observation import observe
from shared.settings import Settings
from shared.store import DUE, ENDED, Store
from standalone.stack import Stack
from tests.conftest import Http, children, eventually, kill_children, running
from tests.service.test_jobs import LONG, SMALL
from worker.runner import Runner

T = TypeVar("T")

#: Some seconds of training, in epochs of a quarter second.
MEDIUM: dict[str, Any] = {
    "dataset": {"training_size": 5_000_000, "generator": "pcg64"},
    "hyperparameters": {"epochs": 40},
}


@pytest.fixture(scope="module")
def expected(stack: Stack) -> list[dict[str, Any]]:
    """The epochs of an undisturbed run of MEDIUM."""
    with Http(stack.url) as http:
        return results(http, http.run_job(MEDIUM)["id"])


def results(http: Http, job_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get(f"/v1/jobs/{job_id}/epochs").json()["epochs"]
    return [{k: v for k, v in epoch.items() if k != "duration_seconds"} for epoch in found]


def start(http: Http, body: dict[str, Any], epochs: int = 3) -> str:
    """A job that has committed some epochs and, unless the machine stood still, is running."""
    job_id: str = http.post("/v1/jobs", json=body).json()["id"]
    path = f"/v1/jobs/{job_id}"
    eventually(lambda: http.get(path).json()["progress"]["epoch"] >= epochs, "some epochs")
    return job_id


def in_time(disturb: Callable[[], T | None]) -> T:
    """What it returned when it met a job that was running: some may have ended before."""
    found: T = eventually(disturb, "in time")
    return found


def transitions(http: Http, job_id: str) -> list[str]:
    """Every status that the job had, in order."""
    events = http.get(f"/v1/jobs/{job_id}/events").json()["events"]
    return [event["data"]["status"] for event in events if event["type"] == "status"]


def test_pausing_and_resuming_changes_no_bit(http: Http, expected: list[dict[str, Any]]) -> None:
    def pause_twice() -> str | None:
        job_id = start(http, MEDIUM, epochs=1)
        for _ in range(2):
            paused = http.post(f"/v1/jobs/{job_id}/pause")
            if paused.status_code == 409:
                return None
            assert (paused.status_code, paused.json()["status"]) == (200, "paused")
            assert http.post(f"/v1/jobs/{job_id}/pause").status_code == 200
            assert http.run_job(SMALL)["status"] == "succeeded"
            epochs = len(results(http, job_id))
            assert http.post(f"/v1/jobs/{job_id}/resume").json()["status"] in ("queued", "running")
            eventually(lambda: len(results(http, job_id)) > epochs, "more epochs")  # noqa: B023
        return job_id

    job_id = in_time(pause_twice)
    assert http.await_end(job_id)["status"] == "succeeded"
    assert results(http, job_id) == expected


def test_a_queued_job_can_be_paused_and_a_paused_one_cancelled(http: Http) -> None:
    body = {**SMALL, "priority": "low"}
    running = [http.post("/v1/jobs", json=LONG).json()["id"] for _ in range(2)]
    for job_id in running:
        path = f"/v1/jobs/{job_id}"
        eventually(lambda: http.get(path).json()["status"] == "running", path)  # noqa: B023
    queued = http.post("/v1/jobs", json=body).json()["id"]
    assert http.post(f"/v1/jobs/{queued}/pause").json()["status"] == "paused"
    assert http.post(f"/v1/jobs/{queued}/cancel").json()["status"] == "cancelled"
    for action in ("pause", "resume", "retry"):
        assert http.post(f"/v1/jobs/{queued}/{action}").status_code == 409
    for job_id in running:
        http.post(f"/v1/jobs/{job_id}/cancel")


def test_priorities_decide_who_is_next(http: Http) -> None:
    running = [http.post("/v1/jobs", json=LONG).json()["id"] for _ in range(2)]
    for job_id in running:
        path = f"/v1/jobs/{job_id}"
        eventually(lambda: http.get(path).json()["status"] == "running", path)  # noqa: B023
    waiting = {
        priority: http.post("/v1/jobs", json={**SMALL, "priority": priority}).json()["id"]
        for priority in ("low", "normal", "high")
    }
    http.post(f"/v1/jobs/{running[0]}/cancel")
    began = {name: http.await_end(job_id)["started_at"] for name, job_id in waiting.items()}
    assert began["high"] < began["normal"] < began["low"]
    http.post(f"/v1/jobs/{running[1]}/cancel")


def test_a_job_that_waited_long_is_taken_before_newer_ones_of_higher_priority(
    store: Store,
) -> None:
    place = {}
    for priority in ("low", "high"):
        request = JobRequest.model_validate({**SMALL, "priority": priority})
        job_id, _ = store.accept(request, owner="test")
        place[priority] = int(store.redis.hget(f"{{neuron}}:job:{job_id}", "place") or 0)
        store.cancel(job_id)
    two_minutes = 120_000
    assert place["high"] < place["low"] < place["high"] + two_minutes + 1_000


def test_a_job_that_changes_its_status_is_missing_from_no_list_of_both(lonely: Store) -> None:
    job_id, _ = lonely.accept(JobRequest.model_validate(SMALL))
    listed = Event()

    def change() -> None:
        while not listed.is_set():
            lonely.pause(job_id)
            lonely.resume(job_id)

    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(change)
        both = [Status.QUEUED, Status.PAUSED]
        found = [len(lonely.list_jobs(statuses=both, limit=1).jobs) for _ in range(200)]
        listed.set()
        changing.result()
    assert found == [1] * 200


def test_pausing_again_and_again_loses_no_worker(lonely: Store) -> None:
    job_id, _ = lonely.accept(JobRequest.model_validate(SMALL))
    for number in range(lonely.settings.max_claims + 1):
        assert lonely.claim(f"attempt {number}")
        lonely.pause(job_id)
        assert lonely.resume(job_id).status is Status.QUEUED


def test_workers_are_told_again_of_no_more_jobs_than_lost_their_message(lonely: Store) -> None:
    jobs = {lonely.accept(JobRequest.model_validate(SMALL))[0] for _ in range(4)}
    for messages, told in ((4, 0), (5, 0), (1, 3), (0, 4)):
        lonely.redis.zadd(DUE, dict.fromkeys(jobs, 0))
        assert len(lonely.sweep(lambda: messages)) == told  # noqa: B023
    claim = lonely.claim("attempt")
    assert claim
    taken_back = eventually(lambda: lonely.sweep(lambda: 99), "the lease is over")
    assert taken_back == [claim.job_id], "its message is used up, whatever waits"


def test_every_thread_of_a_process_finds_a_connection(lonely: Store) -> None:
    pool, threads = lonely.redis.connection_pool, 128
    for connection in [pool.get_connection() for _ in range(threads)]:
        pool.release(connection)


def test_a_job_that_trains_longer_than_its_limit_fails(http: Http) -> None:
    job = http.run_job({**LONG, "time_limit_seconds": 1})
    assert (job["status"], job["error"]["code"]) == ("failed", "timed_out")
    assert "1 s" in job["error"]["detail"]
    assert job["progress"]["epoch"] > 0


def test_a_failed_job_can_be_retried_and_goes_on(http: Http) -> None:
    first = http.run_job({**LONG, "time_limit_seconds": 1})
    assert first["error"]["code"] == "timed_out"
    retried = http.post(f"/v1/jobs/{first['id']}/retry").json()
    assert (retried["status"], retried["error"], retried["ended_at"]) == ("queued", None, None)
    assert http.await_end(first["id"])["progress"]["epoch"] > first["progress"]["epoch"]


def test_the_open_jobs_of_an_owner_are_bounded(stack: Stack) -> None:
    store = Store(Settings(redis_url=stack.redis_url, max_open_jobs_per_owner=2))
    owner, request = uuid.uuid4().hex, JobRequest.model_validate(LONG)
    made = [store.accept(request, owner=owner)[0] for _ in range(2)]
    with pytest.raises(Exception, match="2 jobs are open"):
        store.accept(request, owner=owner)
    store.cancel(made[0])
    made.append(store.accept(request, owner=owner)[0])
    for job_id in made[1:]:
        store.cancel(job_id)


def verified(http: Http, job: dict[str, Any]) -> dict[str, Any]:
    """The verification of the job, when it has ended."""
    made = http.post(f"/v1/jobs/{job['id']}/verify", headers={"Prefer": "wait=30"})
    return http.await_end(made.json()["id"])


def test_verification_finds_every_epoch_the_same(http: Http) -> None:
    job = http.run_job({})
    verification = verified(http, job)
    assert (verification["status"], verification["verifies"]) == ("succeeded", job["id"])
    assert verification["digest"] == job["digest"]


def test_normalized_jobs_of_automatic_rate_add_raw_numbers_and_verify(http: Http) -> None:
    hyperparameters = {
        "epochs": 2, "learning_rate": {"schedule": "auto"}, "normalize": True,
        "regularization": {"kind": "none"},
    }  # fmt: skip
    dataset = {"training_size": 5000, "test_size": 100, "low": -5000, "high": 20_000}
    job = http.run_job({"dataset": dataset, "hyperparameters": hyperparameters})
    assert (job["status"], job["accuracy"]) == ("succeeded", 1)
    shown = job["specification"]["hyperparameters"]
    assert (shown["learning_rate"], shown["normalize"]) == ({"schedule": "auto"}, True)
    answer = http.post(f"/v1/jobs/{job['id']}/predict", json={"inputs": [[2.25, 1024]]})
    assert answer.json()["outputs"] == [1026.25]
    assert verified(http, job)["status"] == "succeeded"


@pytest.mark.parametrize("field", ["weights", "correct", "cost", "digest", "accuracy"])
def test_verification_finds_the_epoch_that_was_altered(
    http: Http, store: Store, field: str
) -> None:
    job = http.run_job(SMALL)
    key = f"{{neuron}}:job:{job['id']}:epochs"
    epoch = orjson.loads(store.redis.lindex(key, 1) or b"")
    changed = {
        "weights": [epoch["weights"][0], epoch["weights"][1] * (1 + 2**-52)],
        "correct": epoch["correct"] + 1, "cost": 0.0, "digest": "0" * 64, "accuracy": 0.5,
    }[field]  # fmt: skip
    store.redis.lset(key, 1, orjson.dumps({**epoch, field: changed}).decode())
    found = verified(http, job)
    assert found["status"] == "failed"
    assert (found["error"]["code"], found["error"]["epoch"]) == ("mismatch", 2)
    assert field in found["error"]["detail"]


def test_verification_finds_altered_weights_of_the_record(http: Http, store: Store) -> None:
    job = http.run_job(SMALL)
    store.redis.hset(f"{{neuron}}:job:{job['id']}", "weights", b"\0" * 16)
    found = verified(http, job)
    assert (found["status"], found["error"]["code"]) == ("failed", "mismatch")


def test_a_verification_tells_that_the_job_was_deleted(lonely: Store) -> None:
    job_id, _ = lonely.accept(JobRequest.model_validate(SMALL), verifies="0" * 32)
    Runner(lonely, lambda: False, lambda _: None).run()
    error = lonely.get(job_id).error
    assert error
    assert (error.code, "has been deleted" in error.detail) == ("mismatch", True)


def test_a_job_without_epochs_is_not_verified(http: Http) -> None:
    job_id = http.post("/v1/jobs", json=LONG).json()["id"]
    http.post(f"/v1/jobs/{job_id}/cancel")
    assert http.post(f"/v1/jobs/{job_id}/verify").status_code == 409


def test_digests_are_those_that_the_documentation_describes(http: Http) -> None:
    job = http.run_job(SMALL)
    text = json.dumps(job["specification"], sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest == job["specification_digest"]
    for epoch in results(http, job["id"]):
        numbers = struct.pack(
            "<qdqqd2d", epoch["epoch"], epoch["learning_rate"], epoch["correct"],
            epoch["total"], epoch["cost"], *epoch["weights"],
        )  # fmt: skip
        digest = hashlib.sha256(bytes.fromhex(digest) + numbers).hexdigest()
        assert digest == epoch["digest"]
    assert digest == job["digest"]


#: Seconds: longer than any restart that a test waits for.
RETENTION = 1000


@pytest.fixture(scope="module")
def fragile() -> Iterator[Stack]:
    """A service of our own whose processes may be killed; its leases are short."""
    retention = {"NEURON_RETENTION_SECONDS": str(RETENTION)}
    with running({"NEURON_LEASE_SECONDS": "2", **retention}) as stack:
        yield stack


@pytest.fixture
def here(fragile: Stack) -> Iterator[Http]:
    with Http(fragile.url) as http:
        yield http


@pytest.mark.parametrize("victim", ["child", "worker", "redis", "api"])
def test_kill_9_of_any_process_delays_a_job_and_changes_no_bit(
    fragile: Stack, here: Http, expected: list[dict[str, Any]], victim: str
) -> None:
    job_id = start(here, MEDIUM)
    if victim == "child":
        kill_children(fragile, "worker")
    else:
        process = fragile.process(victim)
        deaths = process.deaths
        process.send(signal.SIGKILL)
        eventually(lambda: process.deaths > deaths, "its death")
    eventually(lambda: is_up(here), "the service again")
    assert here.await_end(job_id)["status"] == "succeeded"
    assert results(here, job_id) == expected


def is_up(http: Http) -> bool:
    try:
        return http.get("/readyz").ok
    except requests.RequestException:
        return False


def test_a_worker_that_slept_beyond_its_lease_finds_it_gone(
    fragile: Stack, here: Http, expected: list[dict[str, Any]]
) -> None:
    store = Store(Settings(redis_url=fragile.redis_url))

    def sleep_beyond_the_lease() -> str | None:
        job_id = start(here, MEDIUM, epochs=1)
        stopped = children(fragile, "worker")
        for child in stopped:
            child.suspend()
        key = f"{{neuron}}:job:{job_id}"
        fence, status = store.redis.hmget(key, ["fence", "status"])
        running = status == b"running"
        if running:
            eventually(lambda: store.redis.hget(key, "fence") != fence, "taken back")
        for child in stopped:
            child.resume()
        return job_id if running else None

    job_id = in_time(sleep_beyond_the_lease)
    assert here.await_end(job_id)["status"] == "succeeded"
    assert results(here, job_id) == expected


def test_a_stopping_worker_hands_its_job_back_at_once(
    fragile: Stack, here: Http, expected: list[dict[str, Any]]
) -> None:
    store = Store(Settings(redis_url=fragile.redis_url))

    def stop_the_worker() -> str | None:
        job_id = start(here, MEDIUM, epochs=1)
        deaths = fragile.process("worker").deaths
        recoveries = observe(store).counters.get("recoveries")
        fragile.process("worker").send(signal.SIGTERM)
        eventually(lambda: fragile.process("worker").deaths > deaths, "stopped")
        assert here.await_end(job_id)["status"] == "succeeded"
        left = transitions(here, job_id)[1:3] == ["running", "queued"]
        by_itself = observe(store).counters.get("recoveries") == recoveries
        return job_id if left and by_itself else None

    assert results(here, in_time(stop_the_worker)) == expected


def test_a_job_whose_message_is_lost_is_found(fragile: Stack, here: Http) -> None:
    store = Store(Settings(redis_url=fragile.redis_url))
    job_id, _ = store.accept(JobRequest.model_validate(SMALL))
    assert here.await_end(job_id)["status"] == "succeeded"


def test_a_job_that_kills_its_worker_again_and_again_fails(fragile: Stack, here: Http) -> None:
    job_id = here.post("/v1/jobs", json=LONG).json()["id"]
    path = f"/v1/jobs/{job_id}"
    store = Store(Settings(redis_url=fragile.redis_url))

    def kill_and_look() -> bool:
        job = here.get(path).json()
        if job["status"] == "running":
            for child in children(fragile, "worker"):
                child.suspend()  # or it might make progress, which counts its claims anew
            store.redis.hset(f"{{neuron}}:job:{job_id}", "claims", 5)
            kill_children(fragile, "worker")
        return bool(job["ended_at"])

    eventually(kill_and_look, "given up")
    job = here.get(path).json()
    assert (job["status"], job["error"]["code"]) == ("failed", "worker_lost")


def test_ended_jobs_are_removed_when_their_retention_is_over(fragile: Stack, here: Http) -> None:
    job_id = here.run_job(SMALL)["id"]
    store = Store(Settings(redis_url=fragile.redis_url))
    assert store.redis.zincrby(ENDED, -1000 * RETENTION, job_id)  # as if it had passed
    eventually(lambda: here.get(f"/v1/jobs/{job_id}").status_code == 404, "removed")
    assert not list(store.redis.scan_iter(f"*{job_id}*"))
    for index in store.redis.scan_iter("{neuron}:*", _type="zset"):
        assert store.redis.zscore(index, job_id) is None
