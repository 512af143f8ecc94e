"""The last stage of an image, run inside it: commands, accounts, trimming, compiled Python, font lists.

The builder and the Containerfile both run ``python3 -m bathysphere.image.finishing`` with the image as the
root directory, so that both make the same tree. Standard library only. Running it twice changes nothing.
"""

from __future__ import annotations

import compileall
import configparser
import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

from bathysphere.image.definition import Definition

STAMP = "etc/bathysphere-image"


def finish(root: Path, definition: Definition) -> None:
    """Turn a tree with the Debian packages and the wheels in it into a finished image.

    Python is compiled and fonts are listed only when ``root`` is ``/``: those two need the image's own programs.
    Raises ``OSError`` when the tree cannot be changed.
    """
    _install_files(root, definition)
    _link_commands(root, definition)
    _write_console_scripts(root, definition)
    _add_account(root, definition)
    _remove(root, definition)
    if root == Path("/"):
        _compile(root, definition)
        _list_fonts(definition)
    stamp = root / STAMP
    stamp.write_text(definition.digest + "\n", "ascii")


def _install_files(root: Path, definition: Definition) -> None:
    for file in definition.files:
        target = root / file.target.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.source, target)
        target.chmod(file.mode)


def _link_commands(root: Path, definition: Definition) -> None:
    for name, program in definition.commands.items():
        link = root / "usr/local/bin" / name
        link.unlink(missing_ok=True)
        link.symlink_to(program)


def _write_console_scripts(root: Path, definition: Definition) -> None:
    # pip, installing from outside, would write the builder's own interpreter into the scripts.
    site = root / definition.site_packages.lstrip("/")
    for entry_points in sorted(site.glob("*.dist-info/entry_points.txt")):
        parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read_string(entry_points.read_text("utf-8"))
        if not parser.has_section("console_scripts"):
            continue
        for name, reference in parser.items("console_scripts"):
            module, _, function = reference.partition("[")[0].strip().partition(":")
            script = root / "usr/local/bin" / Path(name).name
            script.write_text(
                "#!/usr/bin/python3\n"
                f"import sys\n\nfrom {module} import {function.partition('.')[0]}\n\nsys.exit({function}())\n",
                "utf-8",
            )
            script.chmod(0o755)


def _add_account(root: Path, definition: Definition) -> None:
    user = definition.user
    records = {
        "etc/passwd": f"{user.name}:x:{user.id}:{user.id}::{user.home}:{user.shell}",
        "etc/group": f"{user.name}:x:{user.id}:",
        "etc/shadow": f"{user.name}:*:1::::::",
    }
    for name, record in records.items():
        file = root / name
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        lines = [line for line in lines if not line.startswith(f"{user.name}:")] + [record]
        file.write_text("\n".join(lines) + "\n", "utf-8")
    (root / user.home.lstrip("/")).mkdir(parents=True, exist_ok=True)


def _remove(root: Path, definition: Definition) -> None:
    kept = {path for pattern in definition.keep for path in root.glob(pattern)}
    kept |= {parent for path in kept for parent in path.parents}
    for pattern in definition.remove:
        # "dir/**" means everything in it, but not the directory itself.
        whole = pattern.endswith("/**")
        for match in list(root.glob(pattern.removesuffix("/**"))):
            paths = sorted(_below(match), reverse=True) if whole else [match]
            for path in paths:
                if path in kept:
                    continue
                if path.is_dir() and not path.is_symlink():
                    path.rmdir() if whole else shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)


def _below(directory: Path) -> list[Path]:
    if directory.is_symlink() or not directory.is_dir():
        return []
    return [Path(parent, name) for parent, directories, files in os.walk(directory) for name in [*directories, *files]]


def _compile(root: Path, definition: Definition) -> None:
    # The image is read-only, so the source never changes: compiled files are used without a look at it, and
    # stay right when a copy of the tree has other modification times.
    for directory in (
        f"/usr/lib/python{definition.python}",
        "/usr/lib/python3/dist-packages",
        definition.site_packages,
    ):
        compileall.compile_dir(
            root / directory.lstrip("/"),
            quiet=2,
            force=True,
            workers=0,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def _list_fonts(definition: Definition) -> None:
    subprocess.run(["fc-cache", "--force", "--system-only"], check=True)
    # matplotlib lists the fonts once per home directory: put the list where new homes are copied from.
    skeleton = Path("/etc/skel")
    environment = definition.environment | {"HOME": str(skeleton), "XDG_CACHE_HOME": str(skeleton / ".cache")}
    shutil.rmtree(skeleton / ".cache", ignore_errors=True)
    subprocess.run(
        [sys.executable, "-c", "import matplotlib.font_manager"],
        check=True,
        env=environment,
        stdin=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    finish(Path("/"), Definition.load())
