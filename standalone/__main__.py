"""The command line: serve in the foreground, or for as long as a COMMAND takes.

Status lines and the children's output go to stderr: stdout is COMMAND's.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import click

from standalone.errors import PortTakenError, StartError
from standalone.ports import free_port
from standalone.process import stop_with_parent
from standalone.stack import Stack, labelled, without_secrets

COLOURS = {"redis": "red", "worker": "green", "api": "cyan"}
COMMAND_GRACE = 5.0


class Interrupted(BaseException):
    """A signal asked us to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@click.group(invoke_without_command=True)
@click.option("--host", envvar="NEURON_HOST", default="127.0.0.1", show_default=True)
@click.option(
    "--port",
    envvar="NEURON_PORT",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="0: any free one.",
)
@click.option(
    "--data-dir",
    envvar="NEURON_DATA_DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".data"),
    show_default=True,
)
@click.option("--redis-url", envvar="NEURON_REDIS_URL", help="Use this Redis and start none.")
@click.pass_context
def main(context: click.Context, /, **settings: Any) -> None:
    """Redis, a worker and the API on this machine, until Ctrl-C."""
    explicit = context.get_parameter_source("port") is not click.core.ParameterSource.DEFAULT
    context.obj = settings | {"explicit": explicit}
    if context.invoked_subcommand is None:
        serve(make_stack(context.obj))


@main.command(context_settings={"allow_interspersed_args": False})
@click.option("--quiet", is_flag=True, help="Children's output into a file.")
@click.option("--ephemeral", is_flag=True, help="Data in a temporary folder, removed at the end.")
@click.option("--port", type=click.IntRange(0, 65535), help="0: any free one.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def run(
    settings: dict[str, Any],
    quiet: bool,
    ephemeral: bool,
    port: int | None,
    command: tuple[str, ...],
) -> None:
    """Serve while COMMAND runs, with NEURON_URL in its environment."""
    if not shutil.which(command[0]):
        say(f"{command[0]}: command not found")
        sys.exit(127)
    if port is not None:
        settings |= {"port": port, "explicit": True}
    if ephemeral:
        settings |= {"data_dir": None}
    stack = make_stack(settings, quiet=quiet)
    try:
        with exits_on_start_error(), signals(stack), stack:
            code = run_command(command, stack.url)
    except Interrupted as stopped:
        code = 128 + stopped.number
    sys.exit(code)


def make_stack(settings: dict[str, Any], quiet: bool = False) -> Stack:
    """Build the stack, on another port if the default one is taken. Exits on a StartError."""
    host, port, explicit = settings["host"], settings["port"], settings.pop("explicit")
    with exits_on_start_error():
        try:
            free_port(host, port)
        except PortTakenError:
            if explicit:
                raise
            say(f"Port {port} on {host} is taken; taking a free one.")
            settings["port"] = 0
    return Stack(**settings, report=say, echo=None if quiet else echo)


def serve(stack: Stack) -> None:
    """Serve in the foreground, until a signal."""
    try:
        with exits_on_start_error(), signals(stack), stack:
            say(summary(stack))
            while True:
                signal.pause()
    except Interrupted:
        say("stopped")


def summary(stack: Stack) -> str:
    """Say where things are."""
    data = stack.data_dir if stack.embedded else without_secrets(stack.redis_url)
    keys = "needed" if stack.has_keys else "none: loopback only"
    return (
        f"ready\n  API   {stack.url}\n  docs  {stack.url}/docs\n  keys  {keys}\n"
        f"  data  {data}\n  stop  Ctrl-C"
    )


def run_command(command: tuple[str, ...], url: str) -> int:
    """Return the exit code of COMMAND, or 128 + the signal that ended it."""
    environment = os.environ | {"NEURON_URL": url}
    with subprocess.Popen(
        command,
        env=environment,
        preexec_fn=stop_with_parent(),  # noqa: PLW1509 (one system call, loaded beforehand)
    ) as child:
        try:
            code = child.wait()
        except Interrupted as stopped:
            end_command(child, stopped.number)
            raise
        finally:
            child.kill()
    return code if code >= 0 else 128 - code


def end_command(child: subprocess.Popen[bytes], number: int) -> None:
    """Stop COMMAND, which has seen a Ctrl-C of the terminal itself and may be on its way."""
    if number == signal.SIGINT:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(1)
    child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(COMMAND_GRACE)


@contextlib.contextmanager
def signals(stack: Stack) -> Iterator[None]:
    """Raise Interrupted at the first signal, unless we stop anyway; kill at a second Ctrl-C."""
    seen: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        seen.append(number)
        if len(seen) == 1 and not stack.stopping:
            raise Interrupted(number)
        if len(seen) > 1 and number == signal.SIGINT:
            stack.kill()
            os._exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # nohup has ignored SIGHUP, and so it stays.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handle)
    yield


@contextlib.contextmanager
def exits_on_start_error() -> Iterator[None]:
    """End with one message and exit code 1."""
    try:
        yield
    except StartError as error:
        say(str(error))
        sys.exit(1)


def say(line: str) -> None:
    """Print a status line; a closed terminal is no reason to leave things running."""
    with contextlib.suppress(OSError):
        click.echo(click.style("neuron | ", dim=True) + line, err=True, color=colour())


def echo(name: str, line: str) -> None:
    """Print a child's line."""
    label = click.style(labelled(name, ""), fg=COLOURS.get(name))
    click.echo(label + line, err=True, color=colour())


def colour() -> bool | None:
    """Return None for colours on a terminal only, False for none (https://no-color.org)."""
    return False if os.environ.get("NO_COLOR") else None


if __name__ == "__main__":
    main(prog_name="python -m standalone")
