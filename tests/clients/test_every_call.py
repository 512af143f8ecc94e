"""Each call of the TypeScript package, in both of its namespaces, and the shape of each answer (WIRE k.1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients import environments
from tests.clients.environments import TYPESCRIPT, TYPESCRIPT_1, Sdk
from tests.server import Server
from tests.specification.answers import EVENT, RESULT_LINE, complaints

SHAPES = {
    "messages.create": "Message",
    "messages.stream": "Message",
    "messages.parse": "Message",
    "messages.create.stream": EVENT,
    "messages.countTokens": "CountMessageTokensResponse",
    "batches.create": "MessageBatch",
    "batches.cancel": "MessageBatch",
    "batches.retrieve": "MessageBatch",
    "batches.results": RESULT_LINE,
    "batches.delete": "DeleteMessageBatchResponse",
    "models.retrieve": "ModelInfo",
    "files.upload": "FileMetadataSchema",
    "files.retrieveMetadata": "FileMetadataSchema",
    "files.delete": "FileDeleteResponse",
}
"""What the package gives as it came. Of a list it gives the items; a stream's message is put together by itself."""

PAGES = {"batches.list": "MessageBatch", "models.list": "ModelInfo", "files.list": "FileMetadataSchema"}


@pytest.mark.parametrize("sdk", TYPESCRIPT, ids=str)
def test_every_call(sdk: Sdk, server: Server, tmp_path: Path) -> None:
    answers = environments.run(sdk, "every_call", server, tmp_path)
    calls = {*SHAPES, *PAGES, "batches.paged", "files.download"}
    expected = {f"{namespace}.{call}" for namespace in ("ga", "beta") for call in calls}
    if sdk is TYPESCRIPT_1:
        # This old, it has files only in its beta namespace, and `parse` too.
        expected -= {call for call in expected if call.startswith("ga.files") or call == "ga.messages.parse"}
    assert set(answers) == expected

    for call, answer in answers.items():
        namespace, _, name = call.partition(".")
        if name in SHAPES or name in PAGES:
            schema = SHAPES.get(name) or PAGES[name]
            # Files have the old shape for this package's first generation only: it asks for it by a header.
            old = sdk is TYPESCRIPT_1 if name.startswith("files.") else namespace == "beta"
            values = answer["data"] if name in PAGES else answer if isinstance(answer, list) else [answer]
            assert values, call
            for value in values:
                assert not list(complaints(f"Beta{schema}" if old else schema, value)), (call, value)

    for namespace in ("ga", "beta"):
        results = {line["custom_id"]: line["result"] for line in answers[f"{namespace}.batches.results"]}
        assert results["one"]["type"] == "succeeded"
        assert results["bad"]["error"]["error"]["type"] == "invalid_request_error"
        paged = answers[f"{namespace}.batches.paged"]
        assert len(paged) == len(set(paged)) and answers[f"{namespace}.batches.create"]["id"] in paged
        assert answers[f"{namespace}.batches.delete"]["id"] == answers[f"{namespace}.batches.cancel"]["id"]
        assert answers.get(f"{namespace}.files.download", "deep\n") == "deep\n"
