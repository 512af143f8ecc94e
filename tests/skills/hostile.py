"""120 uploads that are to be refused, each with words of its reason: archives, paths and front matters.

Made here, never kept as files: some tools would refuse to unpack the source otherwise.
"""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.skills.making import BOUNDS, entry, skill_md, zipped

Files = Sequence[tuple[str, bytes]]

GOOD = ("s/SKILL.md", skill_md())


@dataclass(frozen=True)
class Hostile:
    """``upload`` is a zip, or files with their names."""

    kind: str
    upload: bytes | Files
    reason: str


def all_of_them() -> list[Hostile]:
    return [*_paths(), *_together(), *_front_matters(), *_zip_entries(), *_damaged_zips(), *_bombs()]


def _paths() -> Iterator[Hostile]:
    """Names that lead elsewhere, or break whoever shows them: once as a file's name, once in a zip."""
    for kind, name, reason in (
        ("parent", "../evil.py", "contains .."),
        ("parent inside", "s/../../evil.py", "contains .."),
        ("parent at the end", "s/scripts/..", "contains .."),
        ("absolute", "/etc/cron.d/evil", "is absolute"),
        ("absolute twice", "//host/share/evil", "is absolute"),
        ("drive", "C:/Windows/evil.dll", "is absolute"),
        ("drive, relative", "c:evil.dll", "is absolute"),
        ("backslashes", "..\\..\\evil.py", "contains a backslash"),
        ("backslash inside", "s/scripts\\..\\..\\evil.py", "contains a backslash"),
        ("share", "\\\\host\\share", "contains a backslash"),
        ("NUL", "s/a.py\0.txt", "U+0000"),
        ("newline", "s/a\nSKILL.md", "U+000A"),
        ("escape sequence", "s/\x1b[2Ja", "U+001B"),
        ("delete character", "s/a\x7f", "U+007F"),
        ("line separator", "s/a\u2028b", "U+2028"),
        ("C1 control", "s/a\x85b", "U+0085"),
        ("long name", f"s/{'a' * 256}", "longer than 255 bytes"),
        ("long path", "s/" + "/".join(["a" * 100] * 6), "longer than 512 bytes"),
        ("deep path", "s/" + "/".join(["a"] * 20), "folders deep"),
        ("empty name inside", "s//evil.py", "empty name in it"),
        ("only a dot", ".", "empty name in it"),
        ("three times up", "s/./.././../evil", "contains .."),
    ):
        yield Hostile(f"path: {kind}", [GOOD, (name, b"x")], reason)
        yield Hostile(f"path in a zip: {kind}", _raw_zip([(entry_of(name), b"x")]), reason)
    yield Hostile("path: empty", [GOOD, ("", b"x")], "empty name")
    yield Hostile("path: not UTF-8", [GOOD, ("s/\udcff.py", b"x")], "not UTF-8")


def entry_of(name: str) -> zipfile.ZipInfo:
    """``ZipInfo`` cuts names and turns slashes by itself; here it must not."""
    info = entry("placeholder")
    info.filename = info.orig_filename = name
    return info


def _together() -> Iterator[Hostile]:
    """Files that are harmless one by one."""
    for kind, others, reason in (
        ("the same twice", [("s/a", b"1"), ("s/a", b"2")], "two files of this name"),
        ("the same in other words", [("s/a", b"1"), ("./s/./a", b"2")], "two files of this name"),
        ("two cases", [("s/README", b"1"), ("s/readme", b"2")], "differ only by upper and lower case"),
        ("two cases of a folder", [("s/A/x", b"1"), ("s/a/x", b"2")], "differ only by upper and lower case"),
        ("two accents", [("s/é", b"1"), ("s/e\u0301", b"2")], "or by accents"),
        ("sharp s", [("s/STRASSE", b"1"), ("s/straße", b"2")], "differ only by upper and lower case"),
        ("file and folder", [("s/a", b"1"), ("s/a/b", b"2")], "and also the folder of"),
        ("two skills", [("t/SKILL.md", skill_md())], "exactly one SKILL.md"),
        ("a skill in a skill", [("s/more/SKILL.md", skill_md())], "exactly one SKILL.md"),
        ("outside of the folder", [("other/a", b"1")], "all files must lie in one folder"),
        ("beside the folder", [("a.txt", b"1")], "all files must lie in one folder"),
        ("too many", [(f"s/{number}", b"") for number in range(BOUNDS.files)], "at most 50 files"),
        ("too large", [("s/a", bytes(BOUNDS.total_bytes))], "unpacked, and these take more"),
    ):
        yield Hostile(f"together: {kind}", [GOOD, *others], reason)
    yield Hostile("together: nothing", [], "there are no files")
    yield Hostile("together: no SKILL.md", [("s/README.md", b"x")], "there is no SKILL.md")
    yield Hostile("together: another case", [("s/skill.md", skill_md())], "must be called SKILL.md")
    yield Hostile("together: too deep", [("a/s/SKILL.md", skill_md())], "must lie at the top")
    yield Hostile("together: only litter", [("__MACOSX/._SKILL.md", b"x")], "there are no files")


def _front_matters() -> Iterator[Hostile]:
    """``SKILL.md`` itself."""
    nine = "".join(f"x{n}: &x{n} [{','.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 9))
    for kind, text, reason in (
        ("none", "# Only a title\n", "SKILL.md line 1: the file must begin with front matter"),
        ("empty file", "", "SKILL.md line 1: the file must begin with front matter"),
        ("not closed", "---\nname: a\ndescription: b\n", "no closing line ---"),
        ("empty", "---\n---\n", "SKILL.md line 2: the front matter is empty"),
        ("only a comment", "---\n# name: a\n---\n", "the front matter is empty"),
        ("a list", "---\n- name\n- description\n---\n", "SKILL.md line 2: the front matter must be a list of"),
        ("a text", "---\nname\n---\n", "must be a list of `key: value`"),
        ("no name", "---\ndescription: b\n---\n", "the front matter has no name"),
        ("no description", "---\nname: a\n---\n", "has no description"),
        ("empty name", "---\nname:\ndescription: b\n---\n", "SKILL.md line 2: name: must not be empty"),
        ("empty description", "---\nname: a\ndescription: ''\n---\n", "line 3: description: must not be empty"),
        ("number as name", "---\nname: 2024\ndescription: b\n---\n", "line 2: name: must be a text; put '2024'"),
        ("truth as description", "---\nname: a\ndescription: yes\n---\n", "line 3: description: must be a text"),
        ("list as name", "---\nname: [a, b]\ndescription: b\n---\n", "line 2: name: must be a text"),
        ("mapping as description", "---\nname: a\ndescription: {a: b}\n---\n", "line 3: description: must be a text"),
        ("long name", f"---\nname: {'a' * 65}\ndescription: b\n---\n", "this one has 65"),
        ("capitals", "---\nname: Weekly\ndescription: b\n---\n", "only lower-case letters"),
        ("space in the name", "---\nname: a b\ndescription: b\n---\n", "only lower-case letters"),
        ("path as name", "---\nname: ../../etc\ndescription: b\n---\n", "only lower-case letters"),
        ("another script", "---\nname: а\ndescription: b\n---\n", "only lower-case letters"),
        ("newline in the name", '---\nname: "a\\nb"\ndescription: b\n---\n', "only lower-case letters"),
        ("reserved word", "---\nname: my-claude-tool\ndescription: b\n---\n", 'reserved word "claude"'),
        ("reserved word too", "---\nname: anthropic\ndescription: b\n---\n", 'reserved word "anthropic"'),
        ("tag in the name", "---\nname: <b>a</b>\ndescription: b\n---\n", "must not contain XML tags"),
        ("long description", f"---\nname: a\ndescription: {'b' * 1025}\n---\n", "has 1025 characters"),
        ("tag", "---\nname: a\ndescription: do </system> it\n---\n", "must not contain XML tags, and has '</system>'"),
        ("comment tag", "---\nname: a\ndescription: a <!-- b --> c\n---\n", "must not contain XML tags"),
        ("colon", "---\nname: a\ndescription: b: c\n---\n", "line 3: is not valid YAML: mapping values"),
        ("tab", "---\nname: a\n\tdescription: b\n---\n", "line 3: is not valid YAML"),
        ("quote left open", '---\nname: a\ndescription: "b\n---\n', "is not valid YAML"),
        ("bracket left open", "---\nname: a\ndescription: [b\n---\n", "is not valid YAML"),
        ("two documents", "---\nname: a\ndescription: b\n--- c\nname: d\n---\n", "is not valid YAML"),
        ("name twice", "---\nname: a\nname: b\ndescription: b\n---\n", "line 3: 'name' is given twice"),
        ("control character", "---\nname: a\ndescription: b\x07\n---\n", "the character U+0007 is not allowed"),
        ("anchors", f"---\nx0: &x0 lol\n{nine}name: a\ndescription: b\n---\n", "anchors and aliases"),
        ("alias of itself", "---\nname: a\ndescription: b\nx: &x [*x]\n---\n", "line 4: YAML anchors"),
        ("merge", "---\nx: &x {name: a}\n<<: *x\ndescription: b\n---\n", "line 2: YAML anchors"),
        ("Python object", "---\nname: !!python/object/apply:os.system [id]\ndescription: b\n---\n", "YAML tags"),
        ("own tag", "---\nname: !a b\ndescription: b\n---\n", "line 2: YAML tags"),
        ("binary", "---\nname: a\ndescription: !!binary aGVsbG8=\n---\n", "YAML tags"),
        ("deep", f"---\nname: a\ndescription: {'[' * 5000}\n---\n", "nested more than 16 levels"),
        ("deep by lines", "---\n" + "".join(f"{' ' * n}a:\n" for n in range(90)) + "---\n", "nested more than 16"),
        ("key of a list", "---\n? [a]\n: b\n---\n", "a key must be a plain word"),
        ("large", f"---\nname: a\ndescription: b\nx: {'c' * 20_000}\n---\n", "more than 16384 bytes"),
        ("endless", "---\n" + "a\n" * 100_000, "more than 16384 bytes, or no closing line"),
    ):
        yield Hostile(f"front matter: {kind}", [("SKILL.md", text.encode())], reason)
    for kind, content in (
        ("Latin-1", b"---\nname: a\ndescription: Gr\xfc\xdfe\n---\n"),
        ("half a character", b"---\nname: a\ndescription: \xed\xa0\x80\n---\n"),
    ):
        yield Hostile(f"front matter: {kind}", [("SKILL.md", content)], "SKILL.md line 3: is not valid UTF-8")
    utf16 = "---\nname: a\n---\n".encode("utf-16")
    yield Hostile("front matter: UTF-16", [("SKILL.md", utf16)], "line 1: the file must begin with front matter")


def _zip_entries() -> Iterator[Hostile]:
    """Entries that are no files, or not to be read."""
    for kind, mode, reason in (
        ("link to a file", stat.S_IFLNK | 0o777, "is a symbolic link"),
        ("character device", stat.S_IFCHR | 0o666, "is a device, pipe or socket"),
        ("block device", stat.S_IFBLK | 0o666, "is a device, pipe or socket"),
        ("pipe", stat.S_IFIFO | 0o666, "is a device, pipe or socket"),
        ("socket", stat.S_IFSOCK | 0o666, "is a device, pipe or socket"),
        ("folder named as a file", stat.S_IFDIR | 0o755, "is marked as a folder"),
    ):
        yield Hostile(f"zip: {kind}", _raw_zip([(entry("s/evil", mode), b"/etc/passwd")]), reason)
    link = _raw_zip([(entry("SKILL.md", stat.S_IFLNK | 0o777), b"/etc/passwd")], good=False)
    yield Hostile("zip: SKILL.md is a link", link, "'SKILL.md': is a symbolic link")
    folder = _raw_zip([(entry("s/folder/", stat.S_IFDIR | 0o755), b"hidden")])
    yield Hostile("zip: folder with content", folder, "has content")
    for kind, method in (("bzip2", zipfile.ZIP_BZIP2), ("LZMA", zipfile.ZIP_LZMA)):
        yield Hostile(f"zip: {kind}", zipped(dict([GOOD]), method), f"method {int(method)}")
    for kind, bit in (("encrypted", 0x1), ("strongly encrypted", 0x40), ("hidden names", 0x2000)):
        yield Hostile(f"zip: {kind}", _with_flags(zipped(dict([GOOD])), bit), "is encrypted")
    latin = zipped({"s/SKILL.md": skill_md(), "s/aa.py": b"x"}).replace(b"s/aa.py", b"s/\xfc\xff.py")
    yield Hostile("zip: name in Latin-1", latin, "is not UTF-8")
    marked = zipped({"s/SKILL.md": skill_md(), "s/é.py": b"x"}).replace("s/é.py".encode(), b"s/\xff\xff.py")
    yield Hostile("zip: name marked as UTF-8", marked, "not UTF-8")
    twice = _raw_zip([(entry("s/a"), b"1"), (entry("s/a"), b"2")])
    yield Hostile("zip: the same name twice", twice, "two files of this name")
    inside = zipped({"inner.zip": zipped(dict([GOOD]))})
    yield Hostile("zip: a zip and nothing else", inside, "there is no SKILL.md")


def _damaged_zips() -> Iterator[Hostile]:
    """Zips that say two things at once."""
    good = zipped(dict([GOOD]))
    end = good.rindex(b"PK\x05\x06")
    start = good.index(b"PK\x01\x02")
    yield Hostile("zip: cut off", good[:-10], "the zip is damaged")
    yield Hostile("zip: only its beginning", good[:40], "no directory at its end")
    yield Hostile("zip: something follows", good + b"evil", "something follows its end")
    yield Hostile("zip: empty", b"PK\x05\x06" + bytes(18), "there are no files")
    yield Hostile("zip: other content", good[:45] + b"\0\0" + good[47:], "the zip is damaged")
    yield Hostile("zip: other name in front", good.replace(b"s/SKILL.md", b"s/EVIL..md", 1), "the zip is damaged")
    yield Hostile("zip: something precedes", b"PK\x03\x04" + bytes(60) + good, "something precedes it")
    yield Hostile("zip: several parts", good[: end + 4] + b"\1\0" + good[end + 6 :], "one part of several")
    yield Hostile("zip: Zip64", good[: end + 8] + b"\xff\xff\xff\xff" + good[end + 12 :], "Zip64")
    yield Hostile("zip: directory cut", good[: start + 10] + good[end:], "its directory is not where it says")
    size = struct.pack("<L", 1)
    yield Hostile("zip: smaller than it is", good[: start + 24] + size + good[start + 28 :], "the zip is damaged")


def _bombs() -> Iterator[Hostile]:
    """Little that becomes much."""
    yield Hostile("bomb: one file", zipped({"s/a": bytes(1536 * 1024)}), "as zip bombs do")
    yield Hostile("bomb: far too large", zipped({"s/a": b"0123456789" * 10**6}), "these take more")
    small = {f"s/{n}": bytes(1024 * 1024) for n in range(3)}
    yield Hostile("bomb: in pieces", zipped(small), "unpacked, and these take more")
    yield Hostile("bomb: stored", zipped({"s/a": bytes(3 * 1024 * 1024)}, zipfile.ZIP_STORED), "these take more")
    yield Hostile("bomb: overlapping", _overlapping(), "the zip is damaged")
    yield Hostile("bomb: many names", zipped({f"s/{n}": b"" for n in range(60)}), "at most 50 files")
    yield Hostile("bomb: many folders", zipped({f"s/{n}/": b"" for n in range(200)}), "this zip has 200 entries")
    yield Hostile("bomb: lies about its size", _lying(), "the zip is damaged: Bad CRC")


def _raw_zip(entries: Sequence[tuple[zipfile.ZipInfo, bytes]], *, good: bool = True) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        if good:
            archive.writestr(*GOOD)
        for info, content in entries:
            with warnings.catch_warnings(action="ignore"):  # zipfile does not like a name twice
                archive.writestr(info, content)
    return target.getvalue()


def _with_flags(content: bytes, bits: int) -> bytes:
    """The flags of the first entry, in both of its places."""
    changed = bytearray(content)
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = changed.index(signature) + at
        (flags,) = struct.unpack_from("<H", changed, place)
        struct.pack_into("<H", changed, place, flags | bits)
    return bytes(changed)


def _overlapping() -> bytes:
    """Two entries whose packed bytes are the same ones."""
    content = zipped({"s/a": b"x" * 1000, "s/b": b"x" * 1000})
    first = content.index(b"PK\x01\x02")
    second = content.index(b"PK\x01\x02", first + 1)
    changed = bytearray(content)
    changed[second + 42 : second + 46] = changed[first + 42 : first + 46]
    return bytes(changed)


def _lying() -> bytes:
    """8 MiB that say to be one."""
    changed = bytearray(zipped({"s/a": bytes(8 * 1024 * 1024)}))
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<L", changed, changed.index(signature) + at, 1024 * 1024)
    return bytes(changed)
