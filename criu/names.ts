/**
 * Paths as they are worked with: bytes as a string of characters up to 255, which is compared, cut and used as a key like any other, and
 * loses nothing. Pure.
 *
 * @module
 */

/** A path of bytes, one character each. It begins with a slash, has none at its end, and is "/" for the root. */
export type PathKey = string & { readonly __path: unique symbol };

/** A path that cannot be one of a file system. */
export class PathError extends Error {
  /** The error's name. */
  override readonly name = "PathError";
}

/** The path that bytes are, with a slash in front and without doubled ones. @throws {PathError} for one with ".." in it, or a NUL */
export function keyOf(bytes: Uint8Array): PathKey {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  const names = text.split("/").filter((name) => name !== "" && name !== ".");
  if (names.includes("..") || text.includes("\0")) {
    throw new PathError(`${JSON.stringify(text)} is no path of CRIU's`);
  }
  if (names.some((name) => name.length > 255)) {
    throw new PathError(`a name of ${names.find((name) => name.length > 255)!.length} bytes`);
  }
  return `/${names.join("/")}` as PathKey;
}

/** A path in the text of which ".." may stand: that takes the name before it away. */
export function resolved(bytes: Iterable<number>): PathKey {
  const names: string[] = [];
  for (const name of String.fromCharCode(...bytes).split("/")) {
    if (name === "..") names.pop();
    else if (name !== "" && name !== ".") names.push(name);
  }
  return `/${names.join("/")}` as PathKey;
}

/** The bytes of a path. */
export function bytesOf(path: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(path.length);
  for (let at = 0; at < path.length; at++) bytes[at] = path.charCodeAt(at);
  return bytes;
}

/** The path below a directory, or "/" for that itself; undefined for what is not below it. */
export function below(path: PathKey, directory: PathKey): PathKey | undefined {
  if (directory === "/") return path;
  if (path === directory) return "/" as PathKey;
  return path.startsWith(`${directory}/`) ? path.slice(directory.length) as PathKey : undefined;
}

/** A path that continues another one. */
export function joined(directory: PathKey, path: PathKey): PathKey {
  if (path === "/") return directory;
  return directory === "/" ? path : `${directory}${path}` as PathKey;
}

/** The directories that lead to a path, from below the root to the one that it is in. */
export function* parentsOf(path: PathKey): Generator<PathKey, void, undefined> {
  for (let at = path.indexOf("/", 1); at > 0; at = path.indexOf("/", at + 1)) {
    yield path.slice(0, at) as PathKey;
  }
}
