// The documentation's conversations through one namespace (ga, beta) and one way of answering (create, stream).
import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import Anthropic from "@anthropic-ai/sdk";

const [namespace, mode] = process.argv.slice(2);
// One program for two generations of types.
const client: any = new Anthropic();
const api = namespace === "beta" ? client.beta : client;
const files = namespace === "ga" && client.files ? client.files : client.beta.files;
const tools = [{ type: "code_execution_20250825", name: "code_execution" }];
const streamedContainers: Record<string, unknown> = {};

async function ask(name: string, content: unknown, more: object = {}): Promise<any> {
  const betas = namespace === "beta" ? { betas: ["code-execution-2025-08-25", "files-api-2025-04-14"] } : {};
  const body = {
    model: process.env.MODEL ?? "claude-sonnet-4-5",
    max_tokens: 4096,
    messages: [{ role: "user", content }],
    tools,
    ...betas,
    ...more,
  };
  if (mode === "create") return await api.messages.create(body);
  const stream = api.messages.stream(body);
  stream.on("streamEvent", (event: any) => {
    if (event.type === "message_delta") streamedContainers[name] = event.delta.container;
  });
  return await stream.finalMessage();
}

async function download(message: any, folder: string): Promise<Record<string, string>> {
  const saved: Record<string, string> = {};
  for (const block of message.content) {
    if (block.type !== "bash_code_execution_tool_result") continue;
    if (block.content.type !== "bash_code_execution_result") continue;
    for (const { file_id } of block.content.content) {
      const metadata = await files.retrieveMetadata(file_id);
      const response = await files.download(file_id);
      saved[metadata.filename] = `${folder}-${metadata.filename}`;
      await writeFile(saved[metadata.filename], Buffer.from(await response.arrayBuffer()));
    }
  }
  return saved;
}

async function uploadedCsv(): Promise<any> {
  const file = await files.upload({ file: createReadStream("data.csv") });
  return await ask("uploaded_csv", [
    { type: "text", text: "Analyze this CSV data" },
    { type: "container_upload", file_id: file.id },
  ]);
}

async function combinedOperations(): Promise<any> {
  const file = await files.upload({ file: createReadStream("data.csv") });
  return await ask("combined_operations", [
    {
      type: "text",
      text: "Analyze this CSV data: create a summary report, save visualizations, and create a README with the findings",
    },
    { type: "container_upload", file_id: file.id },
  ]);
}

async function containerReuse(): Promise<any[]> {
  const first = await ask("reuse_first", "Write a file with a random number and save it to '/tmp/number.txt'");
  const container = (first.container ?? (streamedContainers.reuse_first as any))?.id;
  const question = "Read the number from '/tmp/number.txt' and calculate its square";
  return [first, await ask("reuse_second", question, { container })];
}

const [mean, version, config, csv, generated, combined, [first, second]] = await Promise.all([
  ask("mean_and_deviation", "Calculate the mean and standard deviation of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"),
  ask("python_version", "Check the Python version and list installed packages"),
  ask(
    "config_file",
    "Create a config.yaml file with database settings, then update the port from 5432 to 3306",
  ),
  uploadedCsv(),
  ask("generated_files", "Create a matplotlib visualization and save it as output.png"),
  combinedOperations(),
  containerReuse(),
]);

const messages = {
  mean_and_deviation: mean,
  python_version: version,
  config_file: config,
  uploaded_csv: csv,
  generated_files: generated,
  combined_operations: combined,
  reuse_first: first,
  reuse_second: second,
};
const produced = {
  generated_files: await download(generated, "generated"),
  combined_operations: await download(combined, "combined"),
};
console.log(JSON.stringify({ messages, produced, streamedContainers }));
