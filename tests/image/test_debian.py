"""Packages come from where this machine gets its own, as far as that is Debian's archive of the same suite."""

from __future__ import annotations

from bathysphere.image.debian import sources_of
from bathysphere.image.definition import Definition

KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


def index(origin: str, uri: str, release: str, component: str = "main", keys: str = KEYS) -> str:
    return "\t".join([origin, uri, release, component, keys])


def test_the_three_archives_of_the_suite(definition: Definition) -> None:
    lines = [
        index("Debian", "http://mirror.test/debian/", "bookworm"),
        index("Debian", "http://mirror.test/debian/", "bookworm-updates"),
        index("Debian", "http://mirror.test/security/", "bookworm-security", keys=""),
    ]
    assert sources_of("\n".join(lines), definition) == (
        f"deb [arch=amd64 signed-by={KEYS}] http://mirror.test/debian bookworm main",
        f"deb [arch=amd64 signed-by={KEYS}] http://mirror.test/debian bookworm-updates main",
        "deb [arch=amd64] http://mirror.test/security bookworm-security main",
    )


def test_others_are_left_out(definition: Definition) -> None:
    debian = index("Debian", "http://mirror.test/debian", "bookworm")
    others = [
        index("Debian", "http://mirror.test/debian", "bookworm", "non-free"),
        index("Debian", "http://mirror.test/debian", "trixie"),
        index("Debian Backports", "http://mirror.test/debian", "bookworm-backports"),
        index("Somebody", "http://somebody.test/apt", "bookworm"),
        "",
        "nonsense",
    ]
    assert len(sources_of("\n".join([debian, *others]), definition)) == 1


def test_updates_without_the_suite_itself_are_no_source(definition: Definition) -> None:
    assert sources_of(index("Debian", "http://mirror.test/debian", "bookworm-updates"), definition) == ()


def test_a_key_given_by_fingerprint_is_left_to_apt(definition: Definition) -> None:
    (source,) = sources_of(index("Debian", "http://mirror.test/d", "bookworm", keys="0123ABCD"), definition)
    assert "signed-by" not in source
