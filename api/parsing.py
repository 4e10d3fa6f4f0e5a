"""What comes in: strict JSON bodies, query strings and headers, checked before anything is done.

JSON is UTF-8 with finite numbers, no duplicate keys, no lone surrogates and no NUL, an object at
the top, and nesting that fits Python's stack; types are not converted.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, NoReturn, TypeVar

from flask import request
from pydantic import BaseModel, BeforeValidator, ValidationError

from api.problems import FieldError, Problem
from api.reading import whole_body
from api.services import services
from shared.job import JobRequest
from shared.settings import Settings

Model = TypeVar("Model", bound=BaseModel)
LONGEST_NUMBER = 400
#: Explaining what is wrong with more would take seconds.
MOST_MEMBERS = 1_000


class _NotStrict(ValueError):
    """Valid for Python's parser, but not here."""


def json_object() -> dict[str, Any]:
    """The request's body as a JSON object.

    Raises:
        Problem: 400, 408, 411, 413, 415 or 503.
    """
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != "application/json" or charset != "utf-8":
        given = request.content_type or "missing"
        raise Problem(415, f"Content-Type must be application/json in UTF-8; it is {given}.")
    if request.content_encoding not in (None, "", "identity"):
        raise Problem(415, f"Content-Encoding {request.content_encoding} is not supported.")
    value = parse_json(whole_body(services().settings.max_body_bytes))
    if not isinstance(value, dict):
        raise Problem(400, "The body must be a JSON object.")
    return value


def parse_json(body: bytes) -> Any:
    """Strict JSON.

    Raises:
        Problem: 400
    """
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
        if b"\\u" in body:
            _check_strings(value)
    except UnicodeDecodeError as error:
        raise Problem(400, f"The body is not UTF-8: byte {error.start} is wrong.") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Problem(400, f"The body is not JSON: {error.msg} at {where}.") from None
    except _NotStrict as error:
        raise Problem(400, f"The body is not acceptable JSON: {error}.") from None
    except RecursionError:
        raise Problem(400, "The body is nested too deeply.") from None
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    if len(pairs) > MOST_MEMBERS:
        raise _NotStrict(f"an object has more than {MOST_MEMBERS} members")
    for name, item in pairs:
        if name in value:
            raise _NotStrict(f"the key {name[:40]!r} appears twice in one object")
        value[name] = item
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise _NotStrict(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _NotStrict(f"{text[:40]} is too large for a number")
    return value


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise _NotStrict(f"a number of {len(text)} digits is too long")
    _finite(text)
    return int(text)


def _check_strings(value: Any) -> None:
    for text in _strings(value):
        if "\0" in text:
            raise _NotStrict("a string contains NUL")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise _NotStrict("a string contains a lone surrogate")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _strings(item)


def body(model: type[Model]) -> tuple[Model, dict[str, Any]]:
    """The request's body as a model, and as it came.

    Raises:
        Problem: 400, 408, 411, 413, 415, 503, or 422 with a pointer to each bad field.
    """
    value = json_object()
    try:
        return model.model_validate(value), value
    except ValidationError as error:
        raise Problem(422, "The body does not fit.", errors=field_errors(error, value)) from None


def query(model: type[Model], *, prefix: str | None = None) -> tuple[Model, dict[str, str]]:
    """The query string as a model; parameters "<prefix>.<name>" are collected apart.

    Raises:
        Problem: 400
    """
    values: dict[str, Any] = {}
    prefixed: dict[str, str] = {}
    for name, given in request.args.lists():
        repeats = name in model.model_fields and "list" in str(model.model_fields[name].annotation)
        if len(given) > 1 and not repeats:
            raise Problem(400, f"The query parameter {name!r} is given more than once.")
        if prefix and name.startswith(f"{prefix}."):
            prefixed[name.removeprefix(f"{prefix}.")] = given[0]
        else:
            values[name] = given if repeats else given[0]
    try:
        return model.model_validate(values), prefixed
    except ValidationError as error:
        errors = [
            FieldError(f"{entry['loc'][0]!s}: {_sentence(entry['msg'], entry['type'])}")
            for entry in error.errors(include_url=False)
        ]
        raise Problem(400, "The query does not fit.", errors=errors) from None


def field_errors(error: ValidationError, value: Any) -> list[FieldError]:
    """Pydantic's complaints, one for each field, with a JSON Pointer (RFC 6901) into the value."""
    found: dict[str, list[str]] = {}
    for entry in error.errors(include_url=False):
        pointer = _pointer(entry["loc"], value)
        found.setdefault(pointer, []).append(_sentence(entry["msg"], entry["type"]))
    return [FieldError(" or ".join(rules), pointer) for pointer, rules in found.items()]


_SENTENCES = {
    "extra_forbidden": "there is no such field",
    "model_type": "should be an object",
    "model_attributes_type": "should be an object",
    "dict_type": "should be an object",
    "list_type": "should be an array",
}


def _sentence(message: str, kind: str) -> str:
    message = message.removeprefix("Value error, ").removeprefix("Input ")
    return _SENTENCES.get(kind, message[:1].lower() + message[1:])


def _pointer(location: Sequence[int | str], value: Any) -> str:
    """Leave out what Pydantic puts into a location beside the path: the tags of unions."""
    path = []
    for part in location[:-1]:
        try:
            value = value[part]
        except (KeyError, TypeError, IndexError):
            continue
        path.append(part)
    if isinstance(value, Mapping | list):
        path.append(location[-1])
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def check_limits(wanted: JobRequest, settings: Settings) -> None:
    """Bounds that protect the machine.

    Raises:
        Problem: 422
    """
    dataset, epochs = wanted.dataset, wanted.hyperparameters.epochs
    values = (dataset.training_size + dataset.test_size) * dataset.input_size
    bounds = [
        ("/dataset/training_size", dataset.training_size, settings.max_training_rows, "rows"),
        ("/dataset/test_size", dataset.test_size, settings.max_test_rows, "rows"),
        ("/hyperparameters/epochs", epochs, settings.max_epochs, "epochs"),
        (
            "/time_limit_seconds",
            wanted.time_limit_seconds or 0,
            settings.max_job_seconds,
            "seconds",
        ),
        ("/dataset", values, settings.max_values, "values ((training + test rows) × inputs)"),
    ]
    errors = [
        FieldError(f"this service takes at most {most} {unit}, not {asked}", pointer)
        for pointer, asked, most, unit in bounds
        if asked > most
    ]
    if errors:
        raise Problem(422, "The job is larger than this service takes.", errors=errors)


_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"')
_BARE = re.compile(r"[!#-~]+")


def idempotency_key() -> str | None:
    """The Idempotency-Key header, a quoted string (RFC 8941) or bare.

    Raises:
        Problem: 400
    """
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    quoted = _QUOTED.fullmatch(given.strip())
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else given.strip()
    if len(key) > 255 or not (quoted or _BARE.fullmatch(key)):
        rule = "1 to 255 visible ASCII characters, in quotes if there are spaces or quotes"
        raise Problem(400, f"Idempotency-Key must be {rule}.")
    return key


def wait_seconds(most: float) -> float | None:
    """How long "Prefer: wait=N" (RFC 7240) wants to wait, at most `most`; None if it does not."""
    for preference in request.headers.get("Prefer", "").split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        digits = value.strip().strip('"')
        if name.strip().lower() == "wait" and re.fullmatch(r"[0-9]+", digits):
            return min(float(digits[:20]), most)
    return None


def _digits_only(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,16}", value):
        raise ValueError("should be a whole number, in digits")
    return value


def _true_or_false(value: Any) -> Any:
    if value not in ("true", "false"):
        raise ValueError("should be true or false")
    return value


#: For the whole numbers of a query: Python would also take "+1", "1_0" and "1.0".
WHOLE = BeforeValidator(_digits_only)
#: A truth value of a query: Pydantic would also take "on", "y" and "1".
Flag = Annotated[bool, BeforeValidator(_true_or_false)]
