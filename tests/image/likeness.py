"""A small tree that has, by the look of it, all that the definition asks for."""

from __future__ import annotations

from pathlib import Path

from bathysphere.image.definition import Definition


def write(root: Path, path: str, text: str = "", mode: int = 0o644) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def make_likeness(root: Path, definition: Definition) -> Path:
    """Make the tree at ``root``, unfinished and unsettled, and return it."""
    for directory in ("usr/bin", "usr/local/bin", "etc"):
        (root / directory).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    write(root, "etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
    for name in {*definition.required_commands, *(Path(name).name for name in definition.commands.values())}:
        write(root, f"usr/bin/{name}", "#!/bin/sh\n", 0o755)
    write(root, "usr/bin/python3.11", "", 0o755)
    site = definition.site_packages.lstrip("/")
    for name, version in definition.wheels.items():
        write(root, f"{site}/{name.replace('-', '_')}-{version}.dist-info/METADATA")
    scripts = "[console_scripts]\ntqdm = tqdm.cli:main\nodd = odd.commands:Command.run [extra]\n[other]\nx = y\n"
    write(root, f"{site}/tqdm-{definition.wheels['tqdm']}.dist-info/entry_points.txt", scripts)
    records = "".join(f"Package: {name}\nStatus: install ok installed\nVersion: 1\n\n" for name in definition.packages)
    write(root, "var/lib/dpkg/status", records + "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n")
    return root
