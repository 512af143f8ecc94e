"""``bathysphere models``: what each model name would reach, and why."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from bathysphere.cli import configuration
from bathysphere.models.configured import ConfiguredModels
from bathysphere.settings import Settings, SettingsError


async def _opened(settings: Settings, own_port: int) -> tuple[ConfiguredModels, list[str]]:
    models = await ConfiguredModels.open(settings.models, own_port=own_port)
    await models.close()
    return models, await models.silent()


@click.command("models")
@configuration.option
@click.option(
    "--port",
    type=int,
    default=configuration.USUAL_PORT,
    show_default=True,
    help="Where serve listens: never taken for a model.",
)
@click.argument("names", nargs=-1)
def models(config: Path | None, port: int, names: tuple[str, ...]) -> None:
    """Print what each model name would reach, and why; NAMES are looked up one by one."""
    settings, path = configuration.load(config)
    try:
        opened, silent = asyncio.run(_opened(settings, port))
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    # Plain lines: a table would cut the address, which is what one looks for.
    click.echo(f"Configuration: {path or 'no file'}")
    for line in opened.describe():
        click.echo(line)
    if opened.looked:
        click.echo("Looked for, in this order:")
        for line in opened.looked:
            click.echo(f"  - {line}")
    for line in silent:
        click.echo(line)
    unknown = False
    for name in names:
        reached = next((c for c in opened.choices if opened.reaches(name, c)), None)
        unknown = unknown or reached is None
        click.echo(f"{name} -> {reached.target() if reached else 'nothing: the client gets a 404'}")
    if unknown:
        raise click.exceptions.Exit(1)
