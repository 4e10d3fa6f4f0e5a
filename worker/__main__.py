"""`python -m worker`: a Celery worker; options beyond these are those of `celery worker`.

Celery's own command line imports all its other commands as well, and what they import.
"""

import gc
import sys
from importlib import import_module

from celery.bin.base import CLIContext
from celery.bin.worker import worker

OPTIONS = "--concurrency 2 --loglevel WARNING --without-mingle --without-gossip --without-heartbeat"


def main() -> None:
    """Import the application; run the worker."""
    gc.disable()  # until all is loaded, see `worker.app`
    app = import_module("worker.app").app
    context = CLIContext(app, no_color=not sys.stdout.isatty(), workdir=".")
    options = [*OPTIONS.split(), *sys.argv[1:]]
    sys.argv[:1] = ["-m", "worker"]  # what Celery executes again when it gets SIGHUP
    worker(options, obj=context, prog_name="python -m worker")


if __name__ == "__main__":
    main()
