"""A running service, over HTTP: how long one waits, and how much memory its workers take."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median
from typing import Any

import psutil
import requests

from benchmarks.measure import Result, limited, seconds
from standalone.stack import Stack

MEGABYTE = 1e6
WORKERS = 2


def rest() -> Iterator[Result]:
    """Measure jobs, memory and idle requests, in this order."""
    with Stack() as stack, requests.Session() as http:
        http.trust_env = False
        jobs = stack.url + "/v1/jobs"
        warm = _side_by_side(http, jobs, [{}] * 10)
        yield from _jobs(http, jobs)
        _side_by_side(http, jobs, [_with_seed(seed) for seed in range(100, 120)])
        yield from _memory(stack.process("worker").pid)
        yield from _requests(http, warm)


def _run_job(http: requests.Session, jobs: str, body: dict[str, Any]) -> str:
    answer = http.post(jobs, json=body, headers={"Prefer": "wait=20"}, timeout=30)
    assert answer.status_code == 200, answer.text
    job = answer.json()
    assert job["status"] == "succeeded", job
    url: str = job["url"]
    return url


def _side_by_side(http: requests.Session, jobs: str, bodies: list[dict[str, Any]]) -> str:
    """Run jobs on all workers at once, so that each has made data; returns the URL of one."""
    with ThreadPoolExecutor(WORKERS) as pool:
        first, *_ = pool.map(partial(_run_job, http, jobs), bodies)
    return first


def _with_seed(seed: int) -> dict[str, Any]:
    return {"dataset": {"seed": seed}}


def _jobs(http: requests.Session, jobs: str) -> Iterator[Result]:
    """Time the published run from POST to its end: data kept by the worker, then made anew."""
    known = [seconds(lambda: _run_job(http, jobs, {})) for _ in range(30)]
    yield limited("POST /v1/jobs {}, finished, median of 30", median(known), "s", 0.15)
    new = [seconds(partial(_run_job, http, jobs, _with_seed(seed))) for seed in range(30)]
    yield limited("the same, each with another seed", median(new), "s")


def _memory(worker: int) -> Iterator[Result]:
    """Weigh the workers, whose data caches are full."""
    children = psutil.Process(worker).children()
    for number, child in enumerate(children, 1):
        memory = child.memory_full_info()
        yield limited(f"worker child {number}, RSS", memory.rss / MEGABYTE, "MB", 300)
        yield limited(f"worker child {number}, of it its own (USS)", memory.uss / MEGABYTE, "MB")


def _requests(http: requests.Session, job: str) -> Iterator[Result]:
    """Time small requests to the idle service, one after the other on one connection."""
    row = {"inputs": [[2.2, 1.5]]}
    read = _median_ms(lambda: http.get(job, timeout=5))
    predict = _median_ms(lambda: http.post(f"{job}/predict", json=row, timeout=5))
    last = {"epoch": 10, "step": 499_981, "count": 20}
    steps = _median_ms(lambda: http.get(f"{job}/steps", params=last, timeout=5))
    yield limited("GET /v1/jobs/{id}, median of 500", read, "ms", 3)
    yield limited("predict one row, median of 500", predict, "ms")
    yield limited("the last 20 steps of the published run, median of 500", steps, "ms", 100)


def _median_ms(request: Callable[[], requests.Response]) -> float:
    request().raise_for_status()
    return 1e3 * median(seconds(request) for _ in range(500))
