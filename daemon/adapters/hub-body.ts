/**
 * Hub body: an answer's bytes as they come, and how to be rid of those that nobody wants.
 *
 *   Response ──▶ partsOf ──▶ parts   (read next: hub-repository.ts)
 */

// What is read of an answer that is not wanted, so that its connection can be used again.
const UNWANTED_BYTES_MAX = 65_536;

/** The body's parts; a body that is left early is cancelled, and nobody waits for that. */
export async function* partsOf({ body }: Response): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // A promise that may be settled late, or with the error that has just been thrown.
    void reader.cancel().catch(() => undefined);
  }
}

/** Reads what is left where it is short, and ends the connection where it is not. */
export async function letGo(response: Response): Promise<void> {
  let bytes = 0;
  try {
    for await (const part of partsOf(response)) {
      bytes += part.length;
      if (bytes > UNWANTED_BYTES_MAX) return;
    }
  } catch {
    // Nobody wanted it.
  }
}
