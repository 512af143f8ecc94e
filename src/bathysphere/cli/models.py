"""``bathysphere models``: what each model name would reach, and why."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bathysphere.models.configured import ConfiguredModels
from bathysphere.settings import Settings, SettingsError


async def _opened(config: Path | None, own_port: int) -> ConfiguredModels:
    models = await ConfiguredModels.open(Settings.load(config).models, own_port=own_port)
    await models.close()
    return models


@click.command("models")
@click.option("--config", type=click.Path(path_type=Path), default=None, help="bathysphere.toml")
@click.option("--port", type=int, default=8321, show_default=True, help="where serve listens: never taken for a model")
@click.argument("names", nargs=-1)
def models(config: Path | None, port: int, names: tuple[str, ...]) -> None:
    """Print what each model name would reach, and why; NAMES are looked up one by one."""
    try:
        opened = asyncio.run(_opened(config, port))
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    console = Console()
    table = Table("model name", "backend", "address", "name sent", "why")
    for choice in opened.choices:
        cells = (choice.pattern, choice.backend, choice.base_url or "-", choice.model or "the client's", choice.why)
        table.add_row(*map(escape, cells))
    console.print(table)
    if opened.looked:
        console.print("Looked for, in this order:")
        for line in opened.looked:
            console.print(f"  - {escape(line)}")
    unknown = False
    for name in names:
        reached = next((c for c in opened.choices if opened.reaches(name, c)), None)
        unknown = unknown or reached is None
        where = f"{reached.backend} (pattern {reached.pattern})" if reached else "nothing: the client gets a 404"
        console.print(f"{escape(name)} -> {escape(where)}")
    if unknown:
        raise click.exceptions.Exit(1)
