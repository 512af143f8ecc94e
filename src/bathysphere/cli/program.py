"""How this program is called, for messages that name a command to type."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import bathysphere

NAME = "bathysphere"


def program() -> str:
    """``bathysphere`` where that is on the PATH, else with its whole path, quoted for a shell."""
    if shutil.which(NAME):
        return NAME
    beside = Path(sys.executable).with_name(NAME)
    return shlex.quote(str(beside)) if beside.exists() else f"{shlex.quote(sys.executable)} -m {NAME}"


def code() -> list[Path]:
    """Where the code of this process lies, which it may still have to import from."""
    places = [Path(bathysphere.__file__).parent, Path(sys.prefix), Path(sys.base_prefix)]
    return [*places, *(Path(entry) for entry in sys.path if entry)]
