"""What ``serve`` does once its port is its own: serve, and say what it serves."""

from __future__ import annotations

import os
import shlex
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from bathysphere import __version__
from bathysphere.api.server import serve
from bathysphere.api.services import Services
from bathysphere.cli.program import program
from bathysphere.containers.host import HostError
from bathysphere.host.configuration import Configuration
from bathysphere.image.image import Image
from bathysphere.settings import Settings, SettingsError, skills_directory
from bathysphere.store import keys, workspaces
from bathysphere.store.database import DatabaseError
from bathysphere.telemetry import logs, tracing


def run(
    settings: Settings,
    config: Path | None,
    data: Path,
    named: bool,
    image: Image,
    host: str,
    bound: socket.socket,
    spawn: Callable[[Configuration], None],
) -> None:
    """Serve until Ctrl-C; ``spawn`` starts the daemon. Raises ClickException when a part cannot be had.

    ``named``: ``data`` has to be named to other commands, because it is not where they look by themselves.
    """
    logs.set_up(settings.logs, tracing.request_id)
    console = Console(highlight=False, soft_wrap=True)
    url = f"http://{f'[{host}]' if ':' in host else host}:{bound.getsockname()[1]}"

    async def on_listening(services: Services) -> None:
        status = await services.host.status()
        console.print(f"[bold]bathysphere {__version__}[/] listens on [bold]{url}[/]")
        privileges = f"as root; this server is user {os.geteuid()}" if status.privileged else "without root"
        console.print(f"  engine  {status.engine}, {privileges}")
        for number, weakness in enumerate(status.weaknesses):
            console.print(f"  {'' if number else 'caution':8}{weakness}", markup=False)
        console.print(f"  image   {image.root}", markup=False)
        console.print(f"  data    {data}", markup=False)
        console.print(f"  config  {config or 'none, all settings are the usual ones'}", markup=False)
        console.print(f"  skills  {_skills(services, data)}", markup=False)
        for line in services.models.describe():
            console.print(f"  model   {line}", markup=False)
        for line in await services.models.silent():
            console.print(f"          {line}", markup=False, style="yellow")
        console.print(f"\n{await _invitation(services, url, data if named else None)}", markup=False)
        console.print("\nCtrl-C ends it.")
        sys.stdout.flush()

    try:
        serve(settings, data, image, bound, spawn, on_listening)
    except (HostError, DatabaseError, SettingsError) as error:
        raise click.ClickException(str(error)) from error
    console.print("Ended; containers keep what they hold.")


def _skills(services: Services, data: Path) -> str:
    """How many there are for every workspace; why one is refused has been logged when it was."""
    own, operators = services.own_skills, services.operators_skills
    said = f"{len(own.skills)} that come along, {len(operators.skills)} in {skills_directory(data)}"
    if operators.unreadable is not None:
        said += ", which cannot be read (see the warning)"
    refused = len(own.refused) + len(operators.refused)
    return f"{said}; {refused} refused (see the warnings)" if refused else said


async def _invitation(services: Services, url: str, data: Path | None) -> str:
    """The two lines that a client needs, with a key that is made when there is none."""
    active = [key for key in await keys.list_all(services.database) if key.status == "active"]
    if active:
        known = ", ".join(f"{key.name} ({key.hint})" for key in active[:3]) + (", ..." if len(active) > 3 else "")
        where = "" if data is None else f" --data {shlex.quote(str(data))}"
        key = f"$({program()} keys create{where})"
        said = f"Paste these two lines where your client runs. The second makes a new key; there are already: {known}"
    else:
        workspace = await workspaces.default(services.database)
        _, key = await keys.create(services.database, workspace, "first")
        said = "A key has been made. It is shown only now; paste these two lines where your client runs:"
    return f"{said}\n  export ANTHROPIC_BASE_URL={url}\n  export ANTHROPIC_API_KEY={key}"
