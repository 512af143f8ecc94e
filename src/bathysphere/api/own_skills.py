"""Skills of the server's own: those that it brings along, and those that its operator puts into a folder."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio.to_thread

from bathysphere import skills as skills_package
from bathysphere.skills.archive import Archive, archived
from bathysphere.skills.bundle import Bounds, Bundle
from bathysphere.skills.folder import read_folder
from bathysphere.skills.refusal import BadSkill
from bathysphere.store import skills
from bathysphere.store.blobs import Blobs
from bathysphere.store.database import Database
from bathysphere.store.skill_archives import keep
from bathysphere.store.skills import SkillVersion, Source

_log = logging.getLogger(__name__)

BROUGHT_ALONG: Final = Path(skills_package.__file__).parent / "own"
"""The skills of this package."""

_VERSION: Final = "version"
_TITLE: Final = "title"
_VERSION_CHARACTERS: Final = 32


@dataclass(slots=True)
class Loaded:
    """What became of the folders. ``refused`` says why, by the folder's name; ``unreadable``: why none was read."""

    skills: list[str] = field(default_factory=list)
    new_versions: list[SkillVersion] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    unreadable: str | None = None


async def load_own(
    database: Database, blobs: Blobs, folder: Path, bounds: Bounds, *, source: Source = "anthropic"
) -> Loaded:
    """Bring the server's own skills of one source to what is in a folder; twice is the same as once.

    Each folder in it is a skill, whose id is its name. One that has changed gets a new version: the one named by
    ``version`` in the ``metadata`` of its front matter, else by the time; older versions stay for those who named
    them. A skill whose folder is gone is removed, one whose folder cannot be used stays as it was. So do all of them
    where the folder itself cannot be read; one that is not there is an empty one.

    Raises BlobError, DatabaseError.
    """
    loaded = Loaded()
    try:
        paths = await anyio.to_thread.run_sync(_folders, folder)
    except OSError as error:
        loaded.unreadable = str(error)
        _log.warning("no skill in %s is loaded, it cannot be read: %s", folder, error)
        return loaded
    for path in paths:
        try:
            bundle, archive = await anyio.to_thread.run_sync(_read, path, bounds)
            await _put(database, blobs, bundle, archive, source, loaded)
        except (BadSkill, OSError, ValueError, skills.OtherName) as error:
            loaded.refused[path.name] = str(error)
            _log.warning("the skill in %s is not loaded: %s", path, error)
    kept = {*loaded.skills, *loaded.refused}
    loaded.removed = await skills.remove_own(
        database, blobs, lambda skill: skill.source == source and skill.id not in kept
    )
    return loaded


def _folders(folder: Path) -> list[Path]:
    if not folder.exists():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "_")))


def _read(path: Path, bounds: Bounds) -> tuple[Bundle, Archive]:
    bundle = read_folder(path, bounds)
    if bundle.name != path.name:
        raise BadSkill(f"the folder is called {path.name}, and the skill {bundle.name}: they must be the same")
    return bundle, archived(bundle.files)


async def _put(
    database: Database, blobs: Blobs, bundle: Bundle, archive: Archive, source: Source, loaded: Loaded
) -> None:
    if not await skills.has_own(database, bundle.name, archive.digest):
        version = await skills.put_own(
            database,
            blobs,
            skill_id=bundle.name,
            source=source,
            display_title=bundle.metadata.get(_TITLE) or bundle.name,
            wanted_version=bundle.metadata.get(_VERSION, "")[:_VERSION_CHARACTERS],
            snapshot=await keep(bundle, archive, blobs),
        )
        loaded.new_versions.append(version)
    loaded.skills.append(bundle.name)
