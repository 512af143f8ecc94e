#!/usr/bin/env python3
"""Draw pages as PNG pictures, to look at them: one file a page, or all on one contact sheet.

Exit status: 0 done, 2 the file or the call is wrong.
"""

from __future__ import annotations

import math
from pathlib import Path

from opening import Unreadable, bounded, chosen, examine, program

MOST_PIXELS = 40_000_000


def main() -> int:
    parser = program(__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the pictures (the current one)")
    parser.add_argument("--pages", help="such as 1-3,7,last (all, at most 100)")
    parser.add_argument("--dpi", type=int, default=80, help="10 to 400 (80)")
    parser.add_argument("--sheet", action="store_true", help="one picture with all pages side by side")
    parser.add_argument("--password", default="")
    options = parser.parse_args()
    if not 10 <= options.dpi <= 400:
        raise Unreadable("--dpi must be from 10 to 400")
    import pypdfium2 as pdfium
    from PIL import Image

    examine(options.file)
    try:
        document = pdfium.PdfDocument(options.file, password=options.password or None)
    except pdfium.PdfiumError as error:
        raise Unreadable(f"{options.file}: {error}") from None
    document.init_forms()
    pages = chosen(options.pages, len(document))[:100]
    options.out.mkdir(parents=True, exist_ok=True)
    pictures = []
    for index in pages:
        page = document[index]
        wide, high = page.get_size()
        scale = options.dpi / 72
        if wide * high * scale * scale > MOST_PIXELS:
            raise Unreadable(f"page {index + 1} of {wide:.0f} x {high:.0f} points is too large for {options.dpi} dpi")
        picture = page.render(scale=scale, may_draw_forms=True).to_pil().convert("RGB")
        if options.sheet:
            pictures.append(picture)
        else:
            target = options.out / f"{options.file.stem}-{index + 1:03}.png"
            picture.save(target, optimize=True)
            print(target)
    if options.sheet and pictures:
        across = math.ceil(math.sqrt(len(pictures) * 1.2))
        wide, high = max(p.width for p in pictures) + 12, max(p.height for p in pictures) + 12
        if wide * across * high * math.ceil(len(pictures) / across) > MOST_PIXELS:
            raise Unreadable("the contact sheet would be too large: choose fewer --pages or a lower --dpi")
        sheet = Image.new("RGB", (wide * across + 12, high * math.ceil(len(pictures) / across) + 12), "#8A8F98")
        for at, picture in enumerate(pictures):
            sheet.paste(picture, (12 + at % across * wide, 12 + at // across * high))
        target = options.out / f"{options.file.stem}-sheet.png"
        sheet.save(target, optimize=True)
        print(target)
    return 0


if __name__ == "__main__":
    raise SystemExit(bounded(main))
