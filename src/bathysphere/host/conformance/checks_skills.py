"""Skills: folders of the host's that are shown read-only at /skills, and exchanged while the container runs."""

from __future__ import annotations

import asyncio
from typing import Final

from bathysphere.host.conformance.check import check, expect, same
from bathysphere.host.conformance.subject import Subject
from bathysphere.host.contract import DiskFull

_LETTERS: Final = {
    "SKILL.md": "---\nname: letters\n---\nžluť\n".encode(),
    "data/deep/er/all.bin": bytes(range(256)) * 9000,
    "empty": b"",
    "scripts/say.sh": b"#!/bin/sh\necho said\n",
}
_NUMBERS: Final = {"SKILL.md": b"numbers\n"}


@check
async def skills_are_shown_as_they_are(subject: Subject) -> None:
    """A running container sees a skill at once: exactly its files with their bytes, and programs that can be run."""
    same((await subject.run("ls /skills")).stdout, "")
    same(await subject.show({"letters": _LETTERS}), True)
    seen = await subject.run(
        "cd /skills/letters; find . -type f | sort; cat SKILL.md; stat -c %a SKILL.md scripts/say.sh scripts; "
        "sha256sum < data/deep/er/all.bin; stat -c %s empty; scripts/say.sh"
    )
    expected = (
        "./SKILL.md\n./data/deep/er/all.bin\n./empty\n./scripts/say.sh\n---\nname: letters\n---\nžluť\n644\n755\n755\n"
        "62bf4dac314280c65bfec2a49872d67974db10af14c8a4b84c70166fb11252b9  -\n0\nsaid\n"
    )
    same((seen.stdout, seen.stderr), (expected, ""))
    viewed = await subject.edit(command="view", path="/skills/letters/SKILL.md")
    same(viewed["content"], "---\nname: letters\n---\nžluť")


@check
async def skills_stay_as_they_are(subject: Subject) -> None:
    """Nobody in the container can change, replace, move or cover them; each try is refused."""
    await subject.show({"letters": _LETTERS})
    tries = (
        "echo x >> SKILL.md",
        "echo x > new",
        "rm SKILL.md",
        "mv SKILL.md other",
        "mv /skills/letters /skills/other",
        "chmod 777 SKILL.md",
        "chmod 777 .",
        "touch -d yesterday SKILL.md",
        "ln -s /etc/passwd link",
        "ln SKILL.md /home/user/linked && echo x >> /home/user/linked",
        "mkdir /skills/mine",
        "rmdir /skills",
        "mv /skills /home/user/skills",
        "mount -t tmpfs none /skills/letters",
        "mount -o remount,rw /skills",
        "unshare -Urm mount --bind /home/user /skills/letters",
        "setfattr -n user.x -v y SKILL.md",
    )
    seen = await subject.run("; ".join(f"cd /skills/letters; ({one}) 2> /dev/null && echo '{one}'" for one in tries))
    same(seen.stdout, "")
    same(
        (await subject.run("cd /skills; ls; cat letters/SKILL.md")).stdout, "letters\n" + _LETTERS["SKILL.md"].decode()
    )
    expect((await subject.edit(command="create", path="/skills/letters/x", file_text="x"))["kind"] == "failed", "made")


@check
async def skills_are_exchanged(subject: Subject) -> None:
    """The wanted skills are there and no others, also another content of the same name; the same again does nothing."""
    await subject.show({"letters": _LETTERS, "numbers": _NUMBERS})
    same(await subject.show({"numbers": _NUMBERS, "letters": _LETTERS}), False)
    same((await subject.run("ls /skills")).stdout, "letters\nnumbers\n")
    await subject.show({"letters": {"SKILL.md": b"second\n", "scripts/new": b"#!/bin/sh\n"}})
    same((await subject.run("cd /skills; find . | sort; cat letters/SKILL.md")).stdout.split("\n")[-2], "second")
    same((await subject.run("find /skills | sort")).stdout.split()[1:], [
        "/skills/letters", "/skills/letters/SKILL.md", "/skills/letters/scripts", "/skills/letters/scripts/new",
    ])  # fmt: skip
    await subject.show({})
    same((await subject.run("ls -A /skills")).stdout, "")


@check
async def skills_last(subject: Subject) -> None:
    """They are there after a rest and in a copy, which has its own; nothing has to be brought again."""
    await subject.show({"letters": _LETTERS})
    await subject.rest()
    same((await subject.run("cat /skills/letters/SKILL.md")).stdout, _LETTERS["SKILL.md"].decode())
    await subject.rest()
    same(await subject.show({"letters": _LETTERS}), False)
    copy = await subject.fork()
    same(await subject.show({"letters": _LETTERS}, copy), False)
    await subject.show({"numbers": _NUMBERS}, copy)
    same((await subject.run("ls /skills; cat /skills/numbers/SKILL.md", name=copy)).stdout, "numbers\nnumbers\n")
    same((await subject.run("ls /skills")).stdout, "letters\n")


@check
async def skills_do_not_follow_the_container(subject: Subject) -> None:
    """Links of the container's own do not lead the host anywhere, and skills are of no use as a way to its files."""
    await subject.run(
        "rm -rf /tmp/* /files/output; ln -s /etc /home/user/skills; ln -s / /files/skills; ln -s / /tmp/skills"
    )
    await subject.show({"letters": _LETTERS})
    same(
        (await subject.run("readlink /home/user/skills; ls /skills; ls /skills/..  | grep -c '^new$'")).stdout,
        "/etc\nletters\n0\n",
    )


@check
async def skills_that_do_not_fit(subject: Subject) -> None:
    """They count as the container's own bytes: on a full disk the error says so, and what was there before still is."""
    if not subject.ground.disks.limited:
        return
    await subject.show({"numbers": _NUMBERS})
    filled = (
        "fallocate -l 20G /home/user/fill 2> /dev/null; dd if=/dev/zero of=/home/user/rest bs=64k 2> /dev/null; echo"
    )
    await subject.run(f"fallocate -l 5000M /home/user/most; {filled}")
    try:
        await subject.show({"letters": _LETTERS, "numbers": {"SKILL.md": b"other\n"}})
    except DiskFull as error:
        expect("disk is full" in str(error) and "letters" in str(error), error)
    else:
        expect(False, "it was put there all the same")
    same((await subject.run("cd /skills; ls; cat numbers/SKILL.md; rm -f /home/user/*")).stdout, "numbers\nnumbers\n")
    same(await subject.show({"letters": _LETTERS}), True)


@check
async def skills_reach_who_waits(subject: Subject) -> None:
    """They are exchanged while a cell waits for its tools, and it sees them when it goes on."""
    held = await subject.cell("seen = await add(a=1, b=2)\nprint(seen, open('/skills/numbers/SKILL.md').read())")
    await asyncio.wait_for(subject.show({"numbers": _NUMBERS}), 60)
    await subject.add(held)
    same(bytes(held.output["stdout"]).decode(), "3 numbers\n\n")
