"""``bathysphere skills``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from click.testing import CliRunner, Result

from bathysphere.api.own_skills import BROUGHT_ALONG, load_own
from bathysphere.cli.skills import skills
from bathysphere.image.build import build
from bathysphere.image.definition import Definition
from bathysphere.image.importable import importable
from bathysphere.image.progress import ConsoleProgress
from bathysphere.settings import store_directory
from bathysphere.skills.archive import archived
from bathysphere.skills.source import read_skill
from bathysphere.store import skills as store
from bathysphere.store.blobs_local import LocalBlobs
from bathysphere.store.database import Database
from bathysphere.store.skill_archives import keep
from tests.clients.asking import ask, get
from tests.models.scripted_upstream import Call, Say, ScriptedUpstream, Turn
from tests.server import running_server
from tests.skills.making import BOUNDS, files, skill_md, zipped


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(skills, [str(argument) for argument in arguments])


def folder(parent: Path, name: str = "weekly-report", more: Mapping[str, bytes] = MappingProxyType({})) -> Path:
    """A good skill, with further files or other ones."""
    content = files(name) | {f"{name}/{path}": text for path, text in more.items()}
    for path, text in content.items():
        (parent / path).parent.mkdir(parents=True, exist_ok=True)
        (parent / path).write_bytes(text)
        (parent / path).chmod(0o755 if text.startswith(b"#!") else 0o644)
    return parent / name


def test_what_is_added_is_listed_shown_and_removed(tmp_path: Path) -> None:
    data = ("--data", tmp_path / "data")
    made = run("add", folder(tmp_path), *data, "--workspace", "lab", "--title", "Every Friday")
    assert made.exit_code == 0, made.stderr
    skill_id = made.stdout.strip()
    assert skill_id.startswith("skill_") and "weekly-report is added to lab" in made.stderr

    again = run("add", folder(tmp_path), *data, "--workspace", "lab")
    assert (again.exit_code, again.stdout.strip()) == (0, skill_id)
    assert "nothing is added" in again.stderr
    (tmp_path / "weekly.zip").write_bytes(zipped(files() | {"weekly-report/new.txt": b"new"}))
    newer = run("add", tmp_path / "weekly.zip", *data, "--workspace", "lab")
    assert (newer.exit_code, newer.stdout.strip()) == (0, skill_id)
    assert "weekly-report was there: version " in newer.stderr
    elsewhere = run("add", tmp_path / "weekly-report", *data)
    assert elsewhere.stdout.strip() not in ("", skill_id), "another workspace has a skill of its own"

    (listed,) = json.loads(run("list", *data, "--workspace", "lab", "--json").stdout)
    assert (listed["id"], listed["title"], listed["files"], listed["type"]) == (skill_id, "Every Friday", 4, "custom")
    lines = run("list", *data).stdout.splitlines()
    assert len(lines) == 3 and lines[2].split()[:4] == [skill_id, "weekly-report", "lab", "custom"]
    shown = run("show", skill_id, *data, "--files").stdout
    assert shown.count("skver_") == 3, "the latest, and both in the list"
    assert "scripts/count.py" in shown and "new.txt" in shown

    assert run("remove", skill_id, *data).exit_code == 0
    assert run("list", *data, "--workspace", "lab", "--json").stdout == "[]\n"
    gone = run("show", skill_id, *data)
    assert gone.exit_code == 1 and f"There is no skill {skill_id}" in gone.stderr
    assert len([blob for blob in (tmp_path / "data/store/blobs").rglob("*") if blob.is_file()]) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"# No front matter\n", "SKILL.md line 1: the file must begin with front matter"),
        (b"---\nname: Weekly Report\ndescription: x\n---\n", "SKILL.md line 2: name: only lower-case letters"),
        (b"---\nname: weekly-report\n---\n", "the front matter has no description"),
    ],
)
def test_a_refusal_is_one_line_with_file_and_line(tmp_path: Path, content: bytes, said: str) -> None:
    source = folder(tmp_path, more={"SKILL.md": content})
    for command in (("check", source), ("add", source, "--data", tmp_path / "data")):
        refused = run(*command)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert refused.stderr.startswith(f"Error: {source}: ") and said in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists(), "nothing is kept"


def test_what_is_no_skill_at_all(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    assert "is no zip" in run("check", tmp_path / "text.zip").stderr
    assert "is not there" in run("check", tmp_path / "nowhere").stderr
    (tmp_path / "up.zip").write_bytes(zipped({"../SKILL.md": skill_md()}))
    assert "would lead out of the skill's folder" in run("check", tmp_path / "up.zip").stderr


def test_two_skills_of_one_name_are_told_apart_by_id(tmp_path: Path) -> None:
    data = ("--data", tmp_path / "data")
    first = run("add", folder(tmp_path), *data).stdout.strip()

    async def another() -> str:
        """Made by the API, which takes as many of one name as there are."""
        database = await Database.open(store_directory(tmp_path / "data"))
        blobs = await LocalBlobs.open_folder(store_directory(tmp_path / "data") / "blobs")
        made = read_skill(tmp_path / "weekly-report", BOUNDS)
        snapshot = await keep(made, archived(made.files), blobs)
        skill, _ = await store.add(
            database, blobs, workspace_id=workspace, display_title="x", snapshot=snapshot, storage_bytes=10**9
        )
        await database.close()
        return skill.id

    workspace = json.loads(run("list", *data, "--json").stdout)[0]["workspace_id"]
    second = asyncio.run(another())
    source = folder(tmp_path, more={"new.txt": b"new"})
    unclear = run("add", source, *data)
    assert unclear.exit_code == 1 and first in unclear.stderr and second in unclear.stderr
    assert run("add", source, *data, "--skill", first).stdout.strip() == first


def test_what_is_for_all_workspaces_is_not_taken_away_here(tmp_path: Path) -> None:
    async def load() -> None:
        database = await Database.open(store_directory(tmp_path / "data"))
        blobs = await LocalBlobs.open_folder(store_directory(tmp_path / "data") / "blobs")
        await load_own(database, blobs, tmp_path / "data" / "skills", BOUNDS, source="custom")
        await database.close()

    put = folder(tmp_path / "data" / "skills")
    asyncio.run(load())
    assert "(all)" in run("list", "--data", tmp_path / "data").stdout
    kept = run("remove", "weekly-report", "--data", tmp_path / "data")
    assert kept.exit_code == 1 and f"lies in {put}: remove it there" in kept.stderr


def test_advice_for_authors(tmp_path: Path) -> None:
    text = (
        b"---\nname: weekly-report\ndescription: Writes the report that goes out every week to all of us.\n---\n"
        b"Read [the rules](rules.md), then run scripts/make.py.\n"
        b"```bash\npip install rich\nnode build.js\npython /skills/other/scripts/make.py\n"
        b"cp x /mnt/user-data/outputs/\n```\n"
        b"`pip install` fails, there is no network.\n"
    )
    source = folder(
        tmp_path,
        more={
            "SKILL.md": text + b"\n" * 500,
            "scripts/bad.py": b"def f(:\n",
            "scripts/imports.py": b"import PIL, count, tkinter\ntry:\n    import rich\nexcept ImportError:\n    pass\n"
            b"import yaml\nimport urllib.request\n",
            "scripts/run.sh": b"#!/bin/sh\r\necho\r\n",
        },
    )
    (source / "scripts" / "count.py").chmod(0o644)
    checked = run("check", source)
    assert checked.exit_code == 0, checked.stderr
    *warnings, last = checked.stdout.splitlines()
    expected = [
        "SKILL.md: description: does not say when",
        "SKILL.md line 7: 'pip install rich': there is no network",
        "SKILL.md line 8: calls node, which containers do not have",
        "SKILL.md line 9: '/skills/other/scripts/make.py' is not in this skill",
        "SKILL.md line 10: there is no '/mnt/user-data/outputs/' in a container",
        "SKILL.md: has 512 lines",
        "SKILL.md line 5: names 'scripts/make.py', and there is no such file",
        "SKILL.md line 5: names 'rules.md', and there is no such file",
        "scripts/bad.py line 1: is no Python 3.11: ",
        "scripts/imports.py line 1: imports tkinter, which containers do not have",
        "scripts/imports.py line 6: imports yaml, which containers do not have",
        "scripts/imports.py line 7: imports urllib.request, and there is no network",
        "scripts/run.sh line 1: the lines end with CRLF",
        "scripts/count.py line 1: has a #! line and is not executable",
    ]
    assert [line for line, said in zip(warnings, expected, strict=True) if said not in line] == []
    assert last.startswith("weekly-report: 6 files, ") and last.endswith("; 14 warnings")


@pytest.mark.parametrize("own", sorted(path.name for path in BROUGHT_ALONG.iterdir() if path.is_dir()))
def test_our_own_skills_leave_nothing_to_mend(own: str) -> None:
    checked = run("check", BROUGHT_ALONG / own)
    assert checked.exit_code == 0 and checked.stdout.endswith("nothing to mend\n"), checked.output


def test_what_can_be_imported_is_what_the_image_has() -> None:
    definition = Definition.load()
    root = build(definition, progress=ConsoleProgress()).root
    places = [root / definition.site_packages.lstrip("/"), root / "usr/lib/python3/dist-packages"]
    there = {path.name.partition(".")[0] for place in places for path in place.iterdir()}
    assert importable(definition) <= there
    packages = {
        path.name
        for place in places
        for path in place.iterdir()
        if (path / "__init__.py").exists() and path.name[0] != "_"
    }
    # What some libraries have beside the name that one imports.
    assert packages - importable(definition) <= {"pillow", "pypdfium2_cfg", "pypdfium2_cli", "scikit_learn"}


def test_a_server_loads_what_lies_in_its_folder(tmp_path: Path) -> None:
    put = tmp_path / "data" / "skills"
    folder(put, "harbour")
    folder(put, "broken", {"SKILL.md": b"no front matter\n"})
    folder(put, "pptx")
    with ScriptedUpstream() as upstream:
        model = {"match": "claude-sonnet-4-5", "backend": "anthropic", "base_url": upstream.url, "model": "m"}
        with running_server(
            tmp_path, [model | {"api_key_env": "UPSTREAM_KEY"}], environment={"UPSTREAM_KEY": "key"}
        ) as server:
            said = server.output()
            assert f"1 in {put}; 2 refused (see the warnings)" in said
            assert "SKILL.md line 1: the file must begin with front matter" in said
            assert "there is a skill pptx of the source anthropic already" in said
            upstream.play(
                Turn(Call("bash_code_execution", {"command": "/skills/harbour/scripts/count.py"}, id="toolu_a"))
            )
            upstream.play(Turn(Say("Counted.")))
            wanted = {"type": "custom", "skill_id": "harbour", "version": "latest"}
            message = ask(server, "Count", server.other_key, container={"skills": [wanted]})
            (result,) = (block for block in message["content"] if block["type"] == "bash_code_execution_tool_result")
            assert result["content"]["stdout"] == "1\n"
            (given,) = message["container"]["skills"]
            assert (given["type"], given["skill_id"]) == ("custom", "harbour")
            assert get(server, "/v1/skills/harbour").json()["source"]["type"] == "custom"
