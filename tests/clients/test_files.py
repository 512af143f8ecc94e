"""The Files API as each SDK calls it, in the shape of either generation (WIRE e)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.clients import environments
from tests.clients.asking import ask
from tests.clients.environments import ALL, PYTHON_2, Sdk
from tests.seeds import expectations
from tests.server import Server

GA_NAMES = {"id", "type", "filename", "mime_type", "size_bytes", "created_at", "downloadable", "expires_at"}


@pytest.fixture(scope="module")
def produced_file(server: Server) -> str:
    """The id of a file that a command produced: bytes 0 to 255."""
    message = ask(server, "```bash\npython3 -c 'import sys; sys.stdout.buffer.write(bytes(range(256)))' > all.bin\n```")
    (file_id,) = expectations.file_ids(message)
    return file_id


@pytest.fixture(scope="module", params=ALL, ids=str)
def ran(
    request: pytest.FixtureRequest, server: Server, produced_file: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What the program of one SDK brought back."""
    sdk: Sdk = request.param
    answers = environments.run(sdk, "files_api", server, tmp_path_factory.mktemp("files"), [produced_file])
    return {"sdk": sdk, **answers}


def test_uploads(ran: dict[str, Any]) -> None:
    uploads = ran["uploads"]
    assert uploads["path"]["filename"] == "data.csv"
    assert uploads["path"]["mime_type"] == "text/csv"
    assert uploads["path"]["size_bytes"] == 8
    assert uploads["path"]["downloadable"] is False
    assert uploads["tuple"]["filename"] == "picture.png"
    assert uploads["tuple"]["mime_type"] == "image/png"
    assert uploads["unicode"]["filename"] == "Übersicht 表.txt"
    assert uploads["unicode"]["size_bytes"] == len("Grüße".encode())
    assert len({upload["id"] for upload in uploads.values()}) == len(uploads)
    for upload in uploads.values():
        assert upload["type"] == "file"
        assert upload["id"].startswith("file_")
        assert datetime.fromisoformat(upload["created_at"]).tzinfo is not None


def test_upload_without_a_filename_is_named(ran: dict[str, Any]) -> None:
    if ran["sdk"].language == "typescript":
        assert "bytes_io" not in ran["uploads"]
        return
    assert ran["uploads"]["bytes_io"]["size_bytes"] == len(b"no name")
    # Older SDKs send the name "upload" by themselves; newer ones send none, and the server names it.
    expected = "unnamed" if ran["sdk"] is PYTHON_2 else "upload"
    assert ran["uploads"]["bytes_io"]["filename"].startswith(expected)


def test_metadata(ran: dict[str, Any]) -> None:
    assert ran["metadata"]["id"] == ran["uploads"]["path"]["id"]
    assert ran["metadata"] == ran["uploads"]["path"]


def test_shape_with_the_old_beta_header(ran: dict[str, Any]) -> None:
    old = ran["shapes"]["old"]
    assert set(old["upload"]) == GA_NAMES - {"expires_at"}
    assert set(old["metadata"]) == GA_NAMES - {"expires_at"}
    assert set(old["list"]) == {"data", "has_more", "first_id", "last_id"}
    assert old["list"]["has_more"] is True
    assert [old["list"]["first_id"], old["list"]["last_id"]] == [file["id"] for file in old["list"]["data"]]


def test_shape_without_the_old_beta_header(ran: dict[str, Any]) -> None:
    new = ran["shapes"]["new"]
    assert set(new["upload"]) == GA_NAMES
    assert new["upload"]["expires_at"] is None
    assert set(new["metadata"]) == GA_NAMES
    assert set(new["list"]) == {"data", "next_page"}
    assert new["list"]["next_page"].startswith("page_")


def test_pages_hold_every_file_once_newest_first(ran: dict[str, Any]) -> None:
    uploaded = [upload["id"] for upload in ran["uploads"].values()]
    paged = ran["paged"]
    assert len(paged) == len(set(paged))
    assert [file for file in paged if file in uploaded] == uploaded[::-1]


def test_download_of_a_produced_file(ran: dict[str, Any]) -> None:
    assert bytes.fromhex(ran["produced"]) == bytes(range(256))


def test_delete(ran: dict[str, Any]) -> None:
    gone = ran["uploads"]["open_file"]["id"]
    assert ran["deleted"] == {"id": gone, "type": "file_deleted"}
    assert gone not in ran["paged_after_delete"]
    assert ran["uploads"]["path"]["id"] in ran["paged_after_delete"]


def test_ga_namespace(ran: dict[str, Any]) -> None:
    if ran["sdk"].generation == 1:
        assert "ga_namespace" not in ran
        return
    first = ran["uploads"]["path"]
    assert ran["ga_namespace"]["id"] == first["id"]
    assert ran["by_ids"] == [first["id"]]
    created, expires = (datetime.fromisoformat(ran["expiring"][name]) for name in ("created_at", "expires_at"))
    assert round((expires - created).total_seconds()) == 3600
