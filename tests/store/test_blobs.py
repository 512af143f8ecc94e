"""What every blob store must do; run for each implementation."""

from __future__ import annotations

import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bathysphere.store.blobs import BlobError, BlobMissing, Blobs
from bathysphere.store.blobs_local import LocalBlobs

MIB = 1024 * 1024


@pytest.fixture(params=[LocalBlobs.open_folder])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    open_store: Callable[[Path], Awaitable[Blobs]] = request.param
    return await open_store(tmp_path / "blobs")


async def put(store: Blobs, *chunks: bytes) -> str:
    async with store.writer() as writer:
        for chunk in chunks:
            await writer.write(chunk)
        assert writer.size == sum(map(len, chunks))
        return await writer.commit()


async def content(store: Blobs, key: str) -> bytes:
    reader = await store.open(key)
    found = b"".join([chunk async for chunk in reader])
    assert reader.size == len(found)
    return found


async def keys(store: Blobs) -> set[str]:
    return {key async for key, _ in store.listing()}


@pytest.mark.parametrize("chunks", [[], [b""], [b"a"], [b"a", b"b"], [os.urandom(MIB)] * 3 + [b"end"], [b"x"] * 5000])
async def test_the_bytes_come_back(store: Blobs, chunks: list[bytes]) -> None:
    assert await content(store, await put(store, *chunks)) == b"".join(chunks)


async def test_chunks_are_bounded(store: Blobs) -> None:
    reader = await store.open(await put(store, bytes(5 * MIB)))
    assert {len(chunk) async for chunk in reader} == {MIB}


async def test_equal_bytes_are_two_blobs(store: Blobs) -> None:
    one, two = await put(store, b"same"), await put(store, b"same")
    assert one != two
    assert await store.delete(one)
    assert await content(store, two) == b"same"


async def test_without_commit_nothing_stays(store: Blobs, tmp_path: Path) -> None:
    async with store.writer() as writer:
        await writer.write(bytes(3 * MIB))
    with pytest.raises(RuntimeError):
        async with store.writer() as writer:
            await writer.write(b"half")
            raise RuntimeError
    assert await keys(store) == set()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_a_committed_blob_is_final(store: Blobs) -> None:
    async with store.writer() as writer:
        await writer.write(b"whole")
        key = await writer.commit()
        with pytest.raises(BlobError):
            await writer.write(b"more")
        with pytest.raises(BlobError):
            await writer.commit()
    assert await content(store, key) == b"whole"


async def test_deletion_is_final_but_not_for_who_reads(store: Blobs) -> None:
    key = await put(store, b"old news")
    reader = await store.open(key)
    assert await store.delete(key)
    assert b"".join([chunk async for chunk in reader]) == b"old news"
    assert not await store.delete(key)
    with pytest.raises(BlobMissing):
        await store.open(key)


async def test_a_reader_can_be_let_go_unread(store: Blobs) -> None:
    reader = await store.open(await put(store, b"unread"))
    await reader.aclose()
    await reader.aclose()


@pytest.mark.parametrize(
    "key", ["", "../../etc/passwd", "0" * 31, "0" * 33, "/etc/passwd", "AB" * 16, f"ab/{'0' * 29}"]
)
async def test_a_key_leads_nowhere_else(store: Blobs, key: str) -> None:
    with pytest.raises(BlobMissing):
        await store.open(key)
    with pytest.raises(BlobMissing):
        await store.delete(key)


async def test_keys_are_listed_with_their_age(store: Blobs) -> None:
    made = {await put(store, b"a"), await put(store, b"b")}
    assert await keys(store) == made


async def test_a_sweep_spares_what_is_being_written(store: Blobs, tmp_path: Path) -> None:
    async with store.writer() as writer:
        await writer.write(b"first half, ")
        assert await LocalBlobs(tmp_path / "blobs").sweep() == 0
        await writer.write(b"second half")
        key = await writer.commit()
    assert await content(store, key) == b"first half, second half"


async def test_only_the_owner_may_read(store: Blobs, tmp_path: Path) -> None:
    await put(store, b"private")
    for path in (tmp_path / "blobs").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
