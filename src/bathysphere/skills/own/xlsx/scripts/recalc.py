#!/usr/bin/env python3
"""Calculate every formula of a workbook and store the values, so that viewers and readers without an engine see them.

The values come from the calculator in this folder, which follows Excel; where the image has LibreOffice, it calculates
too: it gives what the calculator lacks, and every difference is printed. The file is changed
only where values stand: charts, images, styles and all else stay as they are. Cells that cannot be calculated are
named, with the reason; they get their values when Excel opens the file. Exit status: 0 done, 1 there are error values
or circular references, 2 the file or the call is wrong.
"""

from __future__ import annotations

import argparse
import json
import posixpath
import re
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from calculation.calculator import Calculator, Place
from calculation.grammar import column_number
from calculation.prefixes import prefixed
from calculation.values import Error, Scalar, compare, stored
from lxml import etree
from opening import Unreadable, bounded, open_workbook
from openpyxl.utils import get_column_letter

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
LONGEST_LIST = 50


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="the workbook (.xlsx or .xlsm)")
    parser.add_argument("-o", "--output", type=Path, help="write here instead of into the file itself")
    parser.add_argument("--engine", choices=("auto", "libreoffice", "python"), default="auto")
    parser.add_argument(
        "--add-prefixes",
        action="store_true",
        help="also write functions newer than Excel 2007 as files want them (_xlfn.)",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args()
    target = options.output or options.file
    report = recalculate(options.file, target, options.engine, options.add_prefixes)
    if options.json:
        print(json.dumps(report, ensure_ascii=False, indent=1))
    else:
        _print(report)
    return 1 if report["errors"] else 0


def recalculate(source: Path, target: Path, engine: str = "auto", prefixes: bool = False) -> dict[str, Any]:
    """Calculate ``source`` into ``target`` and return what was done."""
    if engine == "libreoffice" and not shutil.which("soffice"):
        raise Unreadable("LibreOffice is not in this image: use --engine python (or auto)")
    calculator = Calculator(open_workbook(source))
    calculator.calculate()
    results, reasons = dict(calculator.results), dict(calculator.unsupported)
    differences: list[str] = []
    used = "python"
    if engine != "python" and calculator.formulas and shutil.which("soffice"):
        used = "libreoffice"
        for place, value in _by_libreoffice(source, calculator).items():
            if place in calculator.circular or (isinstance(value, Error) and value.code == "#NAME?"):
                continue  # It knows fewer functions than Excel: XLOOKUP, FILTER and others came after its version 7.4.
            if place in results and place not in calculator.volatile and not agree(results[place], value):
                # It differs from Excel with logicals and text in ranges and joins; the calculator here follows Excel.
                differences.append(f"{named(place)}: LibreOffice {shown(value)}, kept {shown(results[place])}")
                continue
            results[place] = value
            reasons.pop(place, None)
    _write(source, target, results, prefixes=prefixes)
    errors = {place: value.code for place, value in results.items() if isinstance(value, Error)}
    errors |= dict.fromkeys(calculator.circular, "circular reference")
    return {
        "engine": used,
        "formulas": len(calculator.formulas),
        "calculated": sum(place in results for place in calculator.formulas),
        "errors": {named(place): code for place, code in sorted(errors.items())[:LONGEST_LIST]},
        "not_calculated": {
            named(place): why
            for place, why in sorted(reasons.items())[:LONGEST_LIST]
            if place not in calculator.circular
        },
        "differences": differences[:LONGEST_LIST],
    }


def named(place: Place) -> str:
    return f"{place[0]}!{get_column_letter(place[2])}{place[1]}"


def shown(value: Scalar) -> str:
    return value.code if isinstance(value, Error) else repr(value)


def agree(left: Scalar, right: Scalar) -> bool:
    if isinstance(left, Error) or isinstance(right, Error):
        return left == right
    if left in (None, "") and right in (None, ""):
        return True
    if isinstance(left, int | float) and isinstance(right, int | float):
        return abs(left - right) <= 1e-9 * max(1.0, abs(left), abs(right))
    return compare(left, right) == 0


def _print(report: dict[str, Any]) -> None:
    engine = {"python": "the calculator", "libreoffice": "the calculator and LibreOffice"}[report["engine"]]
    print(f"{report['calculated']} of {report['formulas']} formulas calculated by {engine}")
    for place, code in report["errors"].items():
        print(f"error  {place}: {code}")
    for place, why in report["not_calculated"].items():
        print(f"left   {place}: {why}")
    for difference in report["differences"]:
        print(f"differs  {difference}")


def _by_libreoffice(source: Path, calculator: Calculator) -> dict[Place, Scalar]:
    with tempfile.TemporaryDirectory() as folder:
        # It keeps stored values instead of calculating, so it gets a copy without any.
        bare = Path(folder, "bare.xlsx")
        _write(source, bare, {}, forget=True)
        converted = convert(bare, "xlsx", Path(folder, "out"))
        book = open_workbook(converted, values=True)
        found: dict[Place, Scalar] = {}
        places = [*calculator.formulas, *calculator.spread]
        for place in places:
            if place[0] in book.sheetnames:
                value = stored(book[place[0]].cell(place[1], place[2]).value)
                found[place] = "" if value is None else value
        return found


def convert(source: Path, kind: str, folder: Path, seconds: int = 180) -> Path:
    """Convert with LibreOffice and return the new file in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        command = ["soffice", f"-env:UserInstallation=file://{profile}", "--headless", "--norestore"]
        command += ["--convert-to", kind, "--outdir", str(folder), str(source)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            raise Unreadable(f"LibreOffice did not finish with {source.name} in {seconds} s") from None
    target = folder / f"{source.stem}.{kind.partition(':')[0]}"
    if not target.is_file():
        raise Unreadable(f"LibreOffice could not convert {source.name}: {(done.stderr or done.stdout).strip()[-300:]}")
    return target


def _parts(archive: zipfile.ZipFile) -> dict[str, str]:
    """The part of every worksheet, by the part's name."""
    book = _xml(archive.read("xl/workbook.xml"))
    relations = _xml(archive.read("xl/_rels/workbook.xml.rels"))
    targets = {one.get("Id"): one.get("Target", "") for one in relations}
    found = {}
    for sheet in book.iter(f"{MAIN}sheet"):
        target = targets.get(sheet.get(RELATION), "")
        found[posixpath.normpath(target.lstrip("/") if target.startswith("/") else f"xl/{target}")] = sheet.get("name")
    return found


def _xml(content: bytes) -> Any:
    return etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))


def _write(
    source: Path, target: Path, results: dict[Place, Scalar], forget: bool = False, prefixes: bool = False
) -> None:
    by_sheet: dict[str, dict[tuple[int, int], Scalar]] = {}
    for (sheet, row, column), value in results.items():
        by_sheet.setdefault(sheet, {})[row, column] = value
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, suffix=".part", delete=False) as unfinished:
        try:
            with zipfile.ZipFile(source) as old, zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as new:
                sheets = _parts(old)
                for part in old.infolist():
                    content = old.read(part)
                    if part.filename in sheets:
                        content = _with_values(content, by_sheet.get(sheets[part.filename], {}), forget, prefixes)
                    elif part.filename == "xl/workbook.xml":
                        content = _calculated_on_load(content)
                    new.writestr(part.filename, content)
            Path(unfinished.name).replace(target)
            target.chmod(0o644)
        except (etree.XMLSyntaxError, KeyError, zipfile.BadZipFile) as error:
            Path(unfinished.name).unlink()
            raise Unreadable(f"{source}: damaged ({error})") from None
        except BaseException:
            Path(unfinished.name).unlink(missing_ok=True)
            raise


def _with_values(content: bytes, values: dict[tuple[int, int], Scalar], forget: bool, prefixes: bool) -> bytes:
    tree = _xml(content)
    data = tree.find(f"{MAIN}sheetData")
    if data is None:
        return content
    left = dict(values)
    for cell in data.iter(f"{MAIN}c"):
        place = _place(cell.get("r", ""))
        formula = cell.find(f"{MAIN}f")
        if prefixes and formula is not None and formula.text:
            formula.text = prefixed(formula.text)
        if place in left:
            _set(cell, left.pop(place))
        elif forget and formula is not None:
            _clear(cell)
    rows = {int(row.get("r")): row for row in data if row.get("r")} if left else {}
    for place in sorted(left):  # What an array formula gives beside its own cell.
        _set(_new_cell(data, rows, *place), left[place])
    return etree.tostring(tree, xml_declaration=True, encoding="UTF-8", standalone=True)  # type: ignore[no-any-return]


def _place(name: str) -> tuple[int, int]:
    match = re.fullmatch(r"([A-Z]{1,3})(\d{1,7})", name)
    return (int(match[2]), column_number(match[1])) if match else (0, 0)


def _clear(cell: Any) -> None:
    for tag in ("v", "is"):
        for child in cell.findall(f"{MAIN}{tag}"):
            cell.remove(child)
    cell.attrib.pop("t", None)


def _set(cell: Any, value: Scalar) -> None:
    _clear(cell)
    if value is None:
        return
    child = etree.SubElement(cell, f"{MAIN}v")
    if isinstance(value, bool):
        cell.set("t", "b")
        child.text = str(int(value))
    elif isinstance(value, Error):
        cell.set("t", "e")
        child.text = value.code
    elif isinstance(value, str):
        cell.set("t", "str")
        # XML has no control characters.
        child.text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "", value)
    else:
        child.text = str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def _new_cell(data: Any, rows: dict[int, Any], row: int, column: int) -> Any:
    line = rows.get(row)
    if line is None:
        line = rows[row] = etree.Element(f"{MAIN}row", r=str(row))
        later = [number for number in rows if number > row]
        if later:
            rows[min(later)].addprevious(line)
        else:
            data.append(line)
    cell = etree.Element(f"{MAIN}c", r=f"{get_column_letter(column)}{row}")
    following = next((one for one in line if _place(one.get("r", ""))[1] > column), None)
    if following is None:
        line.append(cell)
    else:
        following.addprevious(cell)
    return cell


def _calculated_on_load(content: bytes) -> bytes:
    tree = _xml(content)
    settings = tree.find(f"{MAIN}calcPr")
    if settings is None:
        settings = etree.Element(f"{MAIN}calcPr")
        before = ("definedNames", "externalReferences", "functionGroups", "sheets")
        next(found for tag in before if (found := tree.find(f"{MAIN}{tag}")) is not None).addnext(settings)
    settings.set("fullCalcOnLoad", "1")
    return etree.tostring(tree, xml_declaration=True, encoding="UTF-8", standalone=True)  # type: ignore[no-any-return]


if __name__ == "__main__":
    raise SystemExit(bounded(main))
