"""What all commands share: settings, exit codes, the types of their options."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Concatenate, NoReturn, ParamSpec

import click

from client.client import NeuronClient, checked_key
from client.display import printable
from client.errors import ApiError, JobFailed, NeuronError

Parameters = ParamSpec("Parameters")

FAILED, USAGE, REFUSED, UNREACHABLE, INTERRUPTED = 1, 2, 3, 4, 130
URL, JSON, API_KEY = ("--url",), ("--json", "as_json"), ("--api-key",)
URL_ATTRIBUTES: dict[str, Any] = {
    "metavar": "URL",
    "help": "The service [env: NEURON_URL; default: http://127.0.0.1:8000].",
}
API_KEY_ATTRIBUTES: dict[str, Any] = {
    "metavar": "KEY",
    "help": "API key; other users of the machine can see options [env: NEURON_API_KEY].",
}
JSON_ATTRIBUTES: dict[str, Any] = {
    "is_flag": True,
    "help": "One JSON document on stdout (watch: one a line).",
}


def print_json(document: object) -> None:
    """The one document on stdout; moments as RFC 3339."""
    click.echo(json.dumps(document, default=datetime.isoformat))


@dataclass
class Settings:
    """What ``--url``, ``--json`` and ``--api-key`` say, before or after the command's name."""

    url: str = ""
    as_json: bool = False
    api_key: str = field(default="", repr=False)

    def client(self) -> NeuronClient:
        """A client of this service; a usage error when its URL or the key is none."""
        try:
            return NeuronClient(self.url, api_key=self.api_key)
        except ValueError as error:
            hint = "'--api-key'" if "API key" in str(error) else "'--url'"
            raise click.BadParameter(str(error), param_hint=hint) from error

    def answer(self, document: object, show: Callable[[], object]) -> None:
        """Print the document for machines, or ``show`` for people."""
        if self.as_json:
            print_json(document)
        else:
            show()


class Commands(click.Group):
    """Turns the error tree into one sentence and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; leave by ``SystemExit`` when it goes wrong."""
        try:
            return super().invoke(ctx)
        except NeuronError as error:
            if ctx.ensure_object(Settings).as_json:
                print_json({"error": _problem(error)})
            fail(str(error), _exit_code(error))
        except UnicodeError:
            fail("Arguments and rows have to be UTF-8 text.", USAGE)
        except KeyboardInterrupt:
            fail("Interrupted.", INTERRUPTED)


def _exit_code(error: NeuronError) -> int:
    if isinstance(error, JobFailed):
        return FAILED
    return REFUSED if isinstance(error, ApiError) and error.status < 500 else UNREACHABLE


def _problem(error: NeuronError) -> dict[str, object]:
    if not isinstance(error, ApiError):
        job = {"job": asdict(error.job)} if isinstance(error, JobFailed) else {}
        return {"title": type(error).__name__, "detail": str(error), **job}
    return {
        "status": error.status,
        "title": error.title,
        "detail": error.detail,
        "errors": [asdict(each) for each in error.errors],
    }


def fail(sentence: str, exit_code: int) -> NoReturn:
    """Say it on stderr and leave."""
    click.echo(f"Error: {printable(sentence)}", err=True)
    sys.exit(exit_code)


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value:
        setattr(ctx.ensure_object(Settings), str(param.name), value)


def common(command: Callable[Concatenate[Settings, Parameters], None]) -> Callable[..., None]:
    """A command that has ``--url``, ``--json``, ``--api-key``; gets its ``Settings`` first."""
    decorated: Callable[..., None] = click.pass_obj(command)
    for flags, attributes in (
        (API_KEY, API_KEY_ATTRIBUTES),
        (URL, URL_ATTRIBUTES),
        (JSON, JSON_ATTRIBUTES),
    ):
        option = click.option(*flags, callback=_remember, expose_value=False, **attributes)
        decorated = option(decorated)
    return decorated


class Finite(click.ParamType[float]):
    """A finite number."""

    name = "number"
    wanted = "a number"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """The number; a usage error when it is none."""
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is not {self.wanted}.", param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not finite.", param, ctx)
        return number


NUMBER = Finite()


class Row(click.ParamType[list[float]]):
    """Numbers with commas or spaces between them."""

    name = "x,y"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[float]:
        """The row; a usage error when it is none."""
        numbers = re.findall(r"[^\s,]+", value)
        if not numbers:
            self.fail(f"{value!r} has no numbers.", param, ctx)
        return [NUMBER.convert(number, param, ctx) for number in numbers]


def row_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes rows to add; ``given_rows`` gets all but ``explain``."""
    for option in (
        click.option("--explain", is_flag=True, help="Show the weighted inputs too."),
        click.option("--row", "rows", multiple=True, type=Row(), help="One more; may be repeated."),
        click.argument("numbers", nargs=-1, type=NUMBER),
    ):
        command = option(command)
    return command


def given_rows(numbers: tuple[float, ...], rows: tuple[list[float], ...]) -> list[list[float]]:
    """The rows of the command line, or those of stdin; a usage error when there are none."""
    given = [*([list(numbers)] if numbers else []), *rows]
    if given:
        return given
    lines = [] if sys.stdin.isatty() else [line for line in sys.stdin if line.strip()]
    if not lines:
        raise click.UsageError("Nothing to add: give numbers, --row or rows on stdin.")
    return [Row().convert(line, None, None) for line in lines]


def pairs(_ctx: click.Context, _param: click.Parameter, given: Iterable[str]) -> dict[str, str]:
    """``KEY=VALUE`` options as a dictionary."""
    parts = [each.partition("=") for each in given]
    for key, equals, _ in parts:
        if not (key and equals):
            raise click.BadParameter("must be KEY=VALUE.")
    return {key: value for key, _, value in parts}


def key(_ctx: click.Context, _param: click.Parameter, given: str | None) -> str | None:
    """An Idempotency-Key, checked."""
    try:
        return given if given is None else checked_key(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
