"""``bathysphere keys``: make, list and disable API keys, also while a server runs on the same data directory."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bathysphere.cli import data_directory
from bathysphere.cli.program import program
from bathysphere.store import keys as store
from bathysphere.store import workspaces
from bathysphere.store.database import Database
from bathysphere.store.keys import ApiKey

T = TypeVar("T")

_PIPE_COLUMNS: Final = 400


@click.group()
def keys() -> None:
    """API keys: make, list and disable them."""


@keys.command()
@data_directory.option
@click.option("--workspace", default=workspaces.DEFAULT_NAME, show_default=True, help="Made if there is none.")
@click.option("--name", default="key", show_default=True, help="To tell it from others later.")
def create(data: Path | None, workspace: str, name: str) -> None:
    """Make a key and print its secret, alone, on standard output. It cannot be shown again."""

    async def work(database: Database) -> tuple[ApiKey, str]:
        return await store.create(database, await workspaces.named(database, workspace), name)

    key, secret = data_directory.run(data, work, make=True)
    click.echo(f"Key {key.id} ({key.name}) of workspace {key.workspace_name}. Keep it: it is shown only now.", err=True)
    click.echo(secret)


@keys.command("list")
@data_directory.option
def list_keys(data: Path | None) -> None:
    """Show every key; secrets are not kept, so none is shown."""
    found = data_directory.run(data, store.list_all)
    if not found:
        click.echo(f"There are no keys yet. Make one with: {program()} keys create", err=True)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("ID", "NAME", "WORKSPACE", "KEY", "CREATED", "LAST USED", "STATE"):
        table.add_column(heading, overflow="fold", no_wrap=heading in {"ID", "KEY", "CREATED", "LAST USED"})
    for key in found:
        cells = (key.id, key.name, key.workspace_name, key.hint, _shown(key.created_at), _shown(key.last_used_at))
        # Text, not str: names are not markup.
        table.add_row(*map(Text, cells), "active" if key.disabled_at is None else "disabled")
    # A pipe has no width to fit into, and folding what a script reads would break its lines.
    Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS).print(table)


@keys.command()
@data_directory.option
@click.argument("key_id", metavar="ID")
def disable(data: Path | None, key_id: str) -> None:
    """Close a key for good. Running servers refuse it from their next request on."""

    async def work(database: Database) -> bool:
        return await store.disable(database, key_id)

    if not data_directory.run(data, work):
        raise click.ClickException(f"There is no key {key_id}. All of them: {program()} keys list")
    click.echo(f"Key {key_id} is disabled.", err=True)


def _shown(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M}"
