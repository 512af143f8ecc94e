"""Office packages (.docx, .pptx, .xlsx) from anywhere: opened within bounds, and their parts checked."""

from __future__ import annotations

import io
import posixpath
import re
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from lxml import etree
from PIL import Image

MAX_ENTRIES = 20_000
MAX_TOTAL = 1024**3  # bytes of all parts, unpacked
MAX_XML = 96 * 1024**2  # bytes of one XML part, unpacked
MAX_PIXELS = 200_000_000

_RELATIONSHIP = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_CONTENT = "{http://schemas.openxmlformats.org/package/2006/content-types}"
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)


class Problem(Exception):
    """What is wrong with the input, in words for whoever called the script."""


def parse(data: bytes, name: str = "XML") -> etree._Element:
    """The root of an XML part. Raises Problem for a document type, which no Office file has, and for bad XML."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:4]:
        raise Problem(f"{name} is not UTF-8; no Office program writes that")
    if re.search(rb"<!(DOCTYPE|ENTITY)", data):
        raise Problem(f"{name} declares a document type or entities; Office files have none, so it is not opened")
    try:
        return etree.fromstring(data, _PARSER)
    except etree.XMLSyntaxError as error:
        raise Problem(f"{name} is not well-formed XML: {error}") from error


def open_package(path: Path, main_part: str) -> dict[str, bytes]:
    """Every part of the package by name, after all bounds are checked. Raises Problem.

    ``main_part`` is what makes it the kind that is wanted, such as ``ppt/presentation.xml``.
    """
    if not path.is_file():
        raise Problem(f"{path} is not there" if not path.exists() else f"{path} is no regular file")
    head = path.open("rb").read(8)
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise Problem(f"{path} is an old binary Office file, or an encrypted one: neither can be opened here")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise Problem(f"{path} has {len(entries)} parts; the limit is {MAX_ENTRIES}")
            if (total := sum(entry.file_size for entry in entries)) > MAX_TOTAL:
                raise Problem(f"{path} unpacks to {total:,} bytes; the limit is {MAX_TOTAL:,}")
            parts: dict[str, bytes] = {}
            for entry in entries:
                if entry.is_dir():
                    continue
                if entry.flag_bits & 1:
                    raise Problem(f"{path}: the part {entry.filename} is encrypted")
                if entry.filename in parts:
                    raise Problem(f"{path} has the part {entry.filename} twice")
                is_xml = entry.filename.endswith((".xml", ".rels", ".vml"))
                if is_xml and entry.file_size > MAX_XML:
                    raise Problem(f"{path}: {entry.filename} has {entry.file_size:,} bytes; the limit is {MAX_XML:,}")
                parts[entry.filename] = archive.read(entry)
                if is_xml and not entry.filename.endswith(".vml"):
                    parse(parts[entry.filename], f"{path.name}: {entry.filename}")
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, ValueError) as error:
        raise Problem(f"{path} is not a whole Office file: {error}") from error
    except zlib.error as error:
        raise Problem(f"{path} is damaged: {error}") from error
    if main_part not in parts:
        kinds = {"ppt/": "a presentation", "word/": "a Word document", "xl/": "a workbook"}
        found = next((kind for start, kind in kinds.items() if any(name.startswith(start) for name in parts)), None)
        raise Problem(f"{path} has no {main_part}: " + (f"it is {found}" if found else "it is no Office file"))
    return parts


def relationships(parts: dict[str, bytes], part: str) -> dict[str, tuple[str, str, bool]]:
    """Relationship id to (kind, target, external) of a part; an internal target is a part's name."""
    folder, name = posixpath.split(part)
    rels = posixpath.join(folder, "_rels", name + ".rels")
    found = {}
    for one in parse(parts[rels], rels).iter(_RELATIONSHIP) if rels in parts else ():
        external = one.get("TargetMode") == "External"
        target = one.get("Target", "")
        if not external:
            target = unquote(target.partition("#")[0])
            target = (
                target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
            )
        found[one.get("Id", "")] = (one.get("Type", "").rpartition("/")[2], target, external)
    return found


def broken_parts(parts: dict[str, bytes]) -> list[tuple[str, str]]:
    """(part, what is wrong) for relationships that lead nowhere, unused ids, pictures that do not open."""
    found = []
    used = re.compile(rb'r:(?:embed|id|link|pict)="([^"]+)"')
    for rels in [name for name in parts if name.endswith(".rels")]:
        folder, name = posixpath.split(rels)
        part = posixpath.join(posixpath.dirname(folder), name.removesuffix(".rels"))
        if part and part not in parts:
            continue
        related = relationships(parts, part)
        for identifier, (kind, target, external) in related.items():
            if not external and target not in parts:
                found.append((part, f"{kind} {identifier} leads to {target}, which is not in the file"))
    for part, data in parts.items():
        if part.startswith(("ppt/slides/", "ppt/notesSlides/", "word/")) and part.endswith(".xml"):
            related = relationships(parts, part)
            missing = sorted({value.decode() for value in used.findall(data)} - set(related) - {""})
            found += [(part, f"refers to {identifier}, which is not among its relationships") for identifier in missing]
        if "/media/" in part and part.lower().endswith((".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff")):
            try:
                with Image.open(io.BytesIO(data)) as picture:
                    if picture.width * picture.height > MAX_PIXELS:
                        found.append((part, f"is a picture of {picture.width} x {picture.height} pixels"))
                    else:
                        picture.verify()
            except Exception as error:
                found.append((part, f"is no picture that opens: {type(error).__name__}: {error}"))
    types = parse(parts["[Content_Types].xml"]) if "[Content_Types].xml" in parts else None
    if types is None:
        found.append(("[Content_Types].xml", "is missing"))
    else:
        defaults = {one.get("Extension", "").lower() for one in types.iter(_CONTENT + "Default")}
        overrides = {one.get("PartName", "").lstrip("/") for one in types.iter(_CONTENT + "Override")}
        for part in parts:
            if part not in overrides and part.rpartition(".")[2].lower() not in defaults and part[0] != "[":
                found.append((part, "has no content type: Office will call the file damaged"))
        found += [(part, "has a content type but is not in the file") for part in overrides - set(parts)]
    return found


def destination(path: Path, source: Path | None = None) -> Path:
    """The path to write to, after checks. Raises Problem."""
    if source is not None and path.exists() and path.samefile(source):
        raise Problem(f"{path} is the input; write to another file, so that the input stays as it was")
    if not path.parent.is_dir():
        raise Problem(f"the folder {path.parent} is not there")
    return path


def run(main: Callable[[], int]) -> None:
    """Run a script's main function; what is wrong with the input is one line on stderr and status 2."""
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stderr.close()
        status = 0
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        status = 2
    except (OSError, MemoryError, RecursionError) as error:
        print(f"error: {error or type(error).__name__}", file=sys.stderr)
        status = 2
    except (KeyError, ValueError, AttributeError, TypeError, IndexError, etree.LxmlError) as error:
        # The libraries raise these where a file is not what its own parts say.
        print(f"error: the file is not as it should be ({type(error).__name__}: {error})", file=sys.stderr)
        status = 2
    sys.exit(status)
