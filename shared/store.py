"""The job records in Redis, the only truth about a job.

Keys, all in one hash slot:

    {neuron}:job:<id>                      hash     the record, see `_record`
    {neuron}:job:<id>:epochs               list     result of each epoch, JSON
    {neuron}:job:<id>:events               stream   every transition and epoch
    {neuron}:due                           zset     open jobs; score: when to look again (ms)
    {neuron}:ready                         zset     queued jobs in the order in which to take them
    {neuron}:ended                         zset     ended jobs; score: when they did (ms)
    {neuron}:owners                        hash     open jobs of each owner
    {neuron}:jobs, {neuron}:jobs:<status>  zsets    all jobs; score: sequence of creation
    {neuron}:jobs:owner:<owner>            zset     the same of one owner, if it has a name
    {neuron}:jobs:sequence                 counter  of jobs created
    {neuron}:idempotency:<owner>:<sha256>  string   "<id> <fingerprint of the body>"
    {neuron}:workers                       zset     workers; score: until when they count as alive
    {neuron}:counters                      hash     what was done, see `observation`

Writes that belong together are one Lua script (`scripts/`), safe to send again when its answer is
lost. A job that is trained belongs to the worker with the newest fencing token.

Every method raises `redis.exceptions.RedisError` when Redis cannot do it.
"""

import hashlib
import json
import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, cast

import orjson
import redis
import structlog
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry

from shared.errors import (
    IdempotencyKeySpent,
    IdempotencyMismatch,
    JobNotFound,
    LeaseLost,
    StateConflict,
    TooManyOpenJobs,
    UnsafeRedis,
)
from shared.job import (
    Demo,
    Epoch,
    JobError,
    JobRequest,
    Priority,
    Record,
    Specification,
    Status,
    WebhookState,
    decode_weights,
    encode_weights,
)
from shared.settings import Settings
from shared.tracing import Origin, of_job

PREFIX = "{neuron}"
DUE, JOBS, READY, ENDED, OWNERS, WORKERS, COUNTERS = (
    f"{PREFIX}:{name}"
    for name in ("due", "jobs", "ready", "ended", "owners", "workers", "counters")
)
#: When a queued job is looked at again, in case its message got lost; the gap doubles each time.
HINT_MS = 5_000
LONGEST_HINT_MS = 60_000
#: The same for a job that a stopping worker hands back.
RELEASED_HINT_MS = 1_000
#: How many jobs one sweep looks at.
SWEEP_LIMIT = 200
#: How long one blocking read waits at most; less than the socket timeout.
BLOCK_SECONDS = 0.5
#: How many records one `list_jobs` reads at most; a rare filter goes on in the next page.
SCAN_LIMIT = 1_000
#: More than a process has threads: who finds no connection free gets an error at once.
MOST_CONNECTIONS = 1_000

#: Fields of the record: where the job comes from.
_ORIGIN = ["request_id", "traceparent"]

_log = structlog.get_logger()
_SCRIPTS = resources.files("shared") / "scripts"


def connect(settings: Settings, *, patient: bool = False) -> "redis.Redis":
    """A client of the store's Redis.

    Args:
        settings: names the Redis.
        patient: whether a lost connection is tried again for some seconds (workers) or is an error
            at once (the API, which answers 503).
    """
    # Once more at once covers a connection that broke while it was idle; scripts can be replayed.
    once = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
    retry = Retry(ExponentialBackoff(cap=1, base=0.05), 6) if patient else once
    return redis.Redis.from_url(
        settings.redis_url,
        socket_timeout=5 if patient else 1,
        socket_connect_timeout=1,
        health_check_interval=5,
        max_connections=MOST_CONNECTIONS,
        retry=retry,
    )


def load_script(client: "redis.Redis", *names: str) -> Any:
    """The scripts `scripts/<name>.lua`, one behind the other, ready to be called."""
    return client.register_script("".join((_SCRIPTS / f"{name}.lua").read_text() for name in names))


def is_job_id(text: str) -> bool:
    """Whether it can be the id of a job."""
    return bool(re.fullmatch("[0-9a-f]{32}", text))


def job_keys(job_id: str) -> list[str]:
    """The KEYS of a script about this job.

    Raises:
        JobNotFound: if it cannot be the id of a job.
    """
    if not is_job_id(job_id):
        raise JobNotFound(job_id)
    record = f"{PREFIX}:job:{job_id}"
    return [record, f"{record}:epochs", f"{record}:events", DUE, JOBS, READY, ENDED, OWNERS]


def _flat(fields: Mapping[str, Any]) -> list[Any]:
    return [part for pair in fields.items() for part in pair]


@dataclass(frozen=True)
class Claim:
    """A worker's right to train a job, and where to go on: `step` rows into `epoch` + 1."""

    job_id: str
    fence: int
    specification: Specification
    epoch: int
    step: int
    weights: list[float] | None
    digest: str | None
    verifies: str | None
    origin: Origin


@dataclass(frozen=True)
class Event:
    """Something that happened to a job.

    Attributes:
        id: of the stream entry; ids of a job's events grow.
        kind: "status" or "epoch".
        data: the new status, or the JSON of an `Epoch`.
    """

    id: str
    kind: str
    data: bytes


@dataclass(frozen=True)
class Page:
    """Some jobs, newest first; `next` is the sequence number to go on after."""

    jobs: list[Record]
    next: int | None


class Store:
    """The jobs in one Redis. Make one for each process."""

    def __init__(self, settings: Settings, *, patient: bool = False) -> None:
        self.settings = settings
        self.redis = connect(settings, patient=patient)
        self._scripts: dict[str, Any] = {}

    def _run(self, name: str, job_id: str, *arguments: Any, more_keys: Sequence[str] = ()) -> Any:
        """Run the script about a job; its first argument is the job's id."""
        keys = [*job_keys(job_id), *more_keys]
        if name not in self._scripts:
            self._scripts[name] = load_script(self.redis, "prelude", name)
        return self._scripts[name](keys=keys, args=[job_id, *arguments])

    @property
    def _lease_ms(self) -> int:
        return int(self.settings.lease_seconds * 1000)

    # Clients of the service

    def accept(
        self,
        request: JobRequest,
        *,
        owner: str = "",
        idempotency_key: str | None = None,
        fingerprint: str = "",
        verifies: str | None = None,
        origin: Origin | None = None,
    ) -> tuple[str, bool]:
        """Make a job durable.

        Args:
            request: what to train, and what the client calls it.
            owner: whose keys and open jobs are told apart; "" without accounts.
            idempotency_key: the same key gives the same job for 24 hours.
            fingerprint: of the body that came with the key.
            verifies: the job whose stored epochs this one is to compare with its own.
            origin: of the request; what the workers log about the job carries it.

        Returns:
            The job's id, and whether it had been created by an earlier call with this key.

        Raises:
            IdempotencyMismatch, IdempotencyKeySpent, TooManyOpenJobs
        """
        job_id = uuid.uuid4().hex
        digest = hashlib.sha256((idempotency_key or "").encode()).hexdigest()
        remembered = f"{PREFIX}:idempotency:{owner}:{digest}"
        settings = self.settings
        seen = (fingerprint or "-") if idempotency_key else ""
        answer = self._run(
            "accept", job_id, owner, settings.max_open_jobs, settings.max_open_jobs_per_owner,
            HINT_MS, seen, settings.idempotency_seconds,
            *_flat(self._new(request, verifies, origin)),
            more_keys=[remembered if idempotency_key else job_keys(job_id)[0]],
        )  # fmt: skip
        outcome, first = (part.decode() for part in answer)
        if outcome == "mismatch":
            raise IdempotencyMismatch
        self._refuse_if_full(outcome)
        if outcome == "replayed" and not self.redis.exists(job_keys(first)[0]):
            raise IdempotencyKeySpent(first)
        return first, outcome == "replayed"

    def _new(
        self, request: JobRequest, verifies: str | None, origin: Origin | None
    ) -> dict[str, Any]:
        limit = request.time_limit_seconds or self.settings.max_job_seconds
        webhook = request.webhook
        optional = {
            "name": request.name,
            "verifies": verifies,
            "request_id": origin and origin.request_id,
            "traceparent": origin and origin.traceparent,
            "webhook_url": webhook and webhook.url,
            "webhook_secret": webhook and webhook.secret and webhook.secret.get_secret_value(),
        }
        return {
            "specification": request.specification.model_dump_json(),
            "metadata": json.dumps(request.metadata),
            "priority": request.priority,
            "time_limit_ms": int(limit * 1000),
            "training_size": request.dataset.training_size,
        } | {name: value for name, value in optional.items() if value is not None}

    def _refuse_if_full(self, outcome: str) -> None:
        if outcome == "full":
            raise TooManyOpenJobs(self.settings.max_open_jobs)
        if outcome == "owner full":
            raise TooManyOpenJobs(self.settings.max_open_jobs_per_owner)

    def get(self, job_id: str) -> Record:
        """The job's record.

        Raises:
            JobNotFound
        """
        fields = cast(dict[bytes, bytes], self.redis.hgetall(job_keys(job_id)[0]))
        if not fields:
            raise JobNotFound(job_id)
        return _record(job_id, fields)

    def owner(self, job_id: str) -> str:
        """Whose job it is; that never changes.

        Raises:
            JobNotFound
        """
        owner = cast(bytes | None, self.redis.hget(job_keys(job_id)[0], "owner"))
        if owner is None:
            raise JobNotFound(job_id)
        return owner.decode()

    def list_jobs(
        self,
        *,
        statuses: Sequence[Status] = (),
        metadata: Mapping[str, str] | None = None,
        owner: str | None = None,
        limit: int,
        before: int | None = None,
    ) -> Page:
        """Jobs, newest first, created before the one of sequence number `before`.

        `owner` None: of all owners.
        """
        indexes = [f"{JOBS}:{status}" for status in statuses] or [JOBS]
        if owner is not None:
            indexes = [f"{JOBS}:owner:{owner}"]
        found: list[Record] = []
        scanned = 0
        while scanned < SCAN_LIMIT:
            chunk = self._newest(indexes, limit + 1, before)
            for record, sequence in chunk:
                if len(found) == limit:
                    return Page(found, before)
                before, scanned = sequence, scanned + 1
                if record and _matches(record, statuses, metadata or {}):
                    found.append(record)
            if len(chunk) <= limit:
                return Page(found, None)
        return Page(found, before)

    def _newest(
        self, indexes: Sequence[str], count: int, before: int | None
    ) -> list[tuple[Record | None, int]]:
        highest = "+inf" if before is None else f"({before}"
        # At one moment: a job that goes from one status to another in between would be in neither.
        pipeline = self.redis.pipeline(transaction=True)
        for key in indexes:
            pipeline.zrevrangebyscore(key, highest, "-inf", start=0, num=count, withscores=True)
        ids = {job_id: int(score) for newest in pipeline.execute() for job_id, score in newest}
        chosen = sorted(ids.items(), key=lambda item: -item[1])[:count]
        pipeline = self.redis.pipeline(transaction=False)
        for job_id, _ in chosen:
            pipeline.hgetall(job_keys(job_id.decode())[0])
        return [
            (_record(job_id.decode(), fields) if fields else None, sequence)
            for (job_id, sequence), fields in zip(chosen, pipeline.execute(), strict=True)
        ]

    def epochs(self, job_id: str, *, after: int, limit: int) -> list[bytes]:
        """Results of the epochs `after` + 1 and on, each the JSON of an `Epoch`.

        Raises:
            JobNotFound
        """
        record, epochs, *_ = job_keys(job_id)
        pipeline = self.redis.pipeline(transaction=True)
        pipeline.exists(record)
        pipeline.lrange(epochs, after, after + limit - 1)
        exists, results = pipeline.execute()
        if not exists:
            raise JobNotFound(job_id)
        return cast(list[bytes], results)

    def events(
        self, job_id: str, *, after: str = "0", limit: int = 1000, block_seconds: float = 0
    ) -> list[Event]:
        """What happened to the job after the event `after` ("0": from the beginning).

        Args:
            job_id: a job that may have been deleted; there are no events then.
            after: id of an event, "milliseconds-number".
            limit: how many at most.
            block_seconds: how long to wait for the first one, less than the socket timeout.
        """
        block = max(1, int(block_seconds * 1000)) if block_seconds > 0 else None
        return _events(self.redis.xread({job_keys(job_id)[2]: after}, count=limit, block=block))

    def news(self, job_id: str, *, after: str, limit: int) -> tuple[Status, list[Event]]:
        """The status, and at the same moment what happened after the event `after`.

        Raises:
            JobNotFound
        """
        record, _, events, *_ = job_keys(job_id)
        pipeline = self.redis.pipeline(transaction=True)
        pipeline.hget(record, "status")
        pipeline.xread({events: after}, count=limit)
        status, answer = pipeline.execute()
        if status is None:
            raise JobNotFound(job_id)
        return Status(status.decode()), _events(answer)

    def wait_for_end(self, job_id: str, seconds: float) -> Record:
        """The record when the job has ended, or as it is after `seconds`.

        Raises:
            JobNotFound
        """
        deadline = time.monotonic() + seconds
        position = "0"
        record = self.get(job_id)
        while not record.status.ended and (left := deadline - time.monotonic()) > 0:
            events = self.events(job_id, after=position, block_seconds=min(left, BLOCK_SECONDS))
            if events:
                position = events[-1].id
            if any(event.kind == "status" for event in events):
                record = self.get(job_id)
        return record if record.status.ended else self.get(job_id)

    def cancel(self, job_id: str) -> Record:
        """End the job now; the worker that trains it finds its lease gone.

        Raises:
            JobNotFound, StateConflict: if it has ended otherwise.
        """
        status = self._run("cancel", job_id)
        return self._changed(job_id, status, "cancelled", {Status.CANCELLED})

    def pause(self, job_id: str) -> Record:
        """Stop training, until `resume`; what is committed stays.

        Raises:
            JobNotFound, StateConflict: if it has ended.
        """
        status = self._run("pause", job_id)
        return self._changed(job_id, status, "paused", {Status.PAUSED})

    def resume(self, job_id: str) -> Record:
        """Queue a paused job again; one that is queued or running stays so.

        Raises:
            JobNotFound, StateConflict: if it has ended.
        """
        status = self._run("resume", job_id, HINT_MS)
        return self._changed(job_id, status, "resumed", {Status.QUEUED, Status.RUNNING})

    def retry(self, job_id: str) -> Record:
        """Queue a failed job again; it goes on after its last commit.

        Raises:
            JobNotFound, StateConflict: if it has not failed; TooManyOpenJobs.
        """
        limits = [self.settings.max_open_jobs, self.settings.max_open_jobs_per_owner]
        status = self._run("retry", job_id, HINT_MS, *limits)
        if status is not None:
            self._refuse_if_full(status.decode())
        return self._changed(job_id, status, "retried", {Status.QUEUED, Status.RUNNING})

    def delete(self, job_id: str) -> None:
        """Forget an ended job.

        Raises:
            JobNotFound, StateConflict: if it has not ended.
        """
        status = self._run("delete", job_id)
        _expect(job_id, status, "deleted", {status for status in Status if status.ended})

    def _changed(
        self, job_id: str, status: bytes | None, action: str, allowed: set[Status]
    ) -> Record:
        _expect(job_id, status, action, allowed)
        return self.get(job_id)

    # Workers

    def claim(self, attempt: str) -> Claim | None:
        """Take the job whose turn it is; None if no job is queued.

        Args:
            attempt: a new name for each call, so that a call whose answer is lost can be repeated.
        """
        limits = [self._lease_ms, self.settings.max_claims]
        while first := cast(list[bytes], self.redis.zrange(READY, 0, 0)):
            job_id = first[0].decode()
            fence = self._run("claim", job_id, attempt, *limits)
            if fence is not None:
                return self._claimed(job_id, int(fence))
        return None

    def _claimed(self, job_id: str, fence: int) -> Claim:
        names = [
            "specification", "epoch", "step", "weights", "checkpoint", "digest", "verifies",
            *_ORIGIN,
        ]  # fmt: skip
        specification, epoch, step, weights, checkpoint, digest, verifies, *origin = cast(
            list[bytes], self.redis.hmget(job_keys(job_id)[0], names)
        )
        start = checkpoint if checkpoint is not None else weights
        return Claim(
            job_id=job_id,
            fence=fence,
            specification=Specification.model_validate_json(specification),
            epoch=int(epoch),
            step=int(step) if checkpoint is not None else 0,
            weights=None if start is None else decode_weights(start),
            digest=None if digest is None else digest.decode(),
            verifies=None if verifies is None else verifies.decode(),
            origin=_origin(job_id, origin),
        )

    def origin(self, job_id: str) -> Origin:
        """The origin of the request that created the job, made up if the record has none."""
        return _origin(job_id, cast(list[Any], self.redis.hmget(job_keys(job_id)[0], _ORIGIN)))

    def beat(self, claim: Claim) -> None:
        """Extend the lease.

        Raises:
            LeaseLost
        """
        self._write(claim, {})

    def begin(self, claim: Claim, weights: Sequence[float], demo: Sequence[Demo]) -> None:
        """Record the initial weights and what they make of the demo rows.

        Raises:
            LeaseLost
        """
        self._write(
            claim, {"initial_weights": encode_weights(weights), "demo_before": _encode_demo(demo)}
        )

    def checkpoint(self, claim: Claim, step: int, weights: Iterable[float]) -> None:
        """Record how far the epoch that is being trained has come; training can go on from there.

        Raises:
            LeaseLost
        """
        self._write(claim, {"step": step, "checkpoint": encode_weights(weights), "claims": 0})

    def _write(self, claim: Claim, fields: Mapping[str, Any]) -> None:
        if not self._run("update", claim.job_id, claim.fence, self._lease_ms, *_flat(fields)):
            raise LeaseLost(claim.job_id)

    def commit(
        self, claim: Claim, results: Sequence[Epoch], demo_after: Sequence[Demo] | None = None
    ) -> None:
        """Record the results of one or more epochs; with `demo_after` the job has succeeded.

        Raises:
            LeaseLost
        """
        last = results[-1]
        fields: dict[str, Any] = {
            "weights": encode_weights(last.weights),
            "accuracy": repr(last.accuracy),
            "digest": last.digest,
        }
        if demo_after is not None:
            fields["demo_after"] = _encode_demo(demo_after)
        entries = [orjson.dumps(result.model_dump()) for result in results]
        final = int(demo_after is not None)
        outcome = self._run(
            "commit", claim.job_id, claim.fence, self._lease_ms, results[0].epoch, last.epoch,
            final, *entries, *_flat(fields),
        )  # fmt: skip
        if outcome in (b"lost", b"gap"):
            raise LeaseLost(claim.job_id)

    def fail(self, claim: Claim, error: JobError) -> None:
        """End the job with an error.

        Raises:
            LeaseLost
        """
        if not self._run("fail", claim.job_id, claim.fence, error.model_dump_json()):
            raise LeaseLost(claim.job_id)

    def release(self, claim: Claim) -> None:
        """Hand the job back; another worker goes on after the last commit or checkpoint.

        Raises:
            LeaseLost
        """
        if not self._run("release", claim.job_id, claim.fence, RELEASED_HINT_MS):
            raise LeaseLost(claim.job_id)

    def sweep(self, messages: Callable[[], int] = lambda: 0) -> list[str]:
        """Take back jobs whose worker is lost, and delete those whose retention is over.

        Any number of sweepers may run.

        Args:
            messages: how many wait in the queue; with one for each queued job, none is lost.

        Returns:
            Ids of queued jobs that workers are to be told of.
        """
        now = self._now()
        for job_id in self._oldest(ENDED, now - self.settings.retention_seconds * 1000):
            self._run("delete", job_id)
        ids = self._oldest(DUE, now)
        if not ids:
            return []
        may_take_back, waiting = int(self._runners_could_beat()), messages()
        told: list[str] = []
        for job_id in ids:
            arguments = [may_take_back, waiting + len(told), HINT_MS, LONGEST_HINT_MS]
            if self._run("sweep", job_id, *arguments):
                told.append(job_id)
        return told

    def _oldest(self, key: str, until: float) -> list[str]:
        found = self.redis.zrangebyscore(key, "-inf", until, start=0, num=SWEEP_LIMIT)
        return [job_id.decode() for job_id in cast(list[bytes], found)]

    def _runners_could_beat(self) -> bool:
        """Whether Redis has been up for so long that a missing heartbeat is the worker's fault."""
        uptime = cast(dict[str, int], self.redis.info("server"))["uptime_in_seconds"]
        return uptime > self.settings.lease_seconds / 2

    def announce_worker(self, name: str, seconds: float) -> None:
        """Count this worker as alive for some seconds."""
        now = self._now()
        pipeline = self.redis.pipeline(transaction=False)
        pipeline.zremrangebyscore(WORKERS, "-inf", now)
        pipeline.zadd(WORKERS, {name: now + seconds * 1000})
        pipeline.execute()

    def withdraw_worker(self, name: str) -> None:
        """Count this worker as gone."""
        self.redis.zrem(WORKERS, name)

    # Health

    def workers(self, host: str | None = None) -> int:
        """How many workers are alive, on all hosts or on one."""
        names = cast(list[bytes], self.redis.zrangebyscore(WORKERS, self._now(), "+inf"))
        hosts = [name.decode().rpartition(":")[0] for name in names]
        return len(hosts) if host is None else hosts.count(host)

    def _now(self) -> int:
        """Milliseconds since 1970 by the clock of Redis, the only one that all share."""
        seconds, microseconds = self.redis.time()
        return seconds * 1000 + microseconds // 1000

    def check(self) -> None:
        """Ask whether this Redis keeps what it is given; warn if a crash of it may lose jobs.

        Raises:
            UnsafeRedis
        """
        policy = cast(dict[str, str], self.redis.info("memory")).get("maxmemory_policy", "")
        if policy != "noeviction":
            raise UnsafeRedis(policy)
        if not cast(dict[str, int], self.redis.info("persistence")).get("aof_enabled"):
            _log.warning("Redis has no append-only file: jobs are lost when it crashes")


def _expect(job_id: str, status: bytes | None, action: str, allowed: set[Status]) -> None:
    if status is None:
        raise JobNotFound(job_id)
    if Status(status.decode()) not in allowed:
        raise StateConflict(job_id, status.decode(), action)


def _origin(job_id: str, stored: Sequence[bytes | None]) -> Origin:
    return of_job(job_id, *(value.decode() if value else None for value in stored))


def _events(answer: Any) -> list[Event]:
    streams = cast(list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]], answer or [])
    return [
        Event(event_id.decode(), fields[b"kind"].decode(), fields[b"data"])
        for _, entries in streams
        for event_id, fields in entries
    ]


def _encode_demo(demo: Sequence[Demo]) -> bytes:
    return orjson.dumps([row.model_dump() for row in demo])


def _matches(record: Record, statuses: Sequence[Status], metadata: Mapping[str, str]) -> bool:
    return (not statuses or record.status in statuses) and (
        metadata.items() <= record.metadata.items()
    )


def _record(job_id: str, fields: Mapping[bytes, bytes]) -> Record:
    def read(name: str, decode: Any) -> Any:
        value = fields.get(name.encode())
        return None if value is None else decode(value)

    def demo(value: bytes) -> list[Demo]:
        return [Demo(**row) for row in orjson.loads(value)]

    return Record(
        id=job_id,
        revision=int(fields[b"revision"]),
        status=Status(fields[b"status"].decode()),
        owner=fields[b"owner"].decode(),
        name=read("name", bytes.decode),
        metadata=orjson.loads(fields[b"metadata"]),
        specification=Specification.model_validate_json(fields[b"specification"]),
        priority=Priority(fields[b"priority"].decode()),
        time_limit_seconds=int(fields[b"time_limit_ms"]) / 1000,
        verifies=read("verifies", bytes.decode),
        digest=read("digest", bytes.decode),
        created_at=int(fields[b"created_at"]),
        started_at=read("started_at", int),
        updated_at=int(fields[b"updated_at"]),
        ended_at=read("ended_at", int),
        epoch=int(fields[b"epoch"]),
        step=int(fields[b"step"]),
        claimed_at=read("claimed_at", int),
        claimed_epoch=read("claimed_epoch", int),
        claimed_step=read("claimed_step", int),
        accuracy=read("accuracy", float),
        initial_weights=read("initial_weights", decode_weights),
        weights=read("weights", decode_weights),
        demo_before=read("demo_before", demo),
        demo_after=read("demo_after", demo),
        error=read("error", JobError.model_validate_json),
        webhook=read("webhook_url", lambda url: _webhook(url, fields)),
    )


def _webhook(url: bytes, fields: Mapping[bytes, bytes]) -> WebhookState:
    next_at = fields.get(b"webhook_next_at")
    return WebhookState(
        url=url.decode(),
        status=fields.get(b"webhook_status", b"pending").decode(),
        attempts=int(fields.get(b"webhook_attempts", 0)),
        error=fields.get(b"webhook_error", b"").decode() or None,
        next_attempt_at=int(next_at) if next_at else None,
    )
