"""Requests and answers of the Open Inference Protocol v2, in JSON and with binary tensors.

Both are JSON, followed by the binary tensors: little-endian, in order, without gaps. The header
Inference-Header-Content-Length tells where the JSON ends.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from api.arithmetic import Floats
from api.parsing import parse_json
from api.problems import Problem
from api.reading import (
    SMALL,
    Rows,
    check_numbers,
    check_tokens,
    lossless,
    nested_structure,
    numbers,
)

INPUT, OUTPUT, ERROR_BOUND = "input", "output", "error_bound"
OUTPUTS = (OUTPUT, ERROR_BOUND)
#: Datatypes of the input; what they hold becomes float64.
DATATYPES: Mapping[str, np.dtype[Any]] = {
    "FP64": np.dtype("<f8"), "FP32": np.dtype("<f4"),
    **{f"{sign}INT{8 * size}": np.dtype(f"<{code}{size}")
       for sign, code in (("", "i"), ("U", "u")) for size in (1, 2, 4, 8)},
}  # fmt: skip
#: Magnitudes below are whole numbers that float64 holds, however they were parsed.
_EXACT = 2.0**53
_DATA = re.compile(rb'"data"[ \t\r\n]*:[ \t\r\n]*\[')
_FIELDS = {"id", "parameters", "inputs", "outputs"}
_INPUT_FIELDS = {"name", "shape", "datatype", "parameters", "data"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """An output that is asked for, and whether as a binary tensor."""

    name: str
    binary: bool


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A request that was read: rows to add and what to answer."""

    id: str | None
    rows: Rows
    binary_rows: bool
    outputs: list[Wanted]


@dataclass(frozen=True, slots=True)
class _Text:
    """A JSON array that is not parsed yet."""

    text: bytes


def _bad(detail: str) -> Problem:
    return Problem(400, detail)


def read(body: bytes, json_length: str | None, input_size: int) -> InferRequest:
    """Read a request.

    Args:
        body: decompressed.
        json_length: the header Inference-Header-Content-Length.
        input_size: inputs of the neuron.

    Raises:
        Problem: 400
    """
    try:
        return _read(body, json_length, input_size)
    except RecursionError:
        raise _bad("The request is nested too deeply.") from None


def _read(body: bytes, json_length: str | None, input_size: int) -> InferRequest:
    end = _json_end(body, json_length)
    value = _parse(body if end == len(body) else body[:end])
    if not value.keys() <= _FIELDS:
        raise _bad(f"There is no field {min(value.keys() - _FIELDS)[:40]!r} in a request.")
    name = value.get("id")
    if not (name is None or isinstance(name, str)):
        raise _bad("id must be a string.")
    parameters = _parameters(value, "The request")
    rows, binary = _input(value.get("inputs"), memoryview(body)[end:], input_size)
    return InferRequest(name, rows, binary, _outputs(value, parameters))


def _json_end(body: bytes, json_length: str | None) -> int:
    if json_length is None:
        return len(body)
    if not re.fullmatch("[0-9]{1,15}", json_length) or int(json_length) > len(body):
        raise _bad("Inference-Header-Content-Length must be the number of bytes of the JSON.")
    return int(json_length)


def _parse(text: bytes) -> dict[str, Any]:
    value = _parse_small(text) if len(text) <= SMALL else _parse_large(text)
    if value is None:
        check_tokens(text)
        value = parse_json(text)
    if not isinstance(value, dict):
        raise _bad("The request must be a JSON object.")
    return value


def _parse_small(text: bytes) -> Any | None:
    """Plain JSON; None if the strict parser is to look at it, as for keys that appear twice."""
    try:
        value = orjson.loads(text)
    except ValueError:
        return None
    return None if b"\\" in text or text.count(b'"') != 2 * _strings(value) else value


def _strings(value: Any) -> int:
    if type(value) is str:
        return 1
    if type(value) is dict:
        return len(value) + sum(map(_strings, value.values()))
    if type(value) is list:
        return sum([_strings(item) for item in value if type(item) not in (int, float)])
    return 0


def _parse_large(text: bytes) -> Any | None:
    """JSON with one long array of numbers, which is cut out and left for later."""
    check_numbers(text)
    found = _DATA.match(text, max(text.find(b'"data"'), 0))
    if not found:
        return None
    start = found.end() - 1
    limits = [at for at in (text.find(b'"', start), text.find(b"}", start)) if at >= 0]
    end = text.rfind(b"]", start, min(limits, default=len(text))) + 1
    rest = text[:start] + b"[]" + text[end:]
    if end <= start or len(rest) > SMALL or b'"data"' in rest[start:]:
        return None
    value = _parse_small(rest)
    try:
        (tensor,) = value["inputs"]  # type: ignore[index]
        if tensor["data"] != []:
            return None
        tensor["data"] = _Text(text[start:end])
    except (TypeError, KeyError, ValueError):
        return None
    return value


def _parameters(of: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    parameters = of.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise _bad(f"{what}: parameters must be an object.")
    return parameters


def _input(tensors: Any, blobs: memoryview, input_size: int) -> tuple[Rows, bool]:
    if not isinstance(tensors, list) or not all(isinstance(tensor, dict) for tensor in tensors):
        raise _bad("inputs must be an array of tensors.")
    names = [tensor.get("name") for tensor in tensors]
    if names != [INPUT]:
        raise _bad(f"The model takes one input, {INPUT!r}; the request has {str(names)[:100]}.")
    tensor = tensors[0]
    if not tensor.keys() <= _INPUT_FIELDS:
        unknown = min(tensor.keys() - _INPUT_FIELDS)
        raise _bad(f"There is no field {unknown[:40]!r} in an input.")
    kind = DATATYPES.get(tensor["datatype"]) if type(tensor.get("datatype")) is str else None
    if kind is None:
        raise _bad(f"Input {INPUT!r}: datatype must be one of {', '.join(DATATYPES)}.")
    shape = _shape(tensor.get("shape"), input_size)
    size = _parameters(tensor, "An input").get("binary_data_size")
    if size is not None:
        if "data" in tensor:
            raise _bad("An input has either data or binary_data_size.")
        return _from_blob(blobs, size, shape, kind), True
    if len(blobs):
        raise _bad(f"{len(blobs)} bytes follow that belong to no input.")
    if "data" not in tensor:
        raise _bad("An input needs data or binary_data_size.")
    return _from_json(tensor["data"], shape, kind), False


def _shape(shape: Any, input_size: int) -> tuple[int, int]:
    fits = (
        isinstance(shape, list)
        and all(type(size) is int for size in shape)
        and len(shape) == 2
        and 1 <= shape[0] < 2**53
        and shape[1] == input_size
    )
    if not fits:
        raise _bad(f"Input {INPUT!r}: shape must be [rows, {input_size}]; it is {shape!s:.60}.")
    return shape[0], shape[1]


def _from_blob(
    blobs: memoryview, size: Any, shape: tuple[int, int], kind: np.dtype[Any]
) -> NDArray[Any]:
    needed = math.prod(shape) * kind.itemsize
    if type(size) is not int or size != needed:
        raise _bad(f"binary_data_size must be {needed} for this shape and datatype.")
    if len(blobs) != needed:
        raise _bad(f"{len(blobs)} bytes follow the JSON; the input needs {needed}.")
    values = np.frombuffer(blobs, kind)
    if kind.kind in "iu" and kind.itemsize == 8 and not lossless(values):
        raise _bad("The input has whole numbers that no float64 equals.")
    return values.reshape(shape)


def _from_json(data: Any, shape: tuple[int, int], kind: np.dtype[Any]) -> Rows:
    if isinstance(data, _Text):
        values = _from_text(data.text, shape, kind)
        return values if kind == DATATYPES["FP64"] else _checked(values, kind)
    rows = _from_lists(data, shape)
    if kind == DATATYPES["FP64"]:
        return rows
    if kind.kind in "iu" and any(type(value) is not int for row in rows for value in row):
        raise _bad("The data must be whole numbers.")
    return _checked(np.array(rows, dtype=np.float64), kind)


def _from_text(text: bytes, shape: tuple[int, int], kind: np.dtype[Any]) -> Floats:
    values = numbers(text)
    if values is None:
        # It may still hold numbers that only the strict parser reads, of more than 64 bits.
        check_tokens(text)
        return np.array(_from_lists(parse_json(text), shape), dtype=np.float64)
    if values.size != math.prod(shape):
        raise _bad(f"The data has {values.size} numbers, the shape {math.prod(shape)}.")
    if kind.kind in "iu" and any(mark in text for mark in (b".", b"e", b"E")):
        raise _bad("The data must be whole numbers.")
    if text.find(b"[", 1) > 0:
        structure = text.translate(None, bytes(set(range(256)) - set(b"[],")))
        if structure != nested_structure(shape):
            raise _bad("The data is nested otherwise than the shape.")
    return values.reshape(shape)


def _from_lists(data: Any, shape: tuple[int, int]) -> list[list[float]]:
    count, width = shape
    if not isinstance(data, list):
        raise _bad("The data must be an array of numbers.")
    if data and type(data[0]) is list:
        if len(data) != count or any(type(row) is not list or len(row) != width for row in data):
            raise _bad("The data is nested otherwise than the shape.")
        rows = data
    else:
        if len(data) != count * width:
            raise _bad(f"The data has {len(data)} numbers, the shape {count * width}.")
        rows = [data[start : start + width] for start in range(0, len(data), width)]
    for row in rows:
        for value in row:
            if type(value) is not float and type(value) is not int:
                raise _bad("The data must be an array of numbers.")
    return rows


def _checked(values: Floats, kind: np.dtype[Any]) -> Floats:
    """The values as the datatype has them."""
    if kind.kind == "f":
        with np.errstate(over="ignore"):
            values = values.astype(kind).astype(np.float64)
        if not np.isfinite(values).all():
            raise _bad("A number is too large for its datatype.")
        return values
    limits = np.iinfo(kind)
    low, high = max(limits.min, -_EXACT), min(limits.max, _EXACT)
    if not ((values >= low) & (values <= high) & (np.abs(values) < _EXACT)).all():
        raise _bad("A number is too large for its datatype, or no float64 equals it.")
    return values


def _outputs(value: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[Wanted]:
    binary = _flag(parameters, "binary_data_output", default=False)
    wanted = value.get("outputs")
    if not wanted and wanted in (None, []):
        return [Wanted(name, binary) for name in OUTPUTS]
    if not isinstance(wanted, list) or not all(isinstance(tensor, dict) for tensor in wanted):
        raise _bad("outputs must be an array of objects.")
    found = [_wanted(tensor, binary) for tensor in wanted]
    if len({output.name for output in found}) < len(found):
        raise _bad("An output is asked for twice.")
    return found


def _wanted(tensor: Mapping[str, Any], binary: bool) -> Wanted:
    name = tensor.get("name")
    if name not in OUTPUTS:
        raise _bad(f"There is no output {name!s:.40}; there are {' and '.join(OUTPUTS)}.")
    if not tensor.keys() <= {"name", "parameters"}:
        raise _bad("An output that is asked for has a name and parameters only.")
    parameters = _parameters(tensor, "An output")
    if parameters.get("classification"):
        raise _bad("The model does not classify.")
    return Wanted(str(name), _flag(parameters, "binary_data", default=binary))


def _flag(parameters: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise _bad(f"{name} must be true or false.")
    return value


def write(
    header: dict[str, Any],
    outputs: Sequence[Wanted],
    results: Mapping[str, list[float] | Floats],
) -> tuple[bytes, int | None]:
    """Write an answer.

    Args:
        header: all but its outputs.
        outputs: what was asked for, in this order.
        results: of each output, float64[rows].

    Returns:
        The body, and how many bytes of it are JSON if binary tensors follow.
    """
    tensors, blobs = [], []
    for output in outputs:
        values = results[output.name]
        tensor: dict[str, Any] = {
            "name": output.name,
            "datatype": "FP64",
            "shape": [len(values)],
        }
        if output.binary:
            blobs.append(np.asarray(values, dtype="<f8").tobytes())
            tensor["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            tensor["data"] = values
        tensors.append(tensor)
    text = orjson.dumps({**header, "outputs": tensors}, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join([text, *blobs]), len(text)) if blobs else (text, None)
