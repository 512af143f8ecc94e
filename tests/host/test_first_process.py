"""Process 1 of a container stays, whatever it is asked and whatever programs do to it."""

from __future__ import annotations

from bathysphere.containers.host import Created, EditorCommand, EditorFailed, EditorOutcome, Replaced, SandboxFailed

from .conftest import Container, MakeHost


async def edit(container: Container, **arguments: object) -> EditorOutcome:
    return await container.host.edit(container.name, EditorCommand.model_validate(arguments))


async def start_sleeping(container: Container) -> None:
    await container.bash("sleep 1000 > /dev/null 2>&1 &")


async def still_sleeps(container: Container) -> bool:
    """Whether the container is the same sandbox as before: its background process lives."""
    return (await container.bash("pgrep -cx sleep")).stdout == "1\n"


async def test_an_edit_in_a_very_long_line(container: Container) -> None:
    await start_sleeping(container)
    for text in ("x" * 9_000_000, "é" * 3_000_000):
        assert isinstance(await edit(container, command="create", path="min.json", file_text='{"k":' + text), Created)
        outcome = await edit(container, command="str_replace", path="min.json", old_str='{"k', new_str='{"K')
        assert isinstance(outcome, Replaced)
        assert (outcome.old_start, outcome.old_lines, outcome.new_lines) == (1, 1, 1)
        assert outcome.lines == ["\\ 2 lines are left out here: the change is larger than 256 KiB"]
        assert (await container.bash("head -c 5 min.json")).stdout == '{"K":'
    assert await still_sleeps(container)


async def test_paths_that_are_too_long_or_too_deep(container: Container) -> None:
    await start_sleeping(container)
    await container.bash("touch l0; for i in $(seq 1200); do ln -s l$((i - 1)) l$i; done")
    for path in ("a/" * 1200 + "f", "l1200", "é" * 3_000_000, "$PATH" * 700, "none/../l1200", "d/" * 2040 + "/f"):
        for arguments in (
            {"command": "create", "file_text": "x"},
            {"command": "str_replace", "old_str": "a", "new_str": "b"},
            {"command": "view"},
        ):
            outcome = await edit(container, path=path, **arguments)
            assert isinstance(outcome, EditorFailed), path[:20]
            assert len(outcome.message) < 500
    assert (await container.bash("ls | grep -vc ^l")).stdout == "0\n"
    assert await still_sleeps(container)


async def test_a_listing_of_very_long_names(container: Container) -> None:
    await start_sleeping(container)
    await container.python(
        "import os\n"
        "for _ in range(15):\n    os.mkdir('\\x01' * 250); os.chdir('\\x01' * 250)\n"
        "for number in range(900): open(f'{number:03}' + '\\x01' * 200, 'w').close()\n"
    )
    outcome = await container.view("/home/user" + ("/" + "\x01" * 250) * 15)
    assert outcome.kind == "viewed" and outcome.num_lines is not None
    assert len(outcome.content.encode()) < 257 * 1024
    assert outcome.content.endswith("use ls or find]")
    assert await still_sleeps(container)


async def test_pipes_of_many_background_processes(container: Container) -> None:
    # From the 33rd on the oldest are closed while they are written to, and output files get their numbers.
    await start_sleeping(container)
    await container.bash("mkfifo /tmp/pause")
    writer = "exec 3<>/tmp/pause; (while :; do echo; echo >&2; read -t 0.001 <&3; done) &"
    for _ in range(60):
        seen = await container.bash(f"{writer} cd $OUTPUT_DIR; touch 1 2 3 4 5")
        assert [file.size_bytes for file in seen.finished.files] == [0] * 5
    assert await still_sleeps(container)


async def test_changed_limits_of_process_1_do_not_last(container: Container) -> None:
    for limit in ("--nofile=3:3", "--as=1000", "--fsize=0"):
        await container.bash(f"echo kept > kept.txt; prlimit --pid 1 {limit}")
        seen = ""
        for _ in range(3):
            try:
                seen = (await container.bash("cat kept.txt")).stdout
            except SandboxFailed:
                continue
        assert seen == "kept\n", limit
        assert await edit(container, command="create", path="new.txt", file_text="x") == Created(
            is_file_update=limit != "--nofile=3:3"
        )


async def test_a_guest_that_can_start_nothing_is_started_again(make_host: MakeHost) -> None:
    # Each command leaves two pipes to process 1, which may open only so many files.
    host = make_host(sandbox={"open_files": 64})
    await host.create("one")
    container = Container(host, "one")
    await container.bash("echo kept > kept.txt")
    seen = []
    for _ in range(40):
        try:
            seen.append((await container.bash("sleep 1000 & cat kept.txt")).stdout)
        except SandboxFailed:
            seen.append("failed")
    assert set(seen) == {"failed", "kept\n"}
    assert seen.count("failed") <= 4
