"""The codec that both ends share."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bathysphere.guest import frames
from bathysphere.guest.frames import Decoder, FrameError

HEADERS = st.dictionaries(st.text(max_size=20), st.integers() | st.text(max_size=50) | st.booleans(), max_size=5)


@given(st.lists(st.tuples(HEADERS, st.binary(max_size=300)), max_size=6), st.data())
def test_frames_arrive_whole_however_they_are_cut(
    sent: list[tuple[dict[str, object], bytes]], data: st.DataObject
) -> None:
    wire = b"".join(frames.encode(header, payload) for header, payload in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=10)))
    decoder = Decoder()
    received = []
    for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        received += decoder.feed(wire[start:end])
    assert received == sent


@given(st.binary(max_size=200))
def test_noise_is_refused_or_waited_for(noise: bytes) -> None:
    try:
        for header, _payload in Decoder().feed(noise):
            assert isinstance(header, dict)
    except FrameError:
        pass


@pytest.mark.parametrize("header", [b"", b"[]", b"1", b"{", b"\xff", b"[" * 50_000])
def test_headers_that_are_no_objects(header: bytes) -> None:
    with pytest.raises(FrameError):
        Decoder().feed(frames.LENGTHS.pack(len(header), 0) + header)


def test_bounds() -> None:
    with pytest.raises(FrameError, match="longer than allowed"):
        Decoder().feed(frames.LENGTHS.pack(frames.MAX_HEADER + 1, 0))
    with pytest.raises(FrameError, match="longer than allowed"):
        Decoder().feed(frames.LENGTHS.pack(2, frames.MAX_PAYLOAD + 1))
    with pytest.raises(FrameError, match="longer than allowed"):
        frames.lengths(frames.LENGTHS.pack(2, 11), max_payload=10)
    with pytest.raises(FrameError, match="too long"):
        frames.encode({"x": "y" * frames.MAX_HEADER})
    largest = frames.encode({}, bytes(frames.MAX_PAYLOAD))
    assert Decoder().feed(largest) == [({}, bytes(frames.MAX_PAYLOAD))]
    assert json.loads(largest[8:10]) == {}
