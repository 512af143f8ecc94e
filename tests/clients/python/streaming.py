"""One prompt asked without and with a stream, and a conversation sent back, through one namespace (ga, beta)."""

import json
import sys
from typing import Any

from anthropic import Anthropic

namespace, prompt, follow_up = sys.argv[1:]
client: Any = Anthropic()
api = client.beta if namespace == "beta" else client
question = {"role": "user", "content": prompt}
request = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 4096,
    "tools": [{"type": "code_execution_20250825", "name": "code_execution"}],
}

created = api.messages.create(messages=[question], **request)

raw_events = [event.to_dict(mode="json") for event in api.messages.create(messages=[question], stream=True, **request)]

helper_events = []
with api.messages.stream(messages=[question], **request) as stream:
    for event in stream:
        helper_events.append(event.type)
        if event.type == "message_delta":
            container = event.to_dict(mode="json")["delta"]["container"]
    streamed = stream.get_final_message()

answer = {"role": "assistant", "content": streamed.content}
conversation = [question, answer, {"role": "user", "content": follow_up}]
# The oldest version has no argument for it in this namespace.
continued = api.messages.create(messages=conversation, extra_body={"container": container["id"]}, **request)

json.dump(
    {
        "created": created.to_dict(mode="json"),
        "raw_events": raw_events,
        "helper_events": helper_events,
        "streamed": streamed.to_dict(mode="json"),
        "continued": continued.to_dict(mode="json"),
        "streamed_container": container,
        "request_id": created._request_id,
    },
    sys.stdout,
)
