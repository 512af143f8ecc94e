"""Uploading over HTTP: what is accepted, what is refused, and that a refusal leaves nothing behind."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic.types import StorageQuotaExceededError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.conftest import Server, Start
from tests.api.multipart_body import BOUNDARY, CONTENT_TYPE, body, part

OLD = "files-api-2025-04-14"


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    with server.client() as client:
        yield client


def send(client: httpx2.Client, content: bytes, content_type: str = CONTENT_TYPE) -> httpx2.Response:
    return client.post("/v1/files", content=content, headers={"content-type": content_type})


def refused(response: httpx2.Response, status: int = 400, kind: str = "invalid_request_error") -> str:
    answer = response.json()
    assert (response.status_code, answer["type"], answer["error"]["type"]) == (status, "error", kind)
    assert answer["request_id"] == response.headers["request-id"]
    message = answer["error"]["message"]
    assert isinstance(message, str)
    return message


def test_the_object_has_exactly_the_documented_fields(client: httpx2.Client) -> None:
    response = send(client, body([part('name="file"; filename="data.csv"', b"1,2\n", "Content-Type: text/csv")]))
    answer = response.json()
    created = datetime.fromisoformat(answer.pop("created_at"))
    assert created.utcoffset() == timedelta(0)
    assert answer.pop("id").startswith("file_")
    assert answer == {
        "type": "file",
        "filename": "data.csv",
        "mime_type": "text/csv",
        "size_bytes": 4,
        "downloadable": False,
        "expires_at": None,
    }


@pytest.mark.parametrize("headers", [{"anthropic-beta": OLD}, {"anthropic-beta": f"other-beta, {OLD}"}])
def test_with_the_beta_header_there_is_no_expiry(client: httpx2.Client, headers: dict[str, str]) -> None:
    content = body([part('name="file"; filename="data.csv"', b"1,2\n")])
    response = client.post("/v1/files?beta=true", content=content, headers={"content-type": CONTENT_TYPE, **headers})
    assert response.status_code == 200
    assert "expires_at" not in response.json()
    again = client.get(f"/v1/files/{response.json()['id']}", headers=headers)
    assert again.json() == response.json()


def test_a_repeated_beta_header_counts_as_well(client: httpx2.Client) -> None:
    headers = [("anthropic-beta", "other"), ("anthropic-beta", OLD)]
    assert set(client.get("/v1/files", headers=headers).json()) == {"data", "has_more", "first_id", "last_id"}


@pytest.mark.parametrize("before", [True, False])
def test_the_expiry_may_come_before_or_after_the_file(client: httpx2.Client, before: bool) -> None:
    parts = [part('name="expires_in_seconds"', b"3600"), part('name="file"; filename="a.txt"', b"x")]
    answer = send(client, body(parts if before else parts[::-1])).json()
    created, expires = (datetime.fromisoformat(answer[name]) for name in ("created_at", "expires_at"))
    assert expires - created == timedelta(hours=1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"3599", "greater than or equal to 3600"),
        (b"-1", "greater than or equal to 3600"),
        (b"7776001", "less than or equal to 7776000"),
        (b"9" * 30, "less than or equal to 7776000"),
        (b"", "valid integer"),
        (b"1e4", "valid integer"),
        (b"4000.5", "valid integer"),
        ("٣٦٠٠".encode(), "valid integer"),
        (b"9" * 100_000, "valid integer"),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_an_expiry_out_of_range_is_refused(client: httpx2.Client, value: bytes, message: str, before: bool) -> None:
    parts = [part('name="expires_in_seconds"', value), part('name="file"; filename="a.txt"', b"x")]
    found = refused(send(client, body(parts if before else parts[::-1])))
    assert found.startswith("expires_in_seconds: ")
    assert message in found


@pytest.mark.parametrize("value", [b"3600", b"7776000", b" 86400 "])
def test_an_expiry_in_range_is_accepted(client: httpx2.Client, value: bytes) -> None:
    parts = [part('name="expires_in_seconds"', value), part('name="file"; filename="a.txt"', b"x")]
    assert send(client, body(parts)).json()["expires_at"] is not None


@pytest.mark.parametrize(
    ("disposition", "content_type", "filename", "mime_type"),
    [
        ("filename=data.csv", "text/csv", "data.csv", "text/csv"),
        ("filename=data.csv", "text/csv; charset=utf-8", "data.csv", "text/csv"),
        ("filename=data.csv", "application/octet-stream", "data.csv", "text/csv"),
        ("filename=data.csv", None, "data.csv", "text/csv"),
        ("filename=data.csv", "no type at all", "data.csv", "text/csv"),
        (
            "filename=table.xlsx",
            None,
            "table.xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
        ("filename=a.tar.gz", None, "a.tar.gz", "application/gzip"),
        ("filename=plain", None, "plain", "application/octet-stream"),
        (None, "text/csv", "unnamed.csv", "text/csv"),
        (None, "image/png", "unnamed.png", "image/png"),
        (None, "text/plain", "unnamed.txt", "text/plain"),
        (None, "application/octet-stream", "unnamed", "application/octet-stream"),
        (None, "application/x-unheard-of", "unnamed", "application/x-unheard-of"),
        (None, None, "unnamed", "application/octet-stream"),
    ],
)
def test_name_and_type_of_a_file(
    client: httpx2.Client, disposition: str | None, content_type: str | None, filename: str, mime_type: str
) -> None:
    headers = [] if content_type is None else [f"Content-Type: {content_type}"]
    named = 'name="file"' + ("" if disposition is None else f"; {disposition}")
    answer = send(client, body([part(named, b"x" * 2_000_000, *headers)])).json()
    assert (answer["filename"], answer["mime_type"], answer["size_bytes"]) == (filename, mime_type, 2_000_000)


@pytest.mark.parametrize(
    "filename",
    ["", "a/b.csv", "..\\\\x", "a<b", "a>b", "a:b", "a|b", "a?b", "a*b", "tab\tbed", "nul\0", ".", "..", "x" * 256],
)
def test_a_filename_that_breaks_the_rule_is_refused(client: httpx2.Client, filename: str) -> None:
    message = refused(send(client, body([part(f'name="file"; filename="{filename}"', b"x")])))
    assert message.startswith("file: ")
    assert "filename" in message


@pytest.mark.parametrize("filename", ["x" * 255, "é" * 255, ".hidden", "a b'c%22&(1).csv", "日本語.csv", "…"])
def test_any_other_filename_is_kept(client: httpx2.Client, filename: str) -> None:
    answer = send(client, body([part(f'name="file"; filename="{filename}"', b"x")])).json()
    assert answer["filename"] == filename


def test_an_empty_file_is_a_file(client: httpx2.Client) -> None:
    answer = send(client, body([part('name="file"; filename="__init__.py"', b"")])).json()
    assert (answer["filename"], answer["size_bytes"]) == ("__init__.py", 0)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "file: Field required"),
        ([part('name="expires_in_seconds"', b"3600")], "file: Field required"),
        ([part('name="data"; filename="a.csv"', b"x")], "file: Field required"),
        ([part('name="file"; filename="a"', b"x"), part('name="file"; filename="b"', b"y")], "only one file"),
        ([part('name="expires_in_seconds"', b"3600")] * 2, "expires_in_seconds: given twice"),
    ],
)
def test_exactly_one_file_is_needed(client: httpx2.Client, parts: list[bytes], message: str) -> None:
    assert message in refused(send(client, body(parts)))


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data", "multipart/form-data; boundary="])
def test_a_body_that_is_no_form_is_refused(client: httpx2.Client, content_type: str) -> None:
    assert "Content-Type" in refused(send(client, b"{}", content_type))


def test_a_truncated_body_is_refused(client: httpx2.Client) -> None:
    whole = body([part('name="file"; filename="a"', b"x" * 1000)])
    assert "closing boundary" in refused(send(client, whole[:-10]))


@settings(max_examples=60, deadline=None)
@given(rubbish=st.binary(max_size=500), headers=st.binary(max_size=100))
def test_rubbish_is_the_clients_mistake(server: Server, rubbish: bytes, headers: bytes) -> None:
    begin = f"--{BOUNDARY}\r\n".encode()
    with server.client() as client:
        for content in (rubbish, begin + headers + b"\r\n\r\n" + rubbish, begin + rubbish):
            refused(send(client, content))


def test_nothing_of_what_was_refused_stays(start: Start) -> None:
    server = start(file_bytes=3_000_000)
    with server.client() as client:
        good = part('name="file"; filename="a"', bytes(1_500_000))
        refused(send(client, body([good, part('name="expires_in_seconds"', b"1")])))
        refused(send(client, body([good, good])))
        refused(send(client, body([good])[:-10]))
        too_big = body([part('name="file"; filename="a"', bytes(3_000_001))])
        refused(send(client, too_big), 413, "request_too_large")
        assert client.get("/v1/files").json()["data"] == []
        assert [path for path in (server.data / "blobs").rglob("*") if path.is_file()] == []
        assert send(client, body([part('name="file"; filename="a"', bytes(3_000_000))])).status_code == 200


def test_too_large_is_refused_by_its_length_alone_or_by_counting(start: Start) -> None:
    server = start(file_bytes=1_000_000)
    whole = body([part('name="file"; filename="a"', bytes(5_000_000))])

    def chunks() -> Iterator[bytes]:
        for offset in range(0, len(whole), 65536):
            yield whole[offset : offset + 65536]

    padded = body([part('name="other"', bytes(5_000_000)), part('name="file"; filename="a"', b"x")])
    with server.client() as client:
        announced = client.post("/v1/files", content=whole, headers={"content-type": CONTENT_TYPE})
        counted = client.post("/v1/files", content=chunks(), headers={"content-type": CONTENT_TYPE})
        elsewhere = client.post("/v1/files", content=iter([padded]), headers={"content-type": CONTENT_TYPE})
        for response in (announced, counted, elsewhere):
            assert "1000000 bytes" in refused(response, 413, "request_too_large")
        assert client.get("/v1/files").status_code == 200


def test_a_full_quota_is_refused_with_its_code(start: Start) -> None:
    server = start(storage_bytes=1_000_000)
    official = anthropic.Anthropic(api_key=server.key, base_url=server.url, max_retries=0)
    first = official.files.upload(file=("a", bytes(600_000)))
    with pytest.raises(StorageQuotaExceededError):
        official.files.upload(file=("b", bytes(600_000)))
    other = anthropic.Anthropic(api_key=server.new_key("other"), base_url=server.url, max_retries=0)
    with pytest.raises(StorageQuotaExceededError):
        other.files.upload(file=("b", bytes(600_000)))
    official.files.delete(first.id)
    assert other.files.upload(file=("b", bytes(600_000))).size_bytes == 600_000


@pytest.mark.parametrize("auth", ["api_key", "auth_token"])
def test_the_official_client_uploads_whatever_it_is_given(server: Server, auth: str) -> None:
    credentials: Any = {auth: server.key}
    with anthropic.Anthropic(**credentials, base_url=server.url, max_retries=0) as official:
        uploads: list[tuple[Any, str, str]] = [
            (b"bytes", "unnamed", "application/octet-stream"),
            (io.BytesIO(b"bytes"), "unnamed", "application/octet-stream"),
            (("räume.csv", b"bytes"), "räume.csv", "text/csv"),
            (("data", b"bytes", "text/csv"), "data", "text/csv"),
        ]
        for file, filename, mime_type in uploads:
            made = official.files.upload(file=file, expires_in_seconds=3600)
            assert (made.filename.removesuffix(".bin"), made.mime_type) == (filename, mime_type)
            assert made.size_bytes == 5
            assert made.expires_at is not None
            assert made.expires_at - made.created_at == timedelta(hours=1)
            assert official.files.retrieve_metadata(made.id) == made
            assert official.beta.files.retrieve_metadata(made.id).id == made.id
            assert official.files.delete(made.id).id == made.id
            with pytest.raises(anthropic.NotFoundError, match=f"File `{made.id}` not found."):
                official.files.retrieve_metadata(made.id)
