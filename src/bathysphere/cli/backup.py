"""``bathysphere backup``: all of a data directory in one place, taken while the server works."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Final

import click

from bathysphere.backup import series
from bathysphere.backup.failure import BackupError
from bathysphere.backup.making import Source, make
from bathysphere.backup.manifest import ImageNamed, Manifest
from bathysphere.cli import configuration, data_directory
from bathysphere.cli.columns import size
from bathysphere.cli.program import program
from bathysphere.image.definition import Definition

_BETWEEN_SECONDS: Final = 5.0
"""Between two lines about the same thing, where there is no terminal."""


@click.command()
@click.argument("destination", type=click.Path(path_type=Path))
@data_directory.option
@configuration.option
@click.option(
    "--keep",
    type=click.IntRange(1),
    metavar="N",
    help="DESTINATION is a folder of backups, each named by its time: make one more in there, share with the one "
    "before what has not changed, and remove all but the newest N.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs: print the manifest, as JSON.")
def backup(destination: Path, data: Path | None, config: Path | None, keep: int | None, as_json: bool) -> None:
    """Make a backup of the data directory in DESTINATION, a directory that is not there yet.

    The server goes on meanwhile. The backup holds all that is in the data directory, for its owner alone to read;
    `bathysphere restore` puts it back. Keep it on another disk.
    """
    directory = data_directory.of(data)
    data_directory.check_there(directory)
    settings, config = configuration.load(config)
    definition = Definition.load(office=settings.image.office)
    rebuild = "bathysphere image build" + (" --office" if definition.office else "")
    image = ImageNamed(digest=definition.digest, office=definition.office, rebuild=rebuild)
    previous = None
    place = destination
    try:
        with ended_in_order():
            if keep is not None:
                destination.mkdir(mode=0o700, exist_ok=True)
                previous = next(reversed(series.backups(destination)), None)
                place = series.next_name(destination)
            manifest = make(Source(directory, image, config), place, Progress(), previous)
            removed = [] if keep is None else series.remove_old(destination, keep)
    except BackupError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename or destination}: {error.strerror}.") from error
    if as_json:
        click.echo(manifest.model_dump_json(indent=1))
        return
    click.echo(f"{place}: {described(manifest)}, in {timedelta(seconds=round(manifest.seconds))}.")
    for line in _remarks(manifest):
        click.echo(line)
    for old in removed:
        click.echo(f"Removed: {old}")
    click.echo(f"Check it with: {program()} restore --check {shlex.quote(str(place))}", err=True)


def described(manifest: Manifest) -> str:
    """What is in a backup, in a line."""
    counts = manifest.counts
    return (
        f"{counts.get('files', 0)} files, {len(manifest.containers)} containers, {counts.get('api_keys', 0)} keys, "
        f"{counts.get('skills', 0)} skills, {counts.get('message_batches', 0)} batches, {size(manifest.bytes)}"
    )


def _remarks(manifest: Manifest) -> Iterator[str]:
    rested = sum(container.rested for container in manifest.containers)
    if rested:
        yield f"The processes of {rested} containers were ended, to copy their disks."
    gone = manifest.vanished
    if gone.files or gone.skill_versions or gone.containers:
        yield (
            f"Deleted meanwhile, and not in it: {gone.files} files, {gone.containers} containers, "
            f"{gone.skill_versions} versions of skills."
        )


class Progress:
    """Says how far it is: one line that changes, in a terminal; else a line now and then. On standard error."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._what = ""
        self._said = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        """See Say."""
        now = time.monotonic()
        last = done >= total
        if not last and what == self._what and now - self._said < (0.1 if self._terminal else _BETWEEN_SECONDS):
            return
        self._what, self._said = what, now
        if self._terminal:
            click.echo(f"\r\033[K{what} {done}/{total}" + ("\n" if last else ""), err=True, nl=False)
        elif last or done:
            click.echo(f"{what} {done}/{total}", err=True)


@contextlib.contextmanager
def ended_in_order() -> Iterator[None]:
    """SIGTERM ends what runs as Ctrl-C does, so that nothing half-made is left."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
