"""How this program is called, for messages that name a command to type."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

NAME = "bathysphere"


def program() -> str:
    """``bathysphere`` where that is on the PATH, else its whole path, quoted for a shell."""
    return NAME if shutil.which(NAME) else shlex.quote(str(Path(sys.executable).with_name(NAME)))
