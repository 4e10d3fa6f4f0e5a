"""A step of training as a page: each number, what the article calls it, and how it is made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import click

from client.article import js_number
from client.results import Step, StepPage

#: Section, name, formula, number.
Line = tuple[str, str, str, float | None]
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def print_steps(page: StepPage) -> None:
    """A page for each step; headings are bold on a terminal."""
    for place, step in enumerate(page.steps):
        click.echo(
            "\n" * bool(place)
            + f"job {page.job_id}, epoch {page.epoch}, step {step.step} of {page.total}"
        )
        _print_lines([*_forward(step), *_cost(step), *_backward(step), *_learning(page, step)])


def _forward(step: Step) -> Iterator[Line]:
    section = "Feedforward"
    yield from _each(section, "input", "x#", step.inputs)
    yield from _each(section, "weight", "w#", step.weights)
    yield from _each(section, "weighted input", "x#·w#", step.weighted_inputs)
    yield section, "aggregate", "z = Σ xᵢ·wᵢ", step.aggregate
    yield section, "output (activation)", "y = 1·z", step.output


def _cost(step: Step) -> Iterator[Line]:
    yield "Cost", "label", "t = Σ xᵢ", step.label
    yield "Cost", "cost", "C = (t - y)²", step.cost
    yield "Cost", "its derivative", "∂C/∂y = -2·(t - y)", step.cost_derivative


def _backward(step: Step) -> Iterator[Line]:
    section = "Backpropagation"
    yield section, "gradient before activation", "∂C/∂z = 1·∂C/∂y", step.aggregate_gradient
    yield from _each(section, "weight gradient", "∂C/∂w# = x#·∂C/∂z", step.weight_gradients)
    yield from _each(section, "input gradient", "∂C/∂x# = w#·∂C/∂z", step.input_gradients)


def _learning(page: StepPage, step: Step) -> Iterator[Line]:
    section, formula = "Learning", f"g# = ∂C/∂w#{_penalty(page.regularization)}"
    yield from _each(section, "regularized gradient", formula, step.regularized_gradients)
    yield section, "learning rate", "r", step.learning_rate
    yield from _each(section, "change", "g#·r", step.changes)
    yield from _each(section, "weight after", "w# - g#·r", step.weights_after)


def _each(section: str, name: str, formula: str, numbers: Iterable[float | None]) -> Iterator[Line]:
    """A line for each input; # stands for its place, and only the first has the name."""
    for place, number in enumerate(numbers, 1):
        subscript = str(place).translate(_SUBSCRIPTS)
        yield section, name if place == 1 else "", formula.replace("#", subscript), number


def _penalty(coefficient: float) -> str:
    """What regularization adds to the gradient: c·weight."""
    if coefficient == 0:
        return ""
    factor = "" if abs(coefficient) == 1 else f"{js_number(abs(coefficient))}·"
    return f" {'-' if coefficient < 0 else '+'} {factor}w#"


def _print_lines(lines: Sequence[Line]) -> None:
    """Columns, with the numbers' points below each other."""
    numbers = _aligned(["not finite" if line[3] is None else js_number(line[3]) for line in lines])
    names = max(len(name) for _, name, _, _ in lines)
    formulas = max(len(formula) for _, _, formula, _ in lines)
    rows = zip(lines, numbers, strict=True)
    for section, own in groupby(rows, key=lambda row: row[0][0]):
        click.secho(f"\n{section}", bold=True)
        for (_, name, formula, _), number in own:
            click.echo(f"  {name:{names}}  {formula:{formulas}}  {number}")


def _aligned(numbers: Sequence[str]) -> list[str]:
    whole = [len(re.split("[.e]", number, maxsplit=1)[0]) for number in numbers]
    return [" " * (max(whole) - own) + text for own, text in zip(whole, numbers, strict=True)]
