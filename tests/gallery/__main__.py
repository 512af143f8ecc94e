"""Makes the gallery: one conversation for each of our skills, and pictures of what came out.

    python -m tests.gallery --write docs/gallery

Each conversation goes through the official SDK to a real server with a scripted model, which reads the skill, writes a
program and runs it in a container. The documents are fetched through the Files API; LibreOffice and poppler, which
have nothing to do with the libraries that made them, turn them into pictures. Look at them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from anthropic import Anthropic
from PIL import Image

from tests.clients.conftest import serving
from tests.gallery.model import TASKS, Task, respond

SHOWN = {"presentation": (10, 3), "workbook": (2, 2), "letter": (1, 1), "papers": (3, 3)}
"""Of each document: how many pages are shown, and how many of them side by side."""
WIDTH = 1400
LARGEST = 150_000


class Failed(Exception):
    """A conversation or a picture did not come out; the message says what was said instead."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, default=Path("build/gallery"), help="the folder of the pictures")
    parser.add_argument("--documents", type=Path, help="keep the documents here")
    options = parser.parse_args()
    options.write.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, serving(Path(temporary)) as upstreams:
        upstreams.upstream.respond = respond
        client = Anthropic(base_url=upstreams.server.base_url, api_key=upstreams.server.key)
        folder = options.documents or Path(temporary, "documents")
        folder.mkdir(parents=True, exist_ok=True)
        made: dict[str, Path] = {}
        for name, task in TASKS.items():
            made[name] = converse(client, task, folder, made)
            if name in SHOWN:
                picture = options.write / f"{name}.png"
                contact_sheet(pages(made[name], Path(temporary), SHOWN[name][0]), SHOWN[name][1], picture)
                print(f"   {picture} ({picture.stat().st_size:,} bytes)", flush=True)
    return 0


def converse(client: Anthropic, task: Task, folder: Path, made: dict[str, Path]) -> Path:
    """Ask for the document and fetch it into ``folder``. Raises Failed."""
    content: list[Any] = [{"type": "text", "text": task.prompt}]
    known = {path.name: path for path in made.values()}
    for upload in task.uploads:
        file = client.beta.files.upload(file=known[upload])
        content.append({"type": "container_upload", "file_id": file.id})
    message = client.beta.messages.create(
        model="via-anthropic",
        max_tokens=4096,
        betas=["code-execution-2025-08-25", "skills-2025-10-02", "files-api-2025-04-14"],
        container={"skills": [{"type": "anthropic", "skill_id": task.skill, "version": "latest"}]},
        tools=[{"type": "code_execution_20250825", "name": "code_execution"}],
        messages=[{"role": "user", "content": content}],
    )
    said = "".join(block.text for block in message.content if block.type == "text")
    files = [
        output.file_id
        for block in message.content
        if block.type == "bash_code_execution_tool_result" and block.content.type == "bash_code_execution_result"
        for output in block.content.content
    ]
    print(f"{task.skill}: {task.prompt}\n   {said.rpartition('The check says:')[2].strip()[-300:]}", flush=True)
    if not files:
        raise Failed(f"no file came out of {task.prompt!r}:\n{message.model_dump_json(indent=1)[-3000:]}")
    name = client.beta.files.retrieve_metadata(files[-1]).filename
    target = folder / name
    client.beta.files.download(files[-1]).write_to_file(target)
    return target


def pages(document: Path, folder: Path, count: int) -> list[Path]:
    """Pictures of the first pages, by LibreOffice and poppler. Raises Failed."""
    if document.suffix != ".pdf":
        profile = f"-env:UserInstallation=file://{folder / 'libreoffice'}"
        command = ["soffice", profile, "--headless", "--norestore", "--convert-to", "pdf"]
        _run([*command, "--outdir", str(folder), str(document)])
        document = folder / f"{document.stem}.pdf"
    stem = folder / document.stem
    _run(["pdftoppm", "-png", "-r", "110", "-l", str(count), str(document), str(stem)])
    found = sorted(folder.glob(f"{document.stem}-*.png"))
    if len(found) != count:
        raise Failed(f"{document.name} has {len(found)} pages, not {count}")
    return found


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise Failed(f"{command[0]} ended with {done.returncode}: {done.stderr[-1000:]}")


def contact_sheet(pictures: list[Path], across: int, target: Path) -> None:
    """All pictures side by side in one file of at most 150 kB."""
    images = [Image.open(picture).convert("RGB") for picture in pictures]
    gap = 14
    wide = (min(WIDTH, 760 * across) - gap) // across - gap
    sizes = [(wide, round(image.height * wide / image.width)) for image in images]
    shrunk = [image.resize(size, Image.Resampling.LANCZOS) for image, size in zip(images, sizes, strict=True)]
    high = max(image.height for image in shrunk) + gap
    sheet = Image.new("RGB", ((wide + gap) * across + gap, high * -(-len(shrunk) // across) + gap), "#8A8F98")
    for at, image in enumerate(shrunk):
        sheet.paste(image, (gap + at % across * (wide + gap), gap + at // across * high))
    for colors in (256, 128, 64, 32):
        sheet.quantize(colors, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(target, optimize=True)
        if target.stat().st_size <= LARGEST:
            return
    raise Failed(f"{target} has {target.stat().st_size:,} bytes with 32 colours")


if __name__ == "__main__":
    sys.exit(main())
