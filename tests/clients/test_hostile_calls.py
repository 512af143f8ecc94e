"""What a model may ask that nobody wants: each gets its documented error or result, and the next request works."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.asking import post, question
from tests.clients.conftest import Upstreams
from tests.models.scripted_upstream import Call, Say, Turn
from tests.seeds import expectations
from tests.seeds.expectations import Message

BASH = "bash_code_execution"
EDITOR = "text_editor_code_execution"


class Conversation:
    """One container, in which a scripted model makes one call per request."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams
        self._container: str | None = None

    def call(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        self._upstreams.upstream.play(Turn(Call(name, given)), Turn(Say("Done.")))
        body = question("Go", model="via-anthropic") | ({"container": self._container} if self._container else {})
        answer = post(self._upstreams.server, "/v1/messages", body)
        assert answer.status == 200, answer.body
        message: Message = answer.json()
        assert message["stop_reason"] == "end_turn"
        self._container = message["container"]["id"]
        (result,) = expectations.results(message, name)
        return result

    def bash(self, command: str) -> dict[str, Any]:
        return self.call(BASH, {"command": command})

    def edit(self, command: str, path: str, **more: Any) -> dict[str, Any]:
        return self.call(EDITOR, {"command": command, "path": path, **more})

    def still_works(self) -> None:
        assert self.bash("echo works")["stdout"] == "works\n"


@pytest.fixture
def conversation(upstreams: Upstreams) -> Conversation:
    return Conversation(upstreams)


def test_a_gigabyte_of_output_is_kept_at_both_ends(conversation: Conversation) -> None:
    result = conversation.bash("echo first; head -c 1000000000 /dev/zero | tr '\\0' 'x'; echo; echo last")
    assert result["return_code"] == 0
    assert result["stdout"].startswith("first\nxxx")
    assert result["stdout"].endswith("xxx\nlast\n")
    assert len(result["stdout"]) < 200_000
    conversation.still_works()


def test_a_command_without_end_is_ended(upstreams_with_short_limit: Upstreams) -> None:
    conversation = Conversation(upstreams_with_short_limit)
    assert conversation.bash("sleep 98765 & (trap '' TERM; while :; do :; done)") == {
        "type": "bash_code_execution_tool_result_error",
        "error_code": "execution_time_exceeded",
    }
    conversation.still_works()
    assert not any("sleep 98765" in one for one in upstreams_with_short_limit.server.processes().values())


def test_ten_thousand_forks_are_stopped_and_do_not_block_the_next_call(conversation: Conversation) -> None:
    result = conversation.bash("for i in $(seq 10000); do setsid sleep 12345 & done 2>/dev/null; echo $?")
    assert result["type"] in ("bash_code_execution_result", "bash_code_execution_tool_result_error")
    conversation.still_works()


def test_a_fork_bomb_is_stopped(upstreams_with_short_limit: Upstreams) -> None:
    conversation = Conversation(upstreams_with_short_limit)
    conversation.bash("bomb() { bomb | bomb & }; bomb; wait")
    conversation.still_works()


@pytest.mark.parametrize("path", ["/etc/passwd", "/usr/bin/evil", "/../../../etc/evil", "../../root/evil"])
def test_paths_outside_of_what_is_writable_are_refused(conversation: Conversation, path: str) -> None:
    result = conversation.edit("create", path, file_text="x")
    assert result["type"] == "text_editor_code_execution_tool_result_error"
    assert result["error_code"] == "invalid_tool_input"
    assert result["error_message"]
    conversation.still_works()


def test_a_missing_file_and_a_missing_text_have_codes_of_their_own(conversation: Conversation) -> None:
    assert conversation.edit("view", "nothing.txt")["error_code"] == "file_not_found"
    conversation.edit("create", "a.txt", file_text="one\ntwo\n")
    result = conversation.edit("str_replace", "a.txt", old_str="three", new_str="x")
    assert result["error_code"] == "string_not_found"
    assert conversation.bash("cat a.txt")["stdout"] == "one\ntwo\n"


def test_a_binary_file_is_no_text(conversation: Conversation) -> None:
    conversation.bash("head -c 1000 /bin/ls > program")
    result = conversation.edit("view", "program")
    assert result["error_code"] == "invalid_tool_input"
    assert "binary" in result["error_message"]
    assert conversation.edit("str_replace", "program", old_str="ELF", new_str="x")["error_code"] == "invalid_tool_input"


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/stdin", "/proc/kmsg", "pipe", "/proc/self/mem"])
def test_what_is_no_file_neither_hangs_nor_fills_the_memory(conversation: Conversation, path: str) -> None:
    conversation.bash("mkfifo pipe")
    assert conversation.edit("view", path)["type"] == "text_editor_code_execution_tool_result_error"
    conversation.still_works()


def test_a_symbolic_link_leads_nowhere_that_the_code_could_not_go(conversation: Conversation) -> None:
    """The host never follows it: a produced link is not a produced file."""
    result = conversation.bash(
        'ln -s /etc/passwd link; ln -s /etc/passwd "$OUTPUT_DIR/link"; ln -s /proc/1/environ "$OUTPUT_DIR/env"; echo ok'
    )
    assert result["content"] == []
    assert conversation.edit("create", "link", file_text="x")["error_code"] == "invalid_tool_input"


@pytest.mark.parametrize("name", ["../../escape", "a\nb", "-rf", "a" * 255, "😀.txt", "con:1?.txt"])
def test_hostile_names_of_produced_files(conversation: Conversation, upstreams: Upstreams, name: str) -> None:
    """They come back under a name that the Files API allows, or are left out with a word about it."""
    quoted = repr(name)
    script = (
        f"import os; n = {quoted}; open(os.path.join(os.environ['OUTPUT_DIR'], os.path.basename(n)), 'w').write('x')"
    )
    result = conversation.bash(f"python3 - <<'END'\n{script}\nEND")
    assert result["return_code"] == 0, result
    if name == "a\nb":
        assert result["content"] == []
        assert "not returned" in result["stderr"]
    else:
        assert len(result["content"]) == 1
    conversation.still_works()


def test_memory_is_bounded_and_the_limit_is_named(upstreams_with_short_limit: Upstreams) -> None:
    conversation = Conversation(upstreams_with_short_limit)
    result = conversation.bash("python3 -c 'x = bytearray(2 * 1024**3)'; echo $?")
    assert "memory limit" in result["stderr"]
    conversation.still_works()
