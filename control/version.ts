/** The program's version, as `hello`, `status` and `spfs --version` report it; equal to deno.json's. */
export const version = "0.1.0";

/** The version of the control protocol that this program speaks. A client refuses another major; minor only adds. */
export const protocolVersion = { major: 1, minor: 0 } as const;
