"""What a backup is: written last, so that what has none is no backup."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bathysphere.backup.failure import BackupError

FILE: Final = "manifest.json"
FORMAT: Final = 1

DATABASE: Final = "database.sqlite3"
SKILLS: Final = "skills.tar"
CONFIGURATION: Final = "bathysphere.toml"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)  # what a later version of the same format adds is passed over


class BackedUpContainer(_Part):
    """A container's disk. ``engine`` is None for the usual one; ``made`` is seconds since 1970 where that is known."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$")]
    kind: Literal["image", "folder"]
    engine: Annotated[str, Field(pattern=r"^[a-z0-9]{1,64}$")] | None = None
    made: float | None = None
    usage: str | None = None
    rested: bool = False
    """Its processes were ended for the copy: it could not be taken otherwise, or not in time."""

    @property
    def path(self) -> str:
        """Its piece of the backup."""
        return f"disks/{self.id}.{'disk' if self.kind == 'image' else 'tar'}"


class Vanished(_Part):
    """What was deleted while the backup was taken, and is not in it: the backup's database says so too."""

    files: int = 0
    skill_versions: int = 0
    containers: int = 0


class ImageNamed(_Part):
    """The container image, which is not in the backup. ``office``: the larger one."""

    digest: str
    office: bool
    rebuild: str


class Manifest(_Part):
    """See the module. ``at`` is the moment of the database's state."""

    format: int
    made_by: str
    """Version of bathysphere."""
    schema_revision: str
    at: datetime
    privileged: bool
    """Whether it was taken by root, of a server that root had started."""
    image: ImageNamed
    counts: dict[str, int]
    """Rows of each table."""
    blobs: int
    containers: list[BackedUpContainer]
    vanished: Vanished
    bytes: int
    """Of all pieces."""
    seconds: float
    sums_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    def write(self, folder: Path) -> None:
        """Write it, whole or not at all."""
        new = folder / f".{FILE}"
        with new.open("x", encoding="utf-8") as file:
            file.write(self.model_dump_json(indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.rename(folder / FILE)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a backup. Raises BackupError when there is none that this version can read."""
        try:
            text = (folder / FILE).read_bytes()
        except FileNotFoundError:
            raise BackupError(f"{folder} is no backup of bathysphere: there is no {FILE} in it.") from None
        except OSError as error:
            raise BackupError(f"{folder / FILE} cannot be read: {error.strerror}.") from error
        try:
            manifest = cls.model_validate_json(text)
        except ValidationError as error:
            raise BackupError(f"{folder / FILE} is damaged: {error.errors()[0]['msg']}.") from error
        if manifest.format > FORMAT:
            raise BackupError(
                f"{folder} was made by bathysphere {manifest.made_by}, in a format that this version does not know. "
                "Restore it with that version."
            )
        return manifest
