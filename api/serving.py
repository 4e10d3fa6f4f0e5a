"""Weights that this process keeps in memory, so that a prediction reads no Redis.

Named models: a thread asks every quarter second whether any has changed; what it knows may be used
for one second after the question was asked. Epochs of jobs never change, but jobs end and are
deleted: they are kept for less than that.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog
from redis.exceptions import RedisError

from api.arithmetic import bound_factors
from shared.errors import ModelNotFound, StaleModels
from shared.models import Models, Source

POLL_SECONDS = 0.25
#: How old the knowledge of named models may be.
FRESH_SECONDS = 1.0
#: How long an epoch of a job is kept.
KEEP_SECONDS = 0.5
MOST_KEPT = 1_000
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Served:
    """Weights that predict, whose they are, and the factors of their error bounds."""

    source: Source
    name: str | None = None
    version: int | None = None
    factors: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "factors", bound_factors(self.source.weights))

    def described(self) -> dict[str, object]:
        """What an answer says of the weights that made it."""
        of = self.source
        named = {} if self.name is None else {"model": self.name, "version": self.version}
        return {**named, "job_id": of.job_id, "epoch": of.epoch, "digest": of.digest}


@dataclass(frozen=True, slots=True)
class _Known:
    """All named models, as they were at `asked` at the earliest (monotonic seconds)."""

    asked: float
    revision: int
    models: Mapping[str, Served]


class ServedModels:
    """The current version of every name. Threads may share it."""

    def __init__(self, models: Models, clock: Callable[[], float] = time.monotonic) -> None:
        self._models, self._clock = models, clock
        self._known = _Known(float("-inf"), -1, {})
        self._refreshing = threading.Lock()
        self._process = 0

    def get(self, name: str) -> Served:
        """The weights that the name points at.

        Raises:
            ModelNotFound, StaleModels
        """
        known = self._fresh()
        try:
            return known.models[name]
        except KeyError:
            raise ModelNotFound(name) from None

    def names(self) -> list[str]:
        """All names, in order.

        Raises:
            StaleModels
        """
        return sorted(self._fresh().models)

    def refresh(self) -> None:
        """Ask for changes now.

        Raises:
            RedisError
        """
        with self._refreshing:
            self._refresh()

    def _fresh(self) -> _Known:
        if self._process != os.getpid():
            self._start()
        known = self._known
        if self._clock() - known.asked < FRESH_SECONDS:
            return known
        return self._late()

    def _late(self) -> _Known:
        """The first request, or one after the process slept: ask once for all that wait."""
        if self._refreshing.acquire(timeout=FRESH_SECONDS):
            try:
                if self._clock() - self._known.asked >= FRESH_SECONDS:
                    self._refresh()
            except RedisError:
                raise StaleModels from None
            finally:
                self._refreshing.release()
        known = self._known
        if self._clock() - known.asked >= FRESH_SECONDS:
            raise StaleModels
        return known

    def _refresh(self) -> None:
        asked, known = self._clock(), self._known
        if self._models.revision() == known.revision:
            self._known = _Known(asked, known.revision, known.models)
            return
        revision, versions = self._models.all()
        models = {
            name: Served(version.source, name, version.number) for name, version in versions.items()
        }
        self._known = _Known(asked, revision, models)

    def _start(self) -> None:
        """Start the thread, once for a process: threads do not survive a fork."""
        with self._refreshing:
            if self._process != os.getpid():
                self._process = os.getpid()
                threading.Thread(target=self._poll, name="models", daemon=True).start()

    def _poll(self) -> None:
        while True:
            time.sleep(POLL_SECONDS)
            try:
                self.refresh()
            except RedisError as error:
                _log.warning("models not refreshed", reason=str(error))
            except Exception:
                _log.exception("models not refreshed")


class ServedJobs:
    """Epochs of jobs that were asked for lately. Threads may share it."""

    def __init__(self, models: Models, clock: Callable[[], float] = time.monotonic) -> None:
        self._models, self._clock = models, clock
        self._kept: dict[tuple[str, int | None], tuple[float, Served]] = {}

    def get(self, job_id: str, epoch: int | None = None) -> Served:
        """The weights of an epoch (the last committed one if None).

        Raises:
            JobNotFound, NoWeights, RedisError
        """
        kept = self._kept.get((job_id, epoch))
        now = self._clock()
        if kept and now < kept[0]:
            return kept[1]
        found = Served(self._models.source(job_id, epoch))
        if len(self._kept) >= MOST_KEPT:
            self._kept = {}
        self._kept[job_id, epoch] = (now + KEEP_SECONDS, found)
        return found
