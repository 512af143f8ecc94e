"""The presentation skill: what it makes passes its own check, editing keeps the look, and each fault is found."""

from __future__ import annotations

import json

from tests.skills_own.conftest import Shell


def test_a_deck_is_made_read_edited_and_checked(shell: Shell) -> None:
    done = shell("""python $PROGRAMS/deck.py
        echo '{"reason": "the first time", "nobody": "x"}' > values.json
        python $PROGRAMS/scripts.py $PPTX <<'END'
        edit fill deck.pptx filled.pptx values.json
        check filled.pptx --json > filled.json
        edit replace filled.pptx replaced.pptx "Two halls" "Three halls"
        edit order replaced.pptx ordered.pptx 1,2,5,5
        edit set ordered.pptx final.pptx --slide 4 --shape "Title 1" Again
        check final.pptx
        read final.pptx
END
        unzip -l final.pptx | grep -c embeddings
        cat filled.json""")
    assert done.returncode == 0, done.stdout + done.stderr
    said, _, report = done.stdout.partition("\n{\n")
    assert "does not fit 11.8 x 5.0 in even at 14 points" in said
    assert "1 filled; nowhere in the deck: nobody" in said
    assert "4 slides, 0 errors, 0 warnings" in said
    assert (
        "## 2. Visits grew by 12 %\n- Three halls opened\n  - Hall of maps\n- For the first time\nNotes: Say why."
        in said
    )
    assert said.count("[chart COLUMN_CLUSTERED: Jan, Jul]") == 2
    assert said.endswith("\n2"), "the copied chart has a workbook of its own"
    assert json.loads("{" + report)["findings"] == []


def test_each_fault_is_found_where_it_is(shell: Shell) -> None:
    done = shell("""python $PROGRAMS/bad_deck.py > faults; python $PROGRAMS/scripts.py $PPTX <<'END'
        check bad.pptx --json > found.json
        check bad.pptx
        check broken.pptx
END
        cat faults; cat found.json""")
    said, _, report = done.stdout.partition("\n{\n")
    faults = said.split()[-15:]
    found = [(one["slide"], one["kind"]) for one in json.loads("{" + report)["findings"]]
    assert found == list(enumerate(faults, 1))
    assert said.count("$ check -> 1\n") == 2
    assert "error: slide 11: the slide leads to ppt/slides/slide11.xml, which is not there [broken-part]" in said
    assert "error: slide 8, image1.png: ppt/media/image1.png is no picture that opens" in said
