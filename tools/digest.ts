/**
 * Digests of files, to tell whether they are what they are taken for.
 *
 * @module
 */

import { createHash } from "node:crypto";

/** The SHA-256 of a file, as hex digits. Reads it piece by piece. */
export async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  for await (const chunk of file.readable) hash.update(chunk);
  return hash.digest("hex");
}

/** One SHA-256 over the names and contents of the files of a folder without subfolders, and over further text. */
export async function sha256OfFolder(folder: string, ...further: readonly string[]): Promise<string> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(folder)) names.push(name);
  const hash = createHash("sha256");
  for (const name of names.sort()) hash.update(`${name} ${await sha256(`${folder}/${name}`)}\n`);
  for (const text of further) hash.update(`${text}\n`);
  return hash.digest("hex");
}

/** One SHA-256 over texts, as hex digits: another one whenever one of them is, or ends elsewhere. */
export function sha256OfTexts(...texts: readonly string[]): string {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(`${text.length}\n${text}`);
  return hash.digest("hex");
}
