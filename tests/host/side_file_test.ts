import { assert, assertEquals, assertThrows } from "@std/assert";
import { ImageError, type Side } from "../../criu/mod.ts";
import { readSide, writeSide } from "../../host/side_file.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** Runs a test with a directory of its own. */
function inDirectory(test: (directory: string) => void): void {
  const directory = Deno.makeTempDirSync({ prefix: "spfs-side-" });
  try {
    test(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

const side: Side = {
  namespaces: [{
    own: true,
    mounts: [{
      id: 40,
      parent: 1,
      major: 0,
      minor: 52,
      root: bytes("/"),
      mountpoint: new Uint8Array([0x2f, 0xff, 0x80]),
      options: ["rw", "noatime"],
      fstype: "nfs4",
      source: bytes("server:/export"),
      superOptions: "rw,vers=4.2",
    }],
    files: [
      {
        path: new Uint8Array([0x2f, 0xff, 0x80, 0x2f, 0x0a]),
        mountId: 40,
        stat: {
          type: "file",
          mode: 0o4751,
          uid: 4294967294,
          gid: 0,
          size: 18446744073709551615n,
          mtime: { sec: -5n, nsec: 999_999_999 },
        },
      },
      {
        path: bytes("/dev/null"),
        mountId: 3,
        stat: {
          type: "char",
          mode: 0o666,
          uid: 0,
          gid: 0,
          size: 0n,
          mtime: { sec: 0n, nsec: 0 },
          rdev: { major: 1, minor: 3 },
        },
      },
      { path: bytes("/dead"), mountId: 41, error: "ETIMEDOUT" },
    ],
  }],
};

Deno.test("side file: what is written is read, whatever the names and numbers", () => {
  inDirectory((directory) => {
    assertEquals(readSide(directory), undefined);
    writeSide(directory, side);
    assertEquals(readSide(directory)?.namespaces, side.namespaces as never);
    writeSide(directory, { namespaces: [] });
    assertEquals(readSide(directory)?.namespaces, []);
    assertEquals([...Deno.readDirSync(directory)].map(({ name }) => name), ["spfs.json"]);
    assertEquals(Deno.statSync(`${directory}/spfs.json`).mode! & 0o777, 0o600);
  });
});

Deno.test("side file: where it cannot be written nothing is left", () => {
  inDirectory((directory) => {
    Deno.mkdirSync(`${directory}/spfs.json`);
    assertThrows(() => writeSide(directory, side));
    assertEquals([...Deno.readDirSync(directory)].map(({ name }) => name), ["spfs.json"]);
  });
});

Deno.test("side file: what is none, of another version or damaged is refused by name", () => {
  inDirectory((directory) => {
    const refuse = (text: string, words: string) => {
      Deno.writeTextFileSync(`${directory}/spfs.json`, text);
      const { message } = assertThrows(() => readSide(directory), ImageError);
      assert(message.startsWith("spfs.json: ") && message.includes(words), message);
    };
    refuse("{", "no JSON");
    refuse("null", "");
    refuse('{"version":2}', "version 2, not 1");
    const program = '"program":{"name":"spfs","version":"1"},"recorded":""';
    refuse(`{"version":1,${program}}`, "namespaces");
    const file = '{"path":"/a/../b","mountId":1}';
    refuse(
      `{"version":1,${program},"namespaces":[{"own":true,"mounts":[],"files":[${file}]}]}`,
      "namespaces.0.files.0.path: is no path",
    );
  });
});
