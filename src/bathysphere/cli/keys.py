"""``bathysphere keys``: make, list and disable API keys, also while a server runs on the same data directory."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bathysphere.cli.program import program
from bathysphere.settings import default_data_directory, store_directory
from bathysphere.store import keys as store
from bathysphere.store import workspaces
from bathysphere.store.database import DATABASE_FILE, Database, DatabaseError
from bathysphere.store.keys import ApiKey
from bathysphere.store.workspaces import UnusableName

T = TypeVar("T")

_PIPE_COLUMNS: Final = 400

_data = click.option(
    "--data",
    type=click.Path(path_type=Path, readable=False),
    default=None,
    help="The server's data directory. Default: $BATHYSPHERE_DATA, or the usual place of this system.",
)


@click.group()
def keys() -> None:
    """API keys: make, list and disable them."""


@keys.command()
@_data
@click.option("--workspace", default=workspaces.DEFAULT_NAME, show_default=True, help="Made if there is none.")
@click.option("--name", default="key", show_default=True, help="To tell it from others later.")
def create(data: Path | None, workspace: str, name: str) -> None:
    """Make a key and print its secret, alone, on standard output. It cannot be shown again."""

    async def work(database: Database) -> tuple[ApiKey, str]:
        return await store.create(database, await workspaces.named(database, workspace), name)

    key, secret = _run(data, work, make=True)
    click.echo(f"Key {key.id} ({key.name}) of workspace {key.workspace_name}. Keep it: it is shown only now.", err=True)
    click.echo(secret)


@keys.command("list")
@_data
def list_keys(data: Path | None) -> None:
    """Show every key; secrets are not kept, so none is shown."""
    found = _run(data, store.list_all)
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
@_data
@click.argument("key_id", metavar="ID")
def disable(data: Path | None, key_id: str) -> None:
    """Close a key for good. Running servers refuse it from their next request on."""

    async def work(database: Database) -> bool:
        return await store.disable(database, key_id)

    if not _run(data, work):
        raise click.ClickException(f"There is no key {key_id}. All of them: {program()} keys list")
    click.echo(f"Key {key_id} is disabled.", err=True)


def _run(data: Path | None, work: Callable[[Database], Awaitable[T]], *, make: bool = False) -> T:
    directory = (data or default_data_directory()).absolute()
    if not make:
        _check_there(directory)

    async def with_database() -> T:
        database = await Database.open(store_directory(directory))
        try:
            return await work(database)
        finally:
            await database.close()

    try:
        return asyncio.run(with_database())
    except (DatabaseError, UnusableName) as error:
        raise click.ClickException(str(error)) from error


def _check_there(directory: Path) -> None:
    """Opening a database makes it, and its directory; who only looks is told that there is none."""
    try:
        if not directory.exists():
            raise click.ClickException(
                f"There is no data directory {directory}. The first start of the server, or `keys create`, makes it; "
                "another one is chosen with --data or BATHYSPHERE_DATA."
            )
        if directory.is_dir() and not (store_directory(directory) / DATABASE_FILE).exists():
            raise click.ClickException(
                f"{directory} is no data directory of bathysphere: there is no {DATABASE_FILE} in it."
            )
    except PermissionError:
        return  # and opening it says why it cannot be


def _shown(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M}"
