// The SDK's own loop over a plain client tool.
import Anthropic from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";

const cities: string[] = [];
const getWeather: any = betaTool({
  name: "get_weather",
  description: "The weather of a city.",
  inputSchema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  run: ({ city }) => {
    cities.push(city);
    return `Sunny in ${city}`;
  },
});

const client: any = new Anthropic();
const runner = client.beta.messages.toolRunner({
  model: process.env.MODEL ?? "claude-sonnet-4-5",
  max_tokens: 1024,
  system: "Be brief.",
  messages: [{ role: "user", content: "What is the weather in Oslo and in Rome?" }],
  tools: [getWeather, { type: "code_execution_20250825", name: "code_execution" }],
});
const messages: unknown[] = [];
for await (const message of runner) messages.push(message);
console.log(JSON.stringify({ messages, cities }));
