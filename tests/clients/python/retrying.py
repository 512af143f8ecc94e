"""A request that takes longer than this SDK waits, so that it sends it again by itself."""

import json
import sys
from typing import Any

from anthropic import Anthropic

client: Any = Anthropic(timeout=2.0, max_retries=8)
answer = client.beta.messages.with_raw_response.create(**json.loads(sys.argv[1]))
json.dump({"message": answer.http_response.json(), "retries": answer.retries_taken}, sys.stdout)
