"""``bathysphere image``: build the image of the containers, look at it, bring one in."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bathysphere.image.build import build as build_image
from bathysphere.image.build import import_tree
from bathysphere.image.definition import Definition
from bathysphere.image.errors import ImageError
from bathysphere.image.image import Image, default_images_directory, find
from bathysphere.image.pins import pin as pin_libraries
from bathysphere.image.progress import ConsoleProgress

_images = click.option(
    "--images",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where images are kept (default: $BATHYSPHERE_IMAGES, else the system's or your data directory).",
)


@click.group()
def image() -> None:
    """What is installed in a container: build it, look at it, bring it in."""


@image.command()
@_images
@click.option("--keep-downloads", is_flag=True, help="Keep the fetched packages for the next build.")
def build(images: Path | None, keep_downloads: bool) -> None:
    """Build the image, once; an interrupted build goes on where it stopped."""
    try:
        built = build_image(images=images, progress=ConsoleProgress(), keep_downloads=keep_downloads)
    except ImageError as error:
        raise click.ClickException(str(error)) from error
    click.echo(built.root)


@image.command(name="import")
@click.argument("tar", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_images
def import_(tar: Path, images: Path | None) -> None:
    """Bring in TAR, a root file system made with the Containerfile (see docs/image.md)."""
    try:
        brought = import_tree(tar, images=images, progress=ConsoleProgress())
    except ImageError as error:
        raise click.ClickException(str(error)) from error
    click.echo(brought.root)


@image.command()
@_images
@click.option("--packages", is_flag=True, help="List every Debian package and Python library with its version.")
def show(images: Path | None, packages: bool) -> None:
    """Show where the image is, whether it is built, how large it is and what is in it."""
    images = images or default_images_directory()
    definition = Definition.load()
    found = find(images, definition)
    console = Console()
    table = Table.grid(padding=(0, 2))
    table.add_row("digest", definition.digest)
    table.add_row("path", str(images / definition.digest / "rootfs"))
    if found is None:
        table.add_row("built", "no: run 'bathysphere image build'")
        table.add_row("Debian", f"{definition.suite}, {len(definition.packages)} packages asked for")
        table.add_row("Python", f"{definition.python}, {len(definition.wheels)} libraries")
        console.print(table, soft_wrap=True)
        return
    _describe(found, definition, table)
    console.print(table, soft_wrap=True)
    if packages:
        manifest = found.manifest
        for name, version in sorted({**manifest["debian"], **manifest["python"]}.items()):
            click.echo(f"{name} {version}")


@image.command()
def pin() -> None:
    """Choose the newest versions of the Python libraries anew (for those who maintain bathysphere)."""
    progress = ConsoleProgress()
    progress.begin("Resolving the Python libraries")
    try:
        count = pin_libraries(Definition.load(), progress)
    except ImageError as error:
        raise click.ClickException(str(error)) from error
    finally:
        progress.end()
    click.echo(f"{count} libraries pinned; the image's digest is now {Definition.load().digest}")


def _describe(found: Image, definition: Definition, table: Table) -> None:
    try:
        manifest = found.manifest
    except (OSError, ValueError) as error:
        raise click.ClickException(
            f"The image's manifest cannot be read ({error}): remove {found.root.parent} and build the image again."
        ) from error
    table.add_row("built", f"{manifest['created']} ({manifest['origin']})")
    table.add_row("size", f"{manifest['bytes'] / 1e6:.0f} MB")
    table.add_row("Debian", f"{definition.suite}, {len(manifest['debian'])} packages")
    python = manifest["python"]
    table.add_row("Python", f"{definition.python}, {len(python)} libraries: {', '.join(sorted(python))}")
    table.add_row("commands", ", ".join(sorted(definition.required_commands)))
