"""What people see: progress on stderr, tables on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from client.article import js_number, round_n_places
from client.events import Event, StatusEvent
from client.results import (
    Epoch,
    Forecast,
    Job,
    Model,
    ModelVersion,
    Prediction,
    Specification,
    Webhook,
)

Say = Callable[[str], None]


@contextmanager
def progress_shown(quiet: bool = False) -> Iterator[tuple[Callable[[Job], None], Say]]:
    """Two functions: one shows a job's progress, one prints a line beside it, both on stderr.

    On a terminal the progress is a bar; elsewhere a line for every change, but
    none for epochs if ``quiet``.
    """
    console = Console(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)
    if not sys.stderr.isatty() or console.is_dumb_terminal:
        shown = set[str]()

        def line(job: Job) -> None:
            text = standing(job)
            if text not in shown and not (quiet and job.status == "running"):
                console.print(text)
            shown.add(text)

        yield line, console.print
        return
    columns = BarColumn(), TextColumn("{task.description}", markup=False)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0)

        def move(job: Job) -> None:
            text = standing(job) + _eta(job)
            bar.update(task, completed=job.progress.fraction, description=text, refresh=True)

        yield move, bar.console.print


def standing(job: Job) -> str:
    """Status, epoch and accuracy in a few words."""
    progress = job.progress
    if job.status != "running":
        return job.status
    accuracy = "" if job.accuracy is None else f"  accuracy {percent(job.accuracy)}"
    return f"epoch {progress.epoch}/{progress.epochs}{accuracy}"


def _eta(job: Job) -> str:
    eta = job.progress.eta_seconds
    return "" if eta is None or job.ended else f"  {eta:.0f} s left"


def percent(share: float | None) -> str:
    """0.5 as 50%, at most two places."""
    return "" if share is None else f"{js_number(round_n_places(100 * share, 2))}%"


def print_jobs(jobs: Iterable[Job]) -> None:
    """A line a job."""
    rows = [
        (
            job.id,
            job.status,
            job.name or "",
            f"{job.progress.epoch}/{job.progress.epochs}",
            percent(job.accuracy),
            _moment(job.created_at),
        )
        for job in jobs
    ]
    _print_table(("job", "status", "name", "epoch", "accuracy", "created"), rows)


def print_epochs(epochs: Iterable[Epoch]) -> None:
    """A line an epoch."""
    rows = [
        (
            str(epoch.epoch),
            js_number(epoch.learning_rate),
            f"{epoch.correct}/{epoch.total}",
            percent(epoch.accuracy),
            "" if epoch.cost is None else js_number(epoch.cost),
            _numbers(epoch.weights),
        )
        for epoch in epochs
    ]
    _print_table(("epoch", "learning rate", "correct", "accuracy", "cost", "weights"), rows)


def event_line(event: Event) -> str:
    """Its moment, and the status or the epoch."""
    if isinstance(event, StatusEvent):
        return f"{_moment(event.time)}  {event.status}"
    epoch = event.epoch
    return f"{_moment(event.time)}  epoch {epoch.epoch}  accuracy {percent(epoch.accuracy)}"


def print_job(job: Job) -> None:
    """A line a property."""
    error = job.error
    properties = {
        "job": job.id,
        "status": standing(job) + _eta(job),
        "error": error.detail if error else "",
        "largest learning rate": _number(error.largest_learning_rate if error else None),
        "verifies": f"job {job.verifies}" if job.verifies else "",
        "name": job.name,
        "metadata": ", ".join(f"{key}={value}" for key, value in job.metadata.items()),
        **_specification(job.specification),
        "priority": None if job.priority == "normal" else job.priority,
        "epochs": f"{job.progress.epoch}/{job.progress.epochs}",
        "accuracy": percent(job.accuracy),
        "initial weights": _numbers(job.initial_weights),
        "weights": _numbers(job.weights),
        "digest": job.digest,
        "webhook": _delivery(job.webhook) if job.webhook else "",
        "created": _moment(job.created_at),
        "started": _moment(job.started_at),
        "ended": _moment(job.ended_at),
    }
    _print_properties(properties)


def print_forecast(forecast: Forecast) -> None:
    """A line a property, then the reasons."""
    rates = forecast.learning_rates
    first_and_last = [rates[0], *([rates[-1]] if rates[-1] != rates[0] else [])] if rates else []
    properties = {
        "forecast": _outlook(forecast),
        **_specification(forecast.specification),
        "rates": " … ".join(map(js_number, first_and_last)),
        "largest stable rate": _number(forecast.largest_learning_rate) or "none",
        "initial weights": _numbers(forecast.initial_weights),
        "weights settle at": _numbers(forecast.settling_weights) or "nowhere",
        "weights at the end": _numbers(forecast.final_weights),
        "give or take": " ".join(f"{each:.3g}" for each in forecast.final_weights_deviation or ()),
        "accuracy": _expected_accuracy(forecast),
        "time": _expected_time(forecast),
    }
    _print_properties(properties)
    for reason in forecast.explanation:
        click.echo("\n" + click.wrap_text(printable(reason), width=80))


def _outlook(forecast: Forecast) -> str:
    if not forecast.diverges:
        return "learns" if forecast.final_weights else "does not learn, and does not explode yet"
    epoch = forecast.diverges_in_epoch
    return "diverges" + (f" in epoch {epoch}" if epoch else "")


def _expected_accuracy(forecast: Forecast) -> str:
    low, high = forecast.accuracy_low, forecast.accuracy_high
    spread = "" if low is None else f" ({percent(low)} to {percent(high)})"
    return percent(forecast.accuracy) + spread


def _expected_time(forecast: Forecast) -> str:
    training, queue = forecast.training_seconds, forecast.queue_seconds
    waits = f", after {queue:.2g} s in the queue" if queue else ""
    return "" if training is None else f"{training:.2g} s{waits}"


def _specification(specification: Specification) -> dict[str, str]:
    dataset, wanted = specification.dataset, specification.hyperparameters
    schedule, penalty = wanted.learning_rate, wanted.regularization
    pace = schedule.scale if schedule.rate is None else schedule.rate
    strength = None if penalty.kind == "none" else penalty.strength
    return {
        "data": f"{dataset.training_size} + {dataset.test_size} rows of {dataset.input_size} in "
        f"[{js_number(dataset.low)}, {js_number(dataset.high)}], "
        f"{dataset.generator}, seed {dataset.seed}{', normalized' if wanted.normalize else ''}",
        "learning rate": _with_number(schedule.schedule, pace),
        "regularization": _with_number(penalty.kind, strength),
    }


def _print_properties(properties: Mapping[str, str | None]) -> None:
    _print_table(None, [(name, text) for name, text in properties.items() if text])


def print_sums(inputs: Sequence[Sequence[float]], answer: Prediction) -> None:
    """A line a row: the sum, by way of the weighted inputs if they are told, and its bound."""
    for i, row in enumerate(inputs):
        sides = [row, *([answer.weighted_inputs[i]] if answer.weighted_inputs else [])]
        total = " = ".join(" + ".join(map(js_number, side)) for side in sides)
        bound = f" (-/+{answer.error_bounds[i]:.3g})" if answer.error_bounds else ""
        click.echo(f"{total} = {js_number(answer.outputs[i])}{bound}")


def print_models(models: Iterable[Model]) -> None:
    """A line a model."""
    rows = [(model.name, *_version(model)) for model in models]
    _print_table(("model", *_VERSION_TITLES), rows)


def print_model(model: Model) -> None:
    """A line a version, with a mark at the current one."""
    rows = [
        ("current" if version.version == model.version else "", *_version(version))
        for version in model.versions
    ]
    _print_table((model.name, *_VERSION_TITLES), rows)


_VERSION_TITLES = ("version", "job", "epoch", "weights", "put")


def _version(version: ModelVersion) -> tuple[str, ...]:
    return (
        str(version.version),
        version.job_id,
        str(version.epoch),
        _numbers(version.weights),
        _moment(version.created_at),
    )


def _delivery(webhook: Webhook) -> str:
    error = f", {webhook.error}" if webhook.error else ""
    return f"{webhook.url}: {webhook.status}, {webhook.attempts} sent{error}"


def printable(text: str) -> str:
    """``text`` without what could steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _print_table(titles: Sequence[str] | None, rows: Iterable[Sequence[str]]) -> None:
    rows = list(rows)
    table = Table(box=None, pad_edge=False, show_header=titles is not None)
    for title in titles or ("", ""):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*map(printable, row))
    width = None if sys.stdout.isatty() else 1000
    Console(width=width, markup=False, highlight=False, emoji=False).print(table)


def _number(number: float | None) -> str:
    return "" if number is None else js_number(number)


def _with_number(text: str, number: float | None) -> str:
    return text if number is None else f"{text} {js_number(number)}"


def _numbers(numbers: Iterable[float] | None) -> str:
    return " ".join(map(js_number, numbers or ()))


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat(" ", "seconds")
