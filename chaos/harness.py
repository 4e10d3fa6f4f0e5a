"""One run: the service, its clients, its faults, and the verdict."""

import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chaos.nemesis import Damage, Nemesis
from chaos.service import Service
from chaos.verdict import Verdict, judge
from chaos.workload import KINDS, Clients, Kinds, Ledger

PROGRESS_SECONDS = 5.0
SHOWN_VIOLATIONS = 20
#: A job may lose that many workers in a row, as here none of them is its fault.
ENVIRONMENT = {"NEURON_MAX_CLAIMS": "1000"}


@dataclass
class Report:
    """What a run was and what came of it.

    Attributes:
        log: where the service's log was kept; None if nothing was wrong.
    """

    seed: int
    seconds: float
    damage: Damage
    ledger: Ledger
    verdict: Verdict
    log: Path | None

    @property
    def passed(self) -> bool:
        """Whether every promise was kept, and there were some."""
        return not self.verdict.violations and self.verdict.jobs > 0

    def lines(self) -> Iterator[str]:
        """The report as text."""
        faults = self.damage.faults
        yield f"faults      {faults.total()}"
        yield from (f"  {count:4} × {kind}" for kind, count in faults.most_common())
        ends = ", ".join(f"{count} {end}" for end, count in self.verdict.ends.most_common())
        yield f"requests    {self.ledger.requests}, of which {self.ledger.retries} were repeated"
        yield f"jobs        {self.verdict.jobs} acknowledged and checked: {ends}"
        yield f"epochs      {self.verdict.epochs} compared with =="
        yield f"recoveries  {self.verdict.recoveries} jobs taken from a lost worker"
        if watched := self.damage.recoveries:
            yield f"worst       {max(watched):.1f} s from a kill to running, of {len(watched)}"
        broken = self.verdict.violations
        yield from (f"BROKEN      {violation}" for violation in broken[:SHOWN_VIOLATIONS])
        if more := broken[SHOWN_VIOLATIONS:]:
            yield f"BROKEN      and {len(more)} more"
        if self.log:
            yield f"log         {self.log}"
        yield f"verdict     {'PASS' if self.passed else 'FAIL'} (seed {self.seed})"


def run(
    seed: int,
    seconds: float,
    settle_seconds: float = 120,
    say: Callable[[str], None] = print,
    kinds: Kinds = KINDS,
) -> Report:
    """Disturb a service of our own for `seconds`, let it settle, and judge.

    Args:
        seed: decides what the clients and the nemesis do.
        seconds: of faults.
        settle_seconds: in which all jobs have to end after the last fault.
        say: gets a line of progress now and then.
        kinds: of jobs, with their weights.
    """
    with Service(environment=ENVIRONMENT) as service:
        clients = Clients(service.url, seed, kinds=kinds)
        nemesis = Nemesis(service, clients.another("nemesis"), seed)
        clients.start()
        with _progress(clients.ledger, nemesis.damage, say):
            nemesis.run(seconds)
            service.heal()
            clients.stop()
            settled = clients.join(time.monotonic() + settle_seconds)
        verdict = judge(clients.ledger, service.store(), service.url)
        verdict.violations[:0] = nemesis.damage.violations
        if not settled:
            verdict.violations.append(f"not all jobs ended within {settle_seconds:g} s")
        log = _keep_log(service, seed) if verdict.violations else None
    return Report(seed, seconds, nemesis.damage, clients.ledger, verdict, log)


def _keep_log(service: Service, seed: int) -> Path:
    kept = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-"), "log")
    shutil.copy(service.stack.log_path, kept)
    return kept


@contextlib.contextmanager
def _progress(ledger: Ledger, damage: Damage, say: Callable[[str], None]) -> Iterator[None]:
    begun, done = time.monotonic(), threading.Event()

    def tell() -> None:
        while not done.wait(PROGRESS_SECONDS):
            jobs = f"{len(ledger.promises)} jobs acknowledged, {len(ledger.ended)} seen to end"
            faults = f"{damage.faults.total()} faults"
            wrong = len(ledger.violations) + len(damage.violations)
            elapsed = f"{time.monotonic() - begun:4.0f} s"
            say(f"{elapsed} | {faults} | {jobs} | {wrong} promises broken")

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
