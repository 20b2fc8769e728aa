/** The limits of a connection, announced in `hello`. */
export const limits = {
  /** The longest input line in bytes, newline not counted. */
  maxLineBytes: 8 * 1024 * 1024,
  /** The most entries of one `file.create`. */
  maxEntriesPerCall: 65_536,
  /** The most unanswered requests of one connection; one more is answered `overloaded`. */
  maxInFlight: 256,
} as const;
