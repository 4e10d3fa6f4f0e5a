"""Data sets: the order of draws, their ranges, and what a worker keeps of them."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dataset import DataCache, make_data
from shared.job import LARGEST_INTEGER, Dataset, Hyperparameters, Specification

seeds = st.integers(-LARGEST_INTEGER, LARGEST_INTEGER) | st.text(max_size=128)


def test_pcg64_draws_are_numpys_own_in_the_order_training_test_weights() -> None:
    made = make_data(Dataset(generator="pcg64", seed=7, training_size=3, test_size=2, low=-5))
    draws = np.random.Generator(np.random.PCG64(7)).random(12)
    scaled = draws * (-5.0 - 100.0) + 100.0
    assert made.training.tolist() == scaled[:6].reshape(3, 2).tolist()
    assert made.test.tolist() == scaled[6:10].reshape(2, 2).tolist()
    assert made.weight_draws.tolist() == draws[10:].tolist()


@given(
    seed=seeds,
    generator=st.sampled_from(["seedrandom", "pcg64"]),
    bounds=st.tuples(st.floats(-1e100, 1e100), st.floats(-1e100, 1e100)),
)
def test_any_seed_and_range_give_the_same_finite_rows_again(
    seed: int | str, generator: Literal["seedrandom", "pcg64"], bounds: tuple[float, float]
) -> None:
    low, high = sorted(bounds)
    if low == high:
        return
    dataset = Dataset(
        seed=seed, generator=generator, low=low, high=high, training_size=5, test_size=2
    )
    made = make_data(dataset)
    assert np.isfinite(made.training).all()
    assert made.training.tobytes() == make_data(dataset).training.tobytes()


@pytest.mark.parametrize("generator", ["seedrandom", "pcg64"])
def test_a_number_and_its_text_are_different_seeds(
    generator: Literal["seedrandom", "pcg64"],
) -> None:
    number, text = (
        make_data(Dataset(seed=seed, generator=generator, training_size=1)) for seed in (-5, "-5")
    )
    assert number.training.tolist() != text.training.tolist()


def test_rows_cannot_be_changed_by_who_uses_them() -> None:
    with pytest.raises(ValueError, match="read-only"):
        make_data(Dataset(training_size=1)).training[0, 0] = 1.0


def test_the_cache_keeps_the_data_sets_used_last_within_its_bytes() -> None:
    a, b, c = (
        Specification(dataset=Dataset(seed=seed, training_size=90, test_size=10))
        for seed in (1, 2, 3)
    )
    cache = DataCache(max_bytes=2 * 1600)
    first, second = cache.get(a), cache.get(b)
    assert cache.get(a) is first
    cache.get(c)
    assert cache.get(a) is first
    assert cache.get(b) is not second


def test_the_cache_gives_a_data_set_that_it_cannot_keep() -> None:
    cache = DataCache(max_bytes=1600)
    small, large = (
        Specification(dataset=Dataset(training_size=size, test_size=10)) for size in (90, 91)
    )
    kept = cache.get(small)
    assert cache.get(large).training.shape == (91, 2)
    assert cache.get(small) is kept


def test_the_cache_tells_normalized_rows_from_others() -> None:
    cache = DataCache(max_bytes=10_000)
    plain = Specification(dataset=Dataset(training_size=90, test_size=10))
    normalized = plain.model_copy(update={"hyperparameters": Hyperparameters(normalize=True)})
    assert cache.get(plain).training.max() > 1
    assert cache.get(normalized).training.max() <= 1
