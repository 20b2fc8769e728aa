/** A worker that is no thread: what it was sent can be looked at, and what it posts is said by the test. */
export class FakeWorker {
  /** What it was sent. */
  // deno-lint-ignore no-explicit-any
  readonly sent: any[] = [];
  /** Whether it was ended. */
  terminated = false;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onerror: ((event: { message: string; preventDefault(): void }) => void) | null = null;
  onmessageerror: (() => void) | null = null;

  /** As `Worker.postMessage`. */
  postMessage(message: unknown): void {
    this.sent.push(structuredClone(message));
  }

  /** As `Worker.terminate`. */
  terminate(): void {
    this.terminated = true;
  }

  /** Posts a message. */
  post(data: unknown): void {
    this.onmessage?.({ data: structuredClone(data) });
  }

  /** Throws an error that nobody catches. Returns whether the owner took note of it. */
  crash(message: string): boolean {
    let noted = false;
    this.onerror?.({ message, preventDefault: () => noted = true });
    return noted;
  }

  /** As what the code under test takes it. */
  get asWorker(): Worker {
    return this as unknown as Worker;
  }
}
