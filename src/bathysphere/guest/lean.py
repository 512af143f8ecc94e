"""Standard modules by their halves in C: what lies above those (enumerations, above all) makes a start slow.

See docs/decisions/guest-start.md.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections import deque
else:
    import _signal as signal
    from _collections import deque

__all__ = ["deque", "prctl", "signal"]


def prctl(option: int, value: int) -> None:
    """prctl(2) with one argument. Raises OSError."""
    import _ctypes  # noqa: PLC0415

    function = _ctypes.dlsym(_ctypes.dlopen(None, os.RTLD_NOW), "prctl")  # type: ignore[arg-type]
    if _ctypes.call_cdeclfunction(function, (option, value, 0, 0, 0)) != 0:
        raise OSError(f"prctl {option} was refused")
