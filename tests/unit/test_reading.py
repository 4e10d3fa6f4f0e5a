"""The fast readers take nothing that the strict parser refuses, and read the same numbers."""

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from api import reading
from api.parsing import parse_json
from api.predict import PredictRequest
from api.problems import Problem
from api.reading import Inputs, numbers, read_npy, rows_of


def strictly(body: bytes) -> PredictRequest | None:
    try:
        return PredictRequest.model_validate(parse_json(body))
    except (Problem, ValidationError):
        return None


def check(body: bytes, found: Inputs | None) -> bool:
    if found is None:
        return False
    wanted = strictly(body)
    assert wanted is not None, body
    assert [[float(value) for value in row] for row in found.rows] == wanted.inputs
    assert found.epoch == wanted.epoch
    return True


number = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70)
plain = st.fixed_dictionaries(
    {"inputs": st.lists(st.lists(number, min_size=2, max_size=2), min_size=1, max_size=5)},
    optional={"epoch": st.integers(1, 2**53 - 1)},
)
scraps = st.sampled_from(
    [b"NaN", b"1e999", b"true", b"null", b'"1"', b"[", b"]", b"{", b"}", b",", b'"', b"\\", b"\x00",
     b"\xff", b"\xef\xbb\xbf", b"-", b"01", b"1.", b'"inputs":', b'"epoch":1,', b" ", b"\x0b",
     b"9" * 400, b'"\\ud800"', b'"inp\\u0075ts":[[1,2]],', b"/*x*/", b"-0", b"1E5", b"[[1,2]],"]
)  # fmt: skip


@given(plain)
def test_plain_bodies_are_read_fast(value: dict[str, Any]) -> None:
    body = json.dumps(value).encode()
    assert check(body, reading._few_inputs(body))
    check(body, reading._many_inputs(body))


@given(plain, scraps, st.floats(0, 1), st.integers(0, 3))
@example({"inputs": [[1, 2]]}, b'"inputs":[[3,4]],', 0.1, 0)
def test_damaged_bodies_are_taken_only_if_the_strict_parser_does(
    value: dict[str, Any], scrap: bytes, where: float, cut: int
) -> None:
    body = json.dumps(value).encode()
    at = int(where * len(body))
    damaged = body[:at] + scrap + body[at + cut :]
    check(damaged, reading._few_inputs(damaged))
    check(damaged, reading._many_inputs(damaged))


@pytest.mark.parametrize(
    "body",
    [
        b'{"inputs":[[1,2]],"inputs":[[3,4]]}', b'{"epoch":1,"inputs":[[1,2]],"epoch":2}',
        rb'{"inputs":[[1,2]],"inp\u0075ts":[[3,4]]}', b'{"inputs":[[1,2],[3]]}',
        b'{"inputs":[[1,NaN]]}', b'{"inputs":[[1,1e999]]}', b'{"inputs":[[true,1]]}',
        b'{"inputs":[["1",1]]}', b'{"inputs":[[[1],1]]}', b'{"inputs":[]}', b'{"inputs":[[]]}',
        b'{"inputs":[[1,2]]}x', b'{"inputs":[[1,2]],}', b'{"inputs":[[1,2]],"x":1}',
        b'{"inputs":[[1,2]],"epoch":0}', b'{"inputs":[[1,2]],"epoch":1.0}', b'{"inputs":1}',
        b'{"inputs":[[1,2]]', b'[[1,2]]', b"", b'{"inputs":' + b"[" * 5000,
        '{"inputs":[[1,2]]}'.encode("utf-16"), b'{"inputs":[[1,2,3],[1]]}',
    ],
)  # fmt: skip
def test_odd_bodies_are_not_read_fast(body: bytes) -> None:
    few = reading._few_inputs(body)
    assert few is None or [len(row) for row in few.rows] in ([2, 1], [3, 1], [0])
    assert reading._many_inputs(body) is None


def test_a_hundred_thousand_rows_are_read_exactly() -> None:
    rows = np.random.default_rng(2).uniform(-1e3, 1e3, (100_000, 2))
    body = json.dumps({"inputs": rows.tolist(), "epoch": 3}).encode()
    found = reading.fast_inputs(body)
    assert found is not None
    assert isinstance(found.rows, np.ndarray)
    assert np.array_equal(found.rows, rows)
    assert found.epoch == 3


@pytest.mark.parametrize(
    "text",
    [b"[[1,2],3]", b"[1,2]", b"[[[1,2]]]", b"[[1],[2,3]]", b"[[],[]]", b"1", b"{}", b'["a"]'],
)
def test_what_is_no_matrix_has_no_rows(text: bytes) -> None:
    assert rows_of(text) is None


def test_numbers_are_rounded_as_python_rounds_them() -> None:
    for text in ("9007199254740993", "18446744073709551615", "0.1", "5e-324", "-0", "1E22"):
        found = numbers(f"[{text}]".encode())
        assert found is not None
        assert found[0] == float(json.loads(text))


def npy(array: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["<f8", ">f8", "<f4", "<i8", "u1"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_numpy_files_are_read(kind: str, version: tuple[int, int]) -> None:
    array = np.arange(6).reshape(3, 2).astype(kind)
    for form in (array, np.asfortranarray(array)):
        assert np.array_equal(read_npy(npy(form, version=version)), array)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\x93NUMPY", 400),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 9000, 400),
        (npy(np.zeros((2, 2)))[:-1], 400),
        (npy(np.zeros((2, 2))) + b"x", 400),
        (npy(np.zeros(4)), 422),
        (npy(np.array([["a", "b"]])), 422),
        (npy(np.array([[1j, 2]])), 422),
        (npy(np.array([[True, False]])), 422),
        (npy(np.array([[None, 1]], dtype=object), allow_pickle=True), 422),
        (npy(np.array([[2**53 + 1, 1]])), 422),
        (npy(np.array([[2**64 - 1, 1]], dtype="u8")), 422),
        (npy(np.zeros((2, 2))).replace(b"(2, 2)", b"(-2,2)"), 400),
        (npy(np.zeros((0, 2))).replace(b"2), }" + b" " * 18, b"9223372036854775808), }"), 400),
    ],
)
def test_bad_numpy_files_are_refused(body: bytes, status: int) -> None:
    with pytest.raises(Problem) as caught:
        read_npy(body)
    assert caught.value.status == status
