// Every call of the Files API, as this SDK makes it by itself and in both shapes (WIRE e).
import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import Anthropic, { toFile } from "@anthropic-ai/sdk";

const [producedFile] = process.argv.slice(2);
const client: any = new Anthropic();
const files = client.beta.files;
const OLD = { headers: { "anthropic-beta": "files-api-2025-04-14" } };
const NEW = { headers: { "anthropic-beta": null } };

async function all(pages: any): Promise<string[]> {
  const ids: string[] = [];
  for await (const file of pages) ids.push(file.id);
  return ids;
}

async function raw(call: any): Promise<any> {
  return await (await call.asResponse()).json();
}

await writeFile("data.csv", "a,b\n1,2\n");
const uploads: Record<string, any> = {
  path: await files.upload({ file: createReadStream("data.csv") }),
  open_file: await files.upload({ file: await toFile(createReadStream("data.csv"), "data.csv") }),
  bytes: await files.upload({ file: await toFile(Buffer.from("only bytes"), "bytes.txt") }),
  tuple: await files.upload({ file: await toFile(Buffer.from("\x89PNG", "latin1"), "picture.png", { type: "image/png" }) }),
  unicode: await files.upload({ file: await toFile(Buffer.from("Grüße"), "Übersicht 表.txt") }),
};
const first = uploads.path.id;
const second = uploads.open_file.id;
const shapes: Record<string, any> = {};
for (const [shape, options] of Object.entries({ old: OLD, new: NEW })) {
  const file = await toFile(Buffer.from("x"), "shape.txt", { type: "text/plain" });
  shapes[shape] = {
    upload: await raw(files.upload({ file }, options)),
    metadata: await raw(files.retrieveMetadata(first, {}, options)),
    list: await raw(files.list({ limit: 2 }, options)),
  };
}
const download = await files.download(producedFile);
const result: Record<string, any> = {
  uploads,
  metadata: await files.retrieveMetadata(first),
  paged: await all(files.list({ limit: 3 })),
  shapes,
  produced: Buffer.from(await download.arrayBuffer()).toString("hex"),
  deleted: await files.delete(second),
  paged_after_delete: await all(files.list({ limit: 1000 })),
};
if (client.files) {
  const soon = { file: await toFile(Buffer.from("x"), "soon.txt"), expires_in_seconds: 3600 };
  result.ga_namespace = await client.files.retrieveMetadata(first);
  result.by_ids = await all(client.files.list({ ids: [first, "file_011CNha8iCJcU1wXNR6q4V8w"] }));
  result.expiring = await client.files.upload(soon);
}
console.log(JSON.stringify(result));
