"""What is kept of a stream: its beginning and its end, and the truth about the middle."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bathysphere.guest.commands import Kept


@given(st.lists(st.binary(max_size=50), max_size=30), st.integers(2, 200))
def test_beginning_and_end(pieces: list[bytes], limit: int) -> None:
    kept = Kept(limit)
    head = b"".join(kept.add(piece) for piece in pieces)
    tail = kept.end()
    whole = b"".join(pieces)
    if len(whole) <= limit - 3:
        assert head + tail == whole
        assert kept.dropped == 0
    if kept.dropped:
        note = f"\n... [{kept.dropped} bytes left out] ...\n".encode()
        assert tail.startswith(note)
        end = tail.removeprefix(note)
        assert whole.startswith(head)
        assert whole.endswith(end)
        assert len(head) + kept.dropped + len(end) == len(whole)
        assert len(head) + len(end) <= limit
    else:
        assert head + tail == whole


@given(st.text(alphabet="aé名😀", min_size=1, max_size=300))
def test_the_end_begins_with_a_whole_character(text: str) -> None:
    kept = Kept(40)
    kept.add(text.encode())
    tail = kept.end()
    if kept.dropped:
        tail.split(b"left out] ...\n", 1)[1].decode()
