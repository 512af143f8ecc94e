"""Which cells of a container wait, as the store knows it: see ``container.PausedCells``."""

from __future__ import annotations

import logging
from typing import Final

from bathysphere.containers.container import ForeignCell
from bathysphere.containers.host import DiskFull
from bathysphere.store import paused_cells as rows
from bathysphere.store.audit import ProducedFile
from bathysphere.store.database import Database, DatabaseFull

_log = logging.getLogger(__name__)

_FULL: Final = "The server's disk is full. Its operator has to make room."


class StoredPausedCells:
    """The cells of one container."""

    def __init__(self, database: Database, container_id: str) -> None:
        self._database = database
        self._container_id = container_id
        self._written: set[str] = set()

    async def paused(self, cell_id: str) -> None:
        """See PausedCells. Written at the first pause alone."""
        if cell_id in self._written or self.known(cell_id):
            return
        try:
            await rows.add(self._database, cell_id, self._container_id)
        except DatabaseFull as error:
            raise DiskFull(_FULL) from error
        self._written.add(cell_id)

    def known(self, cell_id: str) -> bool:
        """See PausedCells."""
        row = rows.get(self._database, cell_id)
        if row is not None and row.container_id != self._container_id:
            raise ForeignCell(cell_id)
        return row is not None

    def files(self, cell_id: str) -> tuple[ProducedFile, ...] | None:
        """See PausedCells."""
        row = rows.get(self._database, cell_id)
        return None if row is None else row.files

    async def ended(self, cell_id: str, files: tuple[ProducedFile, ...]) -> None:
        """See PausedCells. A cell that never waited has no row, and can't be asked for again."""
        if rows.get(self._database, cell_id) is None:
            return
        try:
            await rows.record_files(self._database, cell_id, files)
        except DatabaseFull:
            # They are kept all the same; only a repeated request would keep them again.
            _log.warning("the files of %s could not be noted: the disk is full", cell_id)
