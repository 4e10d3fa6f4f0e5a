"""Whatever bytes come in: what is taken is read right, all else is a problem that says why."""

import io
import json
import math
import re
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from flask import Flask
from hypothesis import example, given
from hypothesis import strategies as st

from api import jobs, oip
from api.parsing import idempotency_key, parse_json, wait_seconds
from api.problems import Problem
from api.reading import read_npy
from shared import tracing
from tests.unit.test_reading import npy, number, scraps

APP = Flask("parsers")
finite = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
json_values = st.recursive(
    st.none() | st.booleans() | number | text,
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
    max_leaves=20,
)


def taken(read: Callable[[], Any], *statuses: int) -> Any:
    """What was read; None if it was refused, with one of these statuses and a sentence."""
    try:
        return read()
    except Problem as problem:
        refusal = problem
    assert refusal.status in statuses
    assert refusal.detail.endswith(".")
    return None


def damaged(body: bytes, scrap: bytes, where: float, cut: int) -> bytes:
    at = int(where * len(body))
    return body[:at] + scrap + body[at + cut :]


places = (scraps | st.binary(max_size=4), st.floats(0, 1), st.integers(0, 3))


def test_json_is_read_as_pythons_own_parser_reads_it() -> None:
    @given(json_values, st.booleans())
    def check(value: Any, ascii_only: bool) -> None:
        body = json.dumps(value, ensure_ascii=ascii_only).encode()
        assert repr(parse_json(body)) == repr(json.loads(body))

    check()


@given(json_values, *places)
def test_json_that_is_damaged_is_read_strictly_or_refused(
    value: Any, scrap: bytes, where: float, cut: int
) -> None:
    body = damaged(json.dumps(value).encode(), scrap, where, cut)
    found = taken(lambda: (parse_json(body),), 400)
    if found:
        assert repr(found[0]) == repr(json.loads(body))
        again = json.dumps(found[0], allow_nan=False, ensure_ascii=False)
        assert "\0" not in again.encode().decode()


@given(st.binary())
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
def test_bytes_are_json_or_refused(body: bytes) -> None:
    taken(lambda: parse_json(body), 400)


# Open Inference Protocol

matrices = st.lists(st.tuples(finite, finite), min_size=1, max_size=5)


def infer(rows: Any, kind: str = "FP64", **tensor: Any) -> bytes:
    shape = [len(rows), 2]
    tensor = {"name": "input", "shape": shape, "datatype": kind, **tensor}
    return json.dumps({"inputs": [tensor]}).encode()


def bits(rows: Any) -> bytes:
    return np.array(rows, dtype="<f8").tobytes()


@given(matrices, st.sampled_from([1, 500]))
def test_a_tensor_is_the_same_floats_flat_nested_and_binary(rows: Any, times: int) -> None:
    rows = rows * times
    flat = [value for row in rows for value in row]
    blob = bits(rows)
    header = infer(rows, parameters={"binary_data_size": len(blob)})
    for body, length in (
        (infer(rows, data=rows), None),
        (infer(rows, data=flat), None),
        (header + blob, str(len(header))),
    ):
        found = oip.read(body, length, 2)
        assert bits(found.rows) == blob
        assert found.binary_rows is (length is not None)


@given(matrices, st.lists(st.sampled_from(["output", "error_bound"]), unique=True, min_size=1))
def test_an_answer_is_the_same_floats_in_json_and_binary(rows: Any, names: list[str]) -> None:
    results = {name: [a for a, _ in rows] for name in names}
    for binary in (False, True):
        wanted = [oip.Wanted(name, binary) for name in names]
        body, length = oip.write({"model_name": "x"}, wanted, results)
        header = json.loads(body[:length])
        blobs = io.BytesIO(body[length:] if length else b"")
        for name, tensor in zip(names, header["outputs"], strict=True):
            size = tensor.get("parameters", {}).get("binary_data_size", 0)
            values = blobs.read(size) if binary else bits(tensor["data"])
            assert (tensor["name"], values) == (name, bits(results[name]))
        assert not blobs.read()


def strictly(body: bytes, length: str | None) -> Any:
    """As `oip.read`, without its fast readers."""
    with patch.object(oip, "_parse_small", return_value=None):
        return oip.read(body, length, 2)


def shown(request: Any) -> Any:
    return request and (request.id, bits(request.rows), request.binary_rows, request.outputs)


@given(
    matrices,
    st.sampled_from([1, 300]),
    st.sampled_from(["FP64", "FP32", "INT64", "UINT8"]),
    *places,
    st.none() | st.integers(0, 100).map(str) | text,
)
def test_a_damaged_request_is_read_as_without_the_fast_readers(
    rows: Any, times: int, kind: str, scrap: bytes, where: float, cut: int, length: str | None
) -> None:
    rows = [[*map(int, row)] for row in rows] if "INT" in kind else rows
    body = damaged(infer(rows * times, kind, data=rows * times), scrap, where, cut)
    found = taken(lambda: oip.read(body, length, 2), 400)
    if found:
        assert shown(found) == shown(strictly(body, length))


@given(st.binary(), st.none() | st.integers(-1, 20).map(str) | text)
def test_bytes_are_a_request_or_refused(body: bytes, length: str | None) -> None:
    taken(lambda: oip.read(body, length, 2), 400)


@given(
    json_values
    | st.fixed_dictionaries(
        {},
        optional={
            "id": json_values,
            "parameters": json_values,
            "outputs": json_values,
            "inputs": st.lists(
                st.fixed_dictionaries(
                    {"name": st.just("input")},
                    optional={
                        "shape": json_values | st.just([1, 2]),
                        "datatype": json_values | st.just("FP64"),
                        "data": json_values | st.just([1, 2]),
                        "parameters": json_values,
                    },
                ),
                max_size=2,
            ),
        },
    )
)
def test_any_json_is_a_request_or_refused(value: Any) -> None:
    taken(lambda: oip.read(json.dumps(value).encode(), None, 2), 400)


# NumPy files


@given(matrices, st.sampled_from(["<f8", ">f8", "<f4"]), st.booleans())
def test_a_numpy_file_is_the_same_numbers(rows: Any, kind: str, fortran: bool) -> None:
    with np.errstate(over="ignore"):
        array = np.array(rows).astype(kind)
    array = np.asfortranarray(array) if fortran else array
    assert np.array_equal(read_npy(npy(array)), array)


@given(matrices, *places)
def test_a_damaged_numpy_file_is_refused_or_one_array(
    rows: Any, scrap: bytes, where: float, cut: int
) -> None:
    found = taken(lambda: read_npy(damaged(npy(rows), scrap, where, cut)), 400, 422)
    assert found is None or (found.ndim == 2 and found.dtype.kind in "fiu")


@given(st.binary(), st.text())
@example(b"", "{'descr':'<f8','fortran_order':False,'shape':(2**70,2)}")
@example(b"", "{'descr':[('a','<f8')],'fortran_order':False,'shape':(1,2)}")
@example(b"", "{'descr':'|V0','fortran_order':False,'shape':(1,2)}")
@example(b"", "{'descr':'<f8','fortran_order':0,'shape':(1,2)}")
@example(b"", "{'descr':'<f8','fortran_order':False,'shape':(True,2)}")
@example(b"", "-" * 9000 + "1")
def test_a_made_up_numpy_header_is_refused(body: bytes, header: str) -> None:
    encoded = header.encode("utf-8", "replace")[:60_000]
    magic = b"\x93NUMPY\x01\x00" + len(encoded).to_bytes(2, "little")
    taken(lambda: read_npy(magic + encoded + body), 400, 422)


# Headers and cursors

visible = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255)
#: What a header can carry through WSGI.
latin = st.text(st.characters(max_codepoint=0xFF, exclude_characters="\r\n\0"))


def with_header(name: str, value: str, read: Callable[[], Any]) -> Any:
    with APP.test_request_context(headers={name: value}):
        return read()


@given(visible)
def test_an_idempotency_key_is_what_was_quoted(key: str) -> None:
    escaped = re.sub(r'(["\\])', r"\\\1", key)
    assert with_header("Idempotency-Key", f'"{escaped}"', idempotency_key) == key
    if not set(' "') & set(key):
        assert with_header("Idempotency-Key", key, idempotency_key) == key


@given(latin)
def test_an_idempotency_key_is_visible_text_or_refused(value: str) -> None:
    key = taken(lambda: with_header("Idempotency-Key", value, idempotency_key), 400)
    assert key is None or re.fullmatch("[ -~]{1,255}", key)


@given(st.integers(0, 10**40), st.floats(0, 100))
def test_waiting_is_what_was_asked_for_up_to_the_most(asked: int, most: float) -> None:
    for value in (f"wait={asked}", f'respond-async, wait="{asked}"; x=1', f" WAIT = {asked} ,a"):
        assert with_header("Prefer", value, lambda: wait_seconds(most)) == min(asked, most)


@given(latin | latin.map("wait={}".format), st.floats(0, 100))
def test_any_preference_is_a_time_or_none(value: str, most: float) -> None:
    seconds = with_header("Prefer", value, lambda: wait_seconds(most))
    assert seconds is None or 0 <= seconds <= most


@given(st.integers(0, 10**15 - 1), st.text("0123456789abcdef", min_size=16, max_size=16))
def test_a_cursor_leads_back_and_only_with_its_filters(sequence: int, filters: str) -> None:
    cursor = jobs._make_cursor(sequence, filters)
    assert jobs._read_cursor(cursor, filters) == sequence
    with pytest.raises(Problem, match="other filters"):
        jobs._read_cursor(cursor, filters[::-1] + "0")


@given(st.text() | st.from_regex(r"\A[A-Za-z0-9_-]*\Z"))
def test_any_text_is_a_cursor_or_refused(cursor: str) -> None:
    taken(lambda: jobs._read_cursor(cursor, "x"), 400)


@given(st.text() | st.from_regex(r"\A[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}.?\Z"), latin)
def test_any_trace_context_is_kept_whole_or_made_up(traceparent: str, request_id: str) -> None:
    origin = tracing.of_request(request_id, traceparent)
    given = tracing.parse(traceparent)
    assert tracing.parse(origin.traceparent) == (origin.trace_id, origin.span_id, origin.flags)
    if given:
        assert traceparent[3:35] == given[0] == origin.trace_id
        assert (traceparent[36:52], traceparent[53:55]) == given[1:]
    assert re.fullmatch("[!-~]{1,128}", origin.request_id)


def test_no_number_of_json_becomes_another() -> None:
    @given(st.from_regex(r"\A-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?\Z"))
    def check(digits: str) -> None:
        found = taken(lambda: parse_json(digits.encode()), 400)
        if found is not None:
            assert repr(found) == repr(json.loads(digits))
        else:
            assert math.isinf(float(digits))

    check()
