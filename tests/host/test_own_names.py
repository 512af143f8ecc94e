"""Files of the user's that have the names of what a command is run with take no part in running it."""

from __future__ import annotations

from .conftest import Container

MODULES = ("token", "re", "enum", "tokenize", "linecache", "traceback", "os", "io", "posix", "codecs", "functools")


async def test_modules(container: Container) -> None:
    for name in MODULES:
        await container.place(f"{name}.py", b"print('taken instead')\n")
    await container.bash("cp $INPUT_DIR/*.py .")
    seen = await container.python("print(1)")
    assert (seen.stdout, seen.stderr, seen.code) == ("1\n", "", 0)
    failed = await container.python("x = 1\nx / 0\n")
    assert failed.stdout == ""
    assert failed.stderr == (
        'Traceback (most recent call last):\n  File "<code>", line 2, in <module>\n    x / 0\n    ~~^~~\n'
        "ZeroDivisionError: division by zero\n"
    )
    # Who asks for them gets them, as from any program that lies beside them.
    assert (await container.python("import token")).stdout == "taken instead\n"
    taken = await container.python("import token\n1 / 0")
    assert taken.stdout == "taken instead\n"
    assert taken.stderr.endswith("ZeroDivisionError: division by zero\n")


async def test_the_users_modules_are_found(container: Container) -> None:
    await container.bash("echo 'answer = 42' > mine.py")
    assert (await container.python("import sys, mine\nprint(mine.answer, repr(sys.path[0]))")).stdout == "42 ''\n"


async def test_programs(container: Container) -> None:
    await container.bash(
        "mkdir -p ~/.local/bin; cd ~/.local/bin; printf '#!/bin/sh\\necho taken instead $*\\n' > bash; "
        "cp bash hello; cp bash python3; chmod +x *"
    )
    assert (await container.bash("echo hi; hello")).stdout == "hi\ntaken instead\n"
    assert (await container.python("print('hi')")).stdout == "hi\n"
    await container.bash("echo broken > ~/.local/bin/bash")
    assert (await container.bash("echo hi")).stdout == "hi\n"
