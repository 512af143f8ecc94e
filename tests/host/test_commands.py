"""Running commands: what they find, how they end, what is left of them."""

from __future__ import annotations

import asyncio

import pytest

from bathysphere.containers.host import Command, Finished, OutputChunk, UnknownContainer

from .conftest import Container


async def test_bash(container: Container) -> None:
    seen = await container.bash('echo "$BASH_VERSION" | head -c1; echo; pwd; echo oops >&2; exit 3')
    assert seen.stdout == "5\n/home/user\n"
    assert seen.stderr == "oops\n"
    assert seen.code == 3
    assert not seen.finished.timed_out
    assert not seen.finished.truncated


async def test_python(container: Container) -> None:
    seen = await container.python("import sys\nprint(sys.version_info[:2], __name__)\nsys.exit(4)")
    assert seen.stdout == "(3, 11) __main__\n"
    assert seen.code == 4


async def test_a_traceback_shows_the_source_and_nothing_of_ours(container: Container) -> None:
    seen = await container.python("def half(x):\n    return x / 0\n\nhalf(1)\n")
    assert seen.code == 1
    assert seen.stderr == (
        "Traceback (most recent call last):\n"
        '  File "<code>", line 4, in <module>\n    half(1)\n'
        '  File "<code>", line 2, in half\n    return x / 0\n           ~~^~~\n'
        "ZeroDivisionError: division by zero\n"
    )
    wrong = await container.python("x = (\n")
    assert wrong.code == 1
    assert wrong.stderr.startswith('  File "<code>", line 1\n    x = (\n')
    assert "SyntaxError" in wrong.stderr


async def test_every_command_is_fresh_but_files_last(container: Container) -> None:
    await container.bash("cd /tmp; export A=1; b=2; echo kept > /tmp/number.txt")
    seen = await container.bash("echo $A$b; pwd; cat /tmp/number.txt")
    assert seen.stdout == "\n/home/user\nkept\n"


async def test_directories_of_a_call(container: Container) -> None:
    first = await container.bash("echo $INPUT_DIR $OUTPUT_DIR; ls -A $OUTPUT_DIR; touch $OUTPUT_DIR/x")
    second = await container.python("import os\nprint(os.environ['OUTPUT_DIR'], os.listdir(os.environ['OUTPUT_DIR']))")
    input_dir, output_dir = first.stdout.split()
    assert input_dir == "/files/input"
    prefix, _, name = output_dir.rpartition("/")
    assert prefix == "/files/output"
    assert len(name) == 16 and set(name) <= set("0123456789abcdef")
    again, listing = second.stdout.split(maxsplit=1)
    assert again != output_dir
    assert listing == "[]\n"


async def test_input_is_empty(container: Container) -> None:
    assert (await container.bash("cat; echo end")).stdout == "end\n"
    assert "EOFError" in (await container.python("input()")).stderr


@pytest.mark.parametrize("language", ["bash", "python"])
async def test_long_sources(container: Container, language: str) -> None:
    filler = "# " + "x" * 70 + "\n"
    source = filler * 14_000 + ("echo done $0 $#\n" if language == "bash" else "print('done')\n")
    assert len(source) < 1024 * 1024
    seen = await container.run(source, language)
    assert seen.stdout.startswith("done")
    assert seen.code == 0


async def test_sources_that_no_program_can_be(container: Container) -> None:
    seen = await container.bash("echo a\0b")
    assert seen.code == 126
    assert "NUL" in seen.stderr
    assert (await container.python("x = 1\0")).code == 1
    with pytest.raises(ValueError, match="more than 1048576 bytes"):
        await container.bash("#" * (1024 * 1024 + 1))
    seen = await container.bash("echo \ud800")
    assert seen.stdout == "?\n"


async def test_signals_are_told_as_a_shell_does(container: Container) -> None:
    assert (await container.bash("kill -9 $$")).code == 137
    assert (await container.bash("kill -TERM $$")).code == 143
    assert (await container.bash("yes | head -1")).stdout == "y\n"


async def test_output_comes_as_it_is_written(container: Container) -> None:
    seen: list[OutputChunk | Finished] = []
    # The second line is written only after the first has been seen and answered with a file.
    source = "echo one; until [ -e /files/input/go ]; do sleep 0.01; done; echo two"
    stream = container.host.execute(container.name, Command("bash", source, 60))
    seen.append(await anext(stream))
    assert seen == [OutputChunk("stdout", b"one\n")]
    await stream.aclose()


async def test_a_command_that_never_ends(container: Container) -> None:
    seen = await container.bash("echo begun; while :; do :; done", seconds=0.5)
    assert seen.stdout == "begun\n"
    assert seen.finished.timed_out
    assert seen.code == 137
    assert seen.finished.notes == (
        "The time limit was reached and every process that the command had started was killed.",
    )


async def test_the_end_of_time_reaches_every_descendant(container: Container) -> None:
    await container.bash("setsid sleep 1000 > /dev/null 2>&1 &")
    source = "(setsid setsid bash -c 'trap \"\" TERM HUP; sleep 2000' &) ; nohup sleep 3000 & sleep 4000"
    assert (await container.bash(source, seconds=0.5)).finished.timed_out
    seen = await container.bash("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "sleep 1000" in seen.stdout, "what an earlier command left running was none of this one's"
    for seconds in (2000, 3000, 4000):
        assert f"sleep {seconds}" not in seen.stdout


async def test_background_processes_live_on(container: Container) -> None:
    started = await container.bash(
        "(while :; do date +%N > /tmp/.beat; mv /tmp/.beat /tmp/beat; echo noise; sleep 0.01; done) & "
        "until [ -e /tmp/beat ]; do sleep 0.01; done; echo started"
    )
    assert "started\n" in started.stdout
    assert started.code == 0
    # It must outlive its command, and may write although nobody reads.
    seen = await container.bash(
        'a=$(cat /tmp/beat); while [ "$(cat /tmp/beat)" = "$a" ]; do sleep 0.01; done; echo beats'
    )
    assert seen.stdout == "beats\n"


async def test_a_background_process_that_writes_for_ever_does_not_hold_the_call(container: Container) -> None:
    seen = await container.bash("yes & echo done >&2")
    assert seen.code == 0
    assert seen.stderr == "done\n"
    await container.bash("pkill yes")


async def test_closing_early_kills(container: Container) -> None:
    stream = container.host.execute(container.name, Command("bash", "echo begun; sleep 1234", 60))
    assert await anext(stream) == OutputChunk("stdout", b"begun\n")
    await stream.aclose()
    assert (await container.bash("pgrep -cx sleep")).stdout == "0\n"


async def test_calls_wait_for_each_other_in_order(container: Container) -> None:
    async def append(number: int) -> None:
        await container.bash(f"sleep 0.05; echo {number} >> /tmp/order")

    tasks = []
    for number in range(5):
        tasks.append(asyncio.create_task(append(number)))
        await asyncio.sleep(0.02)
    await asyncio.gather(*tasks)
    assert (await container.bash("cat /tmp/order")).stdout.split() == ["0", "1", "2", "3", "4"]


async def test_a_home_in_ruins(container: Container) -> None:
    await container.bash(
        "rm -rf /home/user/* /home/user/.[a-z]*; rm -rf /files/output /files/input; chmod 000 /home/user"
    )
    seen = await container.bash("pwd; touch $OUTPUT_DIR/x && echo made")
    assert seen.stdout == "/home/user\nmade\n"
    await container.bash("rm -rf /files/output; ln -s /etc /files/output")
    assert (await container.bash("touch $OUTPUT_DIR/x && echo made")).stdout == "made\n"


async def test_unknown_container(container: Container) -> None:
    nobody = Container(container.host, "container_nobody")
    with pytest.raises(UnknownContainer):
        await nobody.bash("true")
    with pytest.raises(UnknownContainer):
        await nobody.view("/")
    with pytest.raises(UnknownContainer):
        await nobody.read("0" * 16)
    with pytest.raises(UnknownContainer):
        await nobody.place("a", b"")
    await container.host.delete("container_nobody")


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\0b", ".hidden", "x" * 200, "é"])
async def test_container_ids_are_no_paths(container: Container, name: str) -> None:
    with pytest.raises(ValueError, match="not valid"):
        await container.host.create(name)
