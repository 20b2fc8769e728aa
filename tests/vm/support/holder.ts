/**
 * The victim that holds what is special on NFS, see `victims/holder.c`.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { patternBytes } from "../../e2e/support/pattern.ts";
import { isAlive, until } from "../../e2e/support/proc.ts";
import { type Scene, victim } from "./scene.ts";

/** The reserved port on which it listens. Below 512, from where bindresvport(3) of rpcbind and rpc.statd takes theirs, and NFS's client (665) takes its. */
export const HOLDERS_PORT = 400;

/** A holder. */
export class Holder {
  /** Its process. */
  readonly pid: number;
  readonly #result: string;

  private constructor(pid: number, result: string) {
    this.pid = pid;
    this.#result = result;
  }

  /** Starts it on the mounted file system; it has all of it then. */
  static async start(scene: Scene): Promise<Holder> {
    const { sandbox, server, mountpoint } = scene;
    const result = sandbox.at("result");
    Deno.writeTextFileSync(result, "");
    Deno.writeFileSync(`${server.directory}/plain`, patternBytes(4, 8192));
    const { pid } = sandbox.start(victim("holder"), [mountpoint, result]);
    const holder = new Holder(pid, result);
    await until("the victim's set-up", () => holder.lines().length > 1);
    assertEquals(holder.lines(), ["set-up ok", ""]);
    return holder;
  }

  /** What it has told. */
  lines(): string[] {
    return Deno.readTextFileSync(this.#result).split("\n");
  }

  /**
   * Fails if another client gets one of its locks. The server's own list would not do: of a file that is delegated to a client (NFS 4) the
   * server knows the locks only when it has asked for it back.
   */
  static async assertLocked(scene: Scene): Promise<void> {
    const { sandbox, server, options } = scene;
    const script = `for name in flocked owned ranged; do
      flock --exclusive --nonblock $name echo $name is free
      [ $? = 1 ] || echo $name was not looked at
    done`;
    const mountpoint = sandbox.directory("elsewhere");
    const [program, ...args] = server.atAnotherClient(options, mountpoint, ["sh", "-c", script]);
    const child = sandbox.start(program!, args);
    await child.closeInput();
    const { stdout, stderr } = await child.ended();
    assertEquals([stdout, stderr], ["", ""]);
  }

  /** Has it look at everything, and end. Fails unless all is as it was. */
  async end(): Promise<void> {
    const { pid } = this;
    Deno.kill(pid, "SIGUSR1");
    await until("the end of the victim's report", () => this.lines().includes("end ok") || !isAlive(pid));
    assertEquals(this.lines().filter((line) => !line.endsWith(" ok")), [""], this.lines().join("\n"));
    Deno.kill(pid, "SIGUSR1");
    await until("the victim's end", () => !isAlive(pid));
  }
}
