"""The Skills API over HTTP: both shapes, what is refused, and that a refusal leaves nothing behind (WIRE g)."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bathysphere.api.own_skills import load_own
from bathysphere.store.blobs_local import LocalBlobs
from bathysphere.store.database import Database
from tests.api.conftest import Server, Start
from tests.api.multipart_body import CONTENT_TYPE, body, part
from tests.skills.hostile import Files, Hostile, all_of_them
from tests.skills.making import BOUNDS, DESCRIPTION, files, skill_md, zipped

OLD = "skills-2025-10-02"
# A few of each kind: the refusals are one thing, and how they come out of the server another.
SHARE = [hostile for hostile in all_of_them() if isinstance(hostile.upload, bytes)][::5] + [
    hostile for hostile in all_of_them() if isinstance(hostile.upload, list)
][1::9]


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    """Of a workspace without skills."""
    with server.client(server.new_key("skills")) as client:
        for skill in client.get("/v1/skills").json()["data"]:
            client.delete(f"/v1/skills/{skill['id']}")
        yield client


def parts_of(given: Mapping[str, bytes] | Files) -> list[bytes]:
    pairs = given.items() if isinstance(given, Mapping) else given
    return [
        part(f'name="files[]"; filename="{name}"'.encode(errors="surrogateescape"), content) for name, content in pairs
    ]


def send(client: httpx2.Client, parts: list[bytes], path: str = "/v1/skills", *, old: bool = False) -> httpx2.Response:
    headers = {"content-type": CONTENT_TYPE} | ({"anthropic-beta": OLD} if old else {})
    return client.post(path, content=body(parts), headers=headers)


def made(response: httpx2.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    answer = response.json()
    assert isinstance(answer, dict)
    return answer


def refused(response: httpx2.Response, status: int = 400, kind: str = "invalid_request_error") -> str:
    answer = response.json()
    assert (response.status_code, answer["type"], answer["error"]["type"]) == (status, "error", kind), answer
    return str(answer["error"]["message"])


def old(client: httpx2.Client, method: str, path: str, **options: Any) -> httpx2.Response:
    return client.request(method, path, headers={"anthropic-beta": OLD}, **options)


def test_the_newer_shape(client: httpx2.Client) -> None:
    skill = made(send(client, [*parts_of(files()), part('name="display_name"', "Wöchentlich".encode())]))
    assert set(skill) == {"id", "type", "display_name", "latest_version_id", "source", "created_at", "updated_at"}
    assert skill["id"].startswith("skill_01")
    assert (skill["type"], skill["display_name"]) == ("skill", "Wöchentlich")
    assert skill["source"] == {"type": "custom"}
    assert made(client.get(f"/v1/skills/{skill['id']}")) == skill

    version = made(client.get(f"/v1/skills/{skill['id']}/versions/latest"))
    assert version.pop("created_at") == skill["created_at"]
    assert version == {
        "id": skill["latest_version_id"], "type": "skill_version", "skill_id": skill["id"], "name": "weekly-report",
        "description": DESCRIPTION,
    }  # fmt: skip
    assert made(client.get("/v1/skills")) == {"data": [skill], "next_page": None}


def test_the_older_shape(client: httpx2.Client) -> None:
    skill = made(send(client, [part('name="display_title"', b"Weekly"), *parts_of(files())], old=True))
    assert set(skill) == {"id", "type", "display_title", "latest_version", "source", "created_at", "updated_at"}
    assert (skill["display_title"], skill["source"]) == ("Weekly", "custom")
    assert skill["latest_version"].isdecimal()
    assert len(skill["latest_version"]) == 16, "microseconds since 1970"

    version = made(old(client, "GET", f"/v1/skills/{skill['id']}/versions/{skill['latest_version']}"))
    assert version["id"].startswith("skillver_01")
    assert (version["version"], version["directory"]) == (skill["latest_version"], "weekly-report")
    assert made(old(client, "GET", f"/v1/skills/{skill['id']}/versions/{version['id']}")) == version
    assert made(old(client, "GET", "/v1/skills")) == {"data": [skill], "has_more": False, "next_page": None}
    newer = made(client.get(f"/v1/skills/{skill['id']}"))
    assert newer["latest_version_id"] == version["id"].replace("skillver_", "skver_")


def test_versions_are_listed_in_pages_and_the_last_is_the_latest(client: httpx2.Client) -> None:
    skill = made(send(client, parts_of(files())))
    path = f"/v1/skills/{skill['id']}/versions"
    for number in range(4):
        made(send(client, parts_of({"SKILL.md": skill_md(description=f"Number {number}")}), path))
    changed = made(client.get(f"/v1/skills/{skill['id']}"))
    assert changed["updated_at"] > skill["updated_at"]

    newest_first = list(pages(client, path, {}))
    assert [version["description"] for version in newest_first] == [*(f"Number {n}" for n in (3, 2, 1, 0)), DESCRIPTION]
    assert changed["latest_version_id"] == newest_first[0]["id"]
    oldest_first = list(pages(client, path, {"anthropic-beta": OLD}))
    assert [version["description"] for version in oldest_first] == [v["description"] for v in newest_first[::-1]]
    assert "limit" in refused(client.get(path, params={"limit": 1001}))
    assert "not a page of this list" in refused(client.get(path, params={"page": "page_1"}))

    name = refused(send(client, parts_of({"SKILL.md": skill_md("another")}), path))
    assert name == (
        "files: SKILL.md: name: this skill is called weekly-report, and a version cannot be called another; "
        "make a new skill for it."
    )


def pages(client: httpx2.Client, path: str, headers: dict[str, str]) -> Iterator[dict[str, Any]]:
    query: dict[str, Any] = {"limit": 2}
    while True:
        answer = made(client.get(path, params=query, headers=headers))
        assert len(answer["data"]) <= 2
        yield from answer["data"]
        if headers:
            assert answer["has_more"] == (answer["next_page"] is not None)
        if answer["next_page"] is None:
            return
        query["page"] = answer["next_page"]


def test_skills_are_listed_newest_first_and_by_source(client: httpx2.Client) -> None:
    ids = [made(send(client, parts_of(files())))["id"] for _ in range(5)]
    assert [skill["id"] for skill in pages(client, "/v1/skills", {})] == ids[::-1]
    assert [skill["id"] for skill in pages(client, "/v1/skills", {"anthropic-beta": OLD})] == ids[::-1]
    assert len(made(client.get("/v1/skills", params={"source": "custom"}))["data"]) == 5
    assert made(client.get("/v1/skills", params={"source": "anthropic"}))["data"] == []
    assert made(client.get("/v1/skills", params={"limit": 1000}))["next_page"] is None
    assert refused(old(client, "GET", "/v1/skills", params={"limit": 101})).startswith("limit: ")


def test_deleting_in_either_shape(client: httpx2.Client, server: Server) -> None:
    before = blobs(server)
    skill = made(send(client, parts_of(files())))
    path = f"/v1/skills/{skill['id']}"
    second = made(send(client, parts_of(files()), f"{path}/versions"))
    assert "still has versions" in refused(old(client, "DELETE", path))
    assert "`latest` cannot be deleted" in refused(client.delete(f"{path}/versions/latest"))
    deleted = made(client.delete(f"{path}/versions/{second['id']}"))
    assert deleted == {"id": second["id"], "type": "skill_version_deleted"}
    assert made(client.get(path))["latest_version_id"] == skill["latest_version_id"]
    assert "it is the only one of skill" in refused(client.delete(f"{path}/versions/{skill['latest_version_id']}"))

    number = made(old(client, "GET", path))["latest_version"]
    assert made(old(client, "DELETE", f"{path}/versions/{number}"))["id"] == number
    assert made(old(client, "GET", path))["latest_version"] is None
    assert refused(client.get(f"{path}/versions/latest"), 404, "not_found_error").startswith("Version `latest` of")
    assert made(old(client, "DELETE", path)) == {"id": skill["id"], "type": "skill_deleted"}

    again = made(send(client, parts_of(files())))
    made(send(client, parts_of(files()), f"/v1/skills/{again['id']}/versions"))
    made(client.delete(f"/v1/skills/{again['id']}"))
    for gone in (skill["id"], again["id"]):
        assert refused(client.get(f"/v1/skills/{gone}"), 404, "not_found_error") == f"Skill `{gone}` not found."
        assert client.delete(f"/v1/skills/{gone}").status_code == 404
    assert blobs(server) == before


def test_the_files_come_back_as_a_zip(client: httpx2.Client) -> None:
    given = {**files(), "weekly-report/large.bin": bytes(range(256)) * 20_000, "weekly-report/empty": b""}
    skill = made(send(client, [part('name="files[]"; filename="any.zip"', zipped(given))]))
    response = client.get(f"/v1/skills/{skill['id']}/versions/latest/content")
    assert response.headers["content-type"] == "application/zip"
    assert 'filename="weekly-report.zip"' in response.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        assert {info.filename: archive.read(info) for info in archive.infolist()} == given
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
    assert modes["weekly-report/scripts/count.py"] == 0o100755
    assert modes["weekly-report/SKILL.md"] == 0o100644
    made(send(client, [part('name="files[]"', response.content, "Content-Type: application/octet-stream")]))


def test_what_old_sdks_send_beside_the_files_is_passed_over(client: httpx2.Client) -> None:
    """Python 0.75 sends each name, and each content as Python would print it, as parts called ``files[][]``.

    Of a file that is given by its path alone, and of an open one, the first part is called ``files[]`` too.
    """
    parts = []
    for name, content in files().items():
        parts += [part('name="files[][]"', name.encode()), part('name="files[][]"', repr(content).encode())]
    skill = made(send(client, [*parts, *parts_of(files())], old=True))
    assert made(client.get(f"/v1/skills/{skill['id']}/versions/latest"))["name"] == "weekly-report"
    path = part('name="files[]"', b"report.zip")
    archive = part('name="files[]"; filename="report.zip"', zipped(files()), "Content-Type: application/zip")
    made(send(client, [path, archive], old=True))


def test_a_title_is_one_of_a_kind_in_the_older_shape_alone(client: httpx2.Client) -> None:
    title = part('name="display_title"', b"The title")
    made(send(client, [title, *parts_of(files())], old=True))
    assert "another skill of this workspace is called 'The title'" in refused(
        send(client, [title, *parts_of(files())], old=True)
    )
    made(send(client, [title, *parts_of(files())]))
    long = part('name="display_title"', b"a" * 65)
    assert refused(send(client, [long, *parts_of(files())], old=True)).startswith("display_title: has 65 characters")
    two_lines = part('name="display_name"', b"a\nb")
    assert "a single line" in refused(send(client, [two_lines, *parts_of(files())]))


def test_another_workspace_sees_nothing_of_it(client: httpx2.Client, server: Server) -> None:
    skill = made(send(client, parts_of(files())))
    path = f"/v1/skills/{skill['id']}"
    with server.client(server.new_key("skills-stranger")) as stranger:
        assert made(stranger.get("/v1/skills"))["data"] == []
        for method, place in (
            ("GET", path), ("DELETE", path), ("GET", f"{path}/versions"), ("GET", f"{path}/versions/latest"),
            ("GET", f"{path}/versions/latest/content"), ("DELETE", f"{path}/versions/{skill['latest_version_id']}"),
        ):  # fmt: skip
            refused(stranger.request(method, place), 404, "not_found_error")
        refused(send(stranger, parts_of(files()), f"{path}/versions"), 404, "not_found_error")
    assert made(client.get(path)) == skill


@pytest.mark.parametrize("hostile", SHARE, ids=lambda hostile: hostile.kind)
def test_hostile_uploads_are_refused_and_leave_nothing(client: httpx2.Client, server: Server, hostile: Hostile) -> None:
    before = everything(server)
    if isinstance(hostile.upload, bytes):
        parts = [part('name="files[]"; filename="skill.zip"', hostile.upload)]
    else:
        parts = parts_of(hostile.upload)
    message = refused(send(client, parts))
    assert message.startswith("files: ")
    assert message.isprintable()
    assert everything(server) == before
    assert made(client.get("/v1/skills"))["data"] == []


def test_a_body_that_is_none_or_breaks_off_leaves_nothing(client: httpx2.Client, server: Server) -> None:
    before = everything(server)
    assert refused(send(client, [part('name="display_name"', b"x")])) == "files: Field required"
    assert "not valid multipart" in refused(client.post("/v1/skills", json={"files": []}))
    whole = body(parts_of(files()))
    cut = client.post("/v1/skills", content=whole[:-30], headers={"content-type": CONTENT_TYPE})
    assert "ends before its closing boundary" in refused(cut)
    assert everything(server) == before


def test_limits_of_size_and_storage(start: Start) -> None:
    server = start(skill_bytes=100_000, skill_files=5, storage_bytes=50_000)
    with server.client() as client:
        large = {"SKILL.md": skill_md(), "a": bytes(100_000)}
        assert "100000 bytes" in refused(send(client, parts_of(large)), 413, "request_too_large")
        assert "at most 5 files" in refused(send(client, parts_of({str(number): b"" for number in range(6)})))
        skill = made(send(client, parts_of({"SKILL.md": skill_md(), "a": bytes(30_000)})))
        kept = blobs(server)
        full = send(
            client, parts_of({"SKILL.md": skill_md(), "a": bytes(30_000)}), f"/v1/skills/{skill['id']}/versions"
        )
        assert refused(full).startswith("The organization's files and skills may take 50000 bytes")
        assert full.json()["error"]["details"]["error_code"] == "storage_quota_exceeded"
        assert blobs(server) == kept


def test_a_full_disk_is_said_and_leaves_nothing(start: Start) -> None:
    server = start(file_size_limit=4 * 1024 * 1024)
    with server.client() as client:
        before = blobs(server)
        answer = send(client, parts_of({"SKILL.md": skill_md(), "a": bytes(8 * 1024 * 1024)}))
        assert refused(answer, 500, "api_error").startswith("The server's disk is full: the skill was not stored.")
        assert blobs(server) == before
        made(send(client, parts_of(files())))


def test_the_servers_own_skills_are_for_every_workspace_and_nobody_changes_them(start: Start, tmp_path: Path) -> None:
    (tmp_path / "own" / "xlsx").mkdir(parents=True)
    (tmp_path / "own" / "xlsx" / "SKILL.md").write_bytes(skill_md("xlsx"))

    async def load() -> None:
        database = await Database.open(tmp_path / "data")
        try:
            await load_own(
                database, await LocalBlobs.open_folder(tmp_path / "data" / "blobs"), tmp_path / "own", BOUNDS
            )
        finally:
            await database.close()

    asyncio.run(load())
    server = start(tmp_path / "data")
    for client in (server.client(), server.client(server.new_key("another"))):
        with client:
            made(send(client, parts_of(files())))
            (skill,) = made(client.get("/v1/skills", params={"source": "anthropic"}))["data"]
            assert (skill["id"], skill["source"]) == ("xlsx", {"type": "anthropic"})
            assert len(made(client.get("/v1/skills"))["data"]) == 2
            (version,) = made(old(client, "GET", "/v1/skills/xlsx/versions"))["data"]
            assert (version["directory"], version["name"]) == ("xlsx", "xlsx")
            assert client.get("/v1/skills/xlsx/versions/latest/content").content.startswith(b"PK")
            for response in (
                client.delete("/v1/skills/xlsx"),
                client.delete(f"/v1/skills/xlsx/versions/{skill['latest_version_id']}"),
                send(client, parts_of(files("xlsx")), "/v1/skills/xlsx/versions"),
            ):
                assert "belongs to the server" in refused(response, 403, "permission_error")


def blobs(server: Server) -> set[Path]:
    return {path for path in (server.data / "blobs").rglob("*") if path.is_file()}


def everything(server: Server) -> set[Path]:
    return {path for path in server.data.rglob("*") if path.is_file()}
