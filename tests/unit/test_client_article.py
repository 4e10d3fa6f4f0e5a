"""The article's two blocks, letter for letter, from the figures of the published run."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from client.article import article, js_number, round_n_places
from client.results import Epoch, EpochPage, Job, decode
from tests.unit.fake_service import WITH, WITHOUT, epochs_document, job_document

FIRST_BLOCK = """\
Demo:
Expected : 2.2 + 1.5 = 3.7
Actual : 2.2 + 1.5 = 2.358443202446961
Expected : 1024 + 2048 = 3072
Actual : 1024 + 2048 = 1969.8638042934172
epoch 1/10 completed
Accuracy: 23744/50000(47.49%) correct within -/+0.01%
epoch 2/10 completed
Accuracy: 31368/50000(62.74%) correct within -/+0.01%
epoch 3/10 completed
Accuracy: 37322/50000(74.64%) correct within -/+0.01%
epoch 4/10 completed
Accuracy: 42572/50000(85.14%) correct within -/+0.01%
epoch 5/10 completed
Accuracy: 46947/50000(93.89%) correct within -/+0.01%
epoch 6/10 completed
Accuracy: 50000/50000(100%) correct within -/+0.01%
epoch 7/10 completed
Accuracy: 50000/50000(100%) correct within -/+0.01%
epoch 8/10 completed
Accuracy: 50000/50000(100%) correct within -/+0.01%
epoch 9/10 completed
Accuracy: 50000/50000(100%) correct within -/+0.01%
epoch 10/10 completed
Accuracy: 50000/50000(100%) correct within -/+0.01%
Demo:
Expected : 2.2 + 1.5 = 3.7
Actual : 2.2 + 1.5 = 3.700334223241915
Expected : 1024 + 2048 = 3072
Actual : 1024 + 2048 = 3072.2695417020814"""

SECOND_BLOCK = """\
Demo:
Expected : 2.2 + 1.5 = 3.7
Actual : 2.2 + 1.5 = 2.358443202446961
Expected : 1024 + 2048 = 3072
Actual : 1024 + 2048 = 1969.8638042934172
epoch 1/10 completed
Accuracy: 50000/50000(100%) correct within -/+0.01%
...
Demo:
Expected : 2.2 + 1.5 = 3.7
Actual : 2.2 + 1.5 = 3.7000000000000006
Expected : 1024 + 2048 = 3072
Actual : 1024 + 2048 = 3072.0000000000014"""


def published(experiment: str) -> tuple[Job, tuple[Epoch, ...]]:
    job: Job = decode(Job, job_document(experiment=experiment))
    page: EpochPage = decode(EpochPage, epochs_document(experiment))
    return job, page.epochs


def test_the_first_experiment_prints_the_articles_first_block() -> None:
    assert article(*published(WITH)) == FIRST_BLOCK


def test_the_second_experiment_prints_the_articles_second_block() -> None:
    assert article(*published(WITHOUT), elide=True) == SECOND_BLOCK


def test_without_elision_every_epoch_is_printed() -> None:
    assert "..." not in article(*published(WITHOUT))
    assert article(*published(WITHOUT)).count("completed") == 10


def test_epochs_of_different_accuracy_are_never_elided() -> None:
    assert article(*published(WITH), elide=True) == FIRST_BLOCK
    job, (first, *rest) = published(WITHOUT)
    text = article(job, [first, *rest[:-1], replace(rest[-1], correct=49999)], elide=True)
    assert "..." not in text
    assert "49999/50000(100%)" in text


def test_a_single_epoch_has_nothing_to_elide() -> None:
    job, epochs = published(WITHOUT)
    assert "..." not in article(job, epochs[:1], elide=True)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (3072.0, "3072"),
        (3072, "3072"),
        (-2.5, "-2.5"),
        (100.0, "100"),
        (0.01, "0.01"),
        (47.49, "47.49"),
        (1969.8638042934172, "1969.8638042934172"),
        (3.7000000000000006, "3.7000000000000006"),
        (1e16, "10000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e21, "1.5e+21"),
        (-1.7976931348623157e308, "-1.7976931348623157e+308"),
        (1e-5, "0.00001"),
        (0.000001, "0.000001"),
        (1.25e-6, "0.00000125"),
        (1e-7, "1e-7"),
        (-1.5e-7, "-1.5e-7"),
        (5e-324, "5e-324"),
        (2**53 + 2, "9007199254740994"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
    ],
)
def test_numbers_are_printed_as_javascript_prints_them(number: Any, text: str) -> None:
    assert js_number(number) == text


@pytest.mark.parametrize(
    ("number", "rounded"), [(47.488, 47.49), (62.736, 62.74), (0.125, 0.13), (100.0, 100.0)]
)
def test_percentages_round_half_up(number: float, rounded: float) -> None:
    assert round_n_places(number, 2) == rounded
