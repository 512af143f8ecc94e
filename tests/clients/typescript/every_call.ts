// Each call of the package, in each of its namespaces, against one server (WIRE k.1). Prints each answer by its name.
import { setTimeout as wait } from "node:timers/promises";
import Anthropic, { toFile } from "@anthropic-ai/sdk";

const client: any = new Anthropic();
const answers: Record<string, any> = {};
const request = {
  model: "claude-sonnet-4-5",
  max_tokens: 4096,
  messages: [{ role: "user", content: "```bash\necho deep > $OUTPUT_DIR/deep.txt\n```" }],
  tools: [{ type: "code_execution_20250825", name: "code_execution" }],
};

async function all(pages: AsyncIterable<any>): Promise<any[]> {
  const items: any[] = [];
  for await (const item of pages) items.push(item);
  return items;
}

async function ended(batches: any, id: string): Promise<any> {
  for (;;) {
    const batch = await batches.retrieve(id);
    if (batch.processing_status === "ended") return batch;
    await wait(100);
  }
}

for (const [name, api] of Object.entries({ ga: client, beta: client.beta }) as [string, any][]) {
  const answer = async (call: string, made: any) => (answers[`${name}.${call}`] = await made);

  const { messages } = api;
  const created = await answer("messages.create", messages.create(request));
  await answer("messages.create.stream", all(await messages.create({ ...request, stream: true })));
  await answer("messages.stream", messages.stream(request).finalMessage());
  if (messages.parse) await answer("messages.parse", messages.parse(request));
  const { max_tokens, ...counted } = request;
  await answer("messages.countTokens", messages.countTokens(counted));

  const { batches } = messages;
  const requests = [{ custom_id: "one", params: request }, { custom_id: "bad", params: { ...request, model: "" } }];
  const batch = await answer("batches.create", batches.create({ requests }));
  const canceled = await answer("batches.cancel", batches.cancel((await batches.create({ requests })).id));
  await answer("batches.retrieve", ended(batches, batch.id));
  await answer("batches.list", batches.list({ limit: 1 }));
  answers[`${name}.batches.paged`] = (await all(batches.list({ limit: 1 }))).map((one) => one.id);
  await answer("batches.results", all(await batches.results(batch.id)));
  await ended(batches, canceled.id);
  await answer("batches.delete", batches.delete(canceled.id));

  await answer("models.list", api.models.list({ limit: 1 }));
  await answer("models.retrieve", api.models.retrieve("claude-sonnet-4-5"));

  if (!api.files) continue;
  const { files } = api;
  const uploaded = await answer("files.upload", files.upload({ file: await toFile(Buffer.from("a,b\n"), "a.csv") }));
  await answer("files.retrieveMetadata", files.retrieveMetadata(uploaded.id));
  await answer("files.list", files.list({ limit: 1 }));
  const result = created.content.find((block: any) => block.type === "bash_code_execution_tool_result");
  const downloaded = await files.download(result.content.content[0].file_id);
  answers[`${name}.files.download`] = await downloaded.text();
  await answer("files.delete", files.delete(uploaded.id));
}
console.log(JSON.stringify(answers));
