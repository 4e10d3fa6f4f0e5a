"""The harness itself: a short run of it passes, and its mutants are what they are meant to be."""

from pathlib import Path

import pytest

from chaos import harness, mutants
from chaos.workload import KINDS, LONG


def test_a_short_run_keeps_every_promise() -> None:
    kinds = tuple(kind for kind in KINDS if kind[1] is not LONG)
    report = harness.run(seed=11, seconds=4, settle_seconds=120, say=lambda _: None, kinds=kinds)
    assert report.passed, "\n".join(report.lines())
    assert report.damage.faults.total() >= 2


@pytest.mark.parametrize("name", mutants.MUTANTS)
def test_a_mutant_is_the_service_without_one_piece(name: str, tmp_path: Path) -> None:
    mutants.make(name, tmp_path)
    path = mutants.MUTANTS[name].path
    changed = [
        file.relative_to(tmp_path).as_posix()
        for file in tmp_path.rglob("*")
        if file.suffix in (".py", ".lua")
        and file.read_bytes() != (mutants.ROOT / file.relative_to(tmp_path)).read_bytes()
    ]
    assert changed == [path]
