"""``bathysphere serve``: its options, and what can be refused before anything heavy is imported."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import click

from bathysphere.api.listening import listen
from bathysphere.cli import configuration
from bathysphere.cli.program import program
from bathysphere.image.image import find
from bathysphere.settings import default_data_directory


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=configuration.USUAL_PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="0 takes a free one.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, readable=False),
    help="Directory of database, files and containers. Default: $BATHYSPHERE_DATA, or the usual place of this system.",
)
@configuration.option
def serve(host: str, port: int, data: Path | None, config: Path | None) -> None:
    """Start the server. Ctrl-C ends it; containers keep what they hold."""
    settings, config = configuration.load(config)
    image = find()
    if image is None:
        raise click.ClickException(
            f"There is no container image yet. Build it (once, some minutes) with: {program()} image build"
        )
    try:
        bound = listen(host, port)
    except OSError as error:
        raise click.ClickException(_why_not(error, host, port)) from error
    with bound:
        from bathysphere.cli.serving import run  # noqa: PLC0415 - takes a second, and what is above may refuse

        run(settings, config, (data or default_data_directory()).absolute(), image, host, bound)


def _why_not(error: OSError, host: str, port: int) -> str:
    beginning = f"Cannot listen on {host}:{port}: {error.strerror}."
    if isinstance(error, socket.gaierror):
        return f"{beginning} --host takes an address of this machine, or a name that leads to one."
    match error.errno:
        case errno.EADDRINUSE:
            return f'{beginning} Choose another --port (with make: make serve ARGS="--port 9000").'
        case errno.EADDRNOTAVAIL:
            return f"{beginning} --host takes an address of this machine: 127.0.0.1, or 0.0.0.0 for all it has."
        case errno.EACCES | errno.EPERM if port < 1024:
            return f"{beginning} Ports below 1024 are for root; choose a --port of 1024 or more."
        case _:
            return beginning
