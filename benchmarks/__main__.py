"""`python -m benchmarks [training|data|rest|serving|peers]`.

All of them when none is named, but for `peers`: that one races MLServer, which it installs into
a virtual environment of its own. Ends with 1 if a target is missed.
"""

import sys
from collections.abc import Callable, Iterator

import click
from rich.console import Console

from benchmarks.compiled import NoCompilerError
from benchmarks.measure import Result, table
from benchmarks.peers import peers
from benchmarks.rest import rest
from benchmarks.serving import NoWrkError, serving
from benchmarks.training import data, training

BENCHMARKS: dict[str, Callable[[], Iterator[Result]]] = {
    "training": training,
    "data": data,
    "rest": rest,
    "serving": serving,
    "peers": peers,
}
WITHOUT_INSTALLING = [name for name in BENCHMARKS if name != "peers"]


@click.command(help=__doc__)
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHMARKS)))
def main(names: tuple[str, ...]) -> None:
    """Run what is named, print one table."""
    results = [result for name in names or WITHOUT_INSTALLING for result in _run(name)]
    Console(width=140).print(table(results))
    sys.exit(any(result.met is False for result in results))


def _run(name: str) -> list[Result]:
    try:
        return list(BENCHMARKS[name]())
    except (NoCompilerError, NoWrkError) as error:
        click.echo(f"{name} skipped: {error}", err=True)
        return []


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
