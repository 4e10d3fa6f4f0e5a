"""The queue of webhook messages in Redis: each announces one end of a job.

    {neuron}:webhooks    zset    messages not delivered, "<job id>:<number of the end>";
                                 score: when to try (ms)

The script that ends a job puts the message there and what it says into the job's record
(`webhook:<number>`), so a message lives and dies with its job. A job that is retried may end again:
that is another message. A message that is sent is leased, so a killed sender delays it and no more.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, cast

import orjson

from shared.job import Epoch, JobError, Status
from shared.store import PREFIX, Store, job_keys, load_script

WEBHOOKS = f"{PREFIX}:webhooks"


@dataclass(frozen=True)
class Message:
    """One end of a job; they are numbered from 1."""

    job_id: str
    number: int

    @property
    def id(self) -> str:
        """The `webhook-id`, the same whenever the message is sent."""
        return f"msg_{self.job_id}_{self.number}"


@dataclass(frozen=True)
class Delivery:
    """A message that is ours to send until `lease` (ms since 1970), and what it says."""

    message: Message
    lease: int
    attempts: int
    url: str
    secret: str | None
    name: str | None
    metadata: dict[str, str]
    status: Status
    ended_at: int
    epoch: int
    result: Epoch | None
    error: JobError | None

    def __repr__(self) -> str:
        return f"<Delivery of {self.message.id}>"


@dataclass(frozen=True)
class Outcome:
    """How an attempt went; "pending": it is tried again after `wait_seconds`."""

    status: Literal["delivered", "failed", "disabled", "pending"]
    error: str = ""
    wait_seconds: float = 0


class Outbox:
    """The messages of one store.

    Every method raises `redis.exceptions.RedisError` when Redis cannot do it.
    """

    def __init__(self, store: Store) -> None:
        self._redis = store.redis

    @cached_property
    def _take(self) -> Any:
        return load_script(self._redis, "prelude", "take_webhook")

    @cached_property
    def _settle(self) -> Any:
        return load_script(self._redis, "prelude", "settle_webhook")

    def due(self, limit: int) -> list[tuple[Message, str]]:
        """Messages to send now, the most overdue first, each with its URL ("": job deleted)."""
        seconds, microseconds = self._redis.time()
        now = seconds * 1000 + microseconds // 1000
        members = self._redis.zrangebyscore(WEBHOOKS, "-inf", now, start=0, num=limit)
        messages = [_message(member.decode()) for member in cast(list[bytes], members)]
        pipeline = self._redis.pipeline(transaction=False)
        for message in messages:
            pipeline.hget(job_keys(message.job_id)[0], "webhook_url")
        urls = [(url or b"").decode() for url in pipeline.execute()]
        return list(zip(messages, urls, strict=True))

    def take(self, message: Message, lease_seconds: float) -> Delivery | None:
        """Lease the message; None if it is not due any more, or its job has been deleted."""
        arguments = [message.job_id, message.number, int(lease_seconds * 1000)]
        taken = self._take(keys=job_keys(message.job_id), args=arguments)
        return taken and _delivery(message, taken)

    def settle(self, delivery: Delivery, outcome: Outcome) -> bool:
        """Record how an attempt went; False if another sender has the message by now."""
        message = delivery.message
        wait = int(outcome.wait_seconds * 1000)
        arguments = [message.job_id, message.number, delivery.lease]
        arguments += [outcome.status, wait, outcome.error]
        return bool(self._settle(keys=job_keys(message.job_id), args=arguments))


def _message(member: str) -> Message:
    job_id, _, number = member.partition(":")
    return Message(job_id, int(number))


def _delivery(message: Message, taken: list[Any]) -> Delivery:
    lease, content, attempts, url, secret, name, metadata, result = taken
    said = orjson.loads(content)
    return Delivery(
        message=message,
        lease=lease,
        attempts=int(attempts or 0),
        url=url.decode(),
        secret=secret and secret.decode(),
        name=name and name.decode(),
        metadata=orjson.loads(metadata),
        status=Status(said["status"]),
        ended_at=int(said["ended_at"]),
        epoch=int(said["epoch"]),
        result=result and Epoch.model_validate_json(result),
        error=said.get("error") and JobError.model_validate_json(said["error"]),
    )
