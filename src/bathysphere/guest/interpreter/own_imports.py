"""Standard modules imported late, when the user's files come first where modules are looked for."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType, TracebackType


class OwnImports:
    """A context in which modules come from the python of the image and from what was installed, not from files
    beside the user's code that happen to have their names."""

    def __init__(self) -> None:
        self._own = [place for place in sys.path if place]
        self._users: list[list[str]] = []
        self._modules = sys.modules

    def __enter__(self) -> None:
        self._users.append(sys.path)
        sys.path = list(self._own)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        sys.path = self._users.pop()

    def module(self, name: str) -> "ModuleType":
        """Import a module. Raises what importing it raises."""
        with self:
            __import__(name)
        return self._modules[name]


own_imports = OwnImports()
"""The one of this process, made before the user's path is put back."""
