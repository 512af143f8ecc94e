"""Building the image of a definition, or bringing in one that was built elsewhere.

A build happens in ``<images>/.building-<digest>`` and gets its name by one rename at the end, so what has a name
is complete. Each stage is marked when it is done: the next build goes on where an interrupted one stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bathysphere.image.contents import debian_packages, python_distributions, shortcomings
from bathysphere.image.debian import bootstrap
from bathysphere.image.definition import Definition
from bathysphere.image.errors import ImageError
from bathysphere.image.image import MANIFEST, ROOTFS, Image, default_images_directory, find, tree_bytes
from bathysphere.image.programs import confined, run
from bathysphere.image.progress import Progress, Silent
from bathysphere.image.settling import settle
from bathysphere.image.unpacking import unpack
from bathysphere.image.wheels import install_wheels

_ROOM = 4_000_000_000  # bytes that a build takes at its peak, with the fetched packages
_SOURCE = Path(__file__).parent
# What the finishing needs; the last only because the digest counts it. bathysphere itself is a namespace there.
_INSIDE_CODE = ("__init__.py", "definition.py", "finishing.py", "settling.py")
_INSIDE = "bathysphere-build"


def build(
    definition: Definition | None = None,
    images: Path | None = None,
    progress: Progress | None = None,
    *,
    keep_downloads: bool = False,
) -> Image:
    """Return the image of a definition (default: the shipped one), building it first if need be.

    A second builder waits for the first. Raises ``ImageError``, whose message says what to do.
    """
    definition, images, progress = _defaults(definition, images, progress)
    if image := find(images, definition):
        return image
    with _lock(images, progress):
        if image := find(images, definition):
            return image
        _check_room(images)
        work = _work(images, definition)
        _clean_leftovers(images, work)
        downloads = images / ".downloads"
        root = work / ROOTFS
        with _stage(work, "base", root, progress, "Debian base system (1/3)") as wanted:
            if wanted:
                _remove_tree(root)
                bootstrap(definition, work, downloads, progress)
        with _stage(work, "libraries", root, progress, "Python libraries (2/3)") as wanted:
            if wanted:
                install_wheels(definition, root, downloads, progress)
        with _stage(work, "finish", root, progress, "Finishing (3/3)") as wanted:
            if wanted:
                _finish_inside(root, definition, progress)
                settle(root, definition)
        image = _name(work, images, definition, "mmdebstrap")
        if not keep_downloads:
            _remove_tree(downloads)
        return image


def import_tree(
    tar: Path, definition: Definition | None = None, images: Path | None = None, progress: Progress | None = None
) -> Image:
    """Bring in a root file system that the Containerfile made (``podman export`` or ``docker export``).

    Raises ``ImageError`` if the tar file is unsafe, incomplete, or was made from another definition.
    """
    definition, images, progress = _defaults(definition, images, progress)
    with _lock(images, progress):
        if image := find(images, definition):
            return image
        work = _work(images, definition)
        _remove_tree(work)
        _clean_leftovers(images, work)
        root = work / ROOTFS
        progress.begin(f"Unpacking {tar.name}")
        try:
            with tarfile.open(tar) as archive:
                unpack(archive, root)
            settle(root, definition)
            image = _name(work, images, definition, "import")
        except tarfile.ReadError as error:
            progress.fail()
            raise ImageError(
                f"{tar} is no tar file, or not a whole one: export the container again (docs/image.md)."
            ) from error
        except (OSError, tarfile.TarError) as error:
            progress.fail()
            raise ImageError(f"{tar} could not be brought in: {error}") from error
        except BaseException:
            progress.fail()
            raise
        finally:
            _remove_tree(work)
        progress.end(tree_bytes(image.root))
        return image


def _defaults(
    definition: Definition | None, images: Path | None, progress: Progress | None
) -> tuple[Definition, Path, Progress]:
    return definition or Definition.load(), images or default_images_directory(), progress or Silent()


def _work(images: Path, definition: Definition) -> Path:
    return images / f".building-{definition.digest}"


@contextlib.contextmanager
def _lock(images: Path, progress: Progress) -> Iterator[None]:
    try:
        images.mkdir(parents=True, exist_ok=True)
        lock = (images / ".lock").open("a")
    except OSError as error:
        raise ImageError(
            f"{images} cannot be written ({error.strerror}): set BATHYSPHERE_IMAGES to a directory that can."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.begin("Waiting for another build to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
            progress.end()
        yield


def _check_room(images: Path) -> None:
    free = shutil.disk_usage(images).free
    if free < _ROOM:
        raise ImageError(
            f"{images} has {free / 1e9:.1f} GB free and a build takes up to {_ROOM / 1e9:.0f} GB: "
            "free some space, or set BATHYSPHERE_IMAGES to a directory on another disk."
        )


def _clean_leftovers(images: Path, work: Path) -> None:
    for leftover in images.glob(".building-*"):
        if leftover != work:
            _remove_tree(leftover)
    work.mkdir(exist_ok=True)


@contextlib.contextmanager
def _stage(work: Path, name: str, root: Path, progress: Progress, title: str) -> Iterator[bool]:
    """Yield whether the stage is yet to be done; mark it done if it is left without an error."""
    done = work / f"{name}.done"
    if done.exists():
        yield False
        return
    progress.begin(title)
    try:
        yield True
    except BaseException:
        progress.fail()
        raise
    done.touch()
    progress.end(tree_bytes(root))


def _finish_inside(root: Path, definition: Definition, progress: Progress) -> None:
    inside = root / _INSIDE
    _remove_tree(inside)
    package = inside / "bathysphere" / "image"
    package.mkdir(parents=True)
    for name in _INSIDE_CODE:
        shutil.copy(_SOURCE / name, package)
    shutil.copytree(definition.directory, package / "definition")
    script = (
        'cd "$1" && mkdir -p dev proc tmp && mount --rbind /dev dev && mount -t tmpfs tmpfs tmp && '
        "mount --rbind /proc proc && "
        f"exec chroot . /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 PYTHONPATH=/{_INSIDE} "
        'PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -c "$2"'
    )
    program = (
        "from pathlib import Path; from bathysphere.image.definition import Definition; "
        "from bathysphere.image.finishing import finish; "
        f"finish(Path('/'), Definition.load(office={definition.office}))"
    )
    run(confined(["sh", "-c", script, "sh", str(root), program]), progress, "Finishing the image")
    _remove_tree(inside)


def _name(work: Path, images: Path, definition: Definition, origin: str) -> Image:
    root = work / ROOTFS
    if problems := shortcomings(root, definition):
        # Nothing to go on from: the next build starts anew.
        _remove_tree(work)
        raise ImageError(
            f"The tree is not a complete image and was removed: {'; '.join(problems)}. "
            "Build it again with this version of bathysphere."
        )
    manifest = {
        "digest": definition.digest,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "origin": origin,
        "bytes": tree_bytes(root),
        "debian": debian_packages(root),
        "python": python_distributions(root, definition),
    }
    (work / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
    for done in work.glob("*.done"):
        done.unlink()
    work.chmod(0o755)
    final = images / definition.digest
    _remove_tree(final)
    work.rename(final)
    return Image(final / ROOTFS, definition.digest)


def _remove_tree(tree: Path) -> None:
    """Remove a tree that may hold read-only directories, and what belongs to the account's subordinate ids."""
    if not tree.exists():
        return
    try:
        shutil.rmtree(tree)
    except PermissionError:
        subprocess.run(
            confined(["rm", "-rf", "--", str(tree)]), check=False, stdin=subprocess.DEVNULL, capture_output=True
        )
        shutil.rmtree(tree, ignore_errors=True)
        if tree.exists():
            raise ImageError(f"{tree} could not be removed: remove it as root.") from None
