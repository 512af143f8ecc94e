"""What the editor's view shows of text, images, PDF files and directories (WIRE b.3)."""

import base64
import os

from .text_files import BOM, Refused, text_of

LARGEST_SHOWN = 256 * 1024
"""Bytes of text in one view; view_range shows the rest."""

LARGEST_IMAGE = 5 * 1024 * 1024 * 3 // 4  # 5 MiB as base64: what upstreams take
LARGEST_PDF = 10 * 1024 * 1024

LISTED = 1000
"""Entries in one listing of a directory."""

MIB = 1024 * 1024

_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")


def view_file(path: str, data: bytes, span: list[int] | None) -> dict[str, object]:
    """A file's content: base64 for images and PDF, else lines without numbers or a newline at the end."""
    kind = _magic(data)
    if kind is not None:
        limit = LARGEST_IMAGE if kind == "image" else LARGEST_PDF
        if span is not None:
            raise Refused("invalid_tool_input", f"{path} is a file of type {kind}; view_range is for text files.")
        if len(data) > limit:
            raise Refused(
                "invalid_tool_input",
                f"{path} has {len(data)} bytes; files of type {kind} can be viewed up to {limit / MIB:g} MiB. "
                "Make a smaller version, or work on it with Python.",
            )
        content = base64.b64encode(data).decode()
        return _viewed(kind, content, None, None, None)
    text = text_of(data, path).removeprefix(BOM)
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    total = len(lines)
    start, end = _range(path, span, total)
    shown = lines[start - 1 : end]
    content = "\n".join(shown)
    if len(content.encode()) > LARGEST_SHOWN:
        raise Refused(
            "invalid_tool_input",
            f"This view of {path} would show {len(shown)} of {total} lines and more than {LARGEST_SHOWN // 1024} KiB. "
            "Use view_range [first, last] to view fewer lines, or bash for files with very long ones.",
        )
    return _viewed("text", content, len(shown), start, total)


def _viewed(kind: str, content: str, num_lines: int | None, start: int | None, total: int | None) -> dict[str, object]:
    return {
        "kind": "viewed", "file_type": kind, "content": content,
        "num_lines": num_lines, "start_line": start, "total_lines": total,
    }  # fmt: skip


def _magic(data: bytes) -> str | None:
    if data.startswith(_IMAGES) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        return "image"
    return "pdf" if data.startswith(b"%PDF-") else None


def _range(path: str, span: list[int] | None, total: int) -> tuple[int, int]:
    """First and last line to show, counted from 1; the last is cut to what there is."""
    if span is None:
        return 1, total
    start, end = span
    if start < 1 or (end != -1 and end < start):
        raise Refused(
            "invalid_tool_input",
            f"view_range [{start}, {end}] is no range: lines count from 1 and the last one is not before the first; "
            "-1 as the last means the end of the file.",
        )
    if start > max(total, 1):
        raise Refused("invalid_tool_input", f"view_range starts at line {start}, but {path} has {total} lines.")
    return start, total if end == -1 else min(end, total)


def view_directory(path: str) -> dict[str, object]:
    """Two levels of a directory, without hidden entries, each as a path; directories end in a slash."""
    lines = [path.rstrip("/") + "/"]
    for name, is_directory in _entries(path):
        below = os.path.join(path, name)
        lines.append(below + "/" * is_directory)
        if is_directory:
            lines += [os.path.join(below, child) + "/" * deeper for child, deeper in _entries(below)]
        if len(lines) > LISTED:
            break
    shown = lines[:LISTED]
    while sum(len(line.encode()) + 1 for line in shown) > LARGEST_SHOWN:
        shown = shown[: len(shown) // 2]
    if len(shown) < len(lines):
        lines = [*shown, f"... [more than {len(shown)} entries; use ls or find]"]
    content = "\n".join(lines)
    return _viewed("text", content, len(lines), 1, len(lines))


def _entries(path: str) -> list[tuple[str, bool]]:
    found = []
    try:
        with os.scandir(path) as entries:
            for _, entry in zip(range(100_000), entries, strict=False):
                if not entry.name.startswith("."):
                    name = entry.name.encode(errors="replace").decode()
                    found.append((name, entry.is_dir(follow_symlinks=False)))
    except PermissionError:
        return []
    return sorted(found)
