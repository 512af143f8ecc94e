"""What clients have deleted leaves the disk too, within seconds: not only its rows, also what is left of them.

A database keeps deleted content in three more places: in free pages, which ``secure_delete`` overwrites, in its
write-ahead log, and in the main file until the log has been written back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from datetime import timedelta
from typing import Final

from bathysphere.store import batch_ageing
from bathysphere.store.database import EARLIER_FILE, Database

_log = logging.getLogger(__name__)

GATHER_SECONDS: Final = 2.0
"""After a deletion: others may follow it, and the log is emptied once for all of them."""

EARLIER_FOR: Final = timedelta(days=7)
"""How long the copy that was made before an upgrade is kept."""

_ANYWAY_SECONDS: Final = 3600.0
_ATTEMPTS: Final = 60


async def erase(database: Database) -> bool:
    """Do it now; False when somebody went on reading what was there before. Raises DatabaseFull."""
    await batch_ageing.remove_deleted(database)
    copy = database.data / EARLIER_FILE
    with contextlib.suppress(FileNotFoundError):
        if time.time() - copy.stat().st_mtime > EARLIER_FOR.total_seconds():
            copy.unlink()
    for _attempt in range(_ATTEMPTS):
        if await database.erase():
            return True
        await asyncio.sleep(GATHER_SECONDS / 2)
    return False


async def keep_erasing(database: Database) -> None:
    """After each deletion, and once an hour for those of other processes; until it is cancelled."""
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ANYWAY_SECONDS):
                await database.deleted.wait()
        await asyncio.sleep(GATHER_SECONDS)
        database.deleted.clear()
        try:
            if not await erase(database):
                _log.warning("what was deleted is still in the database's log: it is in use without a pause")
                database.deleted.set()
        except Exception:
            _log.exception("what was deleted could not be erased; it is tried again in an hour, or with the next one")
