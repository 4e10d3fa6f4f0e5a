"""``python -m client``."""

from client.command_line import main

main(prog_name="python -m client")
