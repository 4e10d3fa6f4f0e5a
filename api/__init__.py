"""The Flask application: it translates HTTP and nothing else."""

from contextlib import suppress
from threading import BoundedSemaphore

from flask import Flask, Response
from redis.exceptions import RedisError

from api import docs, events, health, jobs, predict, problems
from api.services import Services
from shared import queue
from shared.logs import configure_logging
from shared.settings import Settings, read_settings
from shared.store import Store


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application.

    Args:
        settings: read from the environment if None.

    Raises:
        UnsafeRedis: if the Redis may evict jobs.
    """
    configure_logging()
    settings = settings or read_settings()
    store = Store(settings)
    with suppress(RedisError):  # not there yet: /readyz tells
        store.check()
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False
    app.extensions["neuron"] = Services(
        settings,
        store,
        queue.make_publisher(settings),
        BoundedSemaphore(settings.max_waiting_requests),
        BoundedSemaphore(settings.max_open_streams),
    )
    for part in (jobs, events, predict, health, docs):
        app.register_blueprint(part.blueprint)
    problems.register(app)
    app.after_request(_protect)
    return app


def _protect(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Content-Security-Policy", "default-src 'none'")
    return response
