"""What the routes use: one of each for a process."""

from dataclasses import dataclass
from threading import BoundedSemaphore

from celery import Celery
from flask import current_app

from api.serving import ServedJobs, ServedModels
from shared.models import Models
from shared.settings import Settings
from shared.store import Store


@dataclass(frozen=True)
class Services:
    """The settings, the job store, the queue, how many more may wait or stream, and the models."""

    settings: Settings
    store: Store
    publisher: Celery
    waiting: BoundedSemaphore
    streams: BoundedSemaphore
    models: Models
    served_models: ServedModels
    served_jobs: ServedJobs


def services() -> Services:
    """Those of the application that handles this request."""
    found: Services = current_app.extensions["neuron"]
    return found
