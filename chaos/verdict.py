"""What is left when all has settled, held against what was promised."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import orjson
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from chaos.expected import Expected, Json, expected, without_duration
from chaos.workload import ENDS, Ledger, Promise
from shared.store import DUE, ENDED, JOBS, OWNERS, READY, Event, Store

#: Every change of status that there may be; from nothing to queued is the first.
TRANSITIONS = {
    ("queued", "running"), ("queued", "paused"), ("queued", "cancelled"),
    ("running", "queued"), ("running", "paused"), ("paused", "queued"), ("paused", "cancelled"),
    *(("running", end) for end in ENDS),
}  # fmt: skip


@dataclass
class Verdict:
    """What was checked, and every promise that was broken.

    Attributes:
        recoveries: how often a job was taken from a worker that had been lost, or handed back.
    """

    jobs: int = 0
    epochs: int = 0
    recoveries: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


def judge(ledger: Ledger, store: Store, url: str) -> Verdict:
    """Look at every job through the API and in Redis.

    Args:
        ledger: of the clients.
        store: not disturbed any more.
        url: of the API, likewise.
    """
    verdict = Verdict(violations=list(ledger.violations))
    with requests.Session() as session:
        session.trust_env = False
        # A service that recovers, or a machine that is busy, may say 503 now and then.
        session.mount("http://", HTTPAdapter(max_retries=Retry(20, status_forcelist=[503])))
        for promise in list(ledger.promises.values()):
            _judge_job(promise, store, f"{url}/v1/jobs/{promise.job_id}", session, verdict)
    verdict.violations += _unknown_jobs(store, ledger.promises.keys())
    verdict.violations += _inconsistent_indexes(store)
    return verdict


def _judge_job(
    promise: Promise, store: Store, url: str, session: requests.Session, verdict: Verdict
) -> None:
    verdict.jobs += 1
    response = session.get(url, timeout=10)
    if response.status_code != 200:
        verdict.violations.append(
            f"job {promise.job_id} was acknowledged and is gone: {response.status_code}"
        )
        return
    job, epochs = response.json(), _all_epochs(url, session)
    events = _all_events(store, promise.job_id)
    verdict.epochs += len(epochs)
    verdict.ends[job["status"]] += 1
    verdict.recoveries += _recoveries(events)
    found = (
        *_wrong_end(promise, job),
        *_wrong_events(job, epochs, events),
        *_wrong_numbers(job, epochs, expected(promise.body)),
    )
    verdict.violations += [f"job {promise.job_id} {violation}" for violation in found]


def _all_epochs(url: str, session: requests.Session) -> list[Json]:
    epochs: list[Json] = []
    while True:
        page = session.get(f"{url}/epochs?after={len(epochs)}", timeout=10).json()
        epochs += page["epochs"]
        if not page["has_more"]:
            return epochs


def _all_events(store: Store, job_id: str) -> list[Event]:
    events = store.events(job_id)
    while more := store.events(job_id, after=events[-1].id) if events else []:
        events += more
    return events


def _recoveries(events: list[Event]) -> int:
    statuses = [event.data for event in events if event.kind == "status"]
    return list(pairwise(statuses)).count((b"running", b"queued"))


def _wrong_end(promise: Promise, job: Json) -> Iterator[str]:
    """Promises 2 and 6."""
    wanted = "cancelled" if promise.cancelled else expected(promise.body).status
    if job["status"] != wanted:
        yield f"is {job['status']} and not {wanted}: {job['error']}"
    if (job["ended_at"] is None) != (job["status"] not in ENDS):
        yield f"is {job['status']} and ended at {job['ended_at']}"


def _wrong_events(job: Json, epochs: list[Json], events: list[Event]) -> Iterator[str]:
    """Promises 2 and 3: one end, after which nothing happens; epochs from 1 on, once each."""
    statuses = [event.data.decode() for event in events if event.kind == "status"]
    ends = [status for status in statuses if status in ENDS]
    if ends != [job["status"]]:
        yield f"is {job['status']} and has the ends {ends}"
    elif events[-1].data.decode() != ends[0]:
        yield f"went on after its end with {events[-1]}"
    if statuses[:1] != ["queued"] or not set(pairwise(statuses)) <= TRANSITIONS:
        yield f"went through {' → '.join(statuses)}"
    streamed = [orjson.loads(event.data) for event in events if event.kind == "epoch"]
    if streamed != epochs:
        yield f"has {len(epochs)} epochs and others in its {len(streamed)} events"


def _wrong_numbers(job: Json, epochs: list[Json], wanted: Expected) -> Iterator[str]:
    """Promise 4: every number has the bits of an undisturbed run."""
    found = [without_duration(epoch) for epoch in epochs]
    numbers = [epoch["epoch"] for epoch in found]
    if numbers != list(range(1, len(found) + 1)):
        yield f"has the epochs {numbers}"
    elif _bits(found) != _bits(wanted.epochs[: len(found)]):
        yield f"differs from an undisturbed run from epoch {_first_difference(found, wanted)} on"
    if job["progress"]["epoch"] != len(found):
        yield f"counts {job['progress']['epoch']} epochs and has {len(found)}"
    if job["status"] in ("succeeded", "failed") and len(found) != len(wanted.epochs):
        yield f"is {job['status']} after {len(found)} of {len(wanted.epochs)} epochs"
    for name, value in _figures(job, found, wanted).items():
        if _bits(job[name]) != _bits(value):
            yield f"has {name} {job[name]} and not {value}"


def _first_difference(found: list[Json], wanted: Expected) -> int:
    pairs = zip(found, wanted.epochs, strict=False)
    same = (_bits(one) == _bits(other) for one, other in pairs)
    return next((number for number, equal in enumerate(same, 1) if not equal), len(found))


def _figures(job: Json, found: list[Json], wanted: Expected) -> Json:
    """What the record repeats of its epochs, and what is computed before and after them."""
    last = found[-1] if found else {}
    figures: Json = {
        "accuracy": last.get("accuracy"),
        "digest": last.get("digest", job["digest"]),
        "demo_after": wanted.demo_after if job["status"] == "succeeded" else None,
    }
    if found:
        figures["weights"] = last["weights"]
    if job["status"] != "cancelled":
        figures |= {"initial_weights": wanted.initial_weights, "demo_before": wanted.demo_before}
    if wanted.diverged and job["status"] == "failed":
        figures["error"] = {**(job["error"] or {}), "code": "diverged", **wanted.diverged}
    return figures


def _bits(value: Any) -> bytes:
    """JSON has one text for each double, and tells 0.0 from -0.0."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _unknown_jobs(store: Store, known: Iterable[str]) -> Iterator[str]:
    """Promise 5 and 8: every create was acknowledged in the end, so each job is known."""
    ids = {member.decode() for member in cast(list[bytes], store.redis.zrange(JOBS, 0, -1))}
    for job_id in sorted(ids - set(known)):
        yield f"job {job_id} exists and was acknowledged to no one: a create had two effects"


def _inconsistent_indexes(store: Store) -> Iterator[str]:
    client = store.redis
    jobs = _members(store, JOBS)
    for name in (DUE, READY):
        if left := _members(store, name):
            yield f"{name} still holds {sorted(left)}"
    owners = cast(dict[bytes, bytes], client.hgetall(OWNERS))
    if any(int(count) for count in owners.values()):
        yield f"{OWNERS} counts {owners}"
    if _members(store, ENDED) != jobs:
        yield f"{ENDED} and {JOBS} differ by {sorted(_members(store, ENDED) ^ jobs)}"
    for status in ("queued", "running", "paused", *ENDS):
        records = {job_id for job_id in jobs if store.get(job_id).status == status}
        if records != (indexed := _members(store, f"{JOBS}:{status}")):
            yield f"{JOBS}:{status} differs from the records by {sorted(records ^ indexed)}"


def _members(store: Store, key: str) -> set[str]:
    return {member.decode() for member in cast(list[bytes], store.redis.zrange(key, 0, -1))}
