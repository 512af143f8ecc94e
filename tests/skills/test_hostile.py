"""Uploads that were made to do harm: each is refused with its reason, and leaves nothing anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bathysphere.skills.bundle import Raw, bundle
from bathysphere.skills.refusal import BadSkill
from bathysphere.skills.zips import MAGIC, unzipped
from tests.skills.hostile import Hostile, all_of_them
from tests.skills.making import BOUNDS

UPLOADS = all_of_them()


@pytest.fixture
def untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The working directory and that for temporary files stay empty."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


def test_there_are_enough_of_them_and_no_two_alike() -> None:
    assert len(UPLOADS) >= 120
    assert len({upload.kind for upload in UPLOADS}) == len(UPLOADS)


@pytest.mark.parametrize("hostile", UPLOADS, ids=lambda hostile: hostile.kind)
@pytest.mark.usefixtures("untouched")
def test_it_is_refused_with_its_reason(hostile: Hostile) -> None:
    with pytest.raises(BadSkill) as refused:
        if isinstance(hostile.upload, bytes):
            assert hostile.upload.startswith(MAGIC)
            bundle(unzipped(hostile.upload, BOUNDS), BOUNDS)
        else:
            bundle([Raw(name, content) for name, content in hostile.upload], BOUNDS)
    message = str(refused.value)
    assert hostile.reason in message
    assert message.isprintable(), "a message is one line, whatever the names in it"
    assert len(message) < 500
