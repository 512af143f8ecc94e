"""unrar unpacks, lists, tests and prints RAR 4 and RAR 5 archives. No free tool writes them: they are made by hand."""

import pathlib
import struct
import subprocess
import zlib

FILES = {"log/sea.txt": b"deep\n" * 100, "top.bin": bytes(range(256))}


def rar4():
    def block(kind, flags, body):
        head = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
        return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head

    archive = b"Rar!\x1a\x07\x00" + block(0x73, 0, bytes(6))
    for name, data in FILES.items():
        size, crc, name = len(data), zlib.crc32(data), name.encode()
        body = struct.pack("<IIBIIBBHI", size, size, 3, crc, 0x5A210000, 20, 0x30, len(name), 0o100644)
        archive += block(0x74, 0x8000, body + name) + data
    return archive + block(0x7B, 0x4000, b"")


def vint(number):
    encoded = b""
    while number > 0x7F:
        encoded, number = encoded + bytes([number & 0x7F | 0x80]), number >> 7
    return encoded + bytes([number])


def rar5():
    def block(*parts):
        head = b"".join(part if isinstance(part, bytes) else vint(part) for part in parts)
        head = vint(len(head)) + head
        return struct.pack("<I", zlib.crc32(head)) + head

    archive = b"Rar!\x1a\x07\x01\x00" + block(1, 0, 0)
    for name, data in FILES.items():
        crc = struct.pack("<I", zlib.crc32(data))
        archive += block(2, 2, len(data), 4, len(data), 0o100644, crc, 0, 1, len(name), name.encode()) + data
    return archive + block(5, 0, 0)


def unrar(*arguments):
    return subprocess.run(["unrar", *arguments], capture_output=True, check=False)


for version, archive in {"four": rar4(), "five": rar5()}.items():
    pathlib.Path(f"{version}.rar").write_bytes(archive)
    assert unrar("x", "-y", f"{version}.rar", f"{version}/").returncode == 0
    assert {name: pathlib.Path(version, name).read_bytes() for name in FILES} == FILES
    assert unrar("lb", version).stdout.decode().split() == list(FILES)
    assert b"sea.txt" in unrar("l", f"{version}.rar").stdout
    assert b"All OK" in unrar("t", f"{version}.rar").stdout
    assert unrar("p", "-inul", f"{version}.rar", "top.bin").stdout == FILES["top.bin"]
    assert unrar("e", f"{version}.rar", "log/sea.txt", f"{version}-flat/").returncode == 0
    assert [path.name for path in pathlib.Path(f"{version}-flat").iterdir()] == ["sea.txt"]

pathlib.Path("broken.rar").write_bytes(rar5()[:-600])
assert unrar("t", "broken.rar").returncode == 3
assert unrar("x", "absent.rar").returncode == 6
assert unrar("x", "-psecret", "four.rar").returncode == 7
assert unrar().returncode == 0
