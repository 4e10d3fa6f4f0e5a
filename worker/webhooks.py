"""Sending the webhooks of ended jobs (Standard Webhooks 1.0), from every worker's parent process.

A message is sent at least once: whoever dies between the receiver's answer and the record of it
leaves a lease behind, and when that ends the message goes out again, under the same id.
"""

import base64
import hashlib
import hmac
import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from threading import Condition, Event, Thread
from typing import Any
from urllib.parse import urlsplit

import orjson
import structlog
from redis.exceptions import RedisError

from shared import __version__, tracing
from shared.outbox import Delivery, Outbox, Outcome
from shared.settings import Settings
from shared.store import Store
from shared.webhook import signing_key
from worker.post import Answer, PostFailed, post

#: How often the queue is looked at.
POLL_SECONDS = 0.5
#: How many messages are under way at once, and how many of them to one receiver, so that a slow
#: one does not hold up the others.
MOST_AT_ONCE, MOST_PER_RECEIVER = 16, 4
#: How many due messages are looked through for receivers that are not busy.
LOOK_THROUGH = 500
#: A lease leaves this many times the timeout of an attempt, for names that resolve slowly.
LEASE_FACTOR = 2
#: A receiver cannot put a message off for longer.
LONGEST_RETRY_AFTER = 86_400.0

_log = structlog.get_logger()


def deliver_forever(store: Store, stopping: Event) -> None:
    """Send what is due until told to stop; a Redis that is away is waited for."""
    sender = Sender(store)
    away = False
    while not stopping.is_set():
        try:
            sender.start_due()
            away = False
        except RedisError as error:
            if not away:
                _log.warning("webhooks wait for Redis", reason=str(error))
            away = True
        except Exception:  # of a message that cannot be read; it is leased, so others come next
            _log.exception("webhook not read")
        sender.wait(POLL_SECONDS)


def deliver_due(store: Store) -> int:
    """Send what is due now; returns how many messages were sent, or tried."""
    sender = Sender(store)
    sent = 0
    while started := sender.start_due():
        sent += started
        sender.wait_for_all()
    return sent


class Sender:
    """Sends messages in threads of its own, which do not keep the process alive."""

    def __init__(self, store: Store) -> None:
        self._store, self._settings = store, store.settings
        self._outbox = Outbox(store)
        self._changed = Condition()
        self._under_way: Counter[str] = Counter()

    def start_due(self) -> int:
        """Start to send what is due, as far as the bounds allow; returns how many messages."""
        started = 0
        for message, url in self._outbox.due(LOOK_THROUGH):
            if self._is_busy(_receiver(url)):
                continue
            delivery = self._outbox.take(message, self._lease_seconds)
            if delivery:
                self._start(delivery)
                started += 1
        return started

    def wait(self, seconds: float) -> None:
        """Until a message under way is done, at most some seconds."""
        with self._changed:
            self._changed.wait(seconds)

    def wait_for_all(self) -> None:
        """Until nothing is under way."""
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way.total())

    @property
    def _lease_seconds(self) -> float:
        return LEASE_FACTOR * self._settings.webhook_timeout_seconds

    def _is_busy(self, receiver: str) -> bool:
        with self._changed:
            return (
                self._under_way.total() >= MOST_AT_ONCE
                or self._under_way[receiver] >= MOST_PER_RECEIVER
            )

    def _start(self, delivery: Delivery) -> None:
        with self._changed:
            self._under_way[_receiver(delivery.url)] += 1
        Thread(target=self._run, args=[delivery], name="webhook", daemon=True).start()

    def _run(self, delivery: Delivery) -> None:
        try:
            with tracing.working_for(self._store.origin(delivery.message.job_id)):
                self._deliver(delivery)
        except RedisError as error:
            _log.warning("webhook not recorded", id=delivery.message.id, reason=str(error))
        finally:
            with self._changed:
                self._under_way[_receiver(delivery.url)] -= 1
                self._under_way += Counter()
                self._changed.notify_all()

    def _deliver(self, delivery: Delivery) -> None:
        outcome = self._send(delivery)
        self._outbox.settle(delivery, outcome)
        _log.info(
            "webhook", id=delivery.message.id, outcome=outcome.status, error=outcome.error or None
        )

    def _send(self, delivery: Delivery) -> Outcome:
        settings = self._settings
        try:
            body = payload(delivery)
            answer = post(
                delivery.url,
                body,
                _headers(delivery, body, _secret(delivery, settings)),
                seconds=settings.webhook_timeout_seconds,
                allow_private=settings.webhook_allow_private,
            )
        except PostFailed as error:
            return _again(str(error), delivery.attempts, settings.webhook_waits)
        except Exception:
            _log.exception("webhook failed", id=delivery.message.id)
            return _again("internal error", delivery.attempts, settings.webhook_waits)
        return judge(answer, delivery.attempts, settings.webhook_waits)


def _receiver(url: str) -> str:
    return urlsplit(url).netloc.lower()


def payload(delivery: Delivery) -> bytes:
    """The body: the same for every attempt to send the message."""
    result, error = delivery.result, delivery.error
    moment = datetime.fromtimestamp(delivery.ended_at / 1000, UTC)
    ended_at = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    data: dict[str, Any] = {
        "job_id": delivery.message.job_id,
        "status": delivery.status,
        "name": delivery.name,
        "metadata": delivery.metadata,
        "epoch": delivery.epoch,
        "accuracy": result and result.accuracy,
        "weights": result and result.weights,
        "digest": result and result.digest,
        "error": error and error.model_dump(exclude_unset=True),
        "ended_at": ended_at,
    }
    return orjson.dumps({"type": f"job.{delivery.status}", "timestamp": ended_at, "data": data})


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature`: "v1," and HMAC-SHA256 of "id.timestamp.body" in base64."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(signing_key(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _secret(delivery: Delivery, settings: Settings) -> str:
    if delivery.secret:
        return delivery.secret
    if not settings.webhook_secret:
        raise PostFailed("this worker has no NEURON_WEBHOOK_SECRET to sign with")
    return settings.webhook_secret.get_secret_value()


def _headers(delivery: Delivery, body: bytes, secret: str) -> dict[str, str]:
    now = int(time.time())
    return {
        "Content-Type": "application/json",
        "User-Agent": f"neuron-training-service/{__version__}",
        "webhook-id": delivery.message.id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(secret, delivery.message.id, now, body),
    }


def judge(answer: Answer, attempts: int, waits: Sequence[float]) -> Outcome:
    """What an answer means for the message.

    Args:
        answer: of the receiver.
        attempts: that were made before.
        waits: seconds before each further attempt.
    """
    if 200 <= answer.status < 300:
        return Outcome("delivered")
    error = f"HTTP status {answer.status}"
    if answer.status == HTTPStatus.GONE:
        return Outcome("disabled", error)
    asked = 0.0
    if answer.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        asked = retry_after(answer.retry_after)
    return _again(error, attempts, waits, asked)


def _again(error: str, attempts: int, waits: Sequence[float], at_least: float = 0) -> Outcome:
    if attempts >= len(waits):
        return Outcome("failed", error)
    wait = waits[attempts] * random.uniform(0.8, 1.2)  # noqa: S311 (nothing secret)
    return Outcome("pending", error, max(wait, at_least))


def retry_after(header: str | None) -> float:
    """Seconds that a Retry-After header asks for, bounded; 0 if it is none."""
    if re.fullmatch(r"\d{1,9}", header or ""):
        seconds = float(header or 0)
    else:
        try:
            seconds = parsedate_to_datetime(header or "").timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
