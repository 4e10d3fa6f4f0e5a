"""Figures of the article's own program; see README.md beside this file."""

import json
from pathlib import Path
from typing import Any

from shared.job import Dataset, Hyperparameters, Specification

HERE = Path(__file__).parent
PUBLISHED: dict[str, Any] = json.loads((HERE / "published-run.json").read_text())
GOLDEN: dict[str, Any] = json.loads((HERE / "golden.json").read_text())

_DATASET = ("input_size", "training_size", "test_size", "low", "high", "seed")
_HYPERPARAMETERS = (
    "epochs", "learning_rate", "regularization", "weight_low", "weight_high",
    "error_margin_percent",
)  # fmt: skip


def specification(request: dict[str, Any]) -> Specification:
    """The specification of a reference run."""
    return Specification(
        dataset=Dataset.model_validate({name: request[name] for name in _DATASET}),
        hyperparameters=Hyperparameters.model_validate(
            {name: request[name] for name in _HYPERPARAMETERS}
        ),
    )
