"""What of earlier cells is there for the next one, and what is said when something is not.

On the disk, in a folder of its own that no output is taken from: ``variables``, once they were saved, and ``used`` from
an interpreter's first cell on until then. Who finds only the latter knows that variables are gone.
"""

import os
import stat

from .own_imports import own_imports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PLACE = "/files/.interpreter"
_SAVED = f"{PLACE}/variables"
_NEW = f"{PLACE}/variables.new"
_USED = f"{PLACE}/used"

NAMED = 50
"""Names of lost variables in a message."""

_SHOWN = 100


class Memory:
    """The variables of one interpreter."""

    def __init__(self, variables: dict[str, object], is_ours: "Callable[[str, object], bool]") -> None:
        """``is_ours`` tells of a variable that is not the user's."""
        self._variables = variables
        self._is_ours = is_ours
        self._first = True
        self._marked = False

    def begin(self) -> str:
        """Before a cell: bring back what was saved, if it is the first. Returns what is to be said about that."""
        if self._marked:
            return ""
        self._marked = True
        first, self._first = self._first, False
        said = self._restore() if first else ""
        _remove(_SAVED)  # it is not what the variables are from now on
        try:
            os.makedirs(PLACE, 0o700, exist_ok=True)
            os.close(os.open(_USED, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        except OSError:
            return said  # a full disk keeps nobody from running a cell
        return said

    def _restore(self) -> str:
        try:
            file = open(os.open(_SAVED, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: SIM115
        except OSError:
            if os.path.lexists(_USED):
                return "The variables of earlier cells are gone: the Python interpreter that held them has ended.\n"
            return ""
        with file:
            _remove(_SAVED)  # if it cannot be loaded now, then not the next time either
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid():
                return ""
            with own_imports:
                from .variables import load  # noqa: PLC0415  (as most cells need it never)
            try:
                lost = load(file, self._variables)
            except Exception as error:
                return f"The variables of earlier cells could not be brought back: {type(error).__name__}: {error}\n"
        return f"These variables of earlier cells could not be kept: {listed(lost)}.\n" if lost else ""

    def save(self) -> list[str]:
        """Write them down; the names of those that could not be. Raises OSError: none could."""
        with own_imports:
            from .variables import save  # noqa: PLC0415

        values = {
            name: value
            for name, value in self._variables.items()
            if name != "_" and not (name.startswith("__") and name.endswith("__")) and not self._is_ours(name, value)
        }
        os.makedirs(PLACE, 0o700, exist_ok=True)
        _remove(_NEW)
        try:
            lost = save(_NEW, values)
            os.rename(_NEW, _SAVED)
        except OSError:
            _remove(_NEW)
            raise
        _remove(_USED)
        self._marked = False
        return lost


def listed(names: list[str]) -> str:
    """Names as a message has them."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(name[:_SHOWN] for name in names[:NAMED]) + more


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
