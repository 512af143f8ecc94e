// Requests whose upstream fails in the middle, and what this SDK makes of each.
import Anthropic, { APIError } from "@anthropic-ai/sdk";

const client: any = new Anthropic({ maxRetries: 0 });

async function attempt(model: string, mode: string, failure: string): Promise<unknown> {
  const request = { model, max_tokens: 64, messages: [{ role: "user", content: failure }] };
  const outcome = { model, mode, failure, classes: [] as string[], text_before: "" };
  try {
    if (mode === "create") {
      await client.messages.create(request);
    } else {
      for await (const event of await client.messages.create({ ...request, stream: true })) {
        if (event.type === "content_block_delta") outcome.text_before += event.delta.text;
      }
    }
  } catch (error: any) {
    if (!(error instanceof APIError)) {
      return { ...outcome, classes: [error.constructor.name], problem: String(error) };
    }
    // An error event of a stream has no status of its own in this SDK: the answer was 200.
    return { ...outcome, classes: ["APIError"], status: error.status ?? 200, body: error.error };
  }
  return outcome;
}

const outcomes: unknown[] = [];
for (const model of process.argv.slice(2)) {
  for (const mode of ["create", "stream"]) {
    for (const failure of ["cut", "error"]) outcomes.push(await attempt(model, mode, failure));
  }
}
console.log(JSON.stringify(outcomes));
