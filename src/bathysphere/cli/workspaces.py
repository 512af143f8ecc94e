"""``bathysphere workspaces``: list and archive them, choose their containers' engine, also while a server runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, TypeVar, get_args

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bathysphere.cli import data_directory
from bathysphere.settings import EngineName
from bathysphere.store import archiving, organizations
from bathysphere.store import workspaces as store
from bathysphere.store.database import Database

T = TypeVar("T")

_HOSTS_CHOICE: Final = "default"
_PIPE_COLUMNS: Final = 400


@click.group()
def workspaces() -> None:
    """Workspaces: closed rooms with keys, files and containers of their own."""


@workspaces.command("list")
@data_directory.option
def list_workspaces(data: Path | None) -> None:
    """Show every workspace, and which engine its new containers get."""

    async def work(database: Database) -> tuple[list[store.Workspace], dict[str, str]]:
        owners = await organizations.list_all(database)
        return await store.list_all(database), {one.id: one.name for one in owners}

    found, owners = data_directory.run(data, work)
    if not found:
        click.echo("There are no workspaces yet; `bathysphere keys create` makes one.", err=True)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("ID", "NAME", "ENGINE", "ORGANISATION", "STATE"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "ID")
    for workspace in found:
        engine = workspace.engine or _HOSTS_CHOICE
        state = "archived" if workspace.archived_at else "open"
        # Text, not str: names are not markup.
        table.add_row(
            *map(Text, (workspace.id, workspace.name, engine, owners.get(workspace.organization_id, "-"), state))
        )
    # A pipe has no width to fit into, and folding what a script reads would break its lines.
    Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS).print(table)


@workspaces.command()
@data_directory.option
@click.argument("name", metavar="WORKSPACE")
@click.argument("choice", metavar="ENGINE", type=click.Choice((*get_args(EngineName), _HOSTS_CHOICE)))
def engine(data: Path | None, name: str, choice: str) -> None:
    """Choose what keeps a workspace's new containers: bubblewrap, gvisor, or default (the host's setting).

    WORKSPACE is a name, or an id where another organisation has one of that name. Containers that exist keep the engine
    that they have.
    """

    async def work(database: Database) -> bool:
        return await store.set_engine(database, name, None if choice == _HOSTS_CHOICE else choice)

    if not data_directory.run(data, work):
        raise click.ClickException(f"There is no workspace {name}. `bathysphere workspaces list` shows all of them.")
    click.echo(f"New containers of {name} get the engine {choice}.", err=True)


@workspaces.command()
@data_directory.option
@click.argument("name", metavar="WORKSPACE")
@click.option("--yes", is_flag=True, help="Do not ask.")
def archive(data: Path | None, name: str, yes: bool) -> None:
    """Close a workspace for good: its keys open nothing any more.

    WORKSPACE is a name, or an id where another organisation has one of that name. Its batches begin no further
    requests; its containers expire at once and its files after 30 days, and are then removed from disk.
    """

    async def look(database: Database) -> store.Workspace | None:
        return await store.find(database, name)

    found = data_directory.run(data, look)
    if found is None:
        raise click.ClickException(f"There is no workspace {name}. `bathysphere workspaces list` shows all of them.")
    if found.name == store.DEFAULT_NAME:
        raise click.ClickException(f"The workspace {found.name} cannot be archived: commands that name none mean it.")
    if not yes:
        click.confirm(f"Close {found.name} ({found.id}) with all that is in it, for good?", abort=True, err=True)

    async def work(database: Database) -> bool:
        return await archiving.archive(database, found.organization_id, found.id)

    data_directory.run(data, work)
    click.echo(f"{found.name} is archived.", err=True)
