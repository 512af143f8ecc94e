"""What all scripts of our own skills have in common: help, refusals in one line, and files shared byte for byte."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.skills_own.conftest import OWN, Shell

SKILLS = ("pptx", "docx")


@pytest.mark.parametrize("name", SKILLS)
def test_the_instructions_are_well_formed_and_name_only_what_is_there(name: str) -> None:
    text = (OWN / name / "SKILL.md").read_text("utf-8")
    front = yaml.safe_load(text.split("---\n")[1])
    assert set(front) == {"name", "description", "metadata"}
    assert front["name"] == name
    assert 1 <= len(front["description"]) <= 1024
    assert "<" not in front["description"]
    named = set(re.findall(r"\b(\w+\.py)\b", text)) | set(re.findall(r"reference/\w+\.md", text))
    there = {file.name for file in (OWN / name / "scripts").iterdir()} | {
        f"reference/{file.name}" for file in (OWN / name / "reference").iterdir()
    }
    assert named <= there
    assert len(named) >= 5


@pytest.mark.parametrize("shared", ["ooxml.py", "convert.py"])
def test_what_skills_share_is_the_same_file(shared: str) -> None:
    assert len({(OWN / name / "scripts" / shared).read_bytes() for name in SKILLS}) == 1


@pytest.mark.parametrize("name", SKILLS)
def test_every_script_explains_itself(shell: Shell, name: str) -> None:
    done = shell(f"printf '%s --help\\n' check read edit convert | python $PROGRAMS/scripts.py ${name.upper()}")
    for script in ("check", "read", "edit", "convert"):
        assert f"$ {script} -> 0\nusage: {script}.py" in done.stdout


def test_hostile_and_wrong_files_are_refused_in_one_line(shell: Shell) -> None:
    done = shell("for f in $(python $PROGRAMS/hostile.py); do echo read $f; done | python $PROGRAMS/scripts.py $PPTX")
    lines = done.stdout.splitlines()
    assert lines[::2] == ["$ read -> 2"] * 9, done.stdout + done.stderr
    assert all(line.startswith("error: ") for line in lines[1::2])
    assert "declares a document type or entities" in lines[1]
    assert "101,711,879 bytes; the limit is 100,663,296" in lines[3]


def test_without_libreoffice_it_is_said_what_goes_on_without(shell: Shell) -> None:
    done = shell("""python $PROGRAMS/document.py; python $PROGRAMS/scripts.py $DOCX <<'END'
        convert document.docx
        check document.docx --render
        check deck.pptx
END
        ls""")
    assert "$ convert -> 3\nLibreOffice is not in this container's image" in done.stdout
    assert "$ check -> 2\nerror: LibreOffice is not in this container's image" in done.stdout
    assert done.stdout.endswith("document.docx\nhall.png\n")
