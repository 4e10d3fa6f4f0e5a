"""The OpenAPI document and a page to try it, which loads nothing from outside."""

from functools import cache
from pathlib import Path

from flask import Blueprint, Response, current_app, send_from_directory

from api import openapi
from api.access import access
from api.representation import answer
from api.scopes import needs
from api.webhooks import JobEnded
from shared import __version__

STATIC = Path(__file__).parent / "static"
blueprint = Blueprint("docs", __name__, static_folder=STATIC, static_url_path="/static")

PAGE_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data:; "
    "script-src 'self'; style-src 'self' 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
)


@blueprint.get("/openapi.json")
@openapi.operation("This document", "documentation", {200: "application/json"}, scope="any")
def openapi_document() -> Response:
    """OpenAPI 3.1."""
    return answer(_document())


@cache
def _document() -> dict[str, object]:
    announced = {"jobEnded": JobEnded}
    return openapi.document(current_app, __version__, announced, keys=access().has_keys)


@blueprint.get("/docs")
@needs("any")
def docs() -> Response:
    """Swagger UI."""
    response = send_from_directory(STATIC, "docs.html")
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response
