"""``bathysphere serve``."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click
from rich.console import Console

from bathysphere import __version__
from bathysphere.api.server import listen
from bathysphere.api.server import serve as run_server
from bathysphere.api.services import Services
from bathysphere.containers.host import HostError
from bathysphere.image.image import find
from bathysphere.settings import Settings, SettingsError, default_data_directory
from bathysphere.store import keys, workspaces
from bathysphere.store.database import DatabaseError

_CONFIGURATION = Path("bathysphere.toml")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8321, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--data", type=click.Path(path_type=Path), help="Directory of database, files and containers.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Configuration file. [default: bathysphere.toml, where there is one]",
)
def serve(host: str, port: int, data: Path | None, config: Path | None) -> None:
    """Start the server. Ctrl-C ends it; containers keep what they hold."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    console = Console(highlight=False, soft_wrap=True)
    directory = (data or default_data_directory()).absolute()
    try:
        settings = Settings.load(config or (_CONFIGURATION if _CONFIGURATION.exists() else None))
        image = find()
        if image is None:
            raise click.ClickException(
                "There is no container image yet. Build it (once, a few minutes) with: bathysphere image build"
            )
        bound = listen(host, port)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"Cannot listen on {host}:{port}: {error.strerror}. Try another --port.") from error
    url = f"http://{f'[{host}]' if ':' in host else host}:{bound.getsockname()[1]}"

    async def on_listening(services: Services) -> None:
        status = await services.host.status()
        console.print(f"[bold]bathysphere {__version__}[/] listens on [bold]{url}[/]")
        console.print(f"  engine  {status.engine}, {'as root' if status.privileged else 'without root'}")
        for weakness in status.weaknesses:
            console.print(f"          [yellow]weaker:[/] {weakness}")
        console.print(f"  image   {image.root}")
        console.print(f"  data    {directory}")
        for line in services.models.describe():
            console.print(f"  model   {line}", markup=False)
        if all(key.disabled_at is not None for key in await keys.list_all(services.database)):
            workspace = await workspaces.default(services.database)
            _, secret = await keys.create(services.database, workspace, "first")
            console.print("\nA key has been made. It is shown only now; paste these two lines where your client runs:")
            console.print(f"  export ANTHROPIC_BASE_URL={url}\n  export ANTHROPIC_API_KEY={secret}", markup=False)
        console.print("\nCtrl-C ends it.")
        sys.stdout.flush()

    try:
        run_server(settings, directory, image, bound, on_listening)
    except (HostError, DatabaseError, SettingsError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        bound.close()
    console.print("Ended; containers keep what they hold.")
