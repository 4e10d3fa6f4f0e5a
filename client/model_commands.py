"""``python -m client models``: names that point at the weights of a job."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from client.display import print_model, print_models, print_sums
from client.options import Settings, common, given_rows, row_options


@click.group(invoke_without_command=True)
@common
def models(settings: Settings) -> None:
    """List the models, or work with one: names that point at a job's weights."""
    if click.get_current_context().invoked_subcommand:
        return
    with settings.client() as client:
        found = client.list_models()
    document = {"models": [asdict(model) for model in found]}
    settings.answer(document, lambda: print_models(found))


@models.command()
@common
@click.argument("name")
@click.argument("job")
@click.option("--epoch", type=int, help="This epoch's weights instead of the last.")
def put(settings: Settings, name: str, job: str, epoch: int | None) -> None:
    """Point NAME at the weights of JOB."""
    with settings.client() as client:
        model = client.put_model(name, job, epoch)
    settings.answer(asdict(model), lambda: print_model(model))


@models.command()
@common
@click.argument("name")
def show(settings: Settings, name: str) -> None:
    """Show a model's versions."""
    with settings.client() as client:
        model = client.get_model(name)
    settings.answer(asdict(model), lambda: print_model(model))


@models.command()
@common
@click.argument("name")
@click.option("--version", type=int, help="This one, instead of what was served before.")
def rollback(settings: Settings, name: str, version: int | None) -> None:
    """Serve an earlier version again."""
    with settings.client() as client:
        model = client.roll_back_model(name, version)
    settings.answer(asdict(model), lambda: print_model(model))


@models.command()
@common
@click.argument("name")
def delete(settings: Settings, name: str) -> None:
    """Forget a model; its job stays."""
    with settings.client() as client:
        client.delete_model(name)
    document = {"name": name, "deleted": True}
    settings.answer(document, lambda: click.echo(f"model {name} is deleted"))


@models.command(context_settings={"ignore_unknown_options": True})
@common
@click.argument("name")
@row_options
def predict(settings: Settings, /, name: str, explain: bool, **rows: Any) -> None:
    """Let a model add, as in: models predict NAME 2.2 1.5.

    Without NUMBERS and --row, rows are read from stdin, one a line.
    """
    inputs = given_rows(**rows)
    with settings.client() as client:
        answer = client.predict_with_model(name, inputs, explain=explain)
    settings.answer(asdict(answer), lambda: print_sums(inputs, answer))
