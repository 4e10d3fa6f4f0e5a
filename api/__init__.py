"""The Flask application: it translates HTTP and nothing else."""

import sys
from contextlib import suppress
from threading import BoundedSemaphore

from flask import Flask, Response
from redis.exceptions import RedisError

from api import (
    access,
    dashboard,
    docs,
    events,
    fast_lane,
    health,
    inference,
    jobs,
    metrics,
    models,
    observed,
    predict,
    problems,
    steps,
)
from api.readers import Readers
from api.services import Services
from api.serving import ServedJobs, ServedModels
from shared import queue
from shared.logs import configure_logging
from shared.models import Models
from shared.settings import Settings, read_settings
from shared.store import Store

#: How long a thread may compute while others wait: with Python's own 5 ms, p99 of small predictions
#: was 7 to 39 % higher in three races.
SWITCH_SECONDS = 0.001


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application.

    Args:
        settings: read from the environment if None.

    Raises:
        UnsafeRedis: if the Redis may evict jobs.
        SystemExit: if a setting is wrong or the file of API keys cannot be used.
    """
    settings = settings or read_settings()
    sys.setswitchinterval(SWITCH_SECONDS)
    configure_logging(settings.log_level)
    store = Store(settings)
    with suppress(RedisError):  # not there yet: /readyz tells
        store.check()
    named = Models(store.redis)
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False
    app.extensions["neuron"] = Services(
        settings,
        store,
        queue.make_publisher(settings),
        BoundedSemaphore(settings.max_waiting_requests),
        BoundedSemaphore(settings.max_open_streams),
        named,
        ServedModels(named),
        ServedJobs(named),
        Readers(settings.body_seconds),
    )
    parts = (jobs, events, steps, predict, models, inference, health, metrics, docs, dashboard)
    for part in parts:
        app.register_blueprint(part.blueprint)
    problems.register(app)
    access.register(app, settings, store)
    app.after_request(_protect)
    fast_lane.register(app)
    observed.register(app, settings)
    return app


def _protect(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Content-Security-Policy", "default-src 'none'")
    return response
