"""Files that nobody should open without care; their names on stdout."""

import zipfile
from pathlib import Path

ENTITIES = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><x>&b;</x>'
MAIN = "ppt/presentation.xml"
with zipfile.ZipFile("entities.pptx", "w") as archive:
    archive.writestr(MAIN, ENTITIES)
with zipfile.ZipFile("bomb.pptx", "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr(MAIN, b"<x>" + b" " * 97 * 1024**2 + b"</x>")
with zipfile.ZipFile("many.pptx", "w") as archive:
    for number in range(20_001):
        archive.writestr(f"{number}.txt", b"")
with zipfile.ZipFile("book.pptx", "w") as archive:
    archive.writestr("xl/workbook.xml", b"<x/>")
with zipfile.ZipFile("hollow.pptx", "w") as archive:
    archive.writestr(MAIN, b"<x/>")
Path("old.pptx").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600)
Path("text.pptx").write_bytes(b"no archive at all")
with zipfile.ZipFile("cut.pptx", "w") as archive:
    archive.writestr(MAIN, b"<x>never closed")
print(*(f"{name}.pptx" for name in ("entities", "bomb", "many", "book", "hollow", "old", "text", "cut", "absent")))
