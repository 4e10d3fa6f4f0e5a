"""The command line: exit code 0 if every promise was kept (of mutants: if none passed)."""

import secrets
import sys

import click

from chaos import harness, mutants


@click.command()
@click.option("--seed", type=int, help="Decides everything; a new one if left out.")
@click.option("--seconds", type=click.FloatRange(min=1), default=60, show_default=True)
@click.option(
    "--settle",
    type=click.FloatRange(min=1),
    default=120,
    show_default=True,
    help="Seconds in which all jobs have to end after the last fault.",
)
@click.option(
    "--mutant",
    type=click.Choice([*mutants.MUTANTS]),
    help="Run a copy with this piece missing; it should fail.",
)
@click.option("--mutants", "all_mutants", is_flag=True, help="All of them: each has to fail.")
def main(
    seed: int | None, seconds: float, settle: float, mutant: str | None, all_mutants: bool
) -> None:
    """Kill, stop and cut the service for a while, then hold it against its promises."""
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    if all_mutants:
        sys.exit(_run_mutants(seed))
    if mutant:
        sys.exit(mutants.run(mutant, seed))
    click.echo(f"seed {seed}, {seconds:g} s of faults")
    report = harness.run(seed, seconds, settle, say=click.echo)
    for line in report.lines():
        click.echo(line)
    sys.exit(not report.passed)


def _run_mutants(seed: int) -> int:
    passed = []
    for name in mutants.MUTANTS:
        click.echo(f"mutant {name}: must fail")
        if mutants.run(name, seed) == 0:
            passed.append(name)
    click.echo(f"NOT FOUND   {', '.join(passed)}" if passed else "every mutant was found")
    return bool(passed)


if __name__ == "__main__":
    main(prog_name="python -m chaos")
