"""Compressed request bodies and API versions, on a real server (WIRE 0, j)."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.clients.asking import Answer, get, post, send
from tests.server import Server, peak_memory, reset_peak_memory, running_server

MIB = 1024 * 1024
LIMIT = 4 * MIB
COUNT = "/v1/messages/count_tokens"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    tables = {"limits": {"request_bytes": LIMIT, "file_bytes": 8 * MIB}}
    with running_server(tmp_path_factory.mktemp("body-encoding"), tables=tables) as server:
        yield server


def body(characters: int = 40) -> bytes:
    message = {"role": "user", "content": "deep " * (characters // 5)}
    return json.dumps({"model": "demo", "messages": [message]}).encode()


def encoded(server: Server, content: bytes, coding: str, path: str = COUNT, key: str | None = None) -> Answer:
    return post(server, path, content, key, ("content-encoding", coding))


def error(answer: Answer, status: int, code: str | None) -> str:
    assert answer.status == status, answer.body
    found = answer.json()["error"]
    assert found.get("details", {}).get("error_code") == code
    return str(found["message"])


def raw_deflate(content: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(content) + stream.flush()


def members(content: bytes) -> bytes:
    return gzip.compress(content[:20]) + gzip.compress(content[20:])


@pytest.mark.parametrize(
    ("coding", "compress"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("x-gzip", gzip.compress),
        ("gzip", members),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("identity", bytes),
        ("", bytes),
        ("identity, gzip", gzip.compress),
    ],
)
def test_every_way_to_say_it(running: Server, coding: str, compress: Callable[[bytes], bytes]) -> None:
    for size in (40, 3 * MIB):
        plain = post(running, COUNT, body(size))
        assert encoded(running, compress(body(size)), coding).json() == plain.json()
        assert plain.status == 200


def test_a_message_is_answered(running: Server) -> None:
    asked: dict[str, Any] = json.loads(body()) | {"max_tokens": 100}
    answer = encoded(running, gzip.compress(json.dumps(asked).encode()), "gzip", "/v1/messages")
    assert answer.status == 200 and answer.json()["type"] == "message"


def bomb(size: int) -> bytes:
    stream = zlib.compressobj(level=9, wbits=31)
    return b"".join([stream.compress(bytes(MIB)) for _ in range(size // MIB)]) + stream.flush()


def test_a_bomb_is_refused_before_it_has_grown(running: Server) -> None:
    """A gibibyte of zeros in a mebibyte."""
    content = bomb(1024 * MIB)
    assert len(content) < LIMIT
    before = reset_peak_memory(running.pid)
    message = error(encoded(running, content, "gzip"), 413, "request_body_too_large_after_decoding")
    assert message == f"The request has more than {LIMIT} bytes once it is decompressed."
    assert peak_memory(running.pid) - before < 64 * MIB


def test_what_is_received_is_bounded_too(running: Server) -> None:
    answer = encoded(running, b"\0" * (LIMIT + 1), "gzip")
    assert error(answer, 413, None) == f"The request has more than {LIMIT} bytes."
    assert answer.json()["error"]["type"] == "request_too_large"


@pytest.mark.parametrize(
    "content",
    [b"no gzip at all", gzip.compress(body())[:-9], gzip.compress(body())[:-1] + b"x", gzip.compress(body()) + b"{}"],
    ids=["no gzip", "cut off", "wrong sum", "something behind it"],
)
def test_what_cannot_be_decompressed(running: Server, content: bytes) -> None:
    message = error(encoded(running, content, "gzip"), 400, "request_body_encoding_invalid")
    assert message.startswith("The request body is not what its content-encoding says: ")


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "gzip, br", "x" * 1000])
def test_other_codings(running: Server, coding: str) -> None:
    message = error(encoded(running, gzip.compress(body()), coding), 400, "request_body_encoding_unsupported")
    assert "with gzip or deflate" in message and len(message) < 300


def test_a_stranger_has_nothing_decompressed(running: Server) -> None:
    assert encoded(running, b"no gzip at all", "gzip", key="wrong").status == 401


def test_an_upload_is_bounded_by_the_size_of_files(running: Server) -> None:
    def upload(size: int) -> Answer:
        part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="z.bin"\r\n\r\n%b\r\n--x--\r\n' % bytes(
            size
        )
        headers = [("content-type", "multipart/form-data; boundary=x"), ("content-encoding", "gzip")]
        return send(running, "POST", "/v1/files", [("x-api-key", running.key), *headers], gzip.compress(part))

    stored = upload(6 * MIB)
    assert stored.status == 200 and stored.json()["size_bytes"] == 6 * MIB
    assert upload(64 * MIB).status == 413


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21", None])
def test_versions(running: Server, version: str | None) -> None:
    headers = [("x-api-key", running.key), *([("anthropic-version", version)] if version else [])]
    assert send(running, "GET", "/v1/models", headers).status == 200


def test_a_version_that_there_is_not(running: Server) -> None:
    for version in ("2020-01-01", "", "x" * 1000):
        answer = send(running, "GET", "/v1/models", [("x-api-key", running.key), ("anthropic-version", version)])
        expected = f'anthropic-version: "{version[:100]}" is not a valid version; this server has '
        assert error(answer, 400, None) == expected + "2023-06-01 and 2026-10-21"


def test_parameters_that_the_newer_version_dropped_are_still_taken(running: Server) -> None:
    asked = json.loads(body()) | {"max_tokens": 100, "temperature": 0.5, "top_p": 1, "top_k": 5}
    asked["messages"].insert(0, {"role": "system", "content": "Be brief."})
    for version in ("2023-06-01", "2026-10-21"):
        headers = [("x-api-key", running.key), ("anthropic-version", version), ("content-type", "application/json")]
        assert send(running, "POST", "/v1/messages", headers, json.dumps(asked).encode()).status == 200


def test_betas_joined_or_repeated(running: Server) -> None:
    old = "files-api-2025-04-14"
    for betas in ([f"x-unknown-1, {old}"], [old, "x-unknown-1"], [f"a,{old}", "b"]):
        headers = [("x-api-key", running.key), *(("anthropic-beta", beta) for beta in betas)]
        assert "has_more" in send(running, "GET", "/v1/files", headers).json()
    assert "has_more" not in get(running, "/v1/files").json()
