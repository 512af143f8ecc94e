#!/usr/bin/env python3
"""Convert between table formats: .xlsx .xls .csv .tsv .json .parquet to .xlsx .csv .tsv .json .parquet, and to .pdf.

To .csv, .tsv, .json and .parquet goes one sheet, with the stored values of its formulas (recalc.py first). To .xlsx
go values without formulas or styles. .pdf needs LibreOffice in the image. Exit status: 0 done, 2 it cannot be done.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import pandas as pd
from opening import LARGEST_FILE, Unreadable, bounded, examine
from recalc import convert

TEXTS = {".csv": ",", ".tsv": "\t"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--sheet", help="the sheet of a workbook (the first)")
    parser.add_argument("--text", action="store_true", help="keep all columns as text (leading zeros, long numbers)")
    parser.add_argument("--encoding", default="utf-8-sig", help="of a .csv or .tsv source (utf-8)")
    options = parser.parse_args()
    if options.target.suffix.lower() == ".pdf":
        _to_pdf(options.source, options.target)
    else:
        try:
            frames = _read(options.source, options.sheet, options.text, options.encoding)
            _write(frames, options.target)
        except (ValueError, OSError, LookupError) as error:
            raise Unreadable(f"{options.source}: {error}") from None
    print(f"wrote {options.target} ({options.target.stat().st_size:,} bytes)")
    return 0


def _to_pdf(source: Path, target: Path) -> None:
    if not shutil.which("soffice"):
        raise Unreadable("this image has no LibreOffice, so nothing here can make a PDF of a workbook as it looks")
    if source.suffix.lower() == ".xlsx":
        examine(source)
    with tempfile.TemporaryDirectory() as folder:
        shutil.move(convert(source, "pdf", Path(folder)), target)


def _read(source: Path, sheet: str | None, as_text: bool, encoding: str) -> dict[str, pd.DataFrame]:
    kind = source.suffix.lower()
    if not source.is_file():
        raise Unreadable(f"{source}: there is no such file")
    if source.stat().st_size > LARGEST_FILE:
        raise Unreadable(f"{source}: larger than {LARGEST_FILE >> 20} MiB; read it in pieces with pandas")
    types = str if as_text else None
    if kind in TEXTS:
        return {source.stem[:31]: pd.read_csv(source, sep=TEXTS[kind], dtype=types, encoding=encoding)}
    if kind in (".xlsx", ".xlsm", ".xls"):
        if kind != ".xls":
            examine(source)
        found = pd.read_excel(source, sheet_name=sheet, dtype=types)
        return found if isinstance(found, dict) else {str(sheet): found}
    if kind == ".json":
        return {source.stem[:31]: pd.read_json(source)}
    if kind == ".parquet":
        return {source.stem[:31]: pd.read_parquet(source)}
    raise Unreadable(f"{source}: a {kind or 'nameless'} file is not known here")


def _write(frames: dict[str, pd.DataFrame], target: Path) -> None:
    kind = target.suffix.lower()
    name, first = next(iter(frames.items()))
    if kind == ".xlsx":
        with pd.ExcelWriter(target, engine="xlsxwriter", datetime_format="yyyy-mm-dd") as writer:
            for title, frame in frames.items():
                frame.to_excel(writer, sheet_name=title, index=False, freeze_panes=(1, 0))
                writer.sheets[title].autofit(400)
        return
    if len(frames) > 1:
        print(f"note: only the sheet {name!r} of {len(frames)} goes into {target.name}; --sheet names another")
    if kind in TEXTS:
        first.to_csv(target, sep=TEXTS[kind], index=False)
    elif kind == ".json":
        first.to_json(target, orient="records", force_ascii=False, date_format="iso", indent=1)
    elif kind == ".parquet":
        first.to_parquet(target)
    else:
        raise Unreadable(f"{target}: cannot write {kind or 'nameless'} files")


if __name__ == "__main__":
    raise SystemExit(bounded(main))
