"""The analysis of any uploaded CSV: true figures, files that come back, and honesty about what cannot be read."""

from __future__ import annotations

import csv
import io
import random
import re
import statistics
from collections import Counter
from pathlib import Path

import pytest

from tests.models.demo.workbench import PYTHON_ONLY, Workbench

SALES = "date,region,units,price\n" + "".join(
    f"2026-{month:02}-{day:02},{region},{month * day},{month + day / 10}\n"
    for month in range(1, 7)
    for day, region in ((1, "North"), (11, "South"), (21, "East"))
)
FULL = "Analyze this CSV data: create a summary report, save visualizations, and create a README with the findings"


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


async def test_figures_are_those_of_the_file(bench: Workbench) -> None:
    answer = await bench.converse("Analyze this CSV data", uploads={"data.csv": SALES.encode()})
    rows = list(csv.DictReader(io.StringIO(SALES)))
    units = [int(row["units"]) for row in rows]
    sums: Counter[str] = Counter()
    for row in rows:
        sums[row["region"]] += int(row["units"])
    region, largest = sums.most_common(1)[0]
    assert f"data.csv has {len(rows)} rows and 4 columns" in answer.text
    assert f"units: mean {statistics.fmean(units):.6g}, median {statistics.median(units):.6g}" in answer.text
    assert f"sum of units by region: largest {region!r} ({largest:.6g})" in answer.text
    assert "date: from 2026-01-01 to 2026-06-21" in answer.text


async def test_report_charts_and_readme(bench: Workbench) -> None:
    answer = await bench.converse(FULL, uploads={"data.csv": SALES.encode()})
    files = bench.output_files
    charts = [name for name in files if name.endswith(".png")]
    assert {"summary_report.md", "README.md"} < files.keys() and len(charts) >= 3
    assert all(files[name].read_bytes().startswith(b"\x89PNG") for name in charts)
    assert all(f"- {name}" in answer.text for name in files)
    readme = files["README.md"].read_text()
    assert all(f"`{name}`" in readme for name in charts)
    assert "sum of units by region" in readme and "## Statistics" in files["summary_report.md"].read_text()


async def test_python_only_version(bench: Workbench) -> None:
    await bench.converse(FULL, uploads={"data.csv": SALES.encode()}, tools=PYTHON_ONLY)
    assert {"summary_report.md", "README.md", "chart_over_time.png"} < bench.output_files.keys()


async def test_the_first_chart_has_the_name_asked_for(bench: Workbench) -> None:
    await bench.converse("Draw a matplotlib chart of it as sales.png", uploads={"data.csv": SALES.encode()})
    assert bench.output_files["sales.png"].read_bytes().startswith(b"\x89PNG")


async def test_a_later_question_is_about_the_same_file(bench: Workbench) -> None:
    from bathysphere.models.base import UpstreamMessage

    (bench.inputs / "data.csv").write_text(SALES)
    told = 'The file "data.csv" has been uploaded to the container at $INPUT_DIR/data.csv.'
    before = [
        UpstreamMessage("user", [{"type": "text", "text": told}]),
        UpstreamMessage("assistant", [{"type": "text", "text": "Thank you."}]),
    ]
    answer = await bench.converse("Now plot the data", before=before)
    assert "data.csv has 18 rows" in answer.text
    assert "demo model" not in answer.text, "only the first answer of a conversation says what this is"


async def test_several_files(bench: Workbench) -> None:
    uploads = {"good.csv": SALES.encode(), "bad.csv": b"\x89PNG\r\n\x1a\n\0\0", "more.csv": b"a,b\n1,2\n3,5\n"}
    answer = await bench.converse("Analyze these files", uploads=uploads)
    assert "good.csv has 18 rows" in answer.text
    assert "bad.csv: That did not work: this is not a CSV file" in answer.text
    assert "more.csv has 2 rows and 2 columns" in answer.text
    assert {name[:2] for name in bench.output_files} == {"1_", "3_"}


GOOD = {
    "semicolons and decimal commas": (b"name;value\nx;1,5\ny;2,5\n", "value: mean 2, median 2, from 1.5 to 2.5"),
    "tabs": (b"a\tb\n1\t10\n2\t30\n", "b: mean 20"),
    "utf-16": ("stadt,zahl\nKöln,1\nUlm,3\n".encode("utf-16"), "zahl: mean 2"),
    "latin-1": ("stadt,zahl\nKöln,1\nUlm,3\n".encode("cp1252"), "zahl: mean 2"),
    "byte order mark": ("\ufeffa,b\n1,2\n3,4\n".encode(), "b: mean 3"),
    "one column": (b"depth\n10\n20\n30\n", "depth: mean 20"),
    "no header": (b"1,10\n2,20\n4,60\n", "column 2: mean 30"),
    "missing values": (b"a,b\n1,\n,\n3,5\n", "missing values: 3"),
    "an empty column": (b"a,b\n1,\n2,\n4,\n", "a: mean 2.33333"),
    "no numeric column": (b"who,what\nann,x\nbob,y\nann,x\n", "no column is numeric"),
    "header only": (b"a,b,c\n", "0 rows and 3 columns"),
    "too many fields in a line": (b"a,b\n1,2\n3,4,5,6\n5,6\n7,8\n9,10\n", "some lines had too many fields"),
    "quoted separators": (b'a,b\n"x, y",1\n"z",3\n', "b: mean 2"),
    "odd names": (b"$a_{,b^$\n1,2\n2,5\n", "b^$: mean 3.5"),
    "same names": (b"a,a\n1,2\n3,4\n", "2 rows and 2 columns"),
    "one row": (b"a,b\n1,x\n", "1 rows and 2 columns"),
    "infinite values": (b"a,b\n1,2\ninf,4\n3,6\n", "b: mean 4"),
    "wide": (",".join(f"c{i}" for i in range(200)).encode() + b"\n" + b",".join([b"1"] * 200) + b"\n", "200 columns"),
    "booleans": (b"flag,v\nTrue,1\nFalse,2\nTrue,5\n", "v: mean 2.66667"),
}


@pytest.mark.parametrize(("data", "expected"), GOOD.values(), ids=GOOD.keys())
async def test_any_table(bench: Workbench, data: bytes, expected: str) -> None:
    answer = await bench.converse(FULL, uploads={"data.csv": data})
    assert expected in answer.text
    assert all(result["return_code"] == 0 and not result["stderr"] for result in bench.results)
    assert "did not work" not in answer.text
    assert "README.md" in bench.output_files


BAD = {
    "empty": (b"", "the file is empty"),
    "only spaces": (b" \n\n", "the file is empty"),
    "binary": (random.Random(7).randbytes(4000), "holds binary data"),
    "pdf": (b"%PDF-1.7\nstuff", "holds binary data"),
    "prose": (b"It was a dark night, and the sea was calm.\nNobody had seen a bathysphere before.\n", "not look like"),
}


@pytest.mark.parametrize(("data", "expected"), BAD.values(), ids=BAD.keys())
async def test_what_is_no_table_is_not_analysed(bench: Workbench, data: bytes, expected: str) -> None:
    answer = await bench.converse(FULL, uploads={"data.csv": data})
    assert expected in answer.text
    assert len(bench.calls) == 1 and bench.output_files == {}
    assert not re.search(r"\bmean\b", answer.text)


async def test_hostile_file_names_stay_names(bench: Workbench) -> None:
    name = "a'; touch pwned; '\"$(touch pwned).csv"
    answer = await bench.converse("Analyze this CSV data", uploads={name: b"a,b\n1,2\n3,4\n"})
    assert "2 rows and 2 columns" in answer.text
    assert list(bench.home.iterdir()) == []


async def test_without_a_file(bench: Workbench) -> None:
    answer = await bench.converse("Analyze this CSV data")
    assert "container_upload" in answer.text
    assert bench.calls == []
