"""A skill in each of the ways in which it may come, and the one archive that is made of it."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bathysphere.skills.archive import ArchiveDamaged, archived, contents
from bathysphere.skills.bundle import Bundle, Raw, bundle
from bathysphere.skills.folder import read_folder
from bathysphere.skills.front_matter import read_front_matter
from bathysphere.skills.refusal import BadSkill
from bathysphere.skills.zips import unzipped
from tests.skills.making import BOUNDS, DESCRIPTION, entry, files, skill_md, zipped


def bundled(given: dict[str, bytes]) -> Bundle:
    return bundle([Raw(name, content) for name, content in given.items()], BOUNDS)


def bare(given: dict[str, bytes]) -> dict[str, bytes]:
    return {name.partition("/")[2]: content for name, content in given.items()}


def in_a_folder(place: Path, given: dict[str, bytes]) -> Path:
    for name, content in given.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    return place / "weekly-report"


def test_every_way_in_gives_the_same_skill_to_the_byte(tmp_path: Path) -> None:
    given = files()
    backwards = dict(reversed(given.items()))
    ways = {
        "files": bundled(given),
        "without a folder": bundled(bare(given)),
        "another order": bundled({f"./{name}": content for name, content in backwards.items()}),
        "zip": bundle(unzipped(zipped(given), BOUNDS), BOUNDS),
        "zip without a folder": bundle(unzipped(zipped(bare(given)), BOUNDS), BOUNDS),
        "zip of a Mac": bundle(
            unzipped(zipped({"weekly-report/": b"", **given, "__MACOSX/weekly-report/._SKILL.md": b"x"}), BOUNDS),
            BOUNDS,
        ),
        "folder": read_folder(in_a_folder(tmp_path, {**given, "weekly-report/__pycache__/a.pyc": b"x"}), BOUNDS),
    }
    assert {way: archived(made.files).digest for way, made in ways.items()} == dict.fromkeys(
        ways, archived(bundled(given).files).digest
    )
    made = ways["files"]
    assert (made.name, made.description) == ("weekly-report", DESCRIPTION)
    assert [(file.path, file.executable) for file in made.files] == [
        ("SKILL.md", False), ("data/table.csv", False), ("scripts/count.py", True),
    ]  # fmt: skip


def test_the_archive_is_a_plain_tar_without_owner_or_time() -> None:
    long = "/".join(["ä" * 60] * 3)
    made = bundled({**files(), f"weekly-report/{long}.txt": b"far down"})
    with tarfile.open(fileobj=io.BytesIO(archived(made.files).content)) as tar:
        members = tar.getmembers()
        assert [member.name for member in members] == sorted(member.name for member in members)
        assert {member.name for member in members if member.isfile()} == {file.path for file in made.files}
        assert {member.name for member in members if member.isdir()} >= {"data", "scripts", long.rpartition("/")[0]}
        assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {(0, 0, "", "", 315_532_800)}
        assert {oct(m.mode) for m in members if m.isdir() or m.name == "scripts/count.py"} == {"0o755"}
        assert tar.getmember("SKILL.md").mode == 0o644
        read = tar.extractfile(f"{long}.txt")
        assert read is not None
        assert read.read() == b"far down"


async def test_an_archive_is_read_back_in_pieces_of_any_size() -> None:
    made = bundled({**files(), "weekly-report/empty": b"", f"weekly-report/{'d' * 120}/a": b"x" * 2000})
    content = archived(made.files).content

    async def pieces(size: int) -> AsyncIterator[bytes]:
        for at in range(0, len(content), size):
            yield content[at : at + size]

    for size in (1, 100, 512, 4096, len(content)):
        found: list[bytes] = []
        async for begins, piece in contents(pieces(size)):
            if begins:
                found.append(b"")
            found[-1] += piece
        assert found == [file.content for file in made.files]

    with pytest.raises(ArchiveDamaged):
        async for _ in contents(one(content[:700])):
            pass
    with pytest.raises(ArchiveDamaged):
        async for _ in contents(one(b"x" * 512)):
            pass


async def one(content: bytes) -> AsyncIterator[bytes]:
    yield content


def test_what_a_zip_says_of_permission_is_kept() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(entry("SKILL.md"), skill_md())
        archive.writestr(entry("run", 0o100755), b"\x7fELF")
    made = bundle(unzipped(target.getvalue(), BOUNDS), BOUNDS)
    assert [(file.path, file.executable) for file in made.files] == [("SKILL.md", False), ("run", True)]


def test_front_matter_as_people_write_it() -> None:
    text = (
        "\ufeff---\r\nname: weekly-report\r\ndescription: >\r\n  Writes the report, if a < b and c > d.\r\n"
        "  Über alles.\r\nlicense: MIT\r\nallowed-tools: [bash]\r\nmetadata:\r\n  version: '7'\r\n---\r\n# Title\r\n"
        "---\r\n"
    )
    front = read_front_matter(text.encode())
    assert front.name == "weekly-report"
    assert front.description == "Writes the report, if a < b and c > d. Über alles."
    assert front.metadata == {"version": "7"}


def test_a_name_that_is_not_given_is_that_of_the_folder() -> None:
    text = b"---\ndescription: d\n---\n"
    assert bundled({"my-skill/SKILL.md": text}).name == "my-skill"
    with pytest.raises(BadSkill, match="the folder's cannot be used"):
        bundled({"My Skill/SKILL.md": text})


def test_the_older_shape_wants_the_folder_to_have_the_name() -> None:
    raw = [Raw("other/SKILL.md", skill_md())]
    assert bundle(raw, BOUNDS).name == "weekly-report"
    with pytest.raises(BadSkill, match="the folder 'other' must have the skill's name, weekly-report"):
        bundle(raw, BOUNDS, folder_is_name=True)
    assert bundle([Raw("SKILL.md", skill_md())], BOUNDS, folder_is_name=True).name == "weekly-report"


@pytest.mark.parametrize(("kind", "reason"), [("link", "symbolic link"), ("pipe", "device, pipe or socket")])
def test_a_folder_holds_files_only(tmp_path: Path, kind: str, reason: str) -> None:
    folder = in_a_folder(tmp_path, files())
    if kind == "link":
        (folder / "evil").symlink_to("/etc/passwd")
    else:
        os.mkfifo(folder / "evil")
    with pytest.raises(BadSkill, match=reason):
        read_folder(folder, BOUNDS)
