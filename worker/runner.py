"""Training one job: claim it, keep its lease, commit its epochs, end it."""

import contextvars
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from redis.exceptions import RedisError

from shared import telemetry
from shared.dataset import Data, DataCache
from shared.errors import LeaseLost
from shared.job import Demo, Epoch, JobError
from shared.observation import count
from shared.store import Claim, Store
from worker import verification
from worker.schedule import make_rules
from worker.stability import largest_learning_rate
from worker.training import Chunk, Diverged, demonstrate, train

#: Epochs that follow each other faster than this are committed together.
COMMIT_SECONDS = 0.05
#: How often progress inside an epoch is recorded.
CHECKPOINT_SECONDS = 0.25
#: The longest pause between heartbeats; a cancelled job is noticed as fast.
LONGEST_BEAT_SECONDS = 0.5

_log = structlog.get_logger()


class Runner:
    """Trains jobs, one at a time. Make one for each process.

    Args:
        store: where the jobs are.
        stopping: whether the worker is to stop: jobs are handed back then.
        publish: tells the workers of a job.
    """

    def __init__(
        self, store: Store, stopping: Callable[[], bool], publish: Callable[[str], object]
    ) -> None:
        self._store, self._stopping, self._publish = store, stopping, publish
        self._cache = DataCache(store.settings.dataset_cache_bytes)
        self._written = time.monotonic()

    def run(self) -> None:
        """Train the job whose turn it is, if there is one; may be called any number of times."""
        if self._stopping():
            return
        claim = self._store.claim(uuid.uuid4().hex)
        if claim is None:
            return
        with telemetry.work_on_job(claim.origin):
            self._run(claim)

    def _run(self, claim: Claim) -> None:
        log = _log.bind(job_id=claim.job_id, fence=claim.fence)
        log.info("training", epoch=claim.epoch, step=claim.step)
        try:
            with _heartbeat(self._store, claim) as lost:
                self._train(claim, lost)
        except LeaseLost:
            log.info("lease lost")
        else:
            log.info("left")

    def _train(self, claim: Claim, lost: threading.Event) -> None:
        try:
            data = self._cache.get(claim.specification)
            weights = claim.weights or self._begin(claim, data)
            self._commit_all(claim, data, weights, lost)
        except verification.Mismatch as error:
            details = JobError(code="mismatch", detail=str(error), epoch=error.epoch)
            self._store.fail(claim, details)
        except (LeaseLost, RedisError):
            raise
        except Exception:
            _log.exception("training failed", job_id=claim.job_id)
            detail = "The worker met an unexpected error; its log has the details."
            self._store.fail(claim, JobError(code="internal", detail=detail))

    def _commit_all(
        self, claim: Claim, data: Data, weights: list[float], lost: threading.Event
    ) -> None:
        pending: list[Epoch] = []
        place = {"epoch": claim.epoch, "step": claim.step}
        try:
            for result in train(claim.specification, data, weights, digest=claim.digest, **place):
                if lost.is_set():
                    raise LeaseLost(claim.job_id)
                if isinstance(result, Epoch):
                    pending.append(result)
                self._record(claim, result, pending)
                if self._stopping() and not self._is_last(claim, result):
                    self._hand_back(claim)
                    return
        except Diverged as error:
            if pending:
                self._commit(claim, pending)
            self._store.fail(claim, _describe(error, data, claim))

    def _record(self, claim: Claim, result: Chunk | Epoch, pending: list[Epoch]) -> None:
        waited = time.monotonic() - self._written
        if isinstance(result, Epoch):
            if self._is_last(claim, result):
                self._commit(claim, pending, demonstrate(result.weights))
            elif waited > COMMIT_SECONDS or self._stopping():
                self._commit(claim, pending)
        elif waited > CHECKPOINT_SECONDS or self._stopping():
            if pending:
                self._commit(claim, pending)
            self._store.checkpoint(claim, result.step, result.weights)
            self._written = time.monotonic()

    @staticmethod
    def _is_last(claim: Claim, result: Chunk | Epoch) -> bool:
        epochs = claim.specification.hyperparameters.epochs
        return isinstance(result, Epoch) and result.epoch == epochs

    def _begin(self, claim: Claim, data: Data) -> list[float]:
        hyperparameters = claim.specification.hyperparameters
        weights: list[float] = data.initial_weights(
            hyperparameters.weight_low, hyperparameters.weight_high
        ).tolist()
        self._written = time.monotonic()
        verification.check_initial_weights(self._store, claim, weights)
        self._store.begin(claim, weights, demonstrate(weights))
        return weights

    def _commit(
        self, claim: Claim, results: list[Epoch], demo_after: list[Demo] | None = None
    ) -> None:
        verification.check_epochs(self._store, claim, results)
        self._store.commit(claim, results, demo_after)
        results.clear()
        self._written = time.monotonic()

    def _hand_back(self, claim: Claim) -> None:
        self._store.release(claim)
        self._publish(claim.job_id)


def _describe(error: Diverged, data: Data, claim: Claim) -> JobError:
    largest = largest_learning_rate(data.training, claim.specification.coefficient)
    bears = "bear no learning rate" if largest is None else f"bear at most {largest:g}"
    used = make_rules(claim.specification, data.training)(error.epoch).learning_rate
    return JobError(
        code="diverged",
        detail=f"Gradients exploded: {error}. The learning rate was {used:g}; these data {bears}.",
        epoch=error.epoch,
        step=error.step,
        weights=error.weights,
        largest_learning_rate=largest,
    )


@contextmanager
def _heartbeat(store: Store, claim: Claim) -> Iterator[threading.Event]:
    """Extend the lease from a thread until the block ends; the event is set when it is lost."""
    lost, done = threading.Event(), threading.Event()
    period = min(LONGEST_BEAT_SECONDS, store.settings.lease_seconds / 3)

    def beat() -> None:
        failures = 0
        while not done.wait(period):
            try:
                store.beat(claim)
                if failures:
                    count(store, "heartbeat_failures", failures)
                    failures = 0
            except LeaseLost:
                lost.set()
                return
            except RedisError as error:
                failures += 1
                _log.warning("heartbeat failed", job_id=claim.job_id, reason=str(error))

    thread = threading.Thread(
        target=contextvars.copy_context().run, args=[beat], name="heartbeat", daemon=True
    )
    thread.start()
    try:
        yield lost
    finally:
        done.set()
        thread.join()
