#!/usr/bin/env python3
"""Take out of a PDF its text, its tables, its pictures or its attachments.

Text goes to standard output or --out; tables go into one .xlsx (a sheet each) or .csv files; pictures and attachments
into a folder. A scanned page has no text: this image has no text recognition, so look at it with render.py instead.
Exit status: 0 something was found, 1 nothing was, 2 the file or the call is wrong.
"""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Any

from opening import Unreadable, bounded, chosen, program, read

MOST_PICTURES = 500


def main() -> int:
    parser = program(__doc__)
    parser.add_argument("what", choices=("text", "tables", "pictures", "attachments"))
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--out", type=Path, help="file (text, tables) or folder (pictures, attachments, tables as .csv)"
    )
    parser.add_argument("--pages", help="such as 1-3,7,last (all)")
    parser.add_argument("--layout", action="store_true", help="text: keep columns where they stand")
    parser.add_argument(
        "--lines",
        choices=("auto", "drawn", "text"),
        default="auto",
        help="tables: borders are drawn, or are to be seen from the text",
    )
    parser.add_argument("--password", default="")
    options = parser.parse_args()
    return {"text": _text, "tables": _tables, "pictures": _pictures, "attachments": _attachments}[options.what](options)


def _text(options: Any) -> int:
    import pdfplumber

    reader = read(options.file, options.password)
    pages = chosen(options.pages, len(reader.pages))
    parts, empty = [], []
    with pdfplumber.open(options.file, password=options.password) as document:
        for index in pages:
            text = document.pages[index].extract_text(layout=options.layout) or ""
            document.pages[index].close()
            parts.append(f"--- page {index + 1}\n{text.rstrip()}\n")
            if not text.strip():
                empty.append(index + 1)
    whole = "\n".join(parts)
    if options.out:
        options.out.write_text(whole, "utf-8")
        print(f"wrote {options.out} ({len(whole):,} characters)")
    else:
        print(whole)
    if empty:
        print(f"no text on pages {empty[:30]}: pictures or blank (render.py shows them)", file=sys.stderr)
    return 1 if len(empty) == len(pages) else 0


def _tables(options: Any) -> int:
    import pdfplumber

    reader = read(options.file, options.password)
    pages = chosen(options.pages, len(reader.pages))
    found: list[tuple[str, list[list[str]]]] = []
    with pdfplumber.open(options.file, password=options.password) as document:
        for index in pages:
            for at, table in enumerate(_found(document.pages[index], options.lines), 1):
                rows = [[(cell or "").strip() for cell in row] for row in table]
                found.append((f"p{index + 1} t{at}", [row for row in rows if any(row)] or rows))
            document.pages[index].close()
    for name, rows in found:
        print(f"{name}: {len(rows)} rows x {max(map(len, rows))} columns; first {rows[0][:6]}")
    if not found:
        print("no tables found" + ("" if options.lines == "text" else "; try --lines text"))
        return 1
    if options.out and options.out.suffix == ".xlsx":
        import xlsxwriter

        # Texts stay texts: "=1+1" in a table is no formula.
        with xlsxwriter.Workbook(options.out, {"strings_to_formulas": False, "strings_to_urls": False}) as book:
            for name, rows in found:
                sheet = book.add_worksheet(name)
                for row, cells in enumerate(rows):
                    for column, cell in enumerate(cells):
                        number = _number(cell)
                        sheet.write(row, column, cell if number is None else number)
                sheet.autofit(300)
    elif options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        for name, rows in found:
            with (options.out / f"{name.replace(' ', '-')}.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(rows)
    return 0


def _found(page: Any, lines: str) -> list[Any]:
    """The tables of a page. Where only lines between the rows are drawn, the columns are seen from the text."""
    if lines == "text":
        return list(page.extract_tables({"vertical_strategy": "text", "horizontal_strategy": "text"}))
    tables = page.extract_tables()
    if lines == "auto" and tables and all(len(table[0]) == 1 for table in tables):
        return [_by_gaps(page, found.bbox) or found.extract() for found in page.find_tables()]
    return list(tables)


def _by_gaps(page: Any, box: tuple[float, float, float, float]) -> list[list[str]]:
    """The table in a box, its columns parted where no row has a letter."""
    part = page.crop(box, strict=False)
    words = sorted(part.extract_words(), key=lambda word: word["x0"])
    borders, reach = [box[0]], box[0]
    for word in words:
        if word["x0"] - reach > 4 and reach > box[0]:
            borders.append((word["x0"] + reach) / 2)
        reach = max(reach, word["x1"])
    borders.append(box[2])
    settings = {"vertical_strategy": "explicit", "explicit_vertical_lines": borders, "horizontal_strategy": "lines"}
    return part.extract_table(settings) or []


def _number(text: str) -> float | None:
    plain = text.replace(",", "").replace("\u2212", "-").strip()
    if not plain or (plain[0] == "0" and len(plain) > 1 and plain[1] != "."):
        return None
    try:
        return float(plain) if plain.lower().strip("+-") not in ("nan", "inf", "infinity") else None
    except ValueError:
        return None


def _pictures(options: Any) -> int:
    import pypdfium2 as pdfium

    read(options.file, options.password)
    folder = options.out or Path()
    folder.mkdir(parents=True, exist_ok=True)
    document = pdfium.PdfDocument(options.file, password=options.password or None)
    count = 0
    for index in chosen(options.pages, len(document)):
        for item in document[index].get_objects(filter=[pdfium.raw.FPDF_PAGEOBJ_IMAGE], max_depth=6):
            count += 1
            if count > MOST_PICTURES:
                raise Unreadable(f"more than {MOST_PICTURES} pictures: choose --pages")
            buffer = io.BytesIO()
            try:
                item.extract(buffer)
            except (pdfium.PdfiumError, ValueError, OSError) as error:
                print(f"page {index + 1}: a picture that cannot be read ({error})", file=sys.stderr)
                continue
            content = buffer.getvalue()
            kind = (
                "jpg"
                if content[:2] == b"\xff\xd8"
                else "png"
                if content[:4] == b"\x89PNG"
                else "jp2"
                if b"jP" in content[:12]
                else "tiff"
            )
            target = folder / f"page{index + 1:03}-{count:03}.{kind}"
            target.write_bytes(content)
            print(target)
    return 0 if count else 1


def _attachments(options: Any) -> int:
    folder = options.out or Path()
    folder.mkdir(parents=True, exist_ok=True)
    found = 0
    for name, contents in read(options.file, options.password).attachments.items():
        for content in contents if isinstance(contents, list) else [contents]:
            found += 1
            safe = Path(name.replace("\\", "/")).name.strip(". ") or "attachment"
            target = folder / (safe if not (folder / safe).exists() else f"{found}-{safe}")
            target.write_bytes(content)
            print(target)
    return 0 if found else 1


if __name__ == "__main__":
    raise SystemExit(bounded(main))
