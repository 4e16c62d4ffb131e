/**
 * Late stream errors: libp2p may find, while it writes what it had queued, that a stream has just
 * been closed by the far end, and throws from an event listener where nobody can catch it. That is
 * the world's doing, not a bug: such errors are dropped. Every other one ends the process.
 */

const LATE_ERRORS = new Set([
  'StreamStateError',
  'StreamResetError',
  'StreamAbortedError',
  'StreamClosedError',
  'StreamBufferError',
  'MuxerClosedError',
  'ConnectionClosedError',
]);

let nodes = 0;

/** Guards the process until the returned function is called. */
export function guardLateStreamErrors(): () => void {
  nodes += 1;
  if (nodes === 1) process.on('uncaughtException', onUncaught);
  let guarded = true;
  return () => {
    if (!guarded) return;
    guarded = false;
    nodes -= 1;
    if (nodes === 0) process.off('uncaughtException', onUncaught);
  };
}

function onUncaught(error: unknown): void {
  if (error instanceof Error && LATE_ERRORS.has(error.name)) return;
  // Whoever else listens decides; alone, this does what Node does without a listener.
  if (process.listenerCount('uncaughtException') > 1) return;
  console.error(error);
  process.exit(1);
}
