"""How commands reach a data directory's database: opened, worked with, closed, with errors for a person."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from bathysphere.cli.program import code
from bathysphere.host.privileges import acting_as_owner_of
from bathysphere.settings import default_data_directory, store_directory
from bathysphere.store.database import DATABASE_FILE, Database, DatabaseError
from bathysphere.store.names import UnusableName

T = TypeVar("T")

option = click.option(
    "--data",
    type=click.Path(path_type=Path, readable=False),
    default=None,
    help="The server's data directory. Default: $BATHYSPHERE_DATA, or the usual place of this system.",
)


def of(data: Path | None) -> Path:
    """The data directory that ``--data`` names, or the usual one."""
    return (data or default_data_directory()).absolute()


def run(data: Path | None, work: Callable[[Database], Awaitable[T]], *, make: bool = False) -> T:
    """Do something with the database; with ``make`` it is made when missing. Raises ClickException."""
    directory = of(data)
    if not make:
        check_there(directory)

    async def with_database() -> T:
        database = await Database.open(store_directory(directory))
        try:
            return await work(database)
        finally:
            await database.close()

    store = store_directory(directory)
    try:
        with acting_as_owner_of(store, [directory / "host", *code()]):
            return asyncio.run(with_database())
    except (DatabaseError, UnusableName) as error:
        raise click.ClickException(str(error)) from error


def check_there(directory: Path) -> None:
    """Opening a database makes it, and its directory; who only looks is told that there is none.

    Raises ClickException.
    """
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
