"""What can keep the stack from starting, as sentences for whoever started it.

StartError
├── PortTakenError
└── DataDirectoryInUseError
"""


class StartError(Exception):
    """The stack cannot be started; nothing that it started is left."""


class PortTakenError(StartError):
    """Another process listens on the port."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"Port {port} on {host} is taken; set NEURON_PORT to a free one.")


class DataDirectoryInUseError(StartError):
    """Another start, or a Redis that it left, keeps its data there."""

    def __init__(self, directory: object, pid: str) -> None:
        super().__init__(f"{directory} is in use by process {pid or '(unknown)'}.")
