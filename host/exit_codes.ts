/** The program's exit codes, for every command. Part of the command line's interface: documented in the README and in `--help`. */
export const exitCodes = {
  /** It did what was asked; for `serve`: every mount ended as ordered. */
  ok: 0,
  /** It failed: the daemon answered with an error, or `serve` met an internal error and aborted its mounts. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The daemon cannot be reached; for `serve`: another one has the socket. */
  unreachable: 3,
  /** `check` found something degraded or missing. */
  degraded: 4,
} as const;
