// The SDK's own loop over tools that the code of a model calls. Prints every message and every call.
import Anthropic from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";

const newest = process.env.SDK_GENERATION !== "1";
const calls: unknown[] = [];
const degrees: Record<string, number> = { Oslo: 4, Rome: 19, Cairo: 28, Lima: 17, Delhi: 31 };

function tool(name: string, properties: Record<string, { type: string }>, run: (input: any) => unknown): any {
  const made: any = betaTool({
    name,
    description: `The tool ${name}.`,
    inputSchema: { type: "object", properties, required: Object.keys(properties) } as any,
    run: run as any,
  });
  return { ...made, allowed_callers: [process.env.CALLER ?? "code_execution_20260120"] };
}

const tools: any[] = [
  tool("get_weather", { city: { type: "string" } }, ({ city }) => {
    calls.push(["get_weather", city]);
    return JSON.stringify({ c: degrees[city] });
  }),
  tool("add", { a: { type: "integer" }, b: { type: "integer" } }, ({ a, b }) => {
    calls.push(["add", a, b]);
    return String(a + b);
  }),
  tool("fail", { reason: { type: "string" } }, ({ reason }) => {
    calls.push(["fail", reason]);
    throw new Error(reason);
  }),
  tool("slow", { seconds: { type: "number" } }, async ({ seconds }) => {
    calls.push(["slow", seconds]);
    await new Promise((done) => setTimeout(done, seconds * 1000));
    return "late";
  }),
  { type: process.env.TOOL ?? "code_execution_20260120", name: "code_execution" },
];

const client: any = new Anthropic();
const stream = process.env.STREAM === "1";
const runner = client.beta.messages.toolRunner({
  model: process.env.MODEL,
  max_tokens: 4096,
  messages: [{ role: "user", content: process.argv[2] }],
  tools,
  betas: process.env.BETAS?.split(" ") ?? [],
  stream,
});
const messages: unknown[] = [];
for await (const item of runner) {
  const message: any = stream ? await item.finalMessage() : item;
  messages.push(message);
  if (!newest && message.stop_reason === "tool_use" && !runner.params.container) {
    // Later runners take up the container by themselves. Who sets parameters in this one appends the message, too.
    const { role, content, container } = message;
    runner.setMessagesParams((params: any) => ({
      ...params,
      container: container.id,
      messages: [...params.messages, { role, content }],
    }));
  }
}
console.log(JSON.stringify({ messages, calls }));
