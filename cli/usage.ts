/** The command line is wrong; the message says how, for people. */
export class UsageError extends Error {
  /** The error's name. */
  override readonly name = "UsageError";
}
