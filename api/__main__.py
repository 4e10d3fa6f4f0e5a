"""`python -m api`: the API under Granian; options beyond these are Granian's own.

Granian forks its processes from this one, which has imported the application: they share its
memory, and each begins, or begins again, at once.
"""

import gc
import os
import sys
from importlib import import_module

OPTIONS = (
    "--interface wsgi --factory --workers 2 --blocking-threads 128 "
    # A connection that begins no request is timed out only where it need not be HTTP/2.
    "--http 1 --http1-header-read-timeout 10000 "
    "--workers-kill-timeout 3 --respawn-failed-workers"
)


def main() -> None:
    """Serve the application; what is loaded of it stays, and need not be looked through again."""
    # Its jemalloc would give pieces of 8 MiB and more back at once, to fault them in again. It
    # looks when it is loaded.
    os.environ.setdefault("_RJEM_MALLOC_CONF", "oversize_threshold:0")
    cli = import_module("granian.cli").cli
    gc.freeze()
    cli([*OPTIONS.split(), *sys.argv[1:], "api:create_app"], auto_envvar_prefix="GRANIAN")


if __name__ == "__main__":
    main()
