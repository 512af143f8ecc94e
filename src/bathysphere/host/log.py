"""The daemon's log: a file of its own, each line with the request of the server's that it belongs to."""

from __future__ import annotations

import logging.handlers
import os
from contextvars import ContextVar
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from bathysphere.settings import LogSettings
from bathysphere.telemetry import logs

_BYTES: Final = 1024 * 1024

REQUEST: Final[ContextVar[str]] = ContextVar("request_id", default="")
"""The id of the request that a connection's task works on."""


class _Private(logging.handlers.RotatingFileHandler):
    """Names of containers and what guests said are for the operator alone, also after a rotation."""

    def _open(self) -> TextIOWrapper:
        file = super()._open()
        os.fchmod(file.fileno(), 0o600)
        return file


def set_up(settings: LogSettings, folder: Path) -> None:
    """Log to ``host.log`` in the daemon's folder, from ``info`` on if the settings don't ask for more."""
    handler = _Private(folder / "host.log", maxBytes=_BYTES, backupCount=1)
    level = "debug" if settings.level == "debug" else "info"
    logs.set_up(settings.model_copy(update={"level": level}), REQUEST.get, handler)
