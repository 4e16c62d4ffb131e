/**
 * Hub body: an answer's bytes as they come, and how to be rid of those that nobody wants.
 *
 *   Response ──▶ partsOf ──▶ parts   (read next: hub-repository.ts)
 */

// What is read of an answer that is not wanted, so that its connection can be used again.
const UNWANTED_BYTES_MAX = 65_536;

/**
 * The result of the work, or the reason of an abort, whichever comes first. Node's `fetch` knows the
 * signal too, but an abort in the moment in which a body ends leaves its reader waiting for ever.
 */
export async function orAborted<Result>(
  work: Promise<Result>,
  signal: AbortSignal | undefined,
): Promise<Result> {
  if (signal === undefined) return work;
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** The body's parts; a body that is left early is cancelled, and nobody waits for that. */
export async function* partsOf(
  { body }: Response,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await orAborted(reader.read(), signal);
      if (done) return;
      yield value;
    }
  } finally {
    // A promise that may be settled late, or with the error that has just been thrown.
    void reader.cancel().catch(() => undefined);
  }
}

/** Reads what is left where it is short, and ends the connection where it is not. */
export async function letGo(response: Response, signal: AbortSignal | undefined): Promise<void> {
  let bytes = 0;
  try {
    for await (const part of partsOf(response, signal)) {
      bytes += part.length;
      if (bytes > UNWANTED_BYTES_MAX) return;
    }
  } catch {
    // Nobody wanted it.
  }
}
