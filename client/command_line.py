"""``python -m client``: every deed of ``NeuronClient`` as a command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import click

from client.article import accuracy_line, article
from client.client import JobFields, NeuronClient
from client.display import (
    event_line,
    print_epochs,
    print_forecast,
    print_job,
    print_jobs,
    print_sums,
    progress_shown,
)
from client.events import StatusEvent
from client.job_options import specification, specification_options
from client.microscope import print_steps
from client.model_commands import models
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
    Settings,
    common,
    fail,
    given_rows,
    key,
    pairs,
    row_options,
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
      1    the job failed or was cancelled (train, demo, watch, verify)
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
@specification_options
@click.option("--name", help="For people.")
@metadata_option
@click.option("--priority", type=click.Choice(["high", "normal", "low"]))
@click.option("--time-limit", type=NUMBER, metavar="SECONDS", help="Longer training fails.")
@click.option("--webhook", metavar="URL", help="Where the end is announced.")
@click.option("--webhook-secret", help="Signs it; other users of the machine can see options.")
@click.option("--idempotency-key", callback=key, help="The same key makes the same job.")
@click.option("--detach", is_flag=True, help="Only submit; print the job's id.")
def train(
    settings: Settings,
    /,
    idempotency_key: str | None,
    detach: bool,
    **given: Any,
) -> None:
    """Train a neuron. What is not given is as in the published run."""
    wanted = _wanted(given)
    with settings.client() as client:

        def submit() -> Job:
            return client.create_job(idempotency_key=idempotency_key, **wanted)

        if detach:
            submitted = submit()
            settings.answer(asdict(submitted), lambda: click.echo(submitted.id))
            return
        job = _followed(client, submit)
    settings.answer(asdict(job), lambda: print_job(job))


@main.command()
@common
@specification_options
def forecast(settings: Settings, /, **given: Any) -> None:
    """Tell what training would come to, without training. Options as of train."""
    with settings.client() as client:
        expected = client.forecast(**specification(given))
    settings.answer(asdict(expected), lambda: print_forecast(expected))


def _wanted(given: Mapping[str, Any]) -> JobFields:
    url, secret = given["webhook"], given["webhook_secret"]
    if secret and not url:
        raise click.UsageError("--webhook-secret needs a --webhook.")
    return {
        **specification(given),
        "name": given["name"],
        "metadata": given["metadata"] or None,
        "priority": given["priority"],
        "time_limit_seconds": given["time_limit"],
        "webhook": {"url": url} | ({"secret": secret} if secret else {}) if url else None,
    }


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
@click.option("--epoch", type=int, default=1, show_default=True, help="Counted from 1.")
@click.option("--step", type=int, default=1, show_default=True, help="The first, counted from 1.")
@click.option("--count", type=int, default=1, show_default=True, help="How many at most.")
@click.option("--every", type=int, default=1, show_default=True, help="Only each so many-th.")
def steps(settings: Settings, /, job: str, **which: int) -> None:
    """Show every number of a step of the training, and how it is made."""
    with settings.client() as client:
        page = client.steps(job, **which)
    settings.answer(asdict(page), lambda: print_steps(page))
    if page.next and not settings.as_json:
        click.echo(f"There are more: --step {page.next}.", err=True)


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
@row_options
@click.option("--epoch", type=int, help="With this epoch's weights instead of the last.")
def predict(
    settings: Settings,
    /,
    job: str,
    epoch: int | None,
    explain: bool,
    **rows: Any,
) -> None:
    """Let a trained neuron add, as in: predict JOB 2.2 1.5.

    Without NUMBERS and --row, rows are read from stdin, one a line.
    """
    inputs = given_rows(**rows)
    with settings.client() as client:
        answer = client.predict(job, inputs, epoch, explain=explain)
    settings.answer(asdict(answer), lambda: print_sums(inputs, answer))


@main.command()
@common
@click.argument("job")
def verify(settings: Settings, job: str) -> None:
    """Train a job's epochs again and compare, to the bit."""
    with settings.client() as client:
        verified = _followed(client, lambda: client.verify(job))
    text = f"all {verified.progress.epoch} epochs of job {job} are the same, to the bit"
    settings.answer(asdict(verified), lambda: click.echo(text))


def _changing(name: str, change: Callable[[NeuronClient, str], Job], purpose: str) -> None:
    @main.command(name, help=purpose)
    @common
    @click.argument("job")
    def command(settings: Settings, job: str) -> None:
        with settings.client() as client:
            changed = change(client, job)
        text = f"job {changed.id} is {changed.status}"
        settings.answer(asdict(changed), lambda: click.echo(text))


_changing("pause", NeuronClient.pause, "Stop training a job, until it is resumed.")
_changing("resume", NeuronClient.resume, "Go on with a paused job.")
_changing("retry", NeuronClient.retry, "Queue a failed job again.")
_changing("cancel", NeuronClient.cancel, "Cancel a job for good.")


@main.command()
@common
@click.argument("job")
def delete(settings: Settings, job: str) -> None:
    """Forget an ended job."""
    with settings.client() as client:
        client.delete(job)
    document = {"id": job, "deleted": True}
    settings.answer(document, lambda: click.echo(f"job {job} is deleted"))


main.add_command(models)
