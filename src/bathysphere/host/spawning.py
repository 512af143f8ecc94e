"""Starting a daemon: by the server itself, or as root by the keeper, for a server that is not root."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import bathysphere
from bathysphere.host.configuration import Configuration
from bathysphere.host.contract import HostUnavailable

START_SECONDS = 60.0
"""Within which a daemon must be ready, and within which one that ends must be gone."""


def spawn(configuration: Configuration) -> None:
    """Start a daemon, unless one runs, and wait for its word. Raises HostUnavailable, with what to do."""
    package = str(Path(bathysphere.__file__).resolve().parent.parent)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if name in os.environ}
    with subprocess.Popen(
        # The directory is for whoever reads the list of processes; all else comes over standard input.
        [sys.executable, "-P", "-m", "bathysphere.host", str(configuration.data)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True, cwd="/", env={**kept, "PYTHONPATH": package},
    ) as process:  # fmt: skip
        try:
            said, complaint = process.communicate(configuration.model_dump_json().encode(), START_SECONDS)
        except subprocess.TimeoutExpired:
            raise HostUnavailable(f"The host daemon was not ready within {START_SECONDS:g} seconds.") from None
    try:
        answer = json.loads(said)
    except ValueError as error:
        text = complaint.decode(errors="replace").strip()[-2000:]
        raise HostUnavailable(f"The host daemon could not be started: {text or 'it said nothing'}") from error
    if "error" in answer:
        raise HostUnavailable(answer["error"])
    if "busy" in answer:
        time.sleep(0.05)  # one that ends, or that another server has just started
