"""What a key may do, declared beside each route; a route that declares nothing is for `admin`."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

from flask import Request, current_app

View = TypeVar("View", bound=Callable[..., Any])


class Scope(StrEnum):
    """What a route asks of a key."""

    #: Predictions and models.
    PREDICT = "predict"
    #: Jobs: create, look, steer, delete.
    TRAIN = "train"
    #: Everything, of every owner.
    ADMIN = "admin"
    #: Any key does.
    ANY_KEY = "any"
    #: No key is asked for.
    OPEN = "open"


#: Those that a key can have.
GRANTED = (Scope.PREDICT, Scope.TRAIN, Scope.ADMIN)


def needs(scope: Scope | str) -> Callable[[View], View]:
    """Declare the scope of a view that `operation` does not describe."""

    def declare(view: View) -> View:
        view.__dict__["scope"] = Scope(scope)
        return view

    return declare


def scope_of(request: Request) -> Scope:
    """The scope that the request needs; an unknown path needs a key, so as to tell nothing."""
    if request.endpoint is None or request.endpoint.endswith(".static"):
        return Scope.ANY_KEY
    view = current_app.view_functions[request.endpoint]
    return Scope(getattr(view, "scope", None) or Scope.ADMIN)
