"""The definition is data: it reads, it is consistent with itself, and any change to it has another digest."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bathysphere.image.definition import Definition, normalised

LIBRARIES_OF_THE_DOCUMENTS = {
    *("pandas", "numpy", "scipy", "scikit-learn", "statsmodels", "matplotlib", "seaborn", "pyarrow"),
    *("openpyxl", "xlsxwriter", "xlrd", "pillow", "python-pptx", "python-docx", "pypdf", "pdfplumber"),
    *("pypdfium2", "pdf2image", "pdfkit", "tabula-py", "reportlab", "rlpycairo", "img2pdf", "sympy"),
    *("mpmath", "tqdm", "python-dateutil", "pytz", "joblib"),
}
COMMANDS_OF_THE_DOCUMENTS = {"unzip", "unrar", "7z", "bc", "rg", "fd", "sqlite3"}
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def copy(definition: Definition, tmp_path: Path) -> Path:
    return Path(shutil.copytree(definition.directory, tmp_path / "definition"))


def test_it_has_every_library_of_the_documents(definition: Definition) -> None:
    assert set(definition.wheels) >= LIBRARIES_OF_THE_DOCUMENTS
    assert "python3-cairo" in definition.packages


def test_it_requires_every_command_of_the_documents(definition: Definition) -> None:
    assert set(definition.required_commands) >= COMMANDS_OF_THE_DOCUMENTS


def test_every_wheel_is_pinned_with_a_hash(definition: Definition) -> None:
    requirements = re.findall(
        r"^\S+==\S+ \\\n(?:    --hash=sha256:[0-9a-f]{64}\n)+", definition.wheels_file.read_text(), re.MULTILINE
    )
    assert len(requirements) == len(definition.wheels) > 40
    assert definition.wheels_file.read_text().count("==") == len(requirements)


def test_every_library_asked_for_is_pinned(definition: Definition) -> None:
    for name in ("libraries.in", "libraries-alone.in"):
        lines = (line.strip() for line in (definition.directory / name).read_text().splitlines())
        wanted = {normalised(line.partition("[")[0]) for line in lines if line and not line.startswith("#")}
        assert wanted <= set(definition.wheels)


def test_it_has_the_container_of_the_documents(definition: Definition) -> None:
    assert definition.suite == "bookworm"
    assert definition.python == "3.11"
    assert (definition.user.name, definition.user.home) == ("user", "/home/user")
    assert set(definition.mount_points) >= {"/home/user", "/tmp", "/files", "/skills", "/guest", "/proc", "/dev"}


def test_only_free_packages(definition: Definition) -> None:
    assert definition.components == ("main",)


def test_the_packages_are_sorted_into_groups_without_repeats(definition: Definition) -> None:
    assert len(set(definition.packages)) == len(definition.packages)


def test_it_names_no_place_to_fetch_from(definition: Definition) -> None:
    for file in filter(Path.is_file, definition.directory.rglob("*")):
        assert not re.search(r"https?://|index-url|find-links", file.read_text()), file.name


def test_every_file_to_install_is_there(definition: Definition) -> None:
    assert all(file.source.is_file() for file in definition.files)


def test_the_scripts_are_valid_shell(definition: Definition) -> None:
    scripts = [file.source for file in definition.files if file.source.read_text().startswith("#!/bin/sh")]
    assert len(scripts) >= 2
    for script in scripts:
        subprocess.run(["sh", "-n", script], check=True)


def test_the_digest_is_short_and_stable(definition: Definition, copy: Path) -> None:
    assert re.fullmatch("[0-9a-f]{16}", definition.digest)
    assert Definition.load(copy).digest == definition.digest


@pytest.mark.parametrize("name", ["image.toml", "debian-packages.txt", "wheels.txt", "matplotlibrc", "unrar"])
def test_any_change_has_another_digest(definition: Definition, copy: Path, name: str) -> None:
    with (copy / name).open("a") as file:
        file.write("\n# changed\n")
    assert Definition.load(copy).digest != definition.digest


def test_the_unpinned_lists_do_not_count(definition: Definition, copy: Path) -> None:
    (copy / "libraries.in").write_text("something-else\n")
    assert Definition.load(copy).digest == definition.digest


def test_the_larger_image_adds_to_the_usual_one_and_has_a_digest_of_its_own(definition: Definition, copy: Path) -> None:
    office = Definition.load(copy, office=True)
    assert set(office.packages) - set(definition.packages) >= {"libreoffice-writer-nogui", "fonts-crosextra-carlito"}
    assert set(office.packages) > set(definition.packages)
    assert "soffice" in office.required_commands
    assert office.environment == definition.environment
    with (copy / "office" / "debian-packages.txt").open("a") as file:
        file.write("# changed\n")
    assert Definition.load(copy, office=True).digest not in {office.digest, definition.digest}
    assert Definition.load(copy).digest == definition.digest


class TestContainerfile:
    """The Containerfile builds from the same data, and adds nothing of its own."""

    text = (REPOSITORY / "Containerfile").read_text()
    final = text.rpartition("FROM ")[2]

    def test_every_stage_is_of_the_suite(self, definition: Definition) -> None:
        bases = re.findall(r"^FROM (\S+)", self.text, re.MULTILINE)
        assert bases == [f"debian:{definition.suite}-slim"] * 2

    @pytest.mark.parametrize("office", ["", "True"])
    def test_the_final_stage_installs_the_packages_of_the_definition_only(self, office: str) -> None:
        definition = Definition.load(office=bool(office))
        (command,) = re.findall(r"^RUN (apt-get update.*?[^\\])\n", self.final, re.MULTILINE | re.DOTALL)
        shell = command.replace("/bathysphere-build", str(definition.directory)).replace("\\\n", " ")
        # The command itself, with apt-get replaced by a function that prints what it was asked for.
        shell = shell.replace("xargs apt-get", "xargs echo apt-get").replace("apt-get update", "true")
        run = subprocess.run(
            ["sh", "-c", shell], env={"PATH": os.environ["PATH"], "OFFICE": office}, capture_output=True, check=True
        )
        said = run.stdout.decode().split()
        assert said == ["apt-get", "install", "--yes", "--no-install-recommends", *definition.packages]
        assert self.final.count("apt-get install") == 1

    def test_the_libraries_are_the_pinned_ones(self, definition: Definition) -> None:
        assert "--require-hashes" in self.text
        assert "definition/wheels.txt /wheels.txt" in self.text
        assert f"COPY --from=libraries /libraries {definition.site_packages}\n" in self.final

    def test_it_runs_the_same_finishing_with_every_file_the_digest_counts(self) -> None:
        assert "from bathysphere.image.finishing import finish" in self.final
        for name in ("definition.py", "finishing.py", "settling.py"):
            assert f"src/bathysphere/image/{name}" in self.final
        assert "COPY src/bathysphere/image/definition /bathysphere-build/bathysphere/image/definition" in self.final
