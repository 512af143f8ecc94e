// One request whose upstream fails, and what this SDK makes of it.
import Anthropic, { APIError } from "@anthropic-ai/sdk";

const [model, mode] = process.argv.slice(2);
const client: any = new Anthropic({ maxRetries: 0 });
const request = { model, max_tokens: 64, messages: [{ role: "user", content: "Hello" }] };
let textBefore = "";
let outcome: Record<string, unknown> = { classes: [] };
try {
  if (mode === "create") {
    await client.messages.create(request);
  } else {
    for await (const event of await client.messages.create({ ...request, stream: true })) {
      if (event.type === "content_block_delta") textBefore += event.delta.text;
    }
  }
} catch (error: any) {
  // An error event of a stream has no status of its own in this SDK: the answer was 200.
  outcome =
    error instanceof APIError
      ? { classes: ["APIError"], status: error.status ?? 200, body: error.error }
      : { classes: [error.constructor.name], problem: String(error) };
}
console.log(JSON.stringify({ ...outcome, text_before: textBefore }));
