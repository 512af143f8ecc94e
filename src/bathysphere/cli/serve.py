"""``bathysphere serve``: its options, and what can be refused before anything heavy is imported."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import click

from bathysphere.api.listening import listen
from bathysphere.cli import configuration
from bathysphere.cli.program import code, program
from bathysphere.host.configuration import Configuration
from bathysphere.host.keeper import divide
from bathysphere.host.privileges import own
from bathysphere.host.spawning import spawn
from bathysphere.image.definition import Definition
from bathysphere.image.image import find
from bathysphere.settings import default_data_directory, skills_directory, store_directory


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
    definition = Definition.load(office=settings.image.office)
    image = find(definition=definition)
    if image is None:
        which, option = (
            ("larger container image (image.office)", " --office") if definition.office else ("container image", "")
        )
        raise click.ClickException(
            f"There is no {which} yet. Build it (once, some minutes) with: {program()} image build{option}"
        )
    try:
        bound = listen(host, port)
    except OSError as error:
        raise click.ClickException(_why_not(error, host, port)) from error
    # Now, as the server may be a user without a home, and another one than who types commands.
    usual = default_data_directory().absolute()
    data = (data or usual).absolute()

    def served(spawn: Callable[[Configuration], None]) -> None:
        from bathysphere.cli.serving import run  # noqa: PLC0415 - takes a second, and what is above may refuse

        run(settings, config, data, data != usual, image, host, bound, spawn)

    with bound:
        if os.geteuid() == 0:
            daemon = Configuration.of(data, settings, image.root, definition.environment)
            try:
                parts = _own_part(data, settings.host.server_uid)
                sys.exit(divide(daemon, parts, bound, lambda keeper: served(keeper.spawn)))
            except OSError as error:
                raise click.ClickException(f"The server cannot give up root's privileges: {error}") from error
        served(spawn)


def _own_part(data: Path, uid: int) -> list[Path]:
    """Give the server its part of the data directory; all that it must reach, with its own code."""
    data.mkdir(mode=0o711, parents=True, exist_ok=True)
    store = store_directory(data)
    store.mkdir(mode=0o700, exist_ok=True)
    own(store, uid)
    return [store, skills_directory(data), data / "host", *code()]


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
