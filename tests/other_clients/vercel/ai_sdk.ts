// Two questions with the AI SDK and the code execution tool; the file that the code wrote is saved.

import { createAnthropic, type AnthropicMessageMetadata } from "@ai-sdk/anthropic";
import { type ModelMessage, streamText } from "ai";
import { writeFileSync } from "node:fs";

const [ask, askAgain, version] = process.argv.slice(2) as [string, string, string];

const anthropic = createAnthropic();
const tool = version === "code_execution_20260120"
  ? anthropic.tools.codeExecution_20260120()
  : version === "code_execution_20250825"
  ? anthropic.tools.codeExecution_20250825()
  : anthropic.tools.codeExecution_20250522();

async function answer(messages: ModelMessage[], container?: string) {
  const result = streamText({
    model: anthropic("claude-opus-5-5"),
    messages,
    tools: { code_execution: tool },
    providerOptions: container === undefined ? {} : { anthropic: { container: { id: container } } },
    onError: ({ error }) => {
      throw error;
    },
  });
  let pieces = 0;
  for await (const _ of result.textStream) pieces += 1;
  const metadata = (await result.providerMetadata)?.anthropic as AnthropicMessageMetadata | undefined;
  return {
    pieces,
    text: await result.text,
    content: await result.content,
    messages: await result.responseMessages,
    container: metadata?.container?.id,
  };
}

const history: ModelMessage[] = [{ role: "user", content: ask }];
const first = await answer(history);
history.push(...first.messages, { role: "user", content: askAgain });
const second = await answer(history, first.container);

const outputs = first.content.flatMap((part) => {
  if (part.type !== "tool-result") return [];
  const output = part.output as { content?: { file_id: string }[] | string };
  return Array.isArray(output.content) ? output.content : [];
});
if (outputs.length !== 1) throw new Error(`one file was expected: ${JSON.stringify(first.content)}`);
const file = { anthropic: outputs[0]!.file_id };
const files = anthropic.files();
const { filename } = await files.getFileMetadata!({ file });
const download = await files.downloadFile!({ file });
writeFileSync(filename!, Buffer.from(await new Response(download.content).arrayBuffer()));

console.log(JSON.stringify({
  text: [first.text, second.text],
  pieces: first.pieces,
  file: filename,
  containers: [first.container, second.container],
}));
