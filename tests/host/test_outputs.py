"""Which files come back from a call, and that they are the ones that were looked at."""

from __future__ import annotations

import pytest

from bathysphere.containers.host import OutputGone, SandboxFailed

from .conftest import Container, Outcome


def names(seen: Outcome) -> list[str]:
    return [file.name for file in seen.finished.files]


async def test_output_directory_and_working_directory(container: Container) -> None:
    seen = await container.bash(
        "echo a > $OUTPUT_DIR/a.txt; echo .h > $OUTPUT_DIR/.h; echo b > b.txt; echo c > /tmp/c.txt"
    )
    assert names(seen) == [".h", "a.txt", "b.txt"]
    assert [file.size_bytes for file in seen.finished.files] == [3, 2, 2]
    assert [await container.read(file.handle) for file in seen.finished.files] == [b".h\n", b"a\n", b"b\n"]


async def test_only_what_this_call_changed(container: Container) -> None:
    await container.bash("echo 1 > kept.txt; echo 1 > changed.txt")
    seen = await container.bash("cat kept.txt; echo 2 >> changed.txt; mkdir d; echo 3 > d/deep.txt; echo 4 > .hidden")
    assert names(seen) == ["changed.txt"]
    assert await container.read(seen.finished.files[0].handle) == b"1\n2\n"


async def test_only_regular_files(container: Container) -> None:
    seen = await container.bash(
        "cd $OUTPUT_DIR; ln -s /etc/passwd link; mkfifo pipe; mkdir dir; python3 -c "
        "\"import socket; socket.socket(socket.AF_UNIX).bind('socket')\"; cp -s /etc/hostname sym; echo x > file"
    )
    assert names(seen) == ["file"]
    assert seen.finished.left_out == ()


async def test_a_file_cannot_be_exchanged_afterwards(container: Container) -> None:
    # A process in the background replaces the file by a link to one it may not read itself, as soon as it can.
    seen = await container.bash(
        "echo honest > $OUTPUT_DIR/f; (sleep 0.1; ln -sf /etc/shadow $OUTPUT_DIR/f) > /dev/null 2>&1 &"
    )
    await container.view("/home/user")
    assert await container.read(seen.finished.files[0].handle) == b"honest\n"


async def test_a_file_that_shrinks(container: Container) -> None:
    seen = await container.bash(
        "echo begin > $OUTPUT_DIR/f; (sleep 0.2; : > $OUTPUT_DIR/f; touch /tmp/shrunk) > /dev/null 2>&1 &"
    )
    file = seen.finished.files[0]
    while (await container.view("/tmp/shrunk")).kind == "failed":
        pass
    with pytest.raises(SandboxFailed, match="shorter"):
        await container.read(file.handle)


async def test_handles_end_with_the_next_command(container: Container) -> None:
    seen = await container.bash("echo x > $OUTPUT_DIR/f")
    await container.bash("true")
    with pytest.raises(OutputGone):
        await container.read(seen.finished.files[0].handle)
    with pytest.raises(OutputGone):
        await container.read("../../etc/passwd")


async def test_too_many_and_too_large(container: Container) -> None:
    seen = await container.bash("cd $OUTPUT_DIR; touch 1 2 3 4 5 6 7; truncate -s 1G large")
    assert names(seen) == ["1", "2", "3", "4", "5"]
    assert [(file.name, file.reason) for file in seen.finished.left_out] == [
        ("6", "too_many"),
        ("7", "too_many"),
        ("large", "too_large"),
    ]
    assert seen.finished.left_out[2].size_bytes == 1 << 30
    assert seen.finished.left_out[2].in_output_directory


async def test_too_much_together(container: Container) -> None:
    """Files of holes take nothing in the container, and what they are long where they are stored."""
    seen = await container.bash("cd $OUTPUT_DIR; truncate -s 9M 1 2 3; echo small > 4; du -s . >&2")
    assert names(seen) == ["1", "2", "4"]
    assert [(file.name, file.reason) for file in seen.finished.left_out] == [("3", "too_much")]


async def test_names(container: Container) -> None:
    seen = await container.python(
        "import os\n"
        "odd = [b'esc\\x1b[2J', b' ']\n"
        "for name in [*odd, b'caf\\xc3\\xa9.txt', b'a<b>:\"|?*\\\\.txt', b'bad\\xff', b'line\\nbreak']:\n"
        "    open(os.environ['OUTPUT_DIR'].encode() + b'/' + name, 'w').close()\n"
    )
    assert sorted(names(seen)) == [" ", 'a<b>:"|?*\\.txt', "café.txt"]
    assert {file.reason for file in seen.finished.left_out} == {"unreadable_name"}
    assert len(seen.finished.left_out) == 3
    for file in seen.finished.left_out:
        assert file.name.isprintable()


async def test_hundreds_of_left_out_files_are_counted(container: Container) -> None:
    seen = await container.bash("cd $OUTPUT_DIR; touch $(seq 1 400)")
    assert len(seen.finished.files) == 5
    assert len(seen.finished.left_out) == 100
    assert "295 further files are not returned." in seen.finished.notes


async def test_files_of_a_command_that_failed(container: Container) -> None:
    seen = await container.bash("echo partial > $OUTPUT_DIR/f; sleep 100", seconds=0.5)
    assert seen.finished.timed_out
    assert names(seen) == ["f"]
