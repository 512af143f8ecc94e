#!/usr/bin/env python3
"""Show what a PDF is: pages and sizes, how much text, scanned or not, fonts, forms, attachments, outline, metadata.

Exit status: 0 shown, 2 the file or the call is wrong.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

from fields import fields
from opening import bounded, edit, program, read

MOST_LOOKED_AT = 200


def main() -> int:
    parser = program(__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--password", default="")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = overview(options.file, options.password)
    if options.json:
        print(json.dumps(report, ensure_ascii=False, indent=1))
    else:
        for name, value in report.items():
            print(f"{name}: {value if isinstance(value, str | int | bool) else json.dumps(value, ensure_ascii=False)}")
    return 0


def overview(path: Path, password: str = "") -> dict[str, Any]:
    reader = read(path, password)
    sizes = Counter(
        f"{float(page.mediabox.width):.0f} x {float(page.mediabox.height):.0f} pt"
        + (f", turned {page.rotation}" if page.rotation else "")
        for page in reader.pages
    )
    letters, pictures = [], []
    for page in islice(reader.pages, MOST_LOOKED_AT):
        try:
            letters.append(len((page.extract_text() or "").strip()))
        except (MemoryError, RecursionError):
            raise
        except Exception:
            letters.append(-1)
        resources = page.get("/Resources", {})
        resources = resources.get_object() if hasattr(resources, "get_object") else resources
        objects = resources.get("/XObject", {})
        objects = objects.get_object() if hasattr(objects, "get_object") else objects
        pictures.append(sum(1 for one in objects.values() if one.get_object().get("/Subtype") == "/Image"))
    scanned = [at for at, (text, images) in enumerate(zip(letters, pictures, strict=True), 1) if text < 20 and images]
    with edit(path, password) as document:
        form = [f"{one.name} ({one.kind})" for one in fields(document)]
        xfa = "/AcroForm" in document.Root and "/XFA" in document.Root.AcroForm
        outline = _outline(document)
        version = document.pdf_version
    return {
        "file": str(path),
        "version": version,
        "pages": len(reader.pages),
        "sizes": dict(sizes.most_common(6)),
        "encrypted": bool(reader.is_encrypted),
        "metadata": {str(key).lstrip("/"): str(value)[:200] for key, value in (reader.metadata or {}).items()},
        "characters_by_page": letters[:60],
        "pictures_by_page": pictures[:60],
        "scanned_pages": scanned[:60],
        "fields": form[:200],
        "xfa": xfa,
        "attachments": list(islice(reader.attachments, 50)),
        "outline": outline,
        "hint": "scanned pages have no text, and this image has no text recognition: look at them (render.py)"
        if scanned
        else "",
    }


def _outline(document: Any) -> list[str]:
    with document.open_outline(max_depth=3) as outline:
        return [str(item.title)[:100] for item in islice(outline.root, 40)]


if __name__ == "__main__":
    raise SystemExit(bounded(main))
