// Every call of the Skills API, as this SDK makes it by itself (WIRE g).
import { createReadStream } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import Anthropic, { toFile } from "@anthropic-ai/sdk";

const [folder, archive] = process.argv.slice(2);
const client: any = new Anthropic();
const isNew = process.env.SDK_GENERATION === "2";
const skills = isNew ? client.skills : client.beta.skills;
const title = isNew ? "display_name" : "display_title";

async function fromFolder(): Promise<any[]> {
  const found: any[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found.push(await toFile(createReadStream(path), `${basename(folder)}/${relative(folder, path)}`));
  }
  return found;
}

async function all(pages: any): Promise<any[]> {
  const found: any[] = [];
  for await (const item of pages) found.push(item);
  return found;
}

const created: Record<string, any> = {
  folder: await skills.create({ files: await fromFolder(), [title]: `Folder ${process.env.SDK_VERSION}` }),
  zip: await skills.create({ files: [createReadStream(archive)] }),
  zip_in_memory: await skills.create({
    files: [await toFile(await readFile(archive), "skill.zip")],
    [title]: `Zip ${process.env.SDK_VERSION}`,
  }),
};
const first = created.folder.id;
const one = await toFile(await readFile(join(folder, "SKILL.md")), "weekly-report/SKILL.md", { type: "text/markdown" });
const version = await skills.versions.create(first, { files: [one] });
const number = isNew ? version.id : version.version;
const result: Record<string, any> = {
  created,
  version,
  retrieved: await skills.retrieve(first),
  version_retrieved: await skills.versions.retrieve(number, { skill_id: first }),
  listed: (await all(skills.list({ limit: 1, source: "custom" }))).map((skill) => skill.id),
  versions: await all(skills.versions.list(first, { limit: 1 })),
};
if (isNew) {
  result.twin = await client.beta.skills.retrieve(first);
  const download = await client.beta.skills.versions.download("latest", { skill_id: first });
  result.downloaded = Buffer.from(await download.arrayBuffer()).toString("latin1").slice(0, 2);
}
result.version_deleted = await skills.versions.delete(number, { skill_id: first });
if (!isNew) await skills.versions.delete(created.zip.latest_version, { skill_id: created.zip.id });
result.deleted = await skills.delete(created.zip.id);
result.listed_after_delete = (await all(skills.list({ source: "custom" }))).map((skill) => skill.id);
console.log(JSON.stringify(result));
