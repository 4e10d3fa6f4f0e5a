"""The options that describe a job, and what of a job's fields they give."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import click

from client.client import JobFields
from client.options import NUMBER, Finite


class Rate(Finite):
    """A finite number, or "auto"."""

    name = "number|auto"
    wanted = "a number or auto"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """The number or "auto"; a usage error when it is neither."""
        return value if value == "auto" else super().convert(value, param, ctx)


_OPTIONS = (
    click.option("--epochs", type=int),
    click.option("--training-size", type=int, help="Rows to learn from."),
    click.option("--test-size", type=int, help="Rows to measure the accuracy with."),
    click.option("--input-size", type=int, help="Numbers in a row."),
    click.option("--low", type=NUMBER, help="Smallest input."),
    click.option("--high", type=NUMBER, help="Largest input."),
    click.option("--generator", type=click.Choice(["seedrandom", "pcg64"])),
    click.option("--seed", help="Digits are an integer, anything else is text."),
    click.option("--text-seed", is_flag=True, help="Digits are text too."),
    click.option(
        "--learning-rate",
        type=Rate(),
        help="The same rate in every epoch; auto: one that learns fast and cannot explode.",
    ),
    click.option("--learning-rate-scale", type=NUMBER, help="Epoch e learns at 1/(2·scale·e)."),
    click.option("--regularization", type=click.Choice(["published", "l2", "none"])),
    click.option("--strength", type=NUMBER, help="Of the regularization."),
    click.option("--normalize", is_flag=True, help="Train on inputs scaled into [-1, 1]."),
    click.option("--weight-low", type=NUMBER, help="Smallest initial weight."),
    click.option("--weight-high", type=NUMBER, help="Largest initial weight."),
    click.option(
        "--error-margin-percent", type=NUMBER, help="How far off still counts as correct."
    ),
)


def specification_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command with an option for every field that a job's result depends on."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def specification(given: Mapping[str, Any]) -> JobFields:
    """The fields that these options give; a usage error when they exclude each other."""
    return {
        "dataset": _dataset(given) or None,
        "hyperparameters": _hyperparameters(given) or None,
    }


def _given(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: given[name] for name in names if given[name] is not None}


def _dataset(given: Mapping[str, Any]) -> dict[str, Any]:
    fields = _given(given, "input_size", "training_size", "test_size", "low", "high", "generator")
    seed, as_text = given["seed"], given["text_seed"]
    if as_text and seed is None:
        raise click.UsageError("--text-seed needs a --seed.")
    if seed is not None:
        is_integer = not as_text and re.fullmatch("-?[0-9]+", seed)
        fields["seed"] = int(seed) if is_integer else seed
    return fields


def _hyperparameters(given: Mapping[str, Any]) -> dict[str, Any]:
    fields = _given(given, "epochs", "weight_low", "weight_high", "error_margin_percent")
    rate, scale = given["learning_rate"], given["learning_rate_scale"]
    if rate is not None and scale is not None:
        raise click.UsageError("--learning-rate and --learning-rate-scale exclude each other.")
    if rate == "auto":
        fields["learning_rate"] = {"schedule": "auto"}
    elif rate is not None:
        fields["learning_rate"] = {"schedule": "constant", "rate": rate}
    if scale is not None:
        fields["learning_rate"] = {"schedule": "inverse_epoch", "scale": scale}
    if given["regularization"] or given["strength"] is not None:
        kind = {"kind": given["regularization"] or "published"}
        fields["regularization"] = kind | _given(given, "strength")
    if given["normalize"]:
        fields["normalize"] = True
    return fields
