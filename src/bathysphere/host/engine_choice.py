"""The engines of a host, and which one each container has: chosen when it is made, kept for its life."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from bathysphere.host.engines.base import Engine, EngineError

log = logging.getLogger(__name__)

_UNWRITTEN = "bubblewrap"
"""The engine of containers for which none is written down: writing takes longer than all else in making one."""


class Engines:
    """See the module. A container never runs in another engine than its own, however much that one is missing."""

    def __init__(self, engines: Mapping[str, Engine], default: str, folder: Path) -> None:
        """``folder`` holds a file for each container with another engine than bubblewrap; it is made when missing."""
        self._engines = engines
        self._default = default
        self._folder = folder
        self._usable: set[str] = set()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def is_default(self, name: str | None) -> bool:
        """Whether ``name`` is the engine of containers for which none was asked."""
        return name is None or name == self._default

    @property
    def default(self) -> Engine:
        """The engine of containers for which none was asked. Raises EngineError when it can't be had."""
        return self._engine(self._default)

    def of(self, container_id: str) -> Engine:
        """The engine of a container. Raises EngineError when it can't be had, or when what is written is no engine."""
        try:
            name = (self._folder / container_id).read_text()
        except FileNotFoundError:
            name = _UNWRITTEN
        except OSError as error:
            raise EngineError(f"The engine of {container_id} cannot be read: {error.strerror}") from error
        return self._engine(name)

    def _engine(self, name: str) -> Engine:
        engine = self._engines.get(name)
        if engine is None:
            raise EngineError(f"{name!r} is no engine of this host; it has {', '.join(self._engines)}.")
        if name not in self._usable:
            engine.check()
            self._usable.add(name)
        return engine

    def choose(self, container_id: str, name: str | None) -> None:
        """Give a new container its engine; None is the default. It lasts when this returns. Raises EngineError."""
        engine = self._engine(name or self._default)
        if engine.name == _UNWRITTEN:
            return
        try:
            self._write(container_id, engine.name)
        except OSError as error:
            raise EngineError(f"The engine of {container_id} cannot be written down: {error.strerror}") from error

    def _write(self, container_id: str, name: str) -> None:
        new = self._folder / f".{os.urandom(8).hex()}"
        try:
            with new.open("w") as file:
                file.write(name)
                file.flush()
                os.fsync(file.fileno())
            new.rename(self._folder / container_id)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        # Lost in a power cut, a container could come back in a weaker engine than it was promised.
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def copy(self, container_id: str, new_id: str) -> None:
        """Give a container the engine of another one. Raises EngineError."""
        self.choose(new_id, self.of(container_id).name)

    def forget(self, container_id: str) -> None:
        """The container is gone."""
        with contextlib.suppress(OSError):
            (self._folder / container_id).unlink(missing_ok=True)

    def sweep(self, exists: Callable[[str], bool]) -> None:
        """Forget what a killed daemon left: containers that do not exist."""
        for file in list(self._folder.iterdir()):
            if file.name.startswith(".") or not exists(file.name):
                file.unlink(missing_ok=True)
