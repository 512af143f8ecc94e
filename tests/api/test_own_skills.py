"""The server's own skills: from a folder into the store, for every workspace, and for nobody to change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bathysphere.api.own_skills import Loaded, load_own
from bathysphere.store import skills, workspaces
from bathysphere.store.blobs_local import LocalBlobs
from bathysphere.store.database import Database
from bathysphere.store.skills import SkillVersion
from bathysphere.store.sweep import sweep
from tests.skills.making import BOUNDS, DESCRIPTION, skill_md

VERSIONED = f"---\nname: pptx\ndescription: {DESCRIPTION}\nmetadata:\n  version: '20251013'\n  title: Slides\n---\n"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "data")
    yield database
    await database.close()


@pytest.fixture
async def blobs(tmp_path: Path) -> LocalBlobs:
    return await LocalBlobs.open_folder(tmp_path / "data" / "blobs")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    for name, text in (("pptx", VERSIONED.encode()), ("brand", skill_md("brand"))):
        (folder / name / "scripts").mkdir(parents=True)
        (folder / name / "SKILL.md").write_bytes(text)
        (folder / name / "scripts" / "check.py").write_bytes(b"#!/usr/bin/env python3\n")
    return folder


async def latest(database: Database, skill_id: str, version: str = "latest") -> SkillVersion:
    workspace = await workspaces.default(database)
    found = await skills.resolve(database, workspace.id, "anthropic", skill_id, version)
    assert found is not None
    return found[1]


async def test_loading_twice_is_loading_once(database: Database, blobs: LocalBlobs, folder: Path) -> None:
    first = await load_own(database, blobs, folder, BOUNDS)
    assert (first.skills, first.refused, first.removed) == (["brand", "pptx"], {}, [])
    assert len(first.new_versions) == 2
    assert await load_own(database, blobs, folder, BOUNDS) == Loaded(skills=["brand", "pptx"])
    assert len([key async for key, _ in blobs.listing()]) == 2

    slides = await latest(database, "pptx")
    assert (slides.version, slides.name) == ("20251013", "pptx")
    assert [file.path for file in slides.files] == ["SKILL.md", "scripts/check.py"]
    assert (await latest(database, "brand")).version.isdecimal()
    # A sweep, long after, takes none of it for abandoned.
    assert (await sweep(database, blobs, datetime.now(UTC) + timedelta(days=1))).orphans == 0


async def test_a_changed_folder_is_a_new_version_and_the_old_one_stays(
    database: Database, blobs: LocalBlobs, folder: Path
) -> None:
    await load_own(database, blobs, folder, BOUNDS)
    before = await latest(database, "pptx")
    script = folder / "pptx" / "scripts" / "check.py"
    script.write_bytes(b"#!/usr/bin/env python3\nprint(1)\n")
    await load_own(database, blobs, folder, BOUNDS)
    after = await latest(database, "pptx")
    assert after.digest != before.digest
    assert after.version not in ("", "20251013"), "clients that name this version get what they got before"
    assert await latest(database, "pptx", "20251013") == before

    script.write_bytes(b"#!/usr/bin/env python3\n")
    assert (await load_own(database, blobs, folder, BOUNDS)).new_versions == [before]
    assert await latest(database, "pptx") == before
    assert len([key async for key, _ in blobs.listing()]) == 3


async def test_what_is_gone_goes_and_what_is_broken_stays_as_it_was(
    database: Database, blobs: LocalBlobs, folder: Path
) -> None:
    await load_own(database, blobs, folder, BOUNDS)
    before = await latest(database, "pptx")
    (folder / "pptx" / "SKILL.md").write_text("no front matter")
    (folder / "brand").rename(folder / "other")
    loaded = await load_own(database, blobs, folder, BOUNDS)
    assert loaded.removed == ["brand"]
    assert loaded.refused["pptx"].startswith("SKILL.md line 1: ")
    assert loaded.refused["other"] == "the folder is called other, and the skill brand: they must be the same"
    assert await latest(database, "pptx") == before
    assert len([key async for key, _ in blobs.listing()]) == 1

    # Nor does one source touch what is another's.
    custom = await load_own(database, blobs, folder.parent / "nothing", BOUNDS, source="custom")
    assert custom == Loaded()
    assert await latest(database, "pptx") == before


async def test_a_folder_that_cannot_be_read_takes_nothing_away(
    database: Database, blobs: LocalBlobs, folder: Path
) -> None:
    await load_own(database, blobs, folder, BOUNDS)
    folder.rename(folder.with_name("kept"))
    folder.write_text("no folder")
    loaded = await load_own(database, blobs, folder, BOUNDS)
    assert (loaded.skills, loaded.removed) == ([], []) and str(folder) in (loaded.unreadable or "")
    assert (await latest(database, "pptx")).name == "pptx"
