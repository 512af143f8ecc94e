"""Every call of the Skills API, as this SDK makes it by itself (WIRE g)."""

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from anthropic import Anthropic
from anthropic.lib import files_from_dir

client: Any = Anthropic()
new = os.environ["SDK_GENERATION"] == "2"
skills = client.skills if new else client.beta.skills
folder, archive = sys.argv[1:]
title = "display_name" if new else "display_title"


def shown(answer: Any) -> Any:
    return answer.to_dict(mode="json")


created = {
    "folder": skills.create(files=files_from_dir(folder), **{title: f"Folder {os.environ['SDK_VERSION']}"}),
    "zip": skills.create(files=[Path(archive)]),
    "zip_in_memory": skills.create(
        files=[("skill.zip", io.BytesIO(Path(archive).read_bytes()))], **{title: f"Zip {os.environ['SDK_VERSION']}"}
    ),
}
first = created["folder"].id
one = ("weekly-report/SKILL.md", (Path(folder) / "SKILL.md").read_bytes(), "text/markdown")
version = skills.versions.create(first, files=[one])
number = version.id if new else version.version
result = {
    "created": {way: shown(skill) for way, skill in created.items()},
    "version": shown(version),
    "retrieved": shown(skills.retrieve(first)),
    "version_retrieved": shown(skills.versions.retrieve(number, skill_id=first)),
    "listed": [skill.id for skill in skills.list(limit=1, source="custom")],
    "versions": [shown(found) for found in skills.versions.list(first, limit=1)],
}
if new:
    result["twin"] = shown(client.beta.skills.retrieve(first))
    result["downloaded"] = client.beta.skills.versions.download("latest", skill_id=first).read()[:2].decode()
result["version_deleted"] = shown(skills.versions.delete(number, skill_id=first))
if not new:
    skills.versions.delete(created["zip"].latest_version, skill_id=created["zip"].id)
result["deleted"] = shown(skills.delete(created["zip"].id))
result["listed_after_delete"] = [skill.id for skill in skills.list(source="custom")]
json.dump(result, sys.stdout)
