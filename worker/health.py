"""`python -m worker.health`: exits with 0 if a worker of this host is alive; for containers."""

import socket
import sys

from shared.settings import read_settings
from shared.store import Store

if __name__ == "__main__":
    sys.exit(0 if Store(read_settings()).workers(socket.gethostname()) else 1)
