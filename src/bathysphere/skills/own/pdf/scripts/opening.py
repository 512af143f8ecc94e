"""Opening PDF files: what is too large, broken, locked or takes too long is refused with a reason."""

from __future__ import annotations

import argparse
import logging
import resource
import signal
import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn

LARGEST_FILE = 300 * 1024 * 1024
MOST_PAGES = 5000
MEMORY = 3 * 1024**3
SECONDS = 240


class Unreadable(Exception):
    """The file cannot be opened or worked on. The text says why and what to do."""


def fail(why: object, code: int = 2) -> NoReturn:
    """End the program with a message for the reader, without a traceback."""
    print(f"error: {why}", file=sys.stderr)
    raise SystemExit(code)


def bounded(run: Any) -> int:
    """Run the program within bounds of memory and time. What is wrong with its input becomes a message."""

    def too_long(*_: object) -> NoReturn:
        raise Unreadable(f"not done after {SECONDS} s: take fewer pages at a time (--pages)")

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # "| head" is no error.
    logging.disable(logging.ERROR)  # The libraries' remarks on small damage; check.py says what matters.
    warnings.simplefilter("ignore")
    try:
        return int(run() or 0)
    except Unreadable as error:
        fail(error)
    except MemoryError:
        fail("the document needs more than 3 GiB of memory: take fewer pages at a time (--pages)")
    except RecursionError:
        fail("the document is nested too deeply")
    except Exception as error:
        # What damaged files make the libraries raise has no end.
        fail(f"the document is damaged, or has what this program does not expect ({_short(error)})")
    finally:
        signal.alarm(0)


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def examine(path: Path) -> None:
    if not path.is_file():
        raise Unreadable(f"{path}: there is no such file")
    if path.stat().st_size > LARGEST_FILE:
        raise Unreadable(f"{path}: larger than {LARGEST_FILE >> 20} MiB")
    with path.open("rb") as file:
        if b"%PDF-" not in file.read(1024):
            raise Unreadable(f"{path}: not a PDF file (it does not begin with %PDF-)")


def read(path: Path, password: str = "") -> Any:
    """The document as pypdf has it, unlocked."""
    import pypdf

    examine(path)
    try:
        reader = pypdf.PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(password):
            raise Unreadable(f"{path}: locked; give its password with --password")
        count = len(reader.pages)
    except (Unreadable, MemoryError, RecursionError):
        raise
    except Exception as error:
        raise Unreadable(f"{path}: damaged ({type(error).__name__}: {str(error)[:200]})") from None
    if count > MOST_PAGES:
        raise Unreadable(f"{path}: {count} pages; more than {MOST_PAGES} are not worked on at once")
    return reader


def edit(path: Path, password: str = "") -> Any:
    """The document as pikepdf has it, unlocked."""
    import pikepdf

    examine(path)
    try:
        document = pikepdf.open(path, password=password)
        count = len(document.pages)
    except pikepdf.PasswordError:
        raise Unreadable(f"{path}: locked; give its password with --password") from None
    except (pikepdf.PdfError, OSError, ValueError) as error:
        raise Unreadable(f"{path}: damaged ({str(error)[:200]})") from None
    if count > MOST_PAGES:
        raise Unreadable(f"{path}: {count} pages; more than {MOST_PAGES} are not worked on at once")
    return document


def chosen(text: str | None, count: int) -> list[int]:
    """Page indexes of ``1-3,7,last``; all for None."""
    if not text:
        return list(range(count))
    pages: list[int] = []
    for part in text.replace("last", str(count)).split(","):
        first, _, last = part.strip().partition("-")
        try:
            low, high = int(first), int(last or first)
        except ValueError:
            raise Unreadable(f"pages {text!r}: write them like 1-3,7,last") from None
        if not 1 <= low <= count or not 1 <= high <= count:
            raise Unreadable(f"pages {text!r}: the document has pages 1 to {count}")
        pages += range(low - 1, high) if low <= high else range(low - 1, high - 2, -1)
        if len(pages) > MOST_PAGES:
            raise Unreadable(f"pages {text!r}: more than {MOST_PAGES}")
    return pages


def program(text: str | None) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
