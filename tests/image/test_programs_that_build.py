"""When a program that builds the image is missing or fails, the error says what to do."""

from __future__ import annotations

import pytest

from bathysphere.image.errors import ImageError
from bathysphere.image.programs import failure, require, run
from bathysphere.image.progress import Silent


def test_a_missing_program_names_its_package_and_the_other_way() -> None:
    with pytest.raises(ImageError, match=r"apt-get install mmdebstrap.*Containerfile.*bathysphere image import"):
        require("mmdebstrap-of-another-world", "mmdebstrap")


def test_a_failing_program_is_quoted() -> None:
    with pytest.raises(ImageError, match=r"Doing it failed \(exit status 3\)(?s:.*)the reason"):
        run(["sh", "-c", "echo the reason >&2; exit 3"], Silent(), "Doing it")


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("tar: write error: No space left on device", "BATHYSPHERE_IMAGES"),
        ("E: Failed to fetch: Could not resolve 'mirror'", "Run the same command again"),
        ("ERROR: No matching distribution found for numpy", "Run the same command again"),
        ("GPG error: NO_PUBKEY 0123", "debian-archive-keyring"),
        ("E: newuidmap 4242 0 1000 1 failed", "as root"),
    ],
)
def test_known_failures_come_with_advice(said: str, advice: str) -> None:
    assert advice in failure("Building", 1, [said])


def test_the_output_of_a_program_is_shown_as_it_comes() -> None:
    class Shown(Silent):
        lines: list[str] = []  # noqa: RUF012

        def line(self, text: str) -> None:
            self.lines.append(text)

    run(["sh", "-c", "echo one; echo; echo two >&2"], Shown(), "Talking")
    assert Shown.lines == ["one", "two"]
