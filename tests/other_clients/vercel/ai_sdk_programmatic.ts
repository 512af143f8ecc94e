// A question whose answer needs code that calls a tool of ours, then another one with the AI SDK's own history.

import { createAnthropic, forwardAnthropicContainerIdFromLastStep } from "@ai-sdk/anthropic";
import { isStepCount, jsonSchema, type ModelMessage, streamText, tool } from "ai";

const [ask, askAgain] = process.argv.slice(2) as [string, string];

const anthropic = createAnthropic();
const calls: string[] = [];
const area = tool({
  description: "The area of a square with this side.",
  inputSchema: jsonSchema<{ side: number }>({
    type: "object",
    properties: { side: { type: "number" } },
    required: ["side"],
  }),
  execute: async ({ side }) => {
    calls.push(String(side));
    return side * side;
  },
  providerOptions: { anthropic: { allowedCallers: ["code_execution_20260120"] } },
});

async function answer(messages: ModelMessage[]) {
  const result = streamText({
    model: anthropic("claude-opus-5-5"),
    messages,
    tools: { code_execution: anthropic.tools.codeExecution_20260120(), area },
    stopWhen: isStepCount(10),
    prepareStep: forwardAnthropicContainerIdFromLastStep,
    onError: ({ error }) => {
      throw error;
    },
  });
  const text = await result.text;
  return { text, messages: await result.responseMessages, steps: (await result.steps).length };
}

const history: ModelMessage[] = [{ role: "user", content: ask }];
const first = await answer(history);
history.push(...first.messages, { role: "user", content: askAgain });
const second = await answer(history);

console.log(JSON.stringify({ text: [first.text, second.text], calls, steps: [first.steps, second.steps] }));
