"""Rate limits that all API processes share, for less than a call to Redis a request.

The bucket of a key or address is in Redis and fills up in a minute. A process takes tokens out of
it a hundredth of the limit at a time and spends them by itself within a second, and it remembers a
refusal until it is over. So a limit is never exceeded, and refuses at most (processes - 1)
hundredths early.
"""

import math
import time
from dataclasses import dataclass
from threading import Lock

import redis

from shared.store import PREFIX, load_script

#: How long a process may spend tokens that it has taken.
SPEND_SECONDS = 1.0
#: How many buckets a process remembers.
MOST_BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class Quota:
    """What a request was told: whether it may go on, and how many more may come."""

    policy: str
    limit: int
    allowed: bool
    left: int
    seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """`RateLimit` and `RateLimit-Policy`: draft-ietf-httpapi-ratelimit-headers, 08 and on."""
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.limit};w=60',
            "RateLimit": f'"{self.policy}";r={self.left};t={self.seconds}',
        }


@dataclass(slots=True)
class _Bucket:
    """What a process knows of a bucket: its own tokens (until then), and those left in Redis."""

    own: int
    left: int
    refused: bool
    until: float


class Limiter:
    """Counts requests."""

    def __init__(self, client: "redis.Redis") -> None:
        self._take = load_script(client, "take")
        self._buckets: dict[str, _Bucket] = {}
        self._lock = Lock()

    def take(self, policy: str, who: str, limit: int) -> Quota:
        """Count one request of `who`, who has `limit` in a minute.

        Raises:
            redis.exceptions.RedisError
        """
        name = f"{PREFIX}:limit:{policy}:{who}"
        now = time.monotonic()
        with self._lock:
            bucket = self._buckets.get(name)
            known = bucket is not None and now < bucket.until
            if bucket and known and (bucket.own > 0 or bucket.refused):
                return _spend(policy, limit, bucket, now)
        got, left, wait_ms = self._take(keys=[name], args=[limit, max(1, limit // 100)])
        until = now + (SPEND_SECONDS if got else wait_ms / 1000)
        with self._lock:
            if len(self._buckets) >= MOST_BUCKETS:
                self._buckets.clear()
            bucket = self._buckets[name] = _Bucket(got, left, not got, until)
            return _spend(policy, limit, bucket, now)


def _spend(policy: str, limit: int, bucket: _Bucket, now: float) -> Quota:
    if bucket.refused:
        return Quota(policy, limit, False, 0, max(1, math.ceil(bucket.until - now)))
    bucket.own -= 1
    left = bucket.own + bucket.left
    return Quota(policy, limit, True, left, math.ceil((limit - left) * 60 / limit))
