"""The first stage: a Debian root file system by mmdebstrap, with packages from where this machine gets its own."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bathysphere.image.definition import Definition
from bathysphere.image.errors import ImageError
from bathysphere.image.programs import confined, require, run
from bathysphere.image.progress import Progress

# Settings of the machine's apt that decide whether its mirror can be reached and believed.
_APT_SETTINGS = re.compile(r"^Acquire::(https?::.*|ftp::.*|Check-Valid-Until|Check-Date|Retries|ForceIPv[46]) ")
_INDEX = "$(ORIGIN)\t$(REPO_URI)\t$(RELEASE)\t$(COMPONENT)\t$(SIGNED_BY)"


@dataclass(frozen=True)
class Origin:
    """Where packages come from. No sources: mmdebstrap's own default mirror."""

    sources: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()


def origin_of_this_machine(definition: Definition) -> Origin:
    """The package mirror, keys and proxy of this machine, if it runs the same suite and its lists are there."""
    if not _runs(definition.suite) or shutil.which("apt-get") is None:
        return Origin()
    indexes = _output("apt-get", "indextargets", "--format", _INDEX, "Created-By: Packages")
    settings = [line for line in _output("apt-config", "dump").splitlines() if _APT_SETTINGS.match(line)]
    return Origin(sources_of(indexes, definition), tuple(settings))


def sources_of(indexes: str, definition: Definition) -> tuple[str, ...]:
    """One-line sources from the output of ``apt-get indextargets``: Debian's own archives of the suite only."""
    releases = {definition.suite + suffix for suffix in ("", "-updates", "-security")}
    sources: dict[str, None] = {}
    for line in indexes.splitlines():
        origin, uri, release, component, signed_by = [*line.split("\t"), "", "", "", ""][:5]
        release = release.removesuffix("/updates") + ("-security" if release.endswith("/updates") else "")
        if origin != "Debian" or release not in releases or component not in definition.components:
            continue
        option = f" signed-by={signed_by}" if signed_by.startswith("/") else ""
        sources[f"deb [arch={definition.architecture}{option}] {uri.rstrip('/')} {release} {component}"] = None
    if not any(f" {definition.suite} " in source for source in sources):
        return ()
    return tuple(sources)


def bootstrap(definition: Definition, work: Path, downloads: Path, progress: Progress) -> Path:
    """Make ``work/rootfs`` with the Debian packages of the definition and return it.

    Fetched packages are kept in ``downloads`` from the moment they arrive. All of the tree belongs to whoever builds.
    Raises ``ImageError`` when a program is missing or fails.
    """
    if platform.machine() != "x86_64":
        raise ImageError(f"The image is for x86-64 and this machine is {platform.machine()}.")
    mmdebstrap = require("mmdebstrap", "mmdebstrap")
    root = work / "rootfs"
    origin = origin_of_this_machine(definition)
    cache = downloads / "debian"
    cache.mkdir(parents=True, exist_ok=True)
    # Where the next build clears up after one that was killed.
    scratch = work / "tmp"
    scratch.mkdir(exist_ok=True)
    argv = [
        mmdebstrap,
        "--mode=root",
        *_keep_packages_in(cache),
        "--variant=minbase",
        f"--architectures={definition.architecture}",
        f"--components={','.join(definition.components)}",
        f"--include={','.join(definition.packages)}",
        *(f"--aptopt={setting}" for setting in origin.settings),
        definition.suite,
        str(root),
        *origin.sources,
    ]
    run(confined(argv), progress, "Making the Debian base system with mmdebstrap", {"TMPDIR": str(scratch)})
    shutil.rmtree(scratch)
    # Without root some of it belongs to subordinate ids, and the builder could neither change nor remove it.
    run(confined(["chown", "-R", "--no-dereference", "0:0", str(root), str(cache)]), progress, "Taking over the tree")
    return root


def _keep_packages_in(cache: Path) -> list[str]:
    # The mount lives in the mount namespace of the build only.
    archives = '"$1"/var/cache/apt/archives'
    return [
        "--skip=download/empty,essential/unlink,cleanup/apt/cache",
        f"--setup-hook=mkdir -p {archives} && mount --bind {_quoted(cache)} {archives}",
        f"--customize-hook=umount {archives}",
    ]


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"


def _runs(suite: str) -> bool:
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        return False
    return system.get("ID") == "debian" and system.get("VERSION_CODENAME") == suite


def _output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL).stdout
