import type { Stream } from '@libp2p/interface';
import { expect, test } from 'vitest';
import { sendAll } from './byte-streams.ts';

/** A stream that takes everything at once and is full then; `end` is the far end's reset. */
class FullStream extends EventTarget {
  status = 'open';
  writeStatus = 'writable';
  writableNeedsDrain = false;
  writeBufferLength = 0;

  send(): boolean {
    this.writableNeedsDrain = true;
    return false;
  }

  end(unsentBytes: number): void {
    this.status = 'reset';
    this.writeStatus = 'closed';
    this.writeBufferLength = unsentBytes;
    this.dispatchEvent(new Event('close'));
  }
}

test('what left before the far end reset the stream was sent, what did not was not', async () => {
  for (const unsentBytes of [0, 1]) {
    const stream = new FullStream();
    const sending = sendAll(stream as unknown as Stream, [new Uint8Array(9)]);
    setTimeout(() => stream.end(unsentBytes), 5);
    if (unsentBytes === 0) await sending;
    else await expect(sending).rejects.toThrow('reset');
  }
});
