"""Variables on the disk while the container has no processes, and what is said of those that are not there."""

from __future__ import annotations

import json

from .first_process import FirstProcess, function


def saved(first: FirstProcess) -> list[str]:
    lost = json.loads(first.ask("save"))["lost"]
    first.restart()
    assert isinstance(lost, list)
    return lost


def test_variables_come_back(first: FirstProcess) -> None:
    first.run(
        "import math as m, numpy as np, pandas as pd\n"
        "shared = [1]\nholder = {'shared': shared}\ntable = pd.DataFrame({'x': [1, 2]})\nrow = np.arange(3)\n"
        "factor = 2\ndef scale(x): return x * factor\n"
        "class Point:\n    def __init__(self, x): self.x = x\n    def scaled(self): return scale(self.x)\n"
        "point = Point(4)"
    )
    assert saved(first) == []
    first.run("shared.append(2)\nfactor = 3")
    ended = first.run(
        "print(holder, m.pi > 3, row.tolist(), table.x.sum(), scale(1), point.scaled(), isinstance(point, Point))"
    )
    assert (ended.stdout, ended.stderr) == ("{'shared': [1, 2]} True [0, 1, 2] 3 3 12 True\n", "")


def test_what_cannot_be_kept_is_named_in_the_next_cell(first: FirstProcess) -> None:
    first.run("import threading\nlock = threading.Lock()\ngenerator = (x for x in 'ab')\nkept = 1")
    assert saved(first) == ["lock", "generator"]
    ended = first.run("kept")
    assert ended.stdout == "1\n"
    assert ended.stderr == "These variables of earlier cells could not be kept: lock, generator.\n"
    assert first.run("kept").stderr == ""


def test_what_cannot_be_loaded_is_named(first: FirstProcess) -> None:
    first.write_home("mine.py", "class Kind: pass\none = Kind()")
    first.run("import mine\nbefore = [1]\nthing = mine.Kind()\nafter = [before]")
    assert json.loads(first.ask("save"))["lost"] == []
    (first.disk / "home" / "mine.py").unlink()
    first.restart()
    ended = first.run("after[0] is before, after")
    assert ended.stdout == "(True, [[1]])\n"
    assert ended.stderr == "These variables of earlier cells could not be kept: mine, thing.\n"


def test_an_end_without_saving(first: FirstProcess) -> None:
    first.run("x = 1")
    first.restart()
    ended = first.run("2")
    assert ended.stdout == "2\n"
    assert ended.stderr.startswith("The variables of earlier cells are gone: ")
    first.restart()
    assert first.bash("true").stderr == ""


def test_a_container_without_cells_has_nothing_to_say(first: FirstProcess) -> None:
    first.ask("prepare", {"modules": []})
    first.restart()
    assert first.run("1").stderr == ""


def test_an_interpreter_that_ran_nothing_keeps_what_was_saved(first: FirstProcess) -> None:
    first.run("x = 'from long ago'")
    assert saved(first) == []
    first.ask("prepare", {"modules": []})
    assert saved(first) == []
    assert first.run("x").stdout == "'from long ago'\n"


def test_what_was_saved_is_not_used_twice(first: FirstProcess) -> None:
    first.run("x = 1")
    first.ask("save")
    assert first.run("x = 2\nx").stdout == "2\n", "the same interpreter goes on"
    first.restart()
    assert first.run("x").stderr.startswith("The variables of earlier cells are gone: ")


def test_a_damaged_file(first: FirstProcess) -> None:
    first.run("x = 1")
    first.ask("save")
    (first.disk / "files" / ".interpreter" / "variables").write_bytes(b"nonsense")
    first.restart()
    ended = first.run("2")
    assert ended.stdout == "2\n"
    assert "The variables of earlier cells could not be brought back: ValueError: the file is damaged" in ended.stderr


def test_a_value_that_ends_its_loading_process_is_loaded_once(first: FirstProcess) -> None:
    first.run("import os\nclass Bad:\n    def __reduce__(self): return os._exit, (4,)\nbad = Bad()")
    assert saved(first) == []
    assert first.run("1").code == 4
    assert first.run("1").stdout == "1\n"


def test_values_that_take_for_ever(first: FirstProcess) -> None:
    first.run(
        "import time\nclass Slow:\n    def __reduce__(self):\n        time.sleep(1000)\n        return int, ()\n"
        "small = 1\nslow = Slow()"
    )
    assert saved(first) == ["slow"]
    assert first.run("small").stdout == "1\n"


def test_values_that_are_too_large(first: FirstProcess) -> None:
    first.run("large = bytearray(600 * 1024 * 1024)\nsmall = 1")
    assert saved(first) == ["large"]
    assert first.run("small").stdout == "1\n"


def test_our_own_names_are_not_saved(first: FirstProcess) -> None:
    first.run("5", function("tool"))
    assert saved(first) == []
    assert first.run("[name for name in globals() if not name.startswith('__')]").stdout == "[]\n"


def test_only_its_user_reads_it(first: FirstProcess) -> None:
    first.run("x = 1")
    first.ask("save")
    place = first.disk / "files" / ".interpreter"
    assert place.stat().st_mode & 0o777 == 0o700
    assert (place / "variables").stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in place.iterdir()] == ["variables"]
