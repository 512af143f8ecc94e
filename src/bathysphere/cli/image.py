"""``bathysphere image``: build the image of the containers, look at it, bring one in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

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

_office = click.option(
    "--office",
    is_flag=True,
    help="The larger image, with LibreOffice (the setting image.office makes the server use it).",
)


@click.group()
def image() -> None:
    """What is installed in a container: build it, look at it, bring it in."""


@image.command()
@_images
@_office
@click.option("--keep-downloads", is_flag=True, help="Keep the fetched packages for the next build.")
def build(images: Path | None, office: bool, keep_downloads: bool) -> None:
    """Build the image, once; an interrupted build goes on where it stopped."""
    try:
        built = build_image(Definition.load(office=office), images, ConsoleProgress(), keep_downloads=keep_downloads)
    except ImageError as error:
        raise click.ClickException(str(error)) from error
    click.echo(built.root)


@image.command(name="import")
@click.argument("tar", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_images
@_office
def import_(tar: Path, images: Path | None, office: bool) -> None:
    """Bring in TAR, a root file system made with the Containerfile (see docs/image.md)."""
    try:
        brought = import_tree(tar, Definition.load(office=office), images, ConsoleProgress())
    except ImageError as error:
        raise click.ClickException(str(error)) from error
    click.echo(brought.root)


@image.command()
@_images
@_office
@click.option("--packages", is_flag=True, help="List every Debian package and Python library with its version.")
def show(images: Path | None, office: bool, packages: bool) -> None:
    """Show where the image is, whether it is built, how large it is and what is in it."""
    images = images or default_images_directory()
    definition = Definition.load(office=office)
    found = find(images, definition)
    rows = [("digest", definition.digest), ("path", str(images / definition.digest / "rootfs"))]
    rows.append(("office", _which(images, office=office)))
    if found is None:
        rows.append(("built", f"no: run 'bathysphere image build{' --office' if office else ''}'"))
        rows.append(("Debian", f"{definition.suite}, {len(definition.packages)} packages asked for"))
        rows.append(("Python", f"{definition.python}, {len(definition.wheels)} libraries"))
        _print(rows)
        return
    manifest = _manifest(found)
    libraries = manifest["python"]
    rows.append(("built", f"{manifest['created']} ({manifest['origin']})"))
    rows.append(("size", f"{manifest['bytes'] / 1e6:.0f} MB"))
    rows.append(("Debian", f"{definition.suite}, {len(manifest['debian'])} packages"))
    rows.append(("Python", f"{definition.python}, {len(libraries)} libraries: {', '.join(sorted(libraries))}"))
    rows.append(("commands", ", ".join(sorted(definition.required_commands))))
    _print(rows)
    if packages:
        for name, version in sorted([*manifest["debian"].items(), *libraries.items()]):
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


def _which(images: Path, *, office: bool) -> str:
    if office:
        return "this is the larger image, with LibreOffice"
    larger = find(images, Definition.load(office=True))
    if larger is None:
        return "no LibreOffice; the larger image is not built (--office)"
    return f"no LibreOffice; the larger image is built too, {larger.digest} (--office)"


def _manifest(found: Image) -> dict[str, Any]:
    try:
        return found.manifest
    except (OSError, ValueError) as error:
        raise click.ClickException(
            f"The image's manifest cannot be read ({error}): remove {found.root.parent} and build the image again."
        ) from error


def _print(rows: list[tuple[str, str]]) -> None:
    for name, value in rows:
        click.echo(f"{name:<10}{value}")
