"""How much a cell may ask for: the interpreter keeps to it by itself, and process 1 ends one that does not."""

OPEN_CALLS = 256
"""Calls that were told and are not answered yet."""

OPEN_BYTES = 2 * 1024 * 1024
"""Bytes of their arguments together: one frame can tell of all of them, and nobody else waits long meanwhile."""

CALLS = 10_000
"""Calls of one cell."""
