"""The text editor (WIRE a.2, b.3), in this process and on a temporary directory."""

from __future__ import annotations

import base64
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bathysphere.guest.editor import edit

from .test_hunk import patched

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def do(home: Path, command: str, path: str, **arguments: object) -> dict[str, Any]:
    return edit({"command": command, "path": path, **arguments}, {"HOME": str(home), "OUTPUT_DIR": str(home / "out")})


def refused(outcome: dict[str, Any], code: str, *parts: str) -> None:
    assert outcome["kind"] == "failed"
    assert outcome["error_code"] == code
    for part in parts:
        assert part in outcome["message"]


def viewed(content: str, num_lines: int, start_line: int, total_lines: int) -> dict[str, Any]:
    return {
        "kind": "viewed", "file_type": "text", "content": content,
        "num_lines": num_lines, "start_line": start_line, "total_lines": total_lines,
    }  # fmt: skip


class TestView:
    def test_text(self, home: Path) -> None:
        (home / "a.txt").write_text("one\ntwo\nthree\n")
        assert do(home, "view", "a.txt") == viewed("one\ntwo\nthree", 3, 1, 3)
        assert do(home, "view", "~/a.txt") == do(home, "view", str(home / "a.txt")) == do(home, "view", "$HOME/a.txt")

    def test_ranges(self, home: Path) -> None:
        (home / "a.txt").write_text("one\ntwo\nthree\n")
        assert do(home, "view", "a.txt", view_range=[2, 3]) == viewed("two\nthree", 2, 2, 3)
        assert do(home, "view", "a.txt", view_range=[2, -1]) == viewed("two\nthree", 2, 2, 3)
        assert do(home, "view", "a.txt", view_range=[3, 99]) == viewed("three", 1, 3, 3)
        refused(do(home, "view", "a.txt", view_range=[4, -1]), "invalid_tool_input", "has 3 lines")
        for wrong in ([0, 2], [-1, 2], [3, 2], [2, -2]):
            refused(do(home, "view", "a.txt", view_range=wrong), "invalid_tool_input", "no range")

    def test_odd_texts(self, home: Path) -> None:
        for text, expected in {
            "": viewed("", 0, 1, 0),
            "x": viewed("x", 1, 1, 1),
            "\n": viewed("", 1, 1, 1),
            "\n\n": viewed("\n", 2, 1, 2),
            "\ufeffx\n": viewed("x", 1, 1, 1),
            "a\r\nb\r\n": viewed("a\r\nb\r", 2, 1, 2),
        }.items():
            (home / "a").write_bytes(text.encode())
            assert do(home, "view", "a") == expected

    def test_images_and_pdf(self, home: Path) -> None:
        for name, data, kind in [
            ("a.png", PNG, "image"),
            ("b.txt", b"\xff\xd8\xff\xe0rest", "image"),
            ("c", b"GIF89a....", "image"),
            ("d", b"RIFF\0\0\0\0WEBPVP8 ", "image"),
            ("e.pdf", b"%PDF-1.7\n%\xe2\xe3", "pdf"),
        ]:
            (home / name).write_bytes(data)
            outcome = do(home, "view", name)
            assert outcome["file_type"] == kind
            assert base64.b64decode(outcome["content"]) == data
            assert outcome["num_lines"] is outcome["start_line"] is outcome["total_lines"] is None
            refused(do(home, "view", name, view_range=[1, 2]), "invalid_tool_input", "view_range is for text")
        (home / "huge.png").write_bytes(PNG + bytes(6 * 1024 * 1024))
        refused(do(home, "view", "huge.png"), "invalid_tool_input", "up to 3.75 MiB")

    def test_binary(self, home: Path) -> None:
        for data in (b"a\0b", b"\xff\xfe\xfd", b"\x7fELF\x02\0", "ä".encode("latin-1")):
            (home / "a").write_bytes(data)
            refused(do(home, "view", "a"), "invalid_tool_input", "is a binary file")
            refused(do(home, "str_replace", "a", old_str="a", new_str="b"), "invalid_tool_input", "is a binary file")
            assert (home / "a").read_bytes() == data

    def test_large_texts(self, home: Path) -> None:
        (home / "a").write_text("line of text\n" * 100_000)
        refused(do(home, "view", "a"), "invalid_tool_input", "view_range")
        assert do(home, "view", "a", view_range=[99_999, -1]) == viewed(
            "line of text\nline of text", 2, 99_999, 100_000
        )
        with (home / "b").open("wb") as file:
            file.truncate(17 * 1024 * 1024)
        refused(do(home, "view", "b"), "invalid_tool_input", "too large for the editor")

    def test_directories(self, home: Path) -> None:
        for name in ("b/c/d/deep.txt", "a.txt", ".hidden/x", "b/y"):
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).touch()
        (home / "loop").symlink_to(home)
        lines = [f"{home}/", f"{home}/a.txt", f"{home}/b/", f"{home}/b/c/", f"{home}/b/y", f"{home}/loop"]
        assert do(home, "view", str(home)) == viewed("\n".join(lines), 6, 1, 6)
        refused(do(home, "view", "b", view_range=[1, 2]), "invalid_tool_input", "directory")
        for number in range(2000):
            (home / "b" / f"{number}").touch()
        outcome = do(home, "view", "b")
        assert outcome["num_lines"] == 1001
        assert "more than 1000 entries" in outcome["content"]

    def test_what_is_no_file(self, home: Path) -> None:
        os.mkfifo(home / "pipe")
        with socket.socket(socket.AF_UNIX) as listening:
            folder = os.open(home, os.O_PATH)
            listening.bind(f"/proc/self/fd/{folder}/socket")
            os.close(folder)
            for name in ("pipe", "socket", "/dev/zero", "/dev/tty"):
                for arguments in ({"command": "view"}, {"command": "str_replace", "old_str": "a", "new_str": "b"}):
                    outcome = edit({"path": name, **arguments}, {"HOME": str(home)})
                    refused(outcome, "invalid_tool_input")
        refused(do(home, "create", "pipe", file_text="x"), "invalid_tool_input", "no regular file")

    def test_what_is_not_there(self, home: Path) -> None:
        (home / "file").touch()
        (home / "loop").symlink_to("loop")
        (home / "nowhere").symlink_to("missing")
        for name in ("missing", "missing/too", "nowhere"):
            refused(do(home, "view", name), "file_not_found", name)
            refused(do(home, "str_replace", name, old_str="a", new_str="b"), "file_not_found")
        refused(do(home, "view", "file/x"), "invalid_tool_input", "not a directory")
        refused(do(home, "view", "loop"), "invalid_tool_input", "circle")
        refused(do(home, "view", "x" * 300), "invalid_tool_input", "too long")
        for name in ("", "a\0b"):
            refused(do(home, "view", name), "invalid_tool_input", "NUL")

    def test_files_of_proc(self, home: Path) -> None:
        assert do(home, "view", "/proc/meminfo")["kind"] == "viewed"
        (home / "link").symlink_to("/proc/self/status")
        for name in ("/proc/self", "/proc/self/status", "/proc/thread-self/maps", f"/proc/{os.getpid()}/mem", "link"):
            refused(do(home, "view", name), "invalid_tool_input", "first process")


class TestCreate:
    def test_new_and_again(self, home: Path) -> None:
        assert do(home, "create", "d/e/a.txt", file_text="é\r\n") == {"kind": "created", "is_file_update": False}
        assert (home / "d/e/a.txt").read_bytes() == "é\r\n".encode()
        assert do(home, "create", "d/e/a.txt", file_text="") == {"kind": "created", "is_file_update": True}
        assert (home / "d/e/a.txt").read_bytes() == b""
        assert list((home / "d/e").iterdir()) == [home / "d/e/a.txt"]

    def test_mode_is_kept(self, home: Path) -> None:
        (home / "run.sh").touch(mode=0o755)
        (home / "run.sh").chmod(0o751)
        do(home, "create", "run.sh", file_text="x")
        assert (home / "run.sh").stat().st_mode & 0o777 == 0o751

    def test_links_stay_links(self, home: Path) -> None:
        (home / "real").write_text("old")
        (home / "link").symlink_to("real")
        assert do(home, "create", "link", file_text="new")["is_file_update"] is True
        assert (home / "link").is_symlink()
        assert (home / "real").read_text() == "new"

    def test_refusals(self, home: Path) -> None:
        (home / "d").mkdir()
        refused(do(home, "create", "d", file_text="x"), "invalid_tool_input", "directory")
        refused(do(home, "create", "d/", file_text="x"), "invalid_tool_input")
        refused(do(home, "create", "a"), "invalid_tool_input", "file_text")
        refused(do(home, "create", "a", file_text="\ud800"), "invalid_tool_input", "surrogate")
        refused(do(home, "create", "/proc/self/x/y", file_text="x"), "invalid_tool_input")
        assert [entry.name for entry in home.iterdir()] == ["d"]


class TestStrReplace:
    def test_once(self, home: Path) -> None:
        (home / "c.yaml").write_text("debug: true\nport: 80")
        (home / "c.yaml").chmod(0o640)
        assert do(home, "str_replace", "c.yaml", old_str="debug: true", new_str="debug: false") == {
            "kind": "replaced", "old_start": 1, "old_lines": 2, "new_start": 1, "new_lines": 2,
            "lines": ["-debug: true", "+debug: false", " port: 80"],
        }  # fmt: skip
        assert (home / "c.yaml").read_text() == "debug: false\nport: 80"
        assert (home / "c.yaml").stat().st_mode & 0o777 == 0o640

    def test_not_found(self, home: Path) -> None:
        (home / "a").write_text("def f():\n\treturn 1\n")
        refused(do(home, "str_replace", "a", old_str="nothing", new_str="x"), "string_not_found", "View the file")
        refused(
            do(home, "str_replace", "a", old_str="def f():\n    return 1", new_str="x"), "string_not_found", "line 1"
        )

    def test_more_than_once(self, home: Path) -> None:
        (home / "a").write_text("x = 1\ny = 2\nx = 1\n")
        refused(
            do(home, "str_replace", "a", old_str="x = 1", new_str="z"), "invalid_tool_input", "2 times", "lines 1, 3"
        )
        (home / "a").write_text("x\n" * 50)
        refused(do(home, "str_replace", "a", old_str="x", new_str="z"), "invalid_tool_input", "50 times", "and more")

    def test_nothing_to_do(self, home: Path) -> None:
        (home / "a").write_text("x")
        refused(do(home, "str_replace", "a", old_str="", new_str="z"), "invalid_tool_input", "empty")
        refused(do(home, "str_replace", "a", new_str="z"), "invalid_tool_input", "old_str")
        refused(do(home, "str_replace", "a", old_str="x", new_str="x"), "invalid_tool_input", "same")
        assert do(home, "str_replace", "a", old_str="x")["kind"] == "replaced"
        assert (home / "a").read_text() == ""

    def test_line_ends_and_marks_are_kept(self, home: Path) -> None:
        (home / "a").write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\nthree\r\n")
        outcome = do(home, "str_replace", "a", old_str="one\ntwo", new_str="1\n2\n2.5")
        assert (home / "a").read_bytes() == b"\xef\xbb\xbf1\r\n2\r\n2.5\r\nthree\r\n"
        assert outcome["lines"] == ["-one\r", "-two\r", "+1\r", "+2\r", "+2.5\r", " three\r"]

    @given(
        before=st.text(alphabet="ab\n", max_size=40),
        old=st.text(alphabet="XY\n", min_size=1, max_size=10).filter(lambda text: "X" in text),
        new=st.text(alphabet="Zb\n", max_size=20),
        after=st.text(alphabet="ab\n", max_size=40),
    )
    def test_the_hunk_tells_the_change(
        self, tmp_path_factory: pytest.TempPathFactory, before: str, old: str, new: str, after: str
    ) -> None:
        home = tmp_path_factory.mktemp("home")
        text = before + old + after
        (home / "a").write_text(text)
        outcome = do(home, "str_replace", "a", old_str=old, new_str=new)
        if text.count(old) > 1:
            refused(outcome, "invalid_tool_input", "times")
            return
        changed = (home / "a").read_text()
        assert changed == before + new + after
        assert patched(text, outcome).removesuffix("\n") == changed.removesuffix("\n")
