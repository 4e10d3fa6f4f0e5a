"""What the jobs' Redis tells of the work of all processes, read whenever somebody looks.

    {neuron}:counters    hash    deeds so far: "accepted", "claims", "epochs", "steps",
                                 "recoveries", "hints", "heartbeat_failures", "ended:<status>",
                                 "ended:failed:<code>"

The scripts that do the work count it. So the numbers need no endpoint in the workers, survive
their deaths and restarts, and count what a retry does twice once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from shared.job import Status
from shared.store import COUNTERS, DUE, JOBS, PREFIX, READY, Store, job_keys

#: So many jobs at the head of the queue are asked how long they have waited: a job of high
#: priority may stand before one that came earlier.
HEADS = 20
#: So many open jobs, the newest, are asked how much they have still to do.
JUDGED = 200


@dataclass(frozen=True)
class Observation:
    """The state of the service at one moment.

    Attributes:
        jobs: how many there are of each status.
        open_jobs: that have not ended.
        queue: jobs that a worker may take.
        oldest_seconds: the longest wait of the jobs at the head of the queue; 0 without any.
        webhooks: messages that are not delivered.
        workers: that are alive.
        counters: deeds since Redis was empty, by name.
    """

    jobs: Mapping[Status, int]
    open_jobs: int
    queue: int
    oldest_seconds: float
    webhooks: int
    workers: int
    counters: Mapping[str, int]


def observe(store: Store) -> Observation:
    """Look at the whole service, at a cost that does not grow with the number of jobs.

    Raises:
        redis.exceptions.RedisError
    """
    pipeline = store.redis.pipeline(transaction=False)
    for status in Status:
        pipeline.zcard(f"{JOBS}:{status}")
    for key in (DUE, READY, f"{PREFIX}:webhooks"):
        pipeline.zcard(key)
    pipeline.hgetall(COUNTERS)
    pipeline.zrange(READY, 0, HEADS - 1)
    pipeline.time()
    *sizes, counters, heads, (seconds, microseconds) = pipeline.execute()
    return Observation(
        jobs=dict(zip(Status, sizes, strict=False)),
        open_jobs=sizes[-3],
        queue=sizes[-2],
        oldest_seconds=_oldest(store, heads, seconds + microseconds / 1e6),
        webhooks=sizes[-1],
        workers=store.workers(),
        counters={name.decode(): int(value) for name, value in counters.items()},
    )


def _oldest(store: Store, heads: list[bytes], now: float) -> float:
    pipeline = store.redis.pipeline(transaction=False)
    for job_id in heads:
        pipeline.hget(job_keys(job_id.decode())[0], "queued_at")
    waiting = cast(list[bytes | None], pipeline.execute())
    return max((now - int(since) / 1000 for since in waiting if since), default=0.0)


def inputs_waiting(store: Store) -> float:
    """Inputs that a worker has still to see on the average before it is free for another job.

    Judged by the newest of the jobs that wait or are trained: the others are taken for as large.

    Raises:
        redis.exceptions.RedisError
    """
    workers, busy = max(1, store.workers()), [Status.QUEUED, Status.RUNNING]
    jobs = store.list_jobs(statuses=busy, limit=JUDGED).jobs
    if len(jobs) < workers:
        return 0.0
    left = sum((1 - job.fraction) * job.specification.inputs_seen for job in jobs) / len(jobs)
    return left * max(len(jobs), _count(store, busy)) / workers


def _count(store: Store, statuses: Iterable[Status]) -> int:
    pipeline = store.redis.pipeline(transaction=False)
    for status in statuses:
        pipeline.zcard(f"{JOBS}:{status}")
    return sum(pipeline.execute())


def count(store: Store, what: str, amount: int) -> None:
    """Count deeds that no script does."""
    store.redis.hincrby(COUNTERS, what, amount)
