/** What {@linkcode lazily} makes of functions: their results as properties. */
export type Lazily<T> = { readonly [K in keyof T]: T[K] extends () => infer R ? R : never };

/**
 * Properties that are made when they are first looked at. Building the schemas of the whole protocol takes longer than all else that the
 * program does to start, and a client uses few of them.
 */
export function lazily<T extends Record<string, () => unknown>>(makers: T): Lazily<T> {
  const made = {} as Lazily<T>;
  for (const [name, make] of Object.entries(makers)) {
    Object.defineProperty(made, name, {
      configurable: true,
      enumerable: true,
      get() {
        const value = make();
        Object.defineProperty(made, name, { value, enumerable: true });
        return value;
      },
    });
  }
  return made;
}
