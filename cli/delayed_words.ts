/**
 * What is to be delayed, said on a command line. Pure.
 *
 * @module
 */

import type { RestoreConfig, RestoreMount } from "../control/wire.ts";
import { UsageError } from "./usage.ts";

/** What can be said of a mount besides where it is. */
const mountKeys = ["id", "at", "key"];
const replaceKeys = ["source", "type", "options"];

/**
 * A mount: `PATH`, or `PATH,source=SOURCE,type=TYPE,options=A,B`. `options` comes last and has all that follows,
 * commas included. What is not said is as it was noted at dump.
 *
 * @throws {UsageError} naming the word that is wrong
 */
export function parseDelayedMount(text: string): RestoreMount {
  const [mountpoint, ...words] = text.split(",");
  const wrong = (why: string) => new UsageError(`--mount ${text}: ${why}`);
  if (!mountpoint!.startsWith("/")) throw wrong("begins with the mountpoint, an absolute path");
  const said: Record<string, string> = {};
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    const equals = word.indexOf("=");
    const key = equals < 0 ? word : word.slice(0, equals);
    if (![...mountKeys, ...replaceKeys].includes(key) || equals < 0) {
      const known = [...mountKeys, ...replaceKeys].map((one) => `${one}=`).join(", ");
      throw wrong(`"${word}" is none of ${known} (options= comes last; a path with a comma needs --config)`);
    }
    if (key in said) throw wrong(`${key}= is there twice`);
    said[key] = key === "options"
      ? [word, ...words.slice(at + 1)].join(",").slice(8)
      : word.slice(equals + 1);
    if (said[key] === "") throw wrong(`${key}= has no value`);
    if (key === "options") break;
  }
  const picked = (keys: readonly string[]) =>
    Object.fromEntries(keys.filter((key) => key in said).map((key) => [key, said[key]!]));
  const replace = picked(replaceKeys);
  return {
    mountpoint: mountpoint!,
    ...picked(mountKeys),
    ...(Object.keys(replace).length > 0 && { replace }),
  };
}

/** A configuration to which mounts and types are added; a mount that it has already is said anew. */
export function withDelayed(
  config: RestoreConfig,
  mounts: readonly RestoreMount[],
  types: readonly string[],
): RestoreConfig {
  const paths = mounts.map(({ mountpoint }) => mountpoint);
  const rest = (config.mounts ?? []).filter(({ mountpoint }) => !paths.includes(mountpoint));
  return {
    ...config,
    mounts: [...rest, ...mounts],
    types: [...new Set([...(config.types ?? []), ...types])],
  };
}
