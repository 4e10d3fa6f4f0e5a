"""Everything on one machine in one command: an embedded Redis, a Celery worker and the API."""

from standalone.errors import StartError
from standalone.process import Process, Program
from standalone.stack import Stack

__all__ = ["Process", "Program", "Stack", "StartError"]
