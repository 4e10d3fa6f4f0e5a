"""``python -m client``: every deed of ``NeuronClient`` as a command."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import click

from client.article import accuracy_line, article, js_number
from client.client import NeuronClient
from client.display import event_line, print_epochs, print_job, print_jobs, progress_shown
from client.events import StatusEvent
from client.options import (
    API_KEY,
    API_KEY_ATTRIBUTES,
    FAILED,
    INTERRUPTED,
    JSON,
    JSON_ATTRIBUTES,
    NUMBER,
    URL,
    URL_ATTRIBUTES,
    Commands,
    Row,
    Settings,
    common,
    fail,
    key,
    pairs,
)
from client.results import Epoch, Job

STATUSES = ("queued", "running", "paused", "succeeded", "failed", "cancelled")

metadata_option = click.option(
    "--metadata", multiple=True, metavar="KEY=VALUE", callback=pairs, help="May be repeated."
)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(*URL, envvar="NEURON_URL", default="http://127.0.0.1:8000", **URL_ATTRIBUTES)
@click.option(*JSON, **JSON_ATTRIBUTES)
@click.option(*API_KEY, envvar="NEURON_API_KEY", default="", **API_KEY_ATTRIBUTES)
@click.pass_context
def main(ctx: click.Context, url: str, as_json: bool, api_key: str) -> None:
    """Train a neuron on the training service, watch it learn, let it add.

    \b
    Exit codes:
      0    done
      1    the job failed or was cancelled (train, demo, watch)
      2    the command line is wrong
      3    the service refused the request (4xx)
      4    the service cannot be reached or is unavailable
      130  interrupted by Ctrl-C
    """  # noqa: D301
    ctx.obj = Settings(url, as_json, api_key)


@main.command()
@common
@click.option("--without-regularization", is_flag=True, help="The second experiment.")
def demo(settings: Settings, without_regularization: bool) -> None:
    """Run the published experiment and print the published output."""
    second = {"regularization": {"kind": "none"}} if without_regularization else None
    name = "published run" + (" without regularization" if without_regularization else "")
    with settings.client() as client:
        job = _followed(
            client,
            lambda: client.create_job(name=name, hyperparameters=second),
            line_per_epoch=True,
        )
        epochs = list(client.iter_epochs(job.id))
    document = {"job": asdict(job), "epochs": [asdict(epoch) for epoch in epochs]}
    text = article(job, epochs, elide=without_regularization)
    settings.answer(document, lambda: click.echo(text))


@main.command()
@common
@click.option("--epochs", type=int)
@click.option("--training-size", type=int, help="Rows to learn from.")
@click.option("--test-size", type=int, help="Rows to measure the accuracy with.")
@click.option("--input-size", type=int, help="Numbers in a row.")
@click.option("--low", type=NUMBER, help="Smallest input.")
@click.option("--high", type=NUMBER, help="Largest input.")
@click.option("--generator", type=click.Choice(["seedrandom", "pcg64"]))
@click.option("--seed", help="Digits are an integer, anything else is text.")
@click.option("--text-seed", is_flag=True, help="Digits are text too.")
@click.option("--learning-rate", type=NUMBER, help="The same rate in every epoch.")
@click.option("--learning-rate-scale", type=NUMBER, help="Epoch e learns at 1/(2·scale·e).")
@click.option("--regularization", type=click.Choice(["published", "l2", "none"]))
@click.option("--strength", type=NUMBER, help="Of the regularization.")
@click.option("--weight-low", type=NUMBER, help="Smallest initial weight.")
@click.option("--weight-high", type=NUMBER, help="Largest initial weight.")
@click.option("--error-margin-percent", type=NUMBER, help="How far off still counts as correct.")
@click.option("--name", help="For people.")
@metadata_option
@click.option("--idempotency-key", callback=key, help="The same key makes the same job.")
@click.option("--detach", is_flag=True, help="Only submit; print the job's id.")
def train(
    settings: Settings,
    /,
    name: str | None,
    metadata: dict[str, str],
    idempotency_key: str | None,
    detach: bool,
    **given: Any,
) -> None:
    """Train a neuron. What is not given is as in the published run."""
    dataset, hyperparameters = _dataset(given), _hyperparameters(given)
    with settings.client() as client:

        def submit() -> Job:
            return client.create_job(
                dataset=dataset or None,
                hyperparameters=hyperparameters or None,
                name=name,
                metadata=metadata or None,
                idempotency_key=idempotency_key,
            )

        if detach:
            submitted = submit()
            settings.answer(asdict(submitted), lambda: click.echo(submitted.id))
            return
        job = _followed(client, submit)
    settings.answer(asdict(job), lambda: print_job(job))


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
    if rate is not None:
        fields["learning_rate"] = {"schedule": "constant", "rate": rate}
    if scale is not None:
        fields["learning_rate"] = {"schedule": "inverse_epoch", "scale": scale}
    if given["regularization"] or given["strength"] is not None:
        kind = {"kind": given["regularization"] or "published"}
        fields["regularization"] = kind | _given(given, "strength")
    return fields


def _followed(client: NeuronClient, submit: Callable[[], Job], line_per_epoch: bool = False) -> Job:
    """Submit a job and show its progress until it ends; Ctrl-C leaves it running."""
    job: Job | None = None
    try:
        job = submit()
        click.echo(f"job {job.id}", err=True)
        with progress_shown(quiet=line_per_epoch) as (show, say):
            told = 0

            def on_progress(current: Job) -> None:
                nonlocal told
                if line_per_epoch and current.progress.epoch > told:
                    for epoch in client.iter_epochs(current.id, after=told):
                        say(_epoch_line(current, epoch))
                        told = epoch.epoch
                show(current)

            return client.wait(job.id, on_progress=on_progress)
    except KeyboardInterrupt:
        fail(_goes_on(client, job), INTERRUPTED)


def _epoch_line(job: Job, epoch: Epoch) -> str:
    wanted = job.specification.hyperparameters
    accuracy = accuracy_line(epoch, wanted.error_margin_percent)
    return f"epoch {epoch.epoch}/{wanted.epochs}  {accuracy}"


def _goes_on(client: NeuronClient, job: Job | None) -> str:
    here = f"python -m client --url {client.base_url}"
    if job is None:
        return f"Interrupted; the job may have been submitted all the same: see '{here} jobs'."
    return f"Interrupted; job {job.id} goes on: '{here} cancel {job.id}' stops it."


@main.command()
@common
@click.option("--status", multiple=True, type=click.Choice(STATUSES), help="May be repeated.")
@metadata_option
@click.option("--limit", type=int, help="How many at most.")
@click.option("--after", help="Go on from this cursor.")
@click.option("--all", "everything", is_flag=True, help="Every page.")
def jobs(
    settings: Settings,
    status: tuple[str, ...],
    metadata: dict[str, str],
    limit: int | None,
    after: str | None,
    everything: bool,
) -> None:
    """List jobs, newest first."""
    with settings.client() as client:
        page = client.list_jobs(status=status, metadata=metadata, limit=limit, after=after)
        found = list(page.jobs)
        while everything and page.has_more and page.next:
            page = client.list_jobs(status=status, metadata=metadata, limit=limit, after=page.next)
            found += page.jobs
    document = {
        "jobs": [asdict(job) for job in found],
        "has_more": page.has_more,
        "next": page.next,
    }
    settings.answer(document, lambda: print_jobs(found))
    if page.has_more and not settings.as_json:
        click.echo(f"There are more: --after {page.next}, or --all.", err=True)


@main.command()
@common
@click.argument("job")
def show(settings: Settings, job: str) -> None:
    """Show one job."""
    with settings.client() as client:
        found = client.get_job(job)
    settings.answer(asdict(found), lambda: print_job(found))


@main.command()
@common
@click.argument("job")
@click.option("--after", type=int, default=0, help="Only the epochs following this one.")
def epochs(settings: Settings, job: str, after: int) -> None:
    """Show what each committed epoch has brought."""
    with settings.client() as client:
        found = list(client.iter_epochs(job, after=after))
    document = {"job_id": job, "epochs": [asdict(epoch) for epoch in found]}
    settings.answer(document, lambda: print_epochs(found))


@main.command()
@common
@click.argument("job")
@click.option("--after", metavar="ID", help="Only what follows this event.")
def watch(settings: Settings, job: str, after: str | None) -> None:
    """Show what happens to a job, a line an event, until it ends.

    With --json, each line is a JSON document.
    """
    status = None
    with settings.client() as client:
        for event in client.watch(job, after):
            settings.answer(asdict(event), partial(click.echo, event_line(event)))
            status = event.status if isinstance(event, StatusEvent) else status
    if status in ("failed", "cancelled"):
        sys.exit(FAILED)


@main.command(context_settings={"ignore_unknown_options": True})
@common
@click.argument("job")
@click.argument("numbers", nargs=-1, type=NUMBER)
@click.option("--row", "rows", multiple=True, type=Row(), help="One more row; may be repeated.")
@click.option("--epoch", type=int, help="With this epoch's weights instead of the last.")
def predict(
    settings: Settings,
    job: str,
    numbers: tuple[float, ...],
    rows: tuple[list[float], ...],
    epoch: int | None,
) -> None:
    """Let a trained neuron add, as in: predict JOB 2.2 1.5.

    Without NUMBERS and --row, rows are read from stdin, one a line.
    """
    inputs = [*([list(numbers)] if numbers else []), *rows] or _rows_from_stdin()
    with settings.client() as client:
        answer = client.predict(job, inputs, epoch)

    def print_sums() -> None:
        bounds: Sequence[float | None] = answer.error_bounds or (None,) * len(inputs)
        for row, output, bound in zip(inputs, answer.outputs, bounds, strict=True):
            total = " + ".join(map(js_number, row))
            error = "" if bound is None else f" (-/+{bound:.3g})"
            click.echo(f"{total} = {js_number(output)}{error}")

    settings.answer(asdict(answer), print_sums)


def _rows_from_stdin() -> list[list[float]]:
    lines = [] if sys.stdin.isatty() else [line for line in sys.stdin if line.strip()]
    if not lines:
        raise click.UsageError("Nothing to add: give numbers, --row or rows on stdin.")
    return [Row().convert(line, None, None) for line in lines]


@main.command()
@common
@click.argument("job")
def cancel(settings: Settings, job: str) -> None:
    """Cancel a job for good."""
    with settings.client() as client:
        cancelled = client.cancel(job)
    text = f"job {cancelled.id} is {cancelled.status}"
    settings.answer(asdict(cancelled), lambda: click.echo(text))


@main.command()
@common
@click.argument("job")
def delete(settings: Settings, job: str) -> None:
    """Forget an ended job."""
    with settings.client() as client:
        client.delete(job)
    document = {"id": job, "deleted": True}
    settings.answer(document, lambda: click.echo(f"job {job} is deleted"))
