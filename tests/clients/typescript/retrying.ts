// A request that takes longer than this SDK waits, so that it sends it again by itself.
import Anthropic from "@anthropic-ai/sdk";

let tries = 0;
const counting = (url: any, options: any) => {
  tries += 1;
  return fetch(url, options);
};
const client: any = new Anthropic({ timeout: 2000, maxRetries: 8, fetch: counting });
const message = await client.beta.messages.create(JSON.parse(process.argv[2]!));
console.log(JSON.stringify({ message, retries: tries - 1 }));
