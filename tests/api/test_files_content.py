"""Downloading, and the end of a file's life."""

from __future__ import annotations

import asyncio
import email.message
import email.utils
import sqlite3
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic.types import FileExpiredError, FileNotDownloadableError
from hypothesis import given
from hypothesis import strategies as st

from bathysphere.api.files import content_disposition
from bathysphere.settings import LimitSettings
from bathysphere.store import files, workspaces
from bathysphere.store.blobs_local import LocalBlobs
from bathysphere.store.database import DATABASE_FILE, Database
from bathysphere.store.files import File
from tests.api.conftest import Server


def produce(server: Server, filename: str, chunks: Iterator[bytes]) -> File:
    """A file as a container produces it, stored beside the running server."""

    async def content() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def store() -> File:
        database = await Database.open(server.data)
        try:
            return await files.produce(
                database,
                await LocalBlobs.open_folder(server.data / "blobs"),
                workspace_id=(await workspaces.default(database)).id,
                container_id="container_1",
                filename=filename,
                content=content(),
                limits=LimitSettings(),
            )
        finally:
            await database.close()

    return asyncio.run(store())


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    with server.client() as client:
        yield client


def test_a_produced_file_comes_back_byte_for_byte(server: Server, client: httpx2.Client) -> None:
    content = bytes(range(256)) * 10_000
    made = produce(server, "chärt.html", iter([content]))
    response = client.get(f"/v1/files/{made.id}/content", headers={"accept": "application/binary"})
    assert response.status_code == 200
    assert response.content == content
    assert response.headers["content-type"] == "text/html"
    assert response.headers["content-length"] == str(len(content))
    assert response.headers["x-content-type-options"] == "nosniff"
    assert (
        response.headers["content-disposition"]
        == "attachment; filename=\"ch_rt.html\"; filename*=UTF-8''ch%C3%A4rt.html"
    )
    assert response.headers["request-id"].startswith("req_")
    with anthropic.Anthropic(api_key=server.key, base_url=server.url) as official:
        assert official.files.download(made.id).read() == content
        assert official.files.retrieve_metadata(made.id).downloadable


def test_an_empty_file_can_be_downloaded(server: Server, client: httpx2.Client) -> None:
    made = produce(server, "empty", iter([]))
    response = client.get(f"/v1/files/{made.id}/content")
    assert (response.status_code, response.content) == (200, b"")


def test_uploads_cannot_be_downloaded(server: Server) -> None:
    with anthropic.Anthropic(api_key=server.key, base_url=server.url, max_retries=0) as official:
        made = official.files.upload(file=("a.csv", b"1"))
        with pytest.raises(FileNotDownloadableError):
            official.files.download(made.id)


def test_an_expired_file_keeps_its_metadata_only(server: Server, client: httpx2.Client) -> None:
    made = produce(server, "old.txt", iter([b"x"]))
    connection = sqlite3.connect(server.data / DATABASE_FILE)
    connection.execute("UPDATE files SET expires_at = created_at WHERE id = ?", [made.id])
    connection.commit()
    connection.close()
    response = client.get(f"/v1/files/{made.id}/content")
    assert response.status_code == 404
    assert response.json()["error"]["details"] == {"error_code": "file_expired"}
    with (
        anthropic.Anthropic(api_key=server.key, base_url=server.url, max_retries=0) as official,
        pytest.raises(FileExpiredError),
    ):
        official.files.download(made.id)
    assert client.get(f"/v1/files/{made.id}").json()["expires_at"] is not None
    assert client.delete(f"/v1/files/{made.id}").json() == {"id": made.id, "type": "file_deleted"}


def test_deletion_is_final(server: Server, client: httpx2.Client) -> None:
    made = produce(server, "a.txt", iter([b"x"]))
    blob = server.data / "blobs" / str(made.blob_key)[:2] / str(made.blob_key)[2:]
    assert blob.read_bytes() == b"x"
    deleted = client.request("DELETE", f"/v1/files/{made.id}", headers={"content-type": "application/json"})
    assert deleted.json() == {"id": made.id, "type": "file_deleted"}
    assert not blob.exists()
    for response in (
        client.get(f"/v1/files/{made.id}"),
        client.get(f"/v1/files/{made.id}/content"),
        client.delete(f"/v1/files/{made.id}"),
    ):
        assert response.status_code == 404
        assert response.json()["error"]["message"] == f"File `{made.id}` not found."


def test_a_client_that_leaves_halfway_does_no_harm(server: Server, client: httpx2.Client) -> None:
    made = produce(server, "big", (bytes(1_000_000) for _ in range(30)))
    for _ in range(5):
        with client.stream("GET", f"/v1/files/{made.id}/content") as response:
            assert next(response.iter_raw())
    assert client.get(f"/v1/files/{made.id}").status_code == 200


@pytest.mark.parametrize("file_id", ["file_unknown", "..%2F..%2Fetc", "%00", "x" * 5000, "%F0%9F%92%A9", "%ff"])
def test_an_unknown_id_is_not_found(client: httpx2.Client, file_id: str) -> None:
    for suffix in ("", "/content"):
        response = client.get(f"/v1/files/{file_id}{suffix}")
        assert response.status_code == 404
        assert response.json()["error"]["type"] == "not_found_error"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=255))
def test_any_name_survives_the_header_and_cannot_break_out_of_it(filename: str) -> None:
    value = content_disposition(filename)
    assert value.isascii()
    assert value.isprintable()
    header = email.message.Message()
    header["content-disposition"] = value
    parameters: list[tuple[str, Any]] = header.get_params(failobj=[], header="content-disposition")
    assert [name for name, _ in parameters] == ["attachment", "filename", "filename"]
    assert email.utils.collapse_rfc2231_value(parameters[-1][1]) == filename
