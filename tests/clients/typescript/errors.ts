// Requests that must fail, and what this SDK makes of each answer.
import Anthropic, { APIError, toFile } from "@anthropic-ai/sdk";

const given = JSON.parse(process.argv[2]);
const client: any = new Anthropic();
const stranger: any = new Anthropic({ apiKey: "sk-ant-not-a-key" });
const neighbour: any = new Anthropic({ apiKey: given.other_key });
const CODE_EXECUTION = { type: "code_execution_20250825", name: "code_execution" };

function ask(by: any, content: unknown = "Hello", more: object = {}): Promise<unknown> {
  const messages = [{ role: "user", content }];
  return by.beta.messages.create({
    model: "claude-sonnet-4-5",
    max_tokens: 64,
    messages,
    tools: [CODE_EXECUTION],
    ...more,
  });
}

const plain = { model: "m", max_tokens: 64, messages: [{ role: "user", content: "Hello" }] };
const upload = [{ type: "container_upload", file_id: given.file_id }];
const scenarios: Record<string, () => Promise<unknown>> = {
  wrong_key: () => ask(stranger),
  wrong_key_files: () => stranger.beta.files.list(),
  wrong_key_stream: () => stranger.messages.stream(plain).finalMessage(),
  unknown_container: () => ask(client, "Hello", { container: "container_011CNha8iCJcU1wXNR6q4V8w" }),
  misshapen_container: () => ask(client, "Hello", { container: "../../etc" }),
  neighbours_container: () => ask(neighbour, "Hello", { container: given.container_id }),
  neighbours_file: () => neighbour.beta.files.retrieveMetadata(given.file_id),
  neighbours_file_content: () => neighbour.beta.files.download(given.produced_id),
  neighbours_file_deleted: () => neighbour.beta.files.delete(given.file_id),
  neighbours_file_uploaded: () => ask(neighbour, upload),
  unknown_file: () => client.beta.files.retrieveMetadata("file_011CNha8iCJcU1wXNR6q4V8w"),
  not_downloadable: () => client.beta.files.download(given.file_id),
  unknown_tool_version: () =>
    ask(client, "Hello", { tools: [{ type: "code_execution_20991231", name: "code_execution" }] }),
  two_code_execution_tools: () => ask(client, "Hello", { tools: [CODE_EXECUTION, CODE_EXECUTION] }),
  empty_messages: () => client.messages.create({ ...plain, messages: [] }),
  bad_role: () => client.messages.create({ ...plain, messages: [{ role: "narrator", content: "Hello" }] }),
  bad_file_name: async () => client.beta.files.upload({ file: await toFile(Buffer.from("x"), "a<b>.txt") }),
  too_large: () => ask(client, "x".repeat(33 * 1024 * 1024)),
};

function classes(error: object): string[] {
  const names: string[] = [];
  for (let kind = Object.getPrototypeOf(error); kind; kind = Object.getPrototypeOf(kind)) {
    names.push(kind.constructor.name);
  }
  return names;
}

const outcomes: Record<string, unknown> = {};
for (const [name, scenario] of Object.entries(scenarios)) {
  try {
    await scenario();
    outcomes[name] = { classes: [], problem: "nothing was raised" };
  } catch (error: any) {
    if (error instanceof APIError && error.status !== undefined) {
      outcomes[name] = { classes: classes(error), status: error.status, body: error.error, request_id: error.requestID };
    } else {
      outcomes[name] = { classes: classes(error), problem: String(error) };
    }
  }
}
console.log(JSON.stringify(outcomes));
