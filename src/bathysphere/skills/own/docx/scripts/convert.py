#!/usr/bin/env python3
"""Convert an Office file with LibreOffice: to PDF, to one PNG per page or slide, or to another format.

    convert.py FILE --to pdf|png|docx|pptx|xlsx|odt|odp|ods|txt|csv|html [--out FOLDER] [--dpi 80] [--sheet OUT.png]

--sheet puts all pages on one picture. LibreOffice is only in the larger image of the containers; where it is missing
the status is 3, and everything else (make, read, edit, check) works without it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ooxml import Problem, run
from PIL import Image

FORMATS = ("pdf", "png", "docx", "pptx", "xlsx", "odt", "odp", "ods", "txt", "csv", "html")
MISSING = (
    "LibreOffice is not in this container's image, so nothing can be drawn or converted here. Do not look for it and "
    "do not try to install it (there is no network). Go on without: check.py finds overflow, overlaps and broken parts "
    "from the file itself, and read.py prints the text. If a PDF was asked for, make it with reportlab and say so."
)


def soffice() -> str | None:
    """The program, if it is there."""
    return shutil.which("soffice")


def convert(file: Path, to: str, folder: Path, seconds: int = 240) -> Path:
    """Convert a file and return the result. Raises Problem when LibreOffice fails."""
    program = soffice()
    if program is None:
        raise Problem(MISSING)
    with tempfile.TemporaryDirectory() as scratch:
        # A profile of its own: two conversions at the same time do not disturb each other.
        profile, out = Path(scratch, "profile"), Path(scratch, "out")
        argv = [program, f"-env:UserInstallation={profile.as_uri()}", "--headless", "--norestore", "--nolockcheck",
                "--convert-to", to, "--outdir", str(out), str(file.absolute())]  # fmt: skip
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired as error:
            raise Problem(f"LibreOffice did not end within {seconds} s") from error
        made = out / f"{file.stem}.{to}"
        if not made.is_file():
            reason = (done.stderr or done.stdout).strip()[-500:] or "no reason given"
            raise Problem(f"LibreOffice made nothing of {file}: {reason}")
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.move(made, folder / made.name))


def pictures(pdf: Path, folder: Path, dpi: int) -> list[Path]:
    """The pages of a PDF as PNG files in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / pdf.stem
    subprocess.run(["pdftoppm", "-png", "-r", str(dpi), str(pdf), str(stem)], check=True, stdin=subprocess.DEVNULL)
    return sorted(folder.glob(f"{pdf.stem}-*.png"))


def sheet(pages: list[Path], output: Path, columns: int = 3) -> None:
    """All pages on one picture."""
    images = [Image.open(page).convert("RGB") for page in pages]
    width, height = max(one.width for one in images), max(one.height for one in images)
    rows = -(-len(images) // columns)
    whole = Image.new("RGB", (columns * (width + 8) + 8, rows * (height + 8) + 8), (120, 120, 120))
    for number, one in enumerate(images):
        whole.paste(one, (8 + number % columns * (width + 8), 8 + number // columns * (height + 8)))
    whole.save(output)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--to", choices=FORMATS, default="pdf")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the results (default: this one)")
    parser.add_argument("--dpi", type=int, default=80, choices=range(20, 301), metavar="20..300")
    parser.add_argument("--sheet", type=Path, help="with --to png: one picture of all pages, and only that")
    arguments = parser.parse_args()
    if not arguments.file.is_file():
        raise Problem(f"{arguments.file} is not there")
    if soffice() is None and not (arguments.file.suffix.lower() == ".pdf" and arguments.to == "png"):
        print(MISSING, file=sys.stderr)
        return 3
    if arguments.to != "png":
        print(convert(arguments.file, arguments.to, arguments.out))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        is_pdf = arguments.file.suffix.lower() == ".pdf"
        pdf = arguments.file if is_pdf else convert(arguments.file, "pdf", Path(scratch))
        made = pictures(pdf, Path(scratch, "pages") if arguments.sheet else arguments.out, arguments.dpi)
        if not made:
            raise Problem(f"{arguments.file} has no pages")
        if arguments.sheet:
            sheet(made, arguments.sheet)
            made = [arguments.sheet]
    print("\n".join(map(str, made)))
    return 0


if __name__ == "__main__":
    run(main)
