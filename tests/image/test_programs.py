"""Every library and command of the image does one real thing inside a container, without a word of complaint."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bathysphere.image.definition import Definition

PROGRAMS = sorted(Path(__file__).with_name("programs").iterdir())

Run = Callable[[str, str], subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_program(program: Path, run_inside: Run) -> None:
    interpreter = "python3" if program.suffix == ".py" else "bash -eu -o pipefail"
    result = run_inside(interpreter, program.read_text("utf-8"))
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


def test_every_library_has_a_program(definition: Definition) -> None:
    wanted = "".join((definition.directory / name).read_text() for name in ("libraries.in", "libraries-alone.in"))
    names = (line.partition("[")[0] for line in wanted.splitlines() if not line.startswith("#"))
    libraries = {name.replace("-", "_") for name in names if name}
    assert libraries <= {program.stem for program in PROGRAMS}


def test_a_failing_program_fails_here(run_inside: Run) -> None:
    assert run_inside("python3", "assert False").returncode == 1
