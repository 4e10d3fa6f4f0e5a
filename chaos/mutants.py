"""The harness against services that are broken on purpose: copies of the tree, never this one."""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARTS = ("api", "chaos", "shared", "standalone", "worker")
#: A mutant is found out within this time, and its jobs need not end.
SECONDS, SETTLE_SECONDS = 25, 15


@dataclass(frozen=True)
class Mutant:
    """A piece of a file, and what takes its place."""

    path: str
    piece: str
    instead: str


MUTANTS = {
    "no-sweeper": Mutant(
        "worker/sweeper.py", "store.sweep(partial(queue.waiting, publisher))", "()"
    ),
    "no-fence": Mutant(
        "shared/scripts/prelude.lua",
        "get('status') == 'running' and get('fence') == fence",
        "get('status') == 'running'",
    ),
}


class NotApplicable(Exception):
    """The piece is not there, or not once: the mutant has to follow the code."""


def make(name: str, folder: Path) -> None:
    """Copy the service and the harness to a folder, with the piece replaced."""
    mutant = MUTANTS[name]
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("*.pyc*"))
    path = folder / mutant.path
    text = path.read_text()
    if text.count(mutant.piece) != 1:
        raise NotApplicable(f"{mutant.path} does not contain {mutant.piece!r} once")
    path.write_text(text.replace(mutant.piece, mutant.instead))


def run(name: str, seed: int) -> int:
    """Run the harness in a mutant; its exit code."""
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as folder:
        make(name, Path(folder))
        options = ("--seed", str(seed), "--seconds", str(SECONDS), "--settle", str(SETTLE_SECONDS))
        command = (sys.executable, "-m", "chaos", *options)
        return subprocess.run(command, cwd=folder, check=False).returncode
