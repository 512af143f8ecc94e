"""The Skills API as each SDK calls it: a folder, a zip, versions, lists, deletion (WIRE g)."""

from __future__ import annotations

import io
import urllib.request
import zipfile
from typing import Any

import pytest

from tests.clients import environments
from tests.clients.environments import ALL, TYPESCRIPT_1, Sdk
from tests.server import Server
from tests.skills.making import skill_md, zipped

BINARY = bytes(range(256)) * 40


@pytest.fixture(scope="module", params=ALL, ids=str)
def ran(request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the program of one SDK brought back."""
    sdk: Sdk = request.param
    place = tmp_path_factory.mktemp("skills")
    folder = place / "weekly-report"
    # TypeScript 0.71 sends names without their folders.
    binary = "logo.png" if sdk is TYPESCRIPT_1 else "assets/logo.png"
    (folder / binary).parent.mkdir(parents=True)
    (folder / "SKILL.md").write_bytes(skill_md())
    (folder / binary).write_bytes(BINARY)
    archive = place / "weekly-report.zip"
    archive.write_bytes(zipped({"weekly-report/SKILL.md": skill_md(), "weekly-report/assets/logo.png": BINARY}))
    answers = environments.run(sdk, "skills_api", server, place, [str(folder), str(archive)])
    return {"sdk": sdk, "binary": binary, "server": server, **answers}


def content(ran: dict[str, Any], skill: dict[str, Any]) -> dict[str, bytes]:
    """The files of a skill's first version, as the server has them."""
    version = skill.get("latest_version_id") or skill["latest_version"]
    request = urllib.request.Request(
        f"{ran['server'].base_url}/v1/skills/{skill['id']}/versions/{version}/content",
        headers={"x-api-key": ran["server"].key},
    )
    with urllib.request.urlopen(request) as response, zipfile.ZipFile(io.BytesIO(response.read())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_folder_and_a_zip_arrive_to_the_byte(ran: dict[str, Any]) -> None:
    created = ran["created"]
    assert content(ran, created["folder"]) == {
        "weekly-report/SKILL.md": skill_md(),
        f"weekly-report/{ran['binary']}": BINARY,
    }
    assert content(ran, created["zip_in_memory"]) == {
        "weekly-report/SKILL.md": skill_md(),
        "weekly-report/assets/logo.png": BINARY,
    }


def test_each_sdk_gets_the_shape_that_it_knows(ran: dict[str, Any]) -> None:
    folder, unnamed = ran["created"]["folder"], ran["created"]["zip"]
    assert ran["version_retrieved"] == ran["version"]
    assert [found["id"] for found in ran["versions"]].count(ran["version"]["id"]) == 1
    assert len(ran["versions"]) == 2
    if ran["sdk"].generation == 1:
        assert folder["display_title"] == f"Folder {ran['sdk'].version}"
        assert unnamed["display_title"] == "weekly-report"
        assert (folder["source"], ran["version"]["directory"]) == ("custom", "weekly-report")
        assert ran["retrieved"]["latest_version"] == ran["version"]["version"] != folder["latest_version"]
        assert ran["versions"][-1] == ran["version"], "oldest first"
        assert ran["version_deleted"]["id"] == ran["version"]["version"]
    else:
        assert folder["display_name"] == f"Folder {ran['sdk'].version}"
        assert unnamed["display_name"] == "weekly-report"
        assert folder["source"] == {"type": "custom"}
        assert ran["retrieved"]["latest_version_id"] == ran["version"]["id"] != folder["latest_version_id"]
        assert ran["versions"][0] == ran["version"], "newest first"
        assert ran["version_deleted"]["id"] == ran["version"]["id"]
        assert ran["twin"] == ran["retrieved"]
        assert ran["downloaded"] == "PK"


def test_lists_and_deletion(ran: dict[str, Any]) -> None:
    created = [skill["id"] for skill in ran["created"].values()]
    assert [skill for skill in ran["listed"] if skill in created] == created[::-1]
    assert ran["deleted"] == {"id": ran["created"]["zip"]["id"], "type": "skill_deleted"}
    assert ran["created"]["zip"]["id"] not in ran["listed_after_delete"]
