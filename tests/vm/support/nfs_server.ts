/**
 * An NFS server that can be stopped, unplugged and started again: the kernel's own, in namespaces of its own, with the daemons that belong
 * to it. It stands for another host: it has a network card, an address, a portmapper and a state directory of its own.
 *
 * @module
 */

import { Child, run } from "../../e2e/support/child.ts";
import { isAlive, until } from "../../e2e/support/proc.ts";

/** How a server exports its directory. */
export interface ExportOptions {
  /** Whether it takes root for nobody; no by default. */
  readonly rootSquash?: boolean;
  /** A process in the network namespace at the other end of the server's wire; this one by default. */
  readonly near?: number;
}

/** What is done once in the namespaces; `$1` is the directory, `$2` the options with which it is exported. */
const setUp = `
set -e
ip link set lo up
ip address add 10.9.0.2/24 dev lan
ip link set lan up
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib/nfs
mkdir -p /run/rpcbind /run/rpc_pipefs /var/lib/nfs/sm /var/lib/nfs/sm.bak /var/lib/nfs/nfsdcld
touch /var/lib/nfs/etab /var/lib/nfs/rmtab /var/lib/nfs/state
mount -t rpc_pipefs rpc_pipefs /run/rpc_pipefs
mount -t nfsd nfsd /proc/fs/nfsd
rpcbind -w
nfsdcld --pipefsdir=/run/rpc_pipefs --storagedir=/var/lib/nfs/nfsdcld
echo 10 >/proc/fs/nfsd/nfsv4leasetime
echo 10 >/proc/fs/nfsd/nfsv4gracetime
exportfs -i -o "$2" "*:$1"
rpc.mountd
rpc.statd --no-notify
`;

/** What is done once in the namespaces at the end. The wire would go with them, but only some time after they have gone. */
const takeDown = `
if mountpoint -q /proc/fs/nfsd; then rpc.nfsd 0; exportfs -ua; umount /proc/fs/nfsd; fi
if ip link show lan >/dev/null 2>&1; then ip link delete lan; fi
`;

/** A server. One at a time for each network: it always has the same address. */
export class NfsServer implements AsyncDisposable {
  /** Its address. */
  static readonly address = "10.9.0.2";
  /** The address of the other end of its wire. */
  static readonly clientAddress = "10.9.0.1";
  /** The directory that it exports, as it sees it itself: reading it tells what has arrived. */
  readonly directory: string;
  /** A process that does nothing but keep the namespaces. */
  readonly #host: Child;

  private constructor(directory: string, host: Child) {
    this.directory = directory;
    this.#host = host;
  }

  /** Starts a server that exports an empty directory of the guest's disk. */
  static async start({ rootSquash = false, near = Deno.pid }: ExportOptions = {}): Promise<NfsServer> {
    const directory = Deno.makeTempDirSync({ dir: "/srv", prefix: "export-" });
    Deno.chmodSync(directory, 0o755);
    const host = Child.start("unshare", ["--net", "--mount", "sleep", "infinity"], { limitMs: 300_000 });
    const server = new NfsServer(directory, host);
    try {
      const network = (of: number | "self") => Deno.readLinkSync(`/proc/${of}/ns/net`);
      await until("the server's namespaces", () => network(host.pid) !== network("self"));
      const client = ["--target", String(near), "--net", "ip"];
      await run("nsenter", [
        ...client,
        ...["link", "add", "lan", "type", "veth", "peer", "name", "lan", "netns", String(host.pid)],
      ]);
      await run("nsenter", [...client, "address", "add", `${NfsServer.clientAddress}/24`, "dev", "lan"]);
      await run("nsenter", [...client, "link", "set", "lan", "up"]);
      const squash = rootSquash ? "root_squash" : "no_root_squash";
      await server.#run("sh", "-c", setUp, "sh", directory, `rw,${squash},no_subtree_check,fsid=7`);
      await server.restart();
    } catch (error) {
      await server[Symbol.asyncDispose]().catch((leak) => console.error(leak.message));
      throw error;
    }
    return server;
  }

  /** What a client mounts. */
  get source(): string {
    return `${NfsServer.address}:${this.directory}`;
  }

  /**
   * The command that runs a program at another client, a host of another name that is at the server's end of the wire: in the root of the
   * file system, which is mounted there for as long as it runs.
   *
   * @param options with which the file system is mounted
   * @param mountpoint an empty directory
   */
  atAnotherClient(options: string, mountpoint: string, command: readonly string[]): string[] {
    const script = `hostname another && mount -t nfs -o "$1" "$2" "$3" && cd "$3" && shift 3 && exec "$@"`;
    const host = ["unshare", "--uts", "--mount", "sh", "-c", script, "sh", options, this.source, mountpoint];
    return ["nsenter", ...this.#enter, ...host, ...command];
  }

  /** The ports from which clients are connected to the service, sorted. */
  async clientPorts(): Promise<number[]> {
    const filter = ["state", "established", "sport", "=", ":2049"];
    const told = await this.#run("ss", "--no-header", "--tcp", "--numeric", ...filter);
    // "0 0 10.9.0.2:2049 10.9.0.1:701"
    const ports = told.split("\n").flatMap((line) => /:(\d+)\s*$/.exec(line)?.[1] ?? []).map(Number);
    return ports.sort((a, b) => a - b);
  }

  /** Ends the service: connections are reset, and new ones refused. What clients had open is forgotten, as by a reboot. */
  async stop(): Promise<void> {
    await this.#run("rpc.nfsd", "0");
  }

  /** Prepares to end the service at once; calling what it returns resolves when the service has ended. */
  async killer(): Promise<() => Promise<void>> {
    const script = `echo ready; read -r line; echo 0 >/proc/fs/nfsd/threads; echo ended`;
    const shell = Child.start("nsenter", [...this.#enter, "sh", "-c", script]);
    await shell.line();
    return async () => {
      await shell.ask("end it");
      await shell.ended();
    };
  }

  /** Begins the service again. */
  async restart(): Promise<void> {
    await this.#run("rpc.nfsd", "4");
  }

  /** Pulls the plug: packets get no answer any more, and the server knows nothing of it. */
  async unplug(): Promise<void> {
    await this.#run("ip", "link", "set", "lan", "down");
  }

  /** Puts the plug back. */
  async plug(): Promise<void> {
    await this.#run("ip", "link", "set", "lan", "up");
  }

  get #enter(): string[] {
    return ["--target", String(this.#host.pid), "--net", "--mount"];
  }

  async #run(program: string, ...args: string[]): Promise<string> {
    return await run("nsenter", [...this.#enter, program, ...args], { limitMs: 30_000 });
  }

  /** Ends it with its daemons. Nobody may have it mounted any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    const network = Deno.readLinkSync(`/proc/${this.#host.pid}/ns/net`);
    await this.#run("sh", "-c", takeDown);
    const daemons = processesIn(network);
    for (const pid of daemons) Deno.kill(pid, "SIGKILL");
    await this.#host.status;
    for (const pid of daemons) await until(`the end of the server's process ${pid}`, () => !isAlive(pid));
    await Deno.remove(this.directory, { recursive: true });
  }
}

/** The processes in a network namespace, kernel threads left out. */
function processesIn(network: string): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => {
    try {
      return pid > 0 && Deno.readLinkSync(`/proc/${pid}/ns/net`) === network;
    } catch {
      return false; // It has ended.
    }
  });
}
