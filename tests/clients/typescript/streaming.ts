// One prompt asked without and with a stream, and a conversation sent back, through one namespace (ga, beta).
import Anthropic from "@anthropic-ai/sdk";

const [namespace, prompt, followUp] = process.argv.slice(2);
const client: any = new Anthropic();
const api = namespace === "beta" ? client.beta : client;
const question = { role: "user", content: prompt };
const request = {
  model: "claude-sonnet-4-5",
  max_tokens: 4096,
  tools: [{ type: "code_execution_20250825", name: "code_execution" }],
};

const created = await api.messages.create({ messages: [question], ...request });

const rawEvents: any[] = [];
for await (const event of await api.messages.create({ messages: [question], stream: true, ...request })) {
  // The SDK's accumulation changes what it is given, so a copy is kept.
  rawEvents.push(structuredClone(event));
}

const helperEvents: string[] = [];
let container: any;
const stream = api.messages.stream({ messages: [question], ...request });
for await (const event of stream) {
  helperEvents.push(event.type);
  if (event.type === "message_delta") container = event.delta.container;
}
const streamed = await stream.finalMessage();

const answer = { role: "assistant", content: streamed.content };
const continued = await api.messages.create({
  messages: [question, answer, { role: "user", content: followUp }],
  container: container.id,
  ...request,
});

console.log(
  JSON.stringify({
    created,
    raw_events: rawEvents,
    helper_events: helperEvents,
    streamed,
    continued,
    streamed_container: container,
    request_id: created._request_id,
  }),
);
