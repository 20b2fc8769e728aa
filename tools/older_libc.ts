/**
 * Lets a shared library that was built against a newer C library be loaded beside an older one, where all it wants of the newer one is
 * the C23 form of number parsing: `__isoc23_strtoul` (glibc 2.38) is `strtoul` that also knows "0b101". Such references are turned into
 * ones to the old functions. ELF as in elf(5) and the Linux Standard Base's "Symbol Versioning"; 64 bit, little-endian.
 *
 * @module
 */

const SHT_DYNSYM = 11;
const SHT_GNU_verneed = 0x6ffffffe;
const SHT_GNU_versym = 0x6fffffff;
const SHN_UNDEF = 0;
const VER_FLG_WEAK = 2;
const PREFIX = "__isoc23_";

/** The version that the oldest functions of glibc have. */
const baseVersions: Readonly<Record<string, string>> = { x86_64: "GLIBC_2.2.5", aarch64: "GLIBC_2.17" };

interface Section {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

/** A version of symbols that the library needs of another one. */
interface NeededVersion {
  /** Where its record is. */
  readonly at: number;
  /** The number by which symbols refer to it. */
  readonly index: number;
  readonly name: string;
}

/**
 * A copy of a shared library without C23 references. Versions that no symbol asks for any more become weak, so that the loader does not
 * insist on them.
 *
 * @throws {Error} when the bytes are no such library, or it does not use the C library's oldest version otherwise.
 */
export function withoutC23(library: Uint8Array, arch: string = Deno.build.arch): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(library);
  const view = new DataView(bytes.buffer);
  if (bytes.length < 64 || view.getUint32(0) !== 0x7f454c46 || view.getUint16(4) !== 0x0201) {
    throw new Error("not a 64-bit little-endian ELF file");
  }
  const sections = sectionsOf(view);
  const dynsym = the(sections, SHT_DYNSYM);
  const versym = the(sections, SHT_GNU_versym);
  const names = sections[dynsym.link]!.offset;
  const versions = neededVersions(bytes, view, the(sections, SHT_GNU_verneed), names);
  const base = versions.find(({ name }) => name === baseVersions[arch]);
  if (base === undefined) throw new Error(`no symbol of version ${baseVersions[arch]}`);
  const used = new Set<number>();
  for (let index = 0; index < dynsym.size / 24; index++) {
    const symbol = dynsym.offset + 24 * index;
    const version = versym.offset + 2 * index;
    const name = view.getUint32(symbol, true);
    if (view.getUint16(symbol + 6, true) === SHN_UNDEF && textAt(bytes, names + name).startsWith(PREFIX)) {
      view.setUint32(symbol, name + PREFIX.length, true); // the rest of the same text is the old name
      view.setUint16(version, base.index, true);
    }
    used.add(view.getUint16(version, true) & 0x7fff);
  }
  for (const { at, index } of versions) {
    if (!used.has(index)) view.setUint16(at + 4, view.getUint16(at + 4, true) | VER_FLG_WEAK, true);
  }
  return bytes;
}

function sectionsOf(view: DataView): Section[] {
  const table = Number(view.getBigUint64(40, true));
  const count = view.getUint16(60, true);
  return Array.from({ length: count }, (_, index) => {
    const at = table + 64 * index;
    return {
      type: view.getUint32(at + 4, true),
      offset: Number(view.getBigUint64(at + 24, true)),
      size: Number(view.getBigUint64(at + 32, true)),
      link: view.getUint32(at + 40, true),
    };
  });
}

function the(sections: readonly Section[], type: number): Section {
  const section = sections.find((candidate) => candidate.type === type);
  if (section === undefined) throw new Error(`no section of type ${type.toString(16)}`);
  return section;
}

function neededVersions(bytes: Uint8Array, view: DataView, section: Section, names: number): NeededVersion[] {
  const versions: NeededVersion[] = [];
  for (let file = section.offset, next = 1; next !== 0; file += next) {
    next = view.getUint32(file + 12, true);
    let at = file + view.getUint32(file + 8, true);
    for (let left = view.getUint16(file + 2, true); left > 0; left--) {
      const name = textAt(bytes, names + view.getUint32(at + 8, true));
      versions.push({ at, index: view.getUint16(at + 6, true), name });
      at += view.getUint32(at + 12, true);
    }
  }
  return versions;
}

function textAt(bytes: Uint8Array, at: number): string {
  return new TextDecoder().decode(bytes.subarray(at, bytes.indexOf(0, at)));
}
