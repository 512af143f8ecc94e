"""Choosing the versions of the Python libraries: ``libraries*.in`` to ``wheels.txt``, with hashes."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from bathysphere.image.definition import Definition, normalised
from bathysphere.image.errors import ImageError
from bathysphere.image.programs import run
from bathysphere.image.progress import Progress
from bathysphere.image.wheels import pip, target_platform

_HEADER = """\
# The Python libraries of the image, pinned: made from libraries.in and libraries-alone.in by
# "bathysphere image pin". The hashes are those of the wheels for CPython 3.11 on x86-64 Linux.
"""


def pin(definition: Definition, progress: Progress) -> int:
    """Resolve the newest versions and write ``wheels.txt``; return how many there are.

    Raises ``ImageError`` if pip fails or if this is another Python than the image's, whose markers pip would read.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if version != definition.python:
        raise ImageError(f"Pinning needs Python {definition.python}, since pip reads markers with its own ({version}).")
    with_dependencies = _resolve(definition, "libraries.in", [], progress)
    alone = _resolve(definition, "libraries-alone.in", ["--no-deps"], progress)
    pins = sorted({**with_dependencies, **alone}.items())
    lines = [f"{name}=={version} \\\n    --hash=sha256:{digest}\n" for name, (version, digest) in pins]
    definition.wheels_file.write_text(_HEADER + "".join(lines), "utf-8")
    return len(pins)


def _resolve(definition: Definition, wanted: str, options: list[str], progress: Progress) -> dict[str, tuple[str, str]]:
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch, "report.json")
        argv = [*pip("install"), *target_platform(definition), *options, "--dry-run", "--ignore-installed"]
        argv += ["--target", str(Path(scratch, "target")), "--report", str(report)]
        argv += ["--requirement", str(definition.directory / wanted)]
        run(argv, progress, f"Resolving {wanted} with pip", {"PIP_USER": "0"})
        chosen: list[dict[str, Any]] = json.loads(report.read_text("utf-8"))["install"]
    return {
        normalised(item["metadata"]["name"]): (
            item["metadata"]["version"],
            item["download_info"]["archive_info"]["hashes"]["sha256"],
        )
        for item in chosen
    }
