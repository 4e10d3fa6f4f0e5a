"""Bodies: read whole, bounded in size and number; those of predictions turned into rows fast.

A body that the fast readers do not know is left to the strict parser of `api.parsing`, which then
takes it or says what is wrong: they may be picky, but take nothing that it refuses.
"""

import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import orjson
import simdjson
from flask import request
from numpy.typing import NDArray

from api.arithmetic import Floats
from api.problems import Problem
from api.services import services

Rows = list[list[float]] | NDArray[Any]
#: Up to this size plain lists are faster than arrays.
SMALL = 2_048
#: Larger bodies take turns, so that memory is bounded.
LARGE = 1_000_000
TURNS, TURN_SECONDS = 4, 5.0
#: What 100,000 rows of 64 inputs have; parsing more would take gigabytes.
HUGE, MOST_NUMBERS = 10_000_000, 6_400_000
#: The strict parser makes objects of everything: it gets no body with more commas and brackets.
MOST_TOKENS = 1_000_000
_turns = BoundedSemaphore(TURNS)
_NOT_STRUCTURE = bytes(set(range(256)) - set(b"[],"))
_HEAD = re.compile(rb'\s*\{\s*"inputs"\s*:\s*(?=\[)'.replace(rb"\s", rb"[ \t\r\n]"))
_TAIL = re.compile(
    rb'\s*(?:,\s*"epoch"\s*:\s*([1-9][0-9]{0,14})\s*)?\}\s*'.replace(rb"\s", rb"[ \t\r\n]")
)


class Inputs(NamedTuple):
    """Rows to add, and the epoch that was asked for."""

    rows: Rows
    epoch: int | None


@contextmanager
def turn() -> Iterator[None]:
    """Wait until few enough other large bodies are worked on.

    Raises:
        Problem: 503
    """
    length = request.content_length
    compressed = "HTTP_CONTENT_ENCODING" in request.environ
    if length is not None and length <= LARGE and not compressed:
        yield
        return
    if not _turns.acquire(timeout=TURN_SECONDS):
        raise Problem(503, "Too many large requests at once; try again.")
    try:
        yield
    finally:
        _turns.release()


def whole_body(most: int) -> bytes:
    """All bytes of the body, `most` at most.

    Neither the server nor Werkzeug sees to that for every client.

    Raises:
        Problem: 400, 408, 411, 413 or 503.
    """
    environ = request.environ
    if "HTTP_TRANSFER_ENCODING" in environ:  # the server would hide that it was cut off
        raise Problem(411, "The body needs a Content-Length; chunks are not accepted.")
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal():
        raise Problem(400, "Content-Length must be a number.")
    if len(length) > 15 or int(length) > most:
        raise Problem(413, f"The body is larger than {most} bytes.")
    data = services().readers.read(environ, int(length))
    if len(data) != int(length):
        raise Problem(400, "The body is shorter than its Content-Length.")
    return data


def fast_inputs(body: bytes) -> Inputs | None:
    """The inputs of a plain JSON body, or None: ask the strict parser."""
    return _few_inputs(body) if len(body) <= SMALL else _many_inputs(body)


def _few_inputs(body: bytes) -> Inputs | None:
    try:
        value = orjson.loads(body)
    except ValueError:
        return None
    if type(value) is not dict or body.count(b'"') != 2 * len(value):  # a key appears twice
        return None
    rows, epoch = value.pop("inputs", None), value.pop("epoch", None)
    if value or not (epoch is None or (type(epoch) is int and 1 <= epoch < 2**53)):
        return None
    return Inputs(rows, epoch) if _are_rows(rows) else None


def _are_rows(rows: Any) -> bool:
    if type(rows) is not list or not rows:
        return False
    for row in rows:
        if type(row) is not list:
            return False
        for value in row:
            if type(value) is not float and type(value) is not int:
                return False
    return True


def _many_inputs(body: bytes) -> Inputs | None:
    check_numbers(body)
    head = _HEAD.match(body)
    tail = head and _TAIL.fullmatch(body, body.rfind(b"]") + 1)
    if not head or not tail:
        return None
    rows = rows_of(memoryview(body)[head.end() : tail.start()])
    if rows is None:
        return None
    return Inputs(rows, int(tail[1]) if tail[1] else None)


def rows_of(text: memoryview | bytes) -> Floats | None:
    """A JSON array of equally long, not empty arrays of numbers; None if it is something else."""
    values = numbers(text)
    if values is None or not values.size:
        return None
    structure = bytes(text).translate(None, _NOT_STRUCTURE)
    width = structure.find(b"]") - 1
    count, left = divmod(values.size, width) if width > 0 else (0, 1)
    fits = not left and structure.count(b"[") == count + 1
    if not fits or structure != nested_structure((count, width)):
        return None
    return values.reshape(count, width)


def numbers(text: memoryview | bytes) -> Floats | None:
    """All numbers of a JSON array, however nested; None if there is anything else."""
    try:
        array = simdjson.Parser().parse(text)
        return np.frombuffer(array.as_buffer(of_type="d")) if _is_array(array) else None
    except (ValueError, TypeError, RuntimeError):
        return None


def _is_array(value: object) -> TypeGuard[simdjson.Array]:
    return isinstance(value, simdjson.Array)


def nested_structure(shape: tuple[int, ...]) -> bytes:
    """The brackets and commas of an array of this shape."""
    structure = b""
    for size in reversed(shape):
        structure = b"[" + b",".join([structure] * size) + b"]"
    return structure


def check_numbers(body: bytes) -> None:
    """Refuse JSON with more numbers than a call may have, before anything is made of them.

    Raises:
        Problem: 413
    """
    if len(body) > HUGE and body.count(b",") >= MOST_NUMBERS:
        raise Problem(413, f"This service takes at most {MOST_NUMBERS} numbers in JSON.")


def check_tokens(body: bytes) -> None:
    """Refuse what would take much memory to explain.

    Raises:
        Problem: 400
    """
    if len(body) > LARGE and sum(map(body.count, (b",", b"[", b"{"))) > MOST_TOKENS:
        raise Problem(400, "The body is not an acceptable JSON object of equally long rows.")


def read_npy(body: bytes) -> NDArray[Any]:
    """A NumPy file (.npy) with one array of rows of numbers.

    Raises:
        Problem: 400 or 422.
    """
    shape, fortran, kind, start = _npy_header(body)
    if kind.kind not in "fiu" or kind.itemsize > 8:
        raise Problem(422, f"The array must hold numbers; it holds {kind}.")
    if len(shape) != 2:
        raise Problem(422, f"The array must have 2 dimensions, rows and inputs, not {len(shape)}.")
    if len(body) - start != math.prod(shape) * kind.itemsize:
        raise Problem(400, f"The body does not hold {shape} numbers of {kind.itemsize} bytes.")
    values = np.frombuffer(body, kind, offset=start)
    if kind.kind in "iu" and kind.itemsize == 8 and not lossless(values):
        raise Problem(422, "The array has whole numbers that no float64 equals.")
    return values.reshape(shape, order="F" if fortran else "C")


def _npy_header(body: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    file = io.BytesIO(body[:10_300])
    try:
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[np.lib.format.read_magic(file)]
        shape, fortran, kind = read(file)
    except Exception:  # NumPy lets its tokenizer's and parser's own out
        raise Problem(400, "The body is not a NumPy file (.npy, version 1 or 2).") from None
    if any(type(size) is not int or size < 1 for size in shape):
        raise Problem(400, "The array must have at least one row and one input.")
    return shape, fortran, kind, file.tell()


def lossless(values: NDArray[Any]) -> bool:
    """Whether float64 holds each of these whole numbers exactly."""
    as_floats = values.astype(np.float64)
    with np.errstate(invalid="ignore"):
        back = as_floats.astype(values.dtype)
    inside = as_floats < 2.0 ** (63 if values.dtype.kind == "i" else 64)
    return bool((inside & (back == values)).all())
