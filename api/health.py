"""Is the process alive, and can the service do its work?"""

from flask import Blueprint, Response
from pydantic import BaseModel, Field

from api.openapi import operation
from api.problems import Problem
from api.representation import answer
from api.services import services

blueprint = Blueprint("health", __name__)


class Health(BaseModel):
    """The process answers."""

    status: str


class Readiness(BaseModel):
    """The service can train."""

    status: str
    workers: int = Field(description="workers that are alive")


@blueprint.get("/healthz")
@operation("Is the API process alive?", "health", {200: Health}, scope="open")
def healthz() -> Response:
    """200 whenever the process answers."""
    return answer({"status": "ok"})


@blueprint.get("/readyz")
@operation(
    "Can jobs be accepted and trained?", "health", {200: Readiness}, problems=(503,), scope="open"
)
def readyz() -> Response:
    """200 when Redis answers and a worker is alive."""
    workers = services().store.workers()
    if not workers:
        raise Problem(503, "No worker is alive; accepted jobs wait.")
    return answer({"status": "ok", "workers": workers})
