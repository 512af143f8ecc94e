"""Opening workbooks: what is too large, broken or of another kind is refused with a reason."""

from __future__ import annotations

import resource
import signal
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

LARGEST_FILE = 200 * 1024 * 1024
LARGEST_CONTENT = 600 * 1024 * 1024
MOST_PARTS = 5000


MEMORY = 3 * 1024**3
SECONDS = 300


class Unreadable(Exception):
    """The file cannot be opened. The text says why and what to do."""


def fail(why: object, code: int = 2) -> NoReturn:
    """End the program with a message for the reader, without a traceback."""
    print(f"error: {why}", file=sys.stderr)
    raise SystemExit(code)


def bounded(run: Callable[[], int]) -> int:
    """Run the program within bounds of memory and time. What is wrong with its input becomes a message."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(SECONDS)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # "| head" is no error.
    try:
        return run()
    except Unreadable as error:
        fail(error)
    except MemoryError:
        fail("the workbook needs more than 3 GiB of memory: read it in a stream (reference/large.md)")
    except Exception as error:
        # What damaged files make the libraries raise has no end.
        what = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        fail(f"the file is damaged, or has what this program does not expect ({what})")
    finally:
        signal.alarm(0)


def _too_long(*_: object) -> NoReturn:
    raise Unreadable(f"not done after {SECONDS} s: too large to be worked on whole (reference/large.md)")


def examine(path: Path) -> None:
    """Refuse what is no .xlsx or .xlsm file, or would unpack to an unreasonable size."""
    if not path.is_file():
        raise Unreadable(f"{path}: there is no such file")
    if path.stat().st_size > LARGEST_FILE:
        raise Unreadable(f"{path}: larger than {LARGEST_FILE >> 20} MiB")
    with path.open("rb") as file:
        start = file.read(8)
    if start == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        raise Unreadable(
            f"{path}: an old .xls file or an encrypted workbook. "
            "For .xls: convert.py FILE OUT.xlsx. An encrypted one must be saved without its password first."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise Unreadable(f"{path}: not an .xlsx workbook ({error})") from None
    if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > LARGEST_CONTENT:
        raise Unreadable(f"{path}: unpacks to more than {LARGEST_CONTENT >> 20} MiB or {MOST_PARTS} parts")
    if "xl/workbook.xml" not in {part.filename for part in parts}:
        raise Unreadable(f"{path}: a zip file, but not an .xlsx workbook (xl/workbook.xml is missing)")


def open_workbook(path: Path, *, values: bool = False, streaming: bool = False) -> Any:
    """The workbook with its formulas, or with the stored ``values`` instead of them."""
    import openpyxl

    examine(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl names extensions that it does not keep: see SKILL.md.
            return openpyxl.load_workbook(path, data_only=values, read_only=streaming)
    except MemoryError:
        raise Unreadable(f"{path}: too large to open whole; read it in a stream (reference/large.md)") from None
    except Exception as error:
        raise Unreadable(f"{path}: damaged ({type(error).__name__}: {error})") from None
