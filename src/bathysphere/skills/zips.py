"""The files of a zip that may have been made to do harm: nothing that it says of itself is believed."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Final

from bathysphere.skills.bundle import Bounds, Raw, too_much
from bathysphere.skills.paths import PATH_BYTES, is_litter, normal_path
from bathysphere.skills.refusal import BadSkill, quoted

MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")
"""What a zip begins with; the second is an empty one."""

RATIO: Final = 500
"""Inflated to packed size beyond which a file of more than a MiB is a bomb. Deflate itself can reach 1032."""

_RATIO_FROM_BYTES: Final = 1024 * 1024
_CHUNK: Final = 64 * 1024

# The record at the end: signature, disks, entries, size and offset of the directory, length of the comment.
_END: Final = struct.Struct("<4s4H2LH")
_ZIP64_LOCATOR: Final = b"PK\x06\x07"
_ZIP64_LOCATOR_BYTES: Final = 20
_COMMENT_BYTES: Final = 65_535
# Of one entry in the directory: what is fixed, its name, and what archivers add.
_ENTRY_BYTES: Final = 46 + PATH_BYTES + 128

_ENCRYPTED: Final = 0x1 | 0x40 | 0x2000
_UTF8: Final = 0x800
_PLAIN_TYPES: Final = frozenset({0, stat.S_IFREG, stat.S_IFDIR})
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


def unzipped(content: bytes, bounds: Bounds) -> list[Raw]:
    """The files of a zip, folders left out. Never holds more than the bounds allow. Raises BadSkill."""
    _check_directory(content, bounds)
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            return list(_files(archive, bounds))
    except UnicodeDecodeError as error:
        raise BadSkill("the zip has a file whose name is not UTF-8") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, OSError, ValueError) as error:
        raise BadSkill(f"the zip is damaged: {error}") from error


def _check_directory(content: bytes, bounds: Bounds) -> None:
    """That the directory is where a plain zip has it, and no longer than that of a skill; it is read whole next."""
    at = content.rfind(b"PK\x05\x06", max(0, len(content) - _END.size - _COMMENT_BYTES))
    if at < 0 or len(content) - at < _END.size:
        raise BadSkill("the zip is damaged: it has no directory at its end")
    _, disk, first_disk, _, entries, size, offset, comment = _END.unpack_from(content, at)
    if at + _END.size + comment != len(content):
        raise BadSkill("the zip is damaged: something follows its end")
    if disk or first_disk:
        raise BadSkill("the zip is one part of several; send it as one")
    locator = at - _ZIP64_LOCATOR_BYTES
    if entries == 0xFFFF or 0xFFFFFFFF in (size, offset) or content[max(0, locator) :].startswith(_ZIP64_LOCATOR):
        raise BadSkill("the zip is in the Zip64 format, which no skill needs")
    if offset + size != at:
        raise BadSkill("the zip is damaged: its directory is not where it says, or something precedes it")
    # Folders have entries of their own.
    if size > 2 * bounds.files * _ENTRY_BYTES or entries > 2 * bounds.files:
        raise BadSkill(f"a skill has at most {bounds.files} files, this zip has {entries} entries")


def _files(archive: zipfile.ZipFile, bounds: Bounds) -> Iterator[Raw]:
    left = bounds.total_bytes
    count = 0
    for info in archive.infolist():
        given = _name(info)
        mode = info.external_attr >> 16
        _check_kind(info, given, mode)
        if given.endswith("/"):
            normal_path(given.removesuffix("/"))
            if info.file_size:
                raise BadSkill(f"{quoted(given)}: a folder of the zip has content")
            continue
        if stat.S_IFMT(mode) == stat.S_IFDIR:
            raise BadSkill(f"{quoted(given)}: is marked as a folder, and named as a file")
        path = normal_path(given)
        count += 1
        if count > bounds.files:
            raise BadSkill(f"a skill has at most {bounds.files} files, this zip has more")
        content = _inflated(archive, info, path, left, bounds)
        left -= len(content)
        if not is_litter(path):
            yield Raw(path, content, bool(mode & 0o111))


def _name(info: zipfile.ZipInfo) -> str:
    # ``filename`` has been cut at a NUL already.
    name = info.orig_filename
    if info.flag_bits & _UTF8:
        return name
    try:
        # Most archivers write UTF-8 without saying so.
        return name.encode("cp437").decode("utf-8")
    except UnicodeError as error:
        raise BadSkill(f"{quoted(name)}: the name in the zip is not UTF-8") from error


def _check_kind(info: zipfile.ZipInfo, name: str, mode: int) -> None:
    if info.flag_bits & _ENCRYPTED:
        raise BadSkill(f"{quoted(name)}: is encrypted; send the zip without a password")
    if stat.S_ISLNK(mode):
        raise BadSkill(f"{quoted(name)}: is a symbolic link; a skill holds files and folders only")
    if stat.S_IFMT(mode) not in _PLAIN_TYPES:
        raise BadSkill(f"{quoted(name)}: is a device, pipe or socket; a skill holds files and folders only")
    if info.compress_type not in _METHODS:
        raise BadSkill(f"{quoted(name)}: is packed with method {info.compress_type}; only deflate and none are read")


def _inflated(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str, left: int, bounds: Bounds) -> bytes:
    content = bytearray()
    with archive.open(info) as packed:
        while chunk := packed.read(_CHUNK):
            content += chunk
            if len(content) > left:
                raise too_much(bounds)
            if len(content) > max(_RATIO_FROM_BYTES, RATIO * info.compress_size):
                raise BadSkill(f"{quoted(path)}: unpacks to more than {RATIO} times its packed size, as zip bombs do")
    if len(content) != info.file_size:
        raise BadSkill(f"{quoted(path)}: has {len(content)} bytes, and the zip says {info.file_size}")
    return bytes(content)
