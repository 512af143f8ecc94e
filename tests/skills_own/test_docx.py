"""The document skill: what it makes passes its own check, changes can be tracked and settled, each fault is found."""

from __future__ import annotations

import json

from tests.skills_own.conftest import Shell


def test_a_document_is_made_filled_and_checked(shell: Shell) -> None:
    done = shell("""python $PROGRAMS/document.py
        echo '{"name": "Ann"}' > values.json
        python $PROGRAMS/scripts.py $DOCX <<'END'
        edit fill document.docx filled.docx values.json
        read filled.docx
        check filled.docx --json > found.json
END
        cat found.json""")
    assert done.returncode == 0, done.stdout + done.stderr
    said, _, report = done.stdout.partition("\n{\n")
    assert "Visits grew by 12 % against 2024; see [the data](https://example.org) and visits.csv." in said
    assert "- Two halls opened\n  - Hall of maps\n  - Hall of ropes\n- Longer hours" in said
    assert "| Source | 2025 |\n| --- | --- |\n| Tickets | 468,000 |" in said
    assert "Dear Ann," in said
    assert "[picture: Floor plan of the hall of maps]" in said
    # Without LibreOffice nobody knows the pages: the contents say so, and nothing else is found.
    findings = json.loads("{" + report)["findings"]
    assert [(one["kind"], one["message"][:29]) for one in findings] == [("field", "the table of contents gets it")]


def test_tracked_changes_are_read_and_can_be_accepted_and_rejected(shell: Shell) -> None:
    done = shell("""python $PROGRAMS/document.py; python $PROGRAMS/scripts.py $DOCX <<'END'
        read document.docx > before
        edit replace document.docx 1.docx "grew by 12 % against" "fell to" --track --author "Ann Bee"
        edit insert 1.docx 2.docx 6 "A new paragraph." --track
        edit delete 2.docx 3.docx 9 --track
        edit set 3.docx 4.docx 10 "Hall of old ropes" --track
        edit replace 1.docx theirs.docx fell sank --track --author "Cy Dee"
        read theirs.docx
        read 4.docx
        read 4.docx --changes
        read 4.docx --accepted > view
        edit reject 4.docx rejected.docx
        edit accept 4.docx accepted.docx
        read rejected.docx > rejected
        read accepted.docx > after
        edit comment 4.docx 5.docx roof "Which one?" --author "Ann Bee"
        check 5.docx
END
        diff before rejected && diff view after && echo SAME; diff after before""")
    said = done.stdout
    assert "Visits {-grew by 12 % against-}{+fell to+} 2024;" in said, "also across the runs of bold and italic type"
    assert "{+{-fell-}+}{+sank+}{+ to+} 2024;" in said, "what one proposes, another can change"
    assert "{+A new paragraph.+}" in said
    assert "  - {-Hall of maps-}\n  - Hall of {+old +}ropes" in said
    assert "deleted by Ann Bee" in said
    assert "\nSAME\n" in said
    assert "< Visits fell to 2024; see [the data](https://example.org) and visits.csv.\n< \n< A new paragraph." in said
    assert "<   - Hall of old ropes\n---\n>   - Hall of maps\n>   - Hall of ropes" in said
    assert "warning: tracked changes are left: 3 deleted, 4 inserted" in said
    assert "1 comments are left" in said


def test_each_fault_is_found(shell: Shell) -> None:
    done = shell("""python $PROGRAMS/bad_document.py; python $PROGRAMS/scripts.py $DOCX <<'END'
        check bad.docx --json > found.json
        check bad.docx
        check broken.docx
END
        cat found.json""")
    said, _, report = done.stdout.partition("\n{\n")
    assert said.count("$ check -> 1\n") == 2
    assert "leads to word/media/image1.png, which is not in the file [broken-part]" in said
    assert "refers to rId999, which is not among its relationships [broken-part]" in said
    found = {(one["severity"], one["kind"], one["paragraph"]) for one in json.loads("{" + report)["findings"]}
    assert found == {
        *(("warning", kind, -1) for kind in ("tracked-changes", "comments", "no-page-numbers", "no-title")),
        ("error", "field", -1),
        ("warning", "heading-level", 0),
        ("warning", "empty-heading", 1),
        ("warning", "no-such-style", 2),
        ("warning", "empty-paragraphs", 4),
        ("error", "filler", 5),
        ("warning", "spaces", 6),
        ("warning", "typed-list", 7),
        ("warning", "typed-list", 8),
        ("warning", "fake-heading", 9),
        ("warning", "small-type", 10),
        ("error", "wide-picture", 12),
        ("warning", "no-alt-text", 12),
        ("error", "wide-table", 13),
        ("warning", "ragged-table", 13),
        ("warning", "no-head-row", 13),
        ("error", "field", 21),
        ("warning", "no-such-style", 23),
        ("error", "no-such-list", 24),
    }
    messages = " ".join(one["message"] for one in json.loads("{" + report)["findings"])
    for words in (
        "contents is empty",
        "'REF nowhere' refers to a bookmark",
        "'MERGEFIELD Name' is not filled",
        "has no end",
    ):
        assert words in messages
