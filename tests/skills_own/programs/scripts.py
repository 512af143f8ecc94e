"""Runs scripts of a skill one after another: each line of stdin is a script and its arguments, ``> FILE`` at its end.

One process for all of them, because importing the libraries takes most of the time of each.
"""

import contextlib
import io
import runpy
import shlex
import sys
from pathlib import Path

folder = sys.argv[1]
sys.path.insert(0, folder)
for line in sys.stdin.read().strip().splitlines():
    words = shlex.split(line)
    target = words.pop() if words[-2] == ">" else None
    sys.argv = [f"{folder}/{words[0]}.py", *(word for word in words[1:] if word != ">")]
    said = io.TextIOWrapper(io.BytesIO(), "utf-8")
    status = None
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said if target is None else sys.stderr):
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as end:
            status = end.code
        said.flush()
    text = said.buffer.getvalue().decode()
    if target is not None:
        Path(target).write_text(text)
    else:
        print(f"$ {words[0]} -> {status}\n{text}", end="")
