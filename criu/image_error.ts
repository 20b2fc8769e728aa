/** What is wrong with an image: it is cut off, damaged, none of CRIU's, or says what CRIU never writes. */
export class ImageError extends Error {
  /** The error's name. */
  override readonly name = "ImageError";

  /**
   * Makes an error whose message begins with the file and, where there is one, the offset.
   *
   * @param file the image's name within its directory
   * @param offset where in the file, in bytes; undefined for what is about the file as a whole
   */
  constructor(
    readonly file: string,
    readonly offset: number | undefined,
    what: string,
    options?: ErrorOptions,
  ) {
    super(`${file}${offset === undefined ? "" : ` at offset ${offset}`}: ${what}`, options);
  }
}
