"""What can keep the stack from starting, as sentences for whoever started it.

StartError
├── PortTakenError
├── OpenToAllError
└── DataDirectoryInUseError
"""


class StartError(Exception):
    """The stack cannot be started; nothing that it started is left."""


class PortTakenError(StartError):
    """Another process listens on the port."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"Port {port} on {host} is taken; set NEURON_PORT to a free one.")


class OpenToAllError(StartError):
    """Other machines could reach an API that asks nobody for a key."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"Without API keys the service listens on loopback only, not on {host}: make keys "
            "(python -m api.keys add --help) and name their file in NEURON_API_KEYS_FILE."
        )


class DataDirectoryInUseError(StartError):
    """Another start, or a Redis that it left, keeps its data there."""

    def __init__(self, directory: object, pid: str) -> None:
        super().__init__(f"{directory} is in use by process {pid or '(unknown)'}.")
