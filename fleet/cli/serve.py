"""`fleet serve`."""

import os
import signal
import threading
from pathlib import Path

import click

from fleet.cli.base import Command
from fleet.cli.options import fleet_option


@click.command("serve", cls=Command, examples=("fleet serve", "fleet serve --fleet /srv/berlin"))
@fleet_option
def command(directory: Path) -> None:
    """Run the broker, and store what nodes send.

    Prints a line that begins with `ready` when nodes can connect, and ends with Ctrl-C or SIGTERM. The logs are in the
    fleet's directory, in log/. Boards can claim an identity where [claim] of fleet.toml says.
    """
    from fleet import config, service
    from fleet.web import server

    found = config.load(directory)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    service.run(found, stop, os.environ.get("FLEET_NATS_SERVER"), [server.serving])
