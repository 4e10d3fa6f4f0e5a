"""What the routes use: one of each for a process."""

from dataclasses import dataclass
from threading import BoundedSemaphore

from celery import Celery
from flask import current_app

from api.readers import Readers
from api.serving import ServedJobs, ServedModels
from shared.models import Models
from shared.settings import Settings
from shared.store import Store


@dataclass(frozen=True)
class Services:
    """The settings, the store, the queue, how many more may wait or stream, models, readers."""

    settings: Settings
    store: Store
    publisher: Celery
    waiting: BoundedSemaphore
    streams: BoundedSemaphore
    models: Models
    served_models: ServedModels
    served_jobs: ServedJobs
    readers: Readers


def services() -> Services:
    """Those of the application that handles this request."""
    found: Services = current_app.extensions["neuron"]
    return found
