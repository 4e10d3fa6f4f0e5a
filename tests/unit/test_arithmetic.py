"""Sums with the bits of the neuron, and bounds that hold in exact arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.arithmetic import BLOCK, SumTooLarge, bound_factors, forward, forward_few
from shared.neuron import Neuron

finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e150, max_value=1e150)
near_one = st.floats(min_value=0.5, max_value=1.5)


def matrix(width: int) -> st.SearchStrategy[list[list[float]]]:
    return st.lists(st.lists(finite, min_size=width, max_size=width), min_size=1, max_size=8)


cases = st.integers(2, 6).flatmap(
    lambda n: st.tuples(st.lists(near_one | finite, min_size=n, max_size=n), matrix(n))
)


@given(cases)
@example(([0.6, 0.4], [[5e-324, -5e-324], [-0.0, -0.0], [0.0, 0.0]]))
@example(([1.0, 1.0], [[1e16, 1.0], [0.1, 0.2]]))
def test_outputs_have_the_bits_of_the_neuron_and_bounds_hold(
    case: tuple[list[float], list[list[float]]],
) -> None:
    weights, rows = case
    factors = bound_factors(weights)
    try:
        outputs, bounds = forward_few(rows, weights, factors)
    except SumTooLarge:
        with pytest.raises(SumTooLarge):
            forward(np.array(rows), weights, factors)
        return
    both = forward(np.array(rows), weights, factors)
    for row, output, bound, many in zip(rows, outputs, bounds, both.T, strict=True):
        expected = Neuron(weights).forward(row)
        assert output == many[0] == expected
        assert math.copysign(1, output) == math.copysign(1, many[0]) == math.copysign(1, expected)
        assert bound == many[1]
        assert abs(Fraction(output) - sum(map(Fraction, row))) <= Fraction(bound)


def test_the_bound_adds_less_than_a_billionth_to_what_the_neuron_has_not_learned() -> None:
    weights = (1.00009434827799, 1.0000844380202245)
    _, bounds = forward_few([[2.2, 1.5]], weights, bound_factors(weights))
    assert bounds[0] == pytest.approx(0.000334223241914855, rel=1e-11)


@pytest.mark.parametrize("kind", ["<f8", ">f8", "<f4", "<i4", "<u8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_blocks_of_many_rows_are_added_like_single_ones(kind: str, order: str) -> None:
    rows = np.random.default_rng(1).uniform(0, 100, (BLOCK + 5, 3)).astype(kind)
    rows = np.asarray(rows, order="F" if order == "F" else "C")
    rows.flags.writeable = False
    weights = [0.9, 1.1, 1.00001]
    found = forward(rows, weights, None)
    for index in (0, BLOCK - 1, BLOCK, BLOCK + 4):
        assert found[0, index] == Neuron(weights).forward([float(x) for x in rows[index]])


@pytest.mark.parametrize("bad", [math.inf, math.nan, 1.7e308])
def test_a_sum_that_is_not_finite_names_its_row(bad: float) -> None:
    rows = np.zeros((BLOCK + 3, 2))
    rows[BLOCK + 1] = bad
    with pytest.raises(SumTooLarge) as caught:
        forward(rows, [1.5, 1.5], bound_factors([1.5, 1.5]))
    assert caught.value.row == BLOCK + 1
