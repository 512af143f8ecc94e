"""Large files pass through the server without staying in its memory; interrupted ones leave nothing."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import anthropic
import pytest

from bathysphere.store.blobs_local import LocalBlobs
from tests.api.conftest import Server, Start
from tests.api.multipart_body import CONTENT_TYPE, body, part
from tests.api.test_files_content import produce

# Some wait for the server to get somewhere; one that never does must not hang the suite.
pytestmark = pytest.mark.timeout(300)

MB = 1_000_000
SIZE = 300 * MB
BLOCK = bytes(range(256)) * 4096


def blocks(size: int) -> Iterator[bytes]:
    for offset in range(0, size, len(BLOCK)):
        yield BLOCK[: size - offset]


class Pattern(io.BytesIO):
    """A file of SIZE bytes that is nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self._at = 0

    def read(self, size: int | None = -1) -> bytes:
        wanted = min(SIZE - self._at, len(BLOCK) if size is None or size < 0 else min(size, len(BLOCK)))
        start = self._at % len(BLOCK)
        chunk = BLOCK[start : start + wanted]
        self._at += len(chunk)
        return chunk

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: SIZE}[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at


class Memory:
    """How much the memory of a process grew at most, in bytes."""

    def __init__(self, pid: int) -> None:
        self._process = Path(f"/proc/{pid}")
        # 5: forget the peak so far.
        (self._process / "clear_refs").write_text("5")
        self._before = self._read("VmRSS")

    def _read(self, name: str) -> int:
        lines = (self._process / "status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))

    def growth(self) -> int:
        return self._read("VmHWM") - self._before


def stored_files(server: Server) -> list[Path]:
    return [path for path in (server.data / "blobs").rglob("*") if path.is_file()]


def test_300_mb_go_in_and_out_in_less_than_50_mb_of_memory(start: Start) -> None:
    server = start()
    digest = hashlib.sha256()
    for block in blocks(SIZE):
        digest.update(block)
    with anthropic.Anthropic(api_key=server.key, base_url=server.url, max_retries=0) as official:
        official.files.upload(file=("warm-up", b"x"))

        memory = Memory(server.pid)
        made = official.files.upload(file=("big.bin", Pattern()))
        assert made.size_bytes == SIZE
        uploading = memory.growth()
        kept = max(stored_files(server), key=lambda path: path.stat().st_size)
        with kept.open("rb") as file:
            assert hashlib.file_digest(file, "sha256").digest() == digest.digest()

        produced = produce(server, "big.bin", blocks(SIZE))
        memory = Memory(server.pid)
        received = hashlib.sha256()
        with official.files.with_streaming_response.download(produced.id) as response:
            for chunk in response.iter_bytes():
                received.update(chunk)
        assert received.digest() == digest.digest()
        downloading = memory.growth()
        for file_id in (made.id, produced.id):
            official.files.delete(file_id)
    assert uploading < 50 * MB
    assert downloading < 50 * MB
    assert [path.stat().st_size for path in stored_files(server)] == [1]


def half_an_upload(server: Server) -> socket.socket:
    """Send half of an upload and wait until its bytes have reached the disk."""
    whole = body([part('name="file"; filename="a"', bytes(10 * MB))])
    host, port = server.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    head = (
        f"POST /v1/files HTTP/1.1\r\nHost: {host}\r\nx-api-key: {server.key}\r\n"
        f"Content-Type: {CONTENT_TYPE}\r\nContent-Length: {len(whole)}\r\n\r\n"
    )
    connection.sendall(head.encode() + whole[: len(whole) // 2])
    while not any(file.stat().st_size for file in stored_files(server)):
        time.sleep(0.01)
    return connection


def test_a_server_killed_in_mid_upload_leaves_nothing_once_it_is_back(start: Start) -> None:
    server = start()
    connection = half_an_upload(server)
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait()
    connection.close()
    assert len(stored_files(server)) == 1

    again = start(server.data)
    assert stored_files(again) == []
    with again.client() as client:
        assert client.get("/v1/files").json() == {"data": [], "next_page": None}
        assert client.post("/v1/files", files={"file": ("a", b"x")}).status_code == 200


def test_a_client_that_leaves_in_mid_upload_leaves_nothing(start: Start) -> None:
    server = start()
    half_an_upload(server).close()
    while stored_files(server):
        time.sleep(0.01)
    with server.client() as client:
        assert client.get("/v1/files").json()["data"] == []


def test_a_sweep_by_another_process_spares_a_running_upload(start: Start) -> None:
    server = start()
    whole = body([part('name="file"; filename="a"', bytes(10 * MB))])
    connection = half_an_upload(server)
    assert asyncio.run(LocalBlobs(server.data / "blobs").sweep()) == 0
    connection.sendall(whole[len(whole) // 2 :])
    assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    connection.close()


def test_a_full_disk_is_told_and_leaves_nothing(start: Start) -> None:
    server = start(file_size_limit=2 * MB)
    with server.client() as client:
        response = client.post("/v1/files", files={"file": ("a", bytes(5 * MB))})
        assert response.status_code == 500
        assert response.json()["error"]["type"] == "api_error"
        assert "disk is full" in response.json()["error"]["message"]
        assert response.headers["x-should-retry"] == "false"
        assert stored_files(server) == []
        assert client.get("/v1/files").json()["data"] == []
        assert client.post("/v1/files", files={"file": ("a", bytes(MB))}).status_code == 200
