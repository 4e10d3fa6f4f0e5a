"""What Prometheus reads at `/metrics`: of the requests, and of the jobs of the whole service.

Each API process counts its requests in files of the folder PROMETHEUS_MULTIPROC_DIR; whichever
process is asked adds them all up. Without the folder a process knows its own requests only. The
jobs, queue and workers are read from Redis, see `shared.observation`.
"""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple, get_args

from flask import Blueprint, Response, current_app
from redis.exceptions import RedisError

from api.openapi import operation
from api.services import services
from shared import __version__
from shared.job import JobError, Status
from shared.observation import Observation, observe
from shared.store import Store

FOLDER = (
    Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    else None
)
if FOLDER:
    FOLDER.mkdir(parents=True, exist_ok=True)
else:
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)  # empty, which prometheus_client takes for set

from prometheus_client import (  # noqa: E402 (it looks for the folder when it is imported)
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: E402
from prometheus_client.metrics_core import Metric  # noqa: E402
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402
from prometheus_client.registry import Collector  # noqa: E402

blueprint = Blueprint("metrics", __name__)

REQUESTS = Counter("neuron_requests", "requests that were answered", ["route", "method", "status"])
SECONDS = Histogram(
    "neuron_request_seconds",
    "seconds until a request was answered; of a stream, until it began",
    ["route", "method"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
IN_FLIGHT = Gauge(
    "neuron_requests_in_flight", "requests being answered", multiprocess_mode="livesum"
)
STREAMS = Gauge("neuron_open_streams", "event streams that are open", multiprocess_mode="livesum")
PREDICTIONS = Counter("neuron_predictions", "predict calls that were answered with numbers")
PREDICTED_ROWS = Counter("neuron_predicted_rows", "rows of these calls")
_predicted: deque[int] = deque(maxlen=100_000)

#: Counters of the workers' deeds: the field in Redis, and what it counts.
DEEDS = {
    "neuron_jobs_accepted": ("accepted", "jobs that were created"),
    "neuron_claims": ("claims", "times that a worker took a job"),
    "neuron_epochs_committed": ("epochs", "epochs that were committed"),
    "neuron_training_steps": ("steps", "training rows of the committed epochs"),
    "neuron_recoveries": ("recoveries", "jobs taken back from a worker whose lease ended"),
    "neuron_hints": ("hints", "times that workers were told again of a queued job"),
    "neuron_heartbeat_failures": ("heartbeat_failures", "heartbeats that Redis did not take"),
}
CODES = get_args(JobError.model_fields["code"].annotation)


class Bound(NamedTuple):
    """The metrics of one kind of request, their labels set beforehand."""

    requests: Counter
    seconds: Histogram


@cache
def bound(route: str, method: str, status: str) -> Bound:
    """Those of requests to a route template with a class of status, as "2xx"."""
    return Bound(REQUESTS.labels(route, method, status), SECONDS.labels(route, method))


def count_request(route: str, method: str, status: int, seconds: float) -> None:
    """Count an answered request."""
    kind = bound(route, method, f"{status // 100}xx")
    kind.requests.inc()
    kind.seconds.observe(seconds)


def count_prediction(rows: int) -> None:
    """Count an answered predict call, soon (see `api.notes`)."""
    _predicted.append(rows)


def work_off_predictions() -> None:
    """Count the predict calls that were answered since the last time."""
    calls = [_predicted.popleft() for _ in range(len(_predicted))]
    PREDICTIONS.inc(len(calls))
    PREDICTED_ROWS.inc(sum(calls))


@blueprint.get("/metrics")
@operation("Metrics in Prometheus' text format", "health", {200: "text/plain"}, scope="any")
def metrics() -> Response:
    """Always 200; without Redis, `neuron_redis_up` is 0 and what only it knows is missing."""
    current_app.extensions["neuron.notes"].work_off()
    registry = CollectorRegistry()
    registry.register(_Service(services().store))
    if FOLDER:
        _forget_the_dead(FOLDER)
        MultiProcessCollector(registry, str(FOLDER))  # type: ignore[no-untyped-call]
    own = b"" if FOLDER else generate_latest(REGISTRY)
    headers = {"Cache-Control": "no-store"}
    return Response(
        own + generate_latest(registry), headers=headers, content_type=CONTENT_TYPE_LATEST
    )


def _forget_the_dead(folder: Path) -> None:
    """Remove the gauges of processes that were killed; what they counted stays."""
    for path in folder.glob("gauge_live*_*.db"):
        try:
            os.kill(int(path.stem.rpartition("_")[2]), 0)
        except ProcessLookupError:
            path.unlink(missing_ok=True)
        except PermissionError:
            continue


class _Service(Collector):
    """What Redis tells."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> list[Metric]:
        """Nothing, so that registering it does not ask Redis."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics of the whole service."""
        seen = None
        with suppress(RedisError):
            seen = observe(self._store)
        yield _gauge("neuron_redis_up", "whether the jobs' Redis answers", int(seen is not None))
        info = GaugeMetricFamily("neuron_info", "always 1", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        if seen:
            yield from _gauges(seen)
            yield from _counters(seen)


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_text, value=value)


def _gauges(seen: Observation) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("neuron_jobs", "jobs of each status", labels=["status"])
    for status, number in seen.jobs.items():
        jobs.add_metric([status], number)
    yield jobs
    yield _gauge("neuron_jobs_open", "jobs that have not ended", seen.open_jobs)
    yield _gauge("neuron_queue_jobs", "queued jobs that a worker may take", seen.queue)
    yield _gauge(
        "neuron_queue_oldest_seconds",
        "how long the longest-waiting job at the head of the queue has waited",
        seen.oldest_seconds,
    )
    yield _gauge("neuron_webhooks_pending", "webhooks that are not delivered", seen.webhooks)
    yield _gauge("neuron_workers", "workers that are alive", seen.workers)


def _counters(seen: Observation) -> Iterator[Metric]:
    for name, (field, help_text) in DEEDS.items():
        yield CounterMetricFamily(name, help_text, value=seen.counters.get(field, 0))
    labels = ["status", "code"]
    ended = CounterMetricFamily(
        "neuron_jobs_ended", "ends of jobs, and why they failed", labels=labels
    )
    for status in (Status.SUCCEEDED, Status.CANCELLED):
        ended.add_metric([status, ""], seen.counters.get(f"ended:{status}", 0))
    for code in CODES:
        ended.add_metric([Status.FAILED, code], seen.counters.get(f"ended:failed:{code}", 0))
    yield ended
