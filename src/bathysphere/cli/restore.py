"""``bathysphere restore``: a backup becomes a data directory again."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from bathysphere.backup import restoring
from bathysphere.backup.failure import BackupError
from bathysphere.cli import configuration
from bathysphere.cli.backup import Progress, described, ended_in_order
from bathysphere.cli.program import program
from bathysphere.image.definition import Definition
from bathysphere.image.image import find


@click.command()
@click.argument("backup", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path, readable=False),
    help="Where it is put: a directory that is empty, or new.",
)
@configuration.option
@click.option("--check", is_flag=True, help="Put it nowhere: read all of it, and compare it with what was written.")
@click.option("--json", "as_json", is_flag=True, help="For programs: print the manifest, as JSON.")
def restore(backup: Path, data: Path | None, config: Path | None, check: bool, as_json: bool) -> None:
    """Put BACKUP into an empty data directory. Every byte is checked before anything has its name there."""
    if (data is None) != check:
        raise click.UsageError("Say where to put it, with --data; or --check, to put it nowhere.")
    settings, config = configuration.load(config)
    try:
        with ended_in_order():
            if data is None:
                manifest = restoring.check(backup, Progress())
            else:
                manifest = restoring.restore(backup, data, settings, Progress())
    except BackupError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(manifest.model_dump_json(indent=1))
        return
    if data is None:
        click.echo(f"{backup} is whole: {described(manifest)}, of {manifest.at:%Y-%m-%d %H:%M:%S} UTC.")
        return
    click.echo(f"{data}: {described(manifest)}, as of {manifest.at:%Y-%m-%d %H:%M:%S} UTC.")
    if find(definition=Definition.load(office=manifest.image.office)) is None:
        click.echo(f"The container image is not in a backup. Build it: {manifest.image.rebuild}", err=True)
    click.echo(f"Start it with: {program()} serve --data {shlex.quote(str(data))}", err=True)
