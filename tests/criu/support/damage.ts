/**
 * Damaged images, and what reading them may come to.
 *
 * @module
 */

import {
  chooseMount,
  ImageError,
  type ImagePages,
  type Images,
  type MountChoice,
  MountChoiceError,
  neededPaths,
  nodesOfMount,
  type PathKey,
  readImagePages,
  readImagesFrom,
  restorePlaces,
} from "../../../criu/mod.ts";
import { memorySource } from "./made_images.ts";

/** A small deterministic generator (mulberry32): numbers in 0 to 1. */
function generator(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What numbers in images are likely to be mistaken for. */
const tokens = [
  [0xff, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0x00, 0x00, 0x00, 0x80],
  [0x0b, 0x0b, 0x0b, 0x0b],
  [0x0c],
  [0x32, 0x80, 0x80, 0x80, 0x80, 0x08],
  [0x2e, 0x2e, 0x2f],
  [0x00],
];

/** Images of which one, now and then two, are changed in some places, cut off, or taken away. */
function mutated(corpus: ReadonlyMap<string, Uint8Array>, random: () => number): Map<string, Uint8Array> {
  const below = (limit: number) => Math.floor(random() * limit);
  const files = new Map(corpus);
  const names = [...files.keys()];
  for (let images = 1 + Number(random() < 0.2); images > 0; images--) {
    const name = names[below(names.length)]!;
    const bytes = [...corpus.get(name)!];
    for (let changes = 1 + below(4); changes > 0; changes--) {
      const at = below(bytes.length + 1);
      const kind = random();
      if (kind < 0.3 && bytes.length > 0) bytes[at % bytes.length]! ^= 1 << below(8);
      else if (kind < 0.5 && bytes.length > 0) bytes[at % bytes.length] = below(256);
      else if (kind < 0.65) bytes.length = at;
      else if (kind < 0.8) bytes.splice(at, 0, ...tokens[below(tokens.length)]!);
      else if (kind < 0.9) bytes.splice(at, below(8));
      else bytes.splice(at, 0, ...bytes.slice(at, at + below(40)));
    }
    if (random() < 0.02) files.delete(name);
    else files.set(name, new Uint8Array(bytes));
  }
  return files;
}

/** Everything that is made of images. */
function use(images: Images, choices: readonly MountChoice[]): void {
  neededPaths(images);
  for (const choice of choices) {
    try {
      nodesOfMount(images, chooseMount(images, choice));
    } catch (error) {
      if (!(error instanceof MountChoiceError)) throw error;
    }
  }
  restorePlaces(images, undefined, [], { root: "/" as PathKey, externals: new Map() });
}

/** Whatever pages there are: a range comes apart into pieces that follow each other. */
function usePages(pages: ImagePages): void {
  let at = 0;
  pages.split(0, 2 ** 62, (start, end) => {
    if (start !== at || end <= start) throw new Error(`a piece from ${start} to ${end}`);
    at = end;
  });
  if (at !== 2 ** 62) throw new Error(`pieces up to ${at}`);
}

/**
 * Reads damaged images again and again; returns how many were read and how many were refused.
 *
 * @param choices mounts of which the nodes are made
 * @throws {Error} with the seed and the round, for any other outcome
 */
export function damage(
  corpus: ReadonlyMap<string, Uint8Array>,
  { seed, rounds, choices }: { seed: number; rounds: number; choices: readonly MountChoice[] },
): { read: number; refused: number } {
  const random = generator(seed);
  const outcomes = { read: 0, refused: 0 };
  for (let round = 0; round < rounds; round++) {
    const files = mutated(corpus, random);
    try {
      const images = readImagesFrom(memorySource(files));
      for (const { pid } of images.processes) usePages(readImagePages(memorySource(files), pid));
      outcomes.read++;
      use(images, choices);
    } catch (error) {
      const at = `seed ${seed}, round ${round}`;
      if (!(error instanceof ImageError)) throw new Error(`${at}: ${(error as Error).stack}`);
      const isNamed = files.has(error.file) || corpus.has(error.file);
      const isWithin = error.offset === undefined || error.offset <= (files.get(error.file)?.length ?? 0);
      if (!isNamed || !isWithin) throw new Error(`${at}: ${error.message}`);
      outcomes.refused++;
    }
  }
  return outcomes;
}
