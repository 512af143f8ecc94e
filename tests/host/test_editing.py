"""The text editor inside a container: with the rights of its user, and nothing more."""

from __future__ import annotations

from bathysphere.containers.host import Created, EditorCommand, EditorFailed, Replaced, Viewed

from .conftest import Container


async def edit(container: Container, **arguments: object) -> object:
    return await container.host.edit(container.name, EditorCommand.model_validate(arguments))


async def test_all_three(container: Container) -> None:
    assert await edit(container, command="create", path="config.yaml", file_text="debug: true\nport: 80\n") == Created(
        is_file_update=False
    )
    assert await edit(
        container, command="str_replace", path="config.yaml", old_str="true", new_str="false"
    ) == Replaced(
        old_start=1, old_lines=2, new_start=1, new_lines=2, lines=["-debug: true", "+debug: false", " port: 80"]
    )
    assert await edit(container, command="view", path="/home/user/config.yaml", view_range=(1, 1)) == Viewed(
        file_type="text", content="debug: false", num_lines=1, start_line=1, total_lines=2
    )
    assert (await container.bash("stat -c '%U %a' config.yaml")).stdout == "user 644\n"


async def test_the_directories_of_the_container(container: Container) -> None:
    await container.place("data.csv", b"a,b\n")
    assert await container.view("$INPUT_DIR/data.csv") == Viewed(
        file_type="text", content="a,b", num_lines=1, start_line=1, total_lines=1
    )
    made = await container.bash("echo made > $OUTPUT_DIR/x; echo $OUTPUT_DIR")
    outcome = await container.view("$OUTPUT_DIR/x")
    assert isinstance(outcome, Viewed) and outcome.content == "made", made.stdout


async def test_only_with_the_rights_of_the_user(container: Container) -> None:
    for path in ("/etc/passwd", "/usr/bin/x", "/guest/init.py", "/x"):
        outcome = await edit(container, command="create", path=path, file_text="x")
        assert isinstance(outcome, EditorFailed) and outcome.error_code == "invalid_tool_input", path
    for path in ("/proc/1/environ", "/proc/1/mem"):
        outcome = await container.view(path)
        assert isinstance(outcome, EditorFailed), path


async def test_pipes_and_endless_files(container: Container) -> None:
    await container.bash("mkfifo pipe; ln -s /dev/zero zero; ln -s /proc/self/fd/0 self")
    for path in ("pipe", "zero", "self", "/proc/kmsg", "/dev/stdin", "/dev/tty"):
        outcome = await container.view(path)
        assert isinstance(outcome, EditorFailed), path
    assert (await container.bash("echo next")).stdout == "next\n"


async def test_large_texts(container: Container) -> None:
    text = "x" * (5 * 1024 * 1024)
    assert await edit(container, command="create", path="large", file_text=text) == Created(is_file_update=False)
    assert (await container.bash("wc -c < large")).stdout == f"{len(text)}\n"
    outcome = await edit(container, command="create", path="larger", file_text="x" * (17 * 1024 * 1024))
    assert isinstance(outcome, EditorFailed) and "16 MiB" in outcome.message
    assert (await container.bash("ls")).stdout == "large\n"


async def test_half_a_character(container: Container) -> None:
    outcome = await edit(container, command="create", path="a", file_text="\ud800")
    assert isinstance(outcome, EditorFailed) and outcome.error_code == "invalid_tool_input"
