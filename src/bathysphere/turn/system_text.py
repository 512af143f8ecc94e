"""What the model is told about the container, beside the client's own system prompt."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from bathysphere.settings import GIB, MIB, SandboxLimits
from bathysphere.turn.skills import TurnSkill, skills_text
from bathysphere.wire.tools import ToolVersion

_CONTAINER: Final = """\
You can run code in a sealed Linux container (x86-64, Debian, Python 3.11, {cpus} CPU, {memory} of memory, \
{disk} of disk).
- The working directory is /home/user. /home/user, /tmp and /files are writable and stay for later calls.
- Files that the user has uploaded are in $INPUT_DIR.
- The user gets a copy of each file that lies directly in $OUTPUT_DIR when a call ends, not of files below it. \
$OUTPUT_DIR is new and empty for every call: copy there what the user should have, and list it to be sure.
- There is no network: nothing can be downloaded or installed. Installed are pandas, numpy, scipy, scikit-learn, \
statsmodels, matplotlib, seaborn, pyarrow, openpyxl, xlsxwriter, xlrd, pillow, python-pptx, python-docx, pypdf, \
pdfplumber, pypdfium2, pdf2image, pdfkit, tabula-py, reportlab, img2pdf, sympy, mpmath, tqdm, python-dateutil, \
pytz, joblib, and the commands unzip, unrar, 7z, bc, rg, fd, sqlite3 among the usual ones.
- A command that runs longer than {seconds} seconds is ended, and very long output is shortened in the middle."""

_TOOLS: Final = {
    "code_execution": "Use the tool code_execution to run Python; its variables stay for later calls.",
    "bash_code_execution": "Use the tool bash_code_execution to run shell commands, Python scripts among them.",
    "text_editor_code_execution": "Use the tool text_editor_code_execution to view, create and edit files.",
}


def system_text(version: ToolVersion, limits: SandboxLimits, skills: Collection[TurnSkill] = ()) -> str:
    """The text for one version of the tool. It never changes between requests, so that prompt caches hold.

    What is said of ``skills`` comes last: other skills leave the beginning as it is.
    """
    container = _CONTAINER.format(
        cpus=f"{limits.cpus:g}",
        memory=_size(limits.memory_bytes),
        disk=_size(limits.disk_bytes),
        seconds=f"{limits.command_seconds:g}",
    )
    text = "\n".join([container, *(f"- {_TOOLS[name]}" for name in version.sub_tools)])
    return f"{text}\n\n{skills_text(skills, version)}" if skills else text


def _size(size_bytes: int) -> str:
    return f"{size_bytes / GIB:g} GiB" if size_bytes >= GIB else f"{size_bytes / MIB:g} MiB"
