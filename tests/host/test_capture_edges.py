"""What a call returns when its directories are not as they should be: never what is untrue."""

from __future__ import annotations

import pytest

from bathysphere.containers.host import EditorFailed

from .conftest import Container
from .test_outputs import names


async def test_more_files_than_are_looked_at(container: Container) -> None:
    await container.python("for number in range(100_100): open(f'n{number}', 'w').close()")
    seen = await container.bash("touch new_one; rm n1*; touch $OUTPUT_DIR/made")
    assert names(seen) == ["made"]
    assert seen.finished.left_out == ()
    assert any("100000 files" in note for note in seen.finished.notes)
    assert names(await container.bash("touch new_two")) == ["new_two"]


async def test_a_file_under_a_lease(container: Container) -> None:
    await container.place(
        "lease.py",
        b"import fcntl, os, pathlib, signal, time\n"
        b"signal.signal(signal.SIGIO, signal.SIG_IGN)\n"
        b"file = open(os.environ['OUTPUT_DIR'] + '/leased', 'w')\n"
        b"fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n"
        b"pathlib.Path('/tmp/ready').touch()\ntime.sleep(1000)\n",
    )
    seen = await container.bash(
        "python3 $INPUT_DIR/lease.py > /dev/null 2>&1 & until [ -e /tmp/ready ]; do sleep 0.01; done"
    )
    assert names(seen) == []
    assert [(file.name, file.reason) for file in seen.finished.left_out] == [("leased", "unreadable")]


@pytest.mark.parametrize("target", ["/etc", "/guest", "/proc/self", "/home/user"])
async def test_a_link_in_place_of_the_output_directory(container: Container, target: str) -> None:
    seen = await container.bash(f"rmdir $OUTPUT_DIR; ln -s {target} $OUTPUT_DIR")
    assert names(seen) == []
    assert seen.finished.left_out == ()
    assert any("$OUTPUT_DIR" in note for note in seen.finished.notes)
    seen = await container.bash(f"rm -rf /files/output; ln -s {target} /files/output")
    assert names(seen) == []
    assert names(await container.bash("touch $OUTPUT_DIR/x")) == ["x"]


async def test_an_output_directory_that_is_made_again(container: Container) -> None:
    assert names(await container.bash("rm -rf /files/output; mkdir -p $OUTPUT_DIR; touch $OUTPUT_DIR/x")) == ["x"]
    seen = await container.bash("rm -rf $OUTPUT_DIR")
    assert names(seen) == []
    assert seen.finished.notes == ()


async def test_the_editor_sees_nothing_of_process_1(container: Container) -> None:
    await container.bash("ln -s /proc/self/maps maps; ln -s /proc/thread-self/fd fd")
    paths = [
        f"/proc/{who}/{what}"
        for who in ("self", "1", "thread-self", "self/task/1")
        for what in ("", "maps", "environ", "status", "fd", "fd/0", "fd/3")
    ]
    for path in [*paths, "/proc/1/root/proc/self/maps", "maps", "fd", "fd/1"]:
        outcome = await container.view(path)
        assert isinstance(outcome, EditorFailed), path
    assert (await container.view("/proc/meminfo")).kind == "viewed"
