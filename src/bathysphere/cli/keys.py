"""``bathysphere keys``: make, list, change and disable keys, also while a server runs on the same data directory."""

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
from bathysphere.store import admin_keys, organizations, workspaces
from bathysphere.store import keys as store
from bathysphere.store.admin_keys import AdminKey
from bathysphere.store.database import Database
from bathysphere.store.keys import ApiKey, KeyArchived, Status
from bathysphere.store.organizations import Organization

T = TypeVar("T")

_PIPE_COLUMNS: Final = 400
_ADMIN: Final = "(Admin API)"
_STATES: Final[dict[Status, str]] = {"active": "active", "inactive": "inactive", "archived": "disabled"}


@click.group()
def keys() -> None:
    """API keys of workspaces, and admin keys: make, list, change and disable them."""


@keys.command()
@data_directory.option
@click.option("--workspace", help="Made if there is none.  [default: default]")
@click.option("--organization", help="Whose key or workspace; made if there is none.  [default: the first one]")
@click.option("--name", default="key", show_default=True, help="To tell it from others later.")
@click.option(
    "--admin", is_flag=True, help="A key of the Admin API, for the whole organisation. It opens nothing else."
)
def create(data: Path | None, workspace: str | None, organization: str | None, name: str, admin: bool) -> None:
    """Make a key and print its secret, alone, on standard output. It cannot be shown again."""
    if admin and workspace is not None:
        raise click.UsageError("An admin key belongs to the organisation: leave out --workspace.")

    async def owner(database: Database) -> Organization:
        found = organizations.first(database) if organization is None else organizations.named(database, organization)
        return await found

    async def for_workspace(database: Database) -> tuple[str, str]:
        room = await workspaces.named(database, workspace or workspaces.DEFAULT_NAME, (await owner(database)).id)
        key, secret = await store.create(database, room, name)
        return f"Key {key.id} ({key.name}) of workspace {key.workspace_name}.", secret

    async def for_organization(database: Database) -> tuple[str, str]:
        key, secret = await admin_keys.create(database, await owner(database), name)
        return f"Admin key {key.id} ({key.name}) of organisation {key.organization_name}.", secret

    said, secret = data_directory.run(data, for_organization if admin else for_workspace, make=True)
    click.echo(f"{said} Keep it: it is shown only now.", err=True)
    click.echo(secret)


@keys.command("list")
@data_directory.option
def list_keys(data: Path | None) -> None:
    """Show every key; secrets are not kept, so none is shown."""

    async def work(database: Database) -> tuple[list[ApiKey], list[AdminKey]]:
        return await store.list_all(database), await admin_keys.list_all(database)

    found, admins = data_directory.run(data, work)
    if not found and not admins:
        click.echo(f"There are no keys yet. Make one with: {program()} keys create", err=True)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("ID", "NAME", "WORKSPACE", "KEY", "CREATED", "LAST USED", "STATE"):
        table.add_column(heading, overflow="fold", no_wrap=heading in {"ID", "KEY", "CREATED", "LAST USED"})
    for key in found:
        table.add_row(*_cells(key, key.workspace_name, _STATES[key.status]))
    for admin in admins:
        table.add_row(*_cells(admin, _ADMIN, "disabled" if admin.disabled_at else "active"))
    # A pipe has no width to fit into, and folding what a script reads would break its lines.
    Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS).print(table)


@keys.command()
@data_directory.option
@click.argument("key_id", metavar="ID")
def disable(data: Path | None, key_id: str) -> None:
    """Close a key for good. Running servers refuse it from their next request on."""

    async def work(database: Database) -> bool:
        return await store.disable(database, key_id) or await admin_keys.disable(database, key_id)

    if not data_directory.run(data, work):
        raise _unknown(key_id)
    click.echo(f"Key {key_id} is disabled.", err=True)


@keys.command()
@data_directory.option
@click.argument("key_id", metavar="ID")
def deactivate(data: Path | None, key_id: str) -> None:
    """Close an API key until it is activated again."""
    _set_status(data, key_id, "inactive")
    click.echo(f"Key {key_id} is inactive. To open it again: {program()} keys activate {key_id}", err=True)


@keys.command()
@data_directory.option
@click.argument("key_id", metavar="ID")
def activate(data: Path | None, key_id: str) -> None:
    """Open an inactive API key again."""
    _set_status(data, key_id, "active")
    click.echo(f"Key {key_id} is active.", err=True)


@keys.command()
@data_directory.option
@click.argument("key_id", metavar="ID")
def rotate(data: Path | None, key_id: str) -> None:
    """Give an API key another secret, and print that alone. The old one opens nothing from now on."""

    async def work(database: Database) -> tuple[ApiKey, str] | None:
        return await store.rotate(database, None, key_id)

    try:
        rotated = data_directory.run(data, work)
    except KeyArchived as error:
        raise _disabled(key_id) from error
    if rotated is None:
        raise _unknown(key_id)
    click.echo(f"Key {key_id} ({rotated[0].name}) has a new secret. Keep it: it is shown only now.", err=True)
    click.echo(rotated[1])


def _set_status(data: Path | None, key_id: str, status: Status) -> None:
    async def work(database: Database) -> ApiKey | None:
        return await store.change(database, None, key_id, status=status)

    try:
        changed = data_directory.run(data, work)
    except KeyArchived as error:
        raise _disabled(key_id) from error
    if changed is None:
        raise _unknown(key_id)


def _unknown(key_id: str) -> click.ClickException:
    if key_id.startswith("adminkey_"):
        return click.ClickException(f"{key_id} is no API key; an admin key can be disabled, and nothing else changed.")
    return click.ClickException(f"There is no key {key_id}. All of them: {program()} keys list")


def _disabled(key_id: str) -> click.ClickException:
    return click.ClickException(f"Key {key_id} has been disabled, which is for good. Make another one.")


def _cells(key: ApiKey | AdminKey, where: str, state: str) -> list[Text]:
    # Text, not str: names are not markup.
    shown = (key.id, key.name, where, key.hint, _shown(key.created_at), _shown(key.last_used_at), state)
    return [Text(cell) for cell in shown]


def _shown(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M}"
