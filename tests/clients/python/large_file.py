"""Upload a large file from its path, and download one to disk as it comes."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from anthropic import Anthropic

action, argument = sys.argv[1:]
client: Any = Anthropic()
if action == "upload":
    uploaded = client.beta.files.upload(file=Path(argument))
    json.dump(uploaded.to_dict(mode="json"), sys.stdout)
else:
    digest = hashlib.sha256()
    size = 0
    with client.beta.files.with_streaming_response.download(argument) as response:
        for piece in response.iter_bytes():
            digest.update(piece)
            size += len(piece)
    json.dump({"sha256": digest.hexdigest(), "size": size}, sys.stdout)
