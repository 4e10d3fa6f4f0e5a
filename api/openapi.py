"""The OpenAPI 3.1 document, generated from the models that validate.

`operation` puts a description beside a view; `document` collects them from the routes.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

from flask import Flask
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from api.scopes import Scope

View = TypeVar("View", bound=Callable[..., Any])
REFERENCE = "#/components/schemas/{model}"
SECURITY = {
    "securitySchemes": {
        "bearer": {"type": "http", "scheme": "bearer", "description": "an API key"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
}
#: What path parameters and headers look like.
PATTERNS = {
    "job_id": "^[0-9a-f]{32}$",
    "name": "^[A-Za-z0-9._-]{1,64}$",
    "model": "^[A-Za-z0-9._-]{1,64}$",
    "version": "^[1-9][0-9]{0,15}$",
    "Idempotency-Key": r'^([!#-~]{1,255}|"([ !#-\[\]-~]|\\["\\]){1,255}")$',
    "Inference-Header-Content-Length": "^[0-9]{1,15}$",
    "Last-Event-ID": "^[0-9]{1,19}(-[0-9]{1,19})?$",
}
DESCRIPTION = """Trains a neuron, written from scratch, to add numbers, and shows how it learns.

Jobs are queued and trained by workers. The same specification always gives the same result, to the
last bit. Errors are problem details (RFC 9457)."""


class BadField(BaseModel):
    """What is wrong with one field."""

    detail: str
    pointer: str | None = Field(None, description="JSON Pointer into the body")


class ProblemDetails(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(title="Problem")

    type: str
    title: str
    status: int
    detail: str
    error: str = Field(description="all of it in one sentence")
    errors: list[BadField] = []


@dataclass(frozen=True)
class Operation:
    """What the document says of a view; `answers` maps a status to a model or a media type.

    `other_form` and `other_body` are one more media type of the 200 answer and of the body, `scope`
    is what a key needs (`api.scopes`).
    """

    summary: str
    tag: str
    answers: Mapping[int, type[BaseModel] | str | None]
    problems: Sequence[int] = ()
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra_query: Mapping[str, str] = field(default_factory=dict)
    other_form: str = ""
    other_body: str = ""
    scope: str = ""


def operation(
    summary: str,
    tag: str,
    answers: Mapping[int, type[BaseModel] | str | None],
    **more: Any,
) -> Callable[[View], View]:
    """Describe a view; see `Operation`."""

    def describe(view: View) -> View:
        view.__dict__["operation"] = entry = Operation(summary, tag, answers, **more)
        view.__dict__["scope"] = entry.scope
        return view

    return describe


def document(
    app: Flask, version: str, webhooks: Mapping[str, type[BaseModel]], *, keys: bool = False
) -> dict[str, Any]:
    """The document of all described routes of the application, and of what it posts itself.

    With `keys`, it tells which routes need an API key, and of which scope.
    """
    operations = [
        (rule, method, view.operation)
        for rule in app.url_map.iter_rules()
        if hasattr(view := app.view_functions[rule.endpoint], "operation")
        for method in sorted(rule.methods or ()) if method not in ("HEAD", "OPTIONS")
    ]  # fmt: skip
    models: set[tuple[type[BaseModel], Any]] = {(ProblemDetails, "serialization")}
    models |= {(message, "serialization") for message in webhooks.values()}
    for _, _, entry in operations:
        models |= {(entry.body, "validation")} if entry.body else set()
        models |= {
            (model, "serialization") for model in entry.answers.values() if isinstance(model, type)
        }
    ordered = sorted(models, key=lambda pair: (pair[0].__name__, pair[1]))
    names, definitions = models_json_schema(ordered, ref_template=REFERENCE)
    paths: dict[str, Any] = {}
    for rule, method, entry in operations:
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        paths.setdefault(path, {})[method.lower()] = _describe(rule, entry, names)
        if entry.scope != Scope.OPEN:
            paths[path][method.lower()] |= _secured(entry, paths[path][method.lower()], keys)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Neuron training service", "version": version,
                 "description": DESCRIPTION},
        "paths": dict(sorted(paths.items())),
        "webhooks": {
            name: {"post": _webhook(message, names[message, "serialization"])}
            for name, message in webhooks.items()
        },
        "components": {"schemas": definitions.get("$defs", {})} | (SECURITY if keys else {}),
    }  # fmt: skip


def _secured(entry: Operation, described: Mapping[str, Any], keys: bool) -> dict[str, Any]:
    """How visitors are refused: 503 if they cannot be counted."""
    statuses = (401, 403, 429, 503) if keys else (403, 429, 503)
    refusals = {str(status): _problem(status) for status in statuses}
    secured: dict[str, Any] = {"responses": {**refusals, **described["responses"]}}
    if keys:
        roles = [] if entry.scope == Scope.ANY_KEY else [entry.scope or Scope.ADMIN]
        secured["security"] = [{"bearer": roles}, {"header": roles}]
    return secured


def _webhook(message: type[BaseModel], schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "summary": message.__doc__,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "2XX": {"description": "taken"},
            "410": {"description": "not wanted: nothing more is sent for this job"},
            "default": {"description": "sent again later, with the same webhook-id"},
        },
    }


def _describe(rule: Any, entry: Operation, names: Mapping[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": rule.endpoint.rpartition(".")[2],
        "summary": entry.summary,
        "tags": [entry.tag],
        "parameters": [*_path(rule), *_query(entry), *_headers(entry)],
        "responses": {
            **{str(status): _answer(status, what, names) for status, what in entry.answers.items()},
            **{str(status): _problem(status) for status in entry.problems},
        },
    }
    if entry.other_form:
        described["responses"]["200"]["content"][entry.other_form] = {}
    if entry.body:
        content = {"application/json": {"schema": names[entry.body, "validation"]}}
        if entry.other_body:
            content[entry.other_body] = {"schema": {"type": "string", "format": "binary"}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _path(rule: Any) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _text(name)}
        for name in sorted(rule.arguments)
    ]


def _query(entry: Operation) -> list[dict[str, Any]]:
    properties = entry.query.model_json_schema(ref_template=REFERENCE) if entry.query else {}
    named = [
        {"name": name, "in": "query", "description": schema.pop("description", ""),
         "schema": _not_null(schema)}
        for name, schema in properties.get("properties", {}).items()
    ]  # fmt: skip
    free = [
        {"name": name, "in": "query", "schema": {"type": "string"}, "description": description}
        for name, description in entry.extra_query.items()
    ]
    return named + free


def _headers(entry: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "schema": _text(name), "description": description}
        for name, description in entry.headers.items()
    ]


def _text(name: str) -> dict[str, Any]:
    return {"type": "string"} | ({"pattern": PATTERNS[name]} if name in PATTERNS else {})


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """What a parameter of a query is if it is there: None stands for one that is not."""
    return next((form for form in schema.get("anyOf", ()) if form != {"type": "null"}), schema)


def _answer(status: int, what: type[BaseModel] | str | None, names: Any) -> dict[str, Any]:
    described: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if isinstance(what, str):
        described["content"] = {what: {}}
    elif what:
        described["content"] = {"application/json": {"schema": names[what, "serialization"]}}
    return described


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": REFERENCE.format(model="ProblemDetails")}
    return {
        "description": HTTPStatus(status).phrase,
        "content": {"application/problem+json": {"schema": schema}},
    }
