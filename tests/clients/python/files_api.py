"""Every call of the Files API, as this SDK makes it by itself and in both shapes (WIRE e)."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import anthropic
from anthropic import Anthropic

client: Any = Anthropic()
files = client.beta.files
produced_file = sys.argv[1]
OLD = {"extra_headers": {"anthropic-beta": "files-api-2025-04-14"}}
omitted = anthropic.Omit() if hasattr(anthropic, "Omit") else anthropic._types.Omit()
NEW = {"extra_headers": {"anthropic-beta": omitted}}


def raw(call: Any, *arguments: Any, **options: Any) -> Any:
    """The JSON of a call as it came."""
    return call(*arguments, **options).http_response.json()


Path("data.csv").write_bytes(b"a,b\n1,2\n")
uploads = {
    "path": files.upload(file=Path("data.csv")),
    "open_file": files.upload(file=Path("data.csv").open("rb")),  # noqa: SIM115
    "bytes_io": files.upload(file=io.BytesIO(b"no name")),
    "bytes": files.upload(file=b"only bytes"),
    "tuple": files.upload(file=("picture.png", b"\x89PNG", "image/png")),
    "unicode": files.upload(file=("Übersicht 表.txt", "Grüße".encode())),
}
first, second = uploads["path"].id, uploads["open_file"].id
shapes = {}
for shape, options in (("old", OLD), ("new", NEW)):
    shapes[shape] = {
        "upload": raw(files.with_raw_response.upload, file=("shape.txt", b"x", "text/plain"), **options),
        "metadata": raw(files.with_raw_response.retrieve_metadata, first, **options),
        "list": raw(files.with_raw_response.list, limit=2, **options),
    }

result = {
    "uploads": {name: upload.to_dict(mode="json") for name, upload in uploads.items()},
    "metadata": files.retrieve_metadata(first).to_dict(mode="json"),
    "paged": [file.id for file in files.list(limit=3)],
    "shapes": shapes,
    "produced": files.download(produced_file).read().hex(),
    "deleted": files.delete(second).to_dict(mode="json"),
    "paged_after_delete": [file.id for file in files.list(limit=1000)],
}
if hasattr(client, "files"):
    result["ga_namespace"] = client.files.retrieve_metadata(first).to_dict(mode="json")
    result["by_ids"] = [file.id for file in client.files.list(ids=[first, "file_011CNha8iCJcU1wXNR6q4V8w"])]
    result["expiring"] = client.files.upload(file=("soon.txt", b"x"), expires_in_seconds=3600).to_dict(mode="json")
json.dump(result, sys.stdout)
