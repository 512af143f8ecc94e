"""What the author of a skill should know before a model uses it: none of it is a reason to refuse the skill."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from typing import Final, NamedTuple

from bathysphere.skills.bundle import Bundle, BundledFile
from bathysphere.skills.front_matter import FILE
from bathysphere.skills.python_advice import advise_python
from bathysphere.skills.refusal import quoted

LINES: Final = 500
TOKENS: Final = 5000
"""Of ``SKILL.md``, which the model reads whole, at about four characters each."""

_CHARACTERS_PER_TOKEN: Final = 4
_DESCRIPTION_CHARACTERS: Final = 40
_LINE_CHARACTERS: Final = 2000
_SCRIPTS: Final = (".py", ".sh", ".bash")
_TEXTS: Final = (*_SCRIPTS, ".md", ".txt")

_WHEN: Final = re.compile(r"\b(when|whenever|if|use (it|this|for|to)|for (any|all|every)|before|after|asks?)\b", re.I)
_LINK: Final = re.compile(r"\]\((?!#|/|[a-z][a-z0-9+.-]*:)([^)\s#?]+)")
_USUAL_FOLDERS: Final = frozenset({"scripts", "reference", "references", "assets", "templates", "resources"})
# A path must not be a part of a longer one, nor of an address.
_START: Final = r"(?<![\w./:~$}>*-])"
_OWN: Final = re.compile(_START + r"/skills/([A-Za-z0-9_-]+)(/[\w./-]*)?")
_ELSEWHERE: Final = re.compile(
    _START + r"(?:/(?:mnt|Users|root|opt|srv|app|workspace|workdir|content|data|Volumes)/[\w./-]*"
    r"|/home/(?!user\b)[\w./-]+|[A-Za-z]:\\\w[\w\\.-]*|~/\.[a-z]+/skills\b[\w./-]*)"
)
_NETWORK: Final = re.compile(
    r"\b(?:pip3?|uv|uv pip|conda|npm|pnpm|yarn|gem|cargo|brew|apt|apt-get)\s+(?:-\w+\s+)*(?:install|add)"
    r"\s+(?!\.?/)[\w@.-][^\s`;]*"
    r"|\bnpx\s+[\w@-][^\s`;]*|\bgit\s+clone\s+[^\s`;]+|\b(?:curl|wget)\s[^`]*?https?://[^\s`;]*",
)
# Programs that skills often call, and that are in neither image.
_MISSING: Final = re.compile(
    r"^\s*(?:[$>]\s+)?(node|npm|npx|pnpm|yarn|bun|deno|git|gh|docker|pandoc|qpdf|pdftk|ffmpeg|tesseract|magick|convert"
    r"|pdflatex|xelatex|uv|uvx|go|cargo|ruby|Rscript|jupyter|playwright|claude)\s+[\w./@-]"
)
_FENCE: Final = re.compile(r"^\s*(?:```|~~~)\s*(\w*)")
_SHELLS: Final = frozenset({"bash", "sh", "shell", "console", "zsh"})
# Where a text says that it does not work, it need not be told.
_DENIAL: Final = re.compile(r"\b(no|not|never|cannot|can't|don't|doesn't|without|instead of|fails)\b", re.I)


class Advice(NamedTuple):
    """``line`` counts from 1; None speaks of the file as a whole."""

    path: str
    line: int | None
    text: str

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path} line {self.line}"
        return f"{place}: {self.text}"


def advise(bundle: Bundle, importable: Set[str]) -> list[Advice]:
    """What to mend in a skill, in the order of its files.

    ``importable``: names of the top-level Python modules that a container has.
    """
    found = [*_of_description(bundle)]
    own = _modules_of(bundle.files)
    for file in bundle.files:
        script = _is_script(file)
        if file.path != FILE and not script and not file.path.endswith(_TEXTS):
            continue
        try:
            text = file.content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            found.append(Advice(file.path, None, f"is not UTF-8 (byte {error.start}), and may not be readable"))
            continue
        found += _of_lines(bundle.name, file.path, text, script=script)
        if file.path == FILE:
            found += _of_length(text)
            found += _of_named_files(bundle, text)
        if file.path.endswith(".py"):
            found += (Advice(file.path, line, said) for line, said in advise_python(text, importable, own))
    return found


def _is_script(file: BundledFile) -> bool:
    return file.path.endswith(_SCRIPTS) or file.content.startswith(b"#!")


def _of_description(bundle: Bundle) -> Iterator[Advice]:
    if len(bundle.description) < _DESCRIPTION_CHARACTERS:
        yield Advice(FILE, None, "description: is very short; the model chooses the skill by it alone")
    if not _WHEN.search(bundle.description):
        yield Advice(FILE, None, 'description: does not say when to use the skill; add "Use it when ..."')


def _of_length(text: str) -> Iterator[Advice]:
    lines = len(text.splitlines())
    tokens = len(text) // _CHARACTERS_PER_TOKEN
    if lines > LINES or tokens > TOKENS:
        yield Advice(
            FILE,
            None,
            f"has {lines} lines, about {tokens} tokens, all of which the model reads each time; "
            f"put what is not always needed into files of its own (at most {LINES} lines, {TOKENS} tokens)",
        )


def _of_lines(name: str, path: str, text: str, *, script: bool) -> Iterator[Advice]:
    """What can be seen in single lines: ends, paths, commands that need a network."""
    if (script or path == FILE) and (at := text.find("\r\n")) >= 0:
        after = ", and the #! line cannot be run" if text.startswith("#!") else ""
        yield Advice(path, text.count("\n", 0, at) + 1, f"the lines end with CRLF, as on Windows{after}; use LF")
    told: set[str] = set()
    language = "sh" if script and not path.endswith(".py") else ""
    for number, line in _lines(text):
        if not script and (fence := _FENCE.match(line)):
            language = fence[1].lower() if not language else ""
        for place in _OWN.finditer(line):
            if place[1] != name and place[1].upper() != place[1]:
                yield Advice(path, number, f"{quoted(place[0])} is not in this skill, which is at /skills/{name}")
        if (elsewhere := _ELSEWHERE.search(line)) is not None:
            yield Advice(
                path,
                number,
                f"there is no {quoted(elsewhere[0])} in a container: the skill is at /skills/{name}, "
                "given files are in $INPUT_DIR, results belong into $OUTPUT_DIR",
            )
        command = _NETWORK.search(line)
        missing = _MISSING.match(line) if language in _SHELLS and command is None else None
        if missing is not None and missing[1] not in told:
            told.add(missing[1])
            yield Advice(path, number, f"calls {missing[1]}, which containers do not have")
        if command is not None and not path.endswith(".py") and not _DENIAL.search(line):
            yield Advice(path, number, f"{quoted(command[0])}: there is no network in a container, and this fails")


def _of_named_files(bundle: Bundle, text: str) -> Iterator[Advice]:
    """The files that ``SKILL.md`` names and that are not there, each once."""
    paths = {file.path for file in bundle.files}
    folders = {path.split("/")[0] for path in paths if "/" in path} | _USUAL_FOLDERS
    named = re.compile(
        _START
        + rf"(?:/skills/{bundle.name}/|\./)?((?:{'|'.join(map(re.escape, sorted(folders)))})/[\w./-]*\w\.\w{{1,5}})\b"
    )
    told: set[str] = set()
    for number, line in _lines(text):
        for found in (*named.finditer(line), *_LINK.finditer(line)):
            path = found[1].removeprefix("./").rstrip("/")
            if path in told or path in paths or any(other.startswith(f"{path}/") for other in paths):
                continue
            told.add(path)
            yield Advice(FILE, number, f"names {quoted(path)}, and there is no such file in the skill")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines with their numbers, those that nobody wrote by hand only so far."""
    return ((number, line[:_LINE_CHARACTERS]) for number, line in enumerate(text.splitlines(), 1))


def _modules_of(files: Iterable[BundledFile]) -> frozenset[str]:
    """What scripts of a skill may import of each other, wherever they put their own folder."""
    names: set[str] = set()
    for file in files:
        if file.path.endswith(".py"):
            *folders, last = file.path.split("/")
            names.update((*folders, last.removesuffix(".py")))
    return frozenset(names)
