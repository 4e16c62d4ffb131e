/**
 * Sample until: looks at something again and again while something else goes on.
 *
 *   promise, look ──▶ sampleUntil ──▶ as many looks as it takes
 */

import { setTimeout as delay } from 'node:timers/promises';

/** Calls `look` at once and every so many milliseconds, until `done` is settled either way. */
export async function sampleUntil(
  done: Promise<unknown>,
  everyMs: number,
  look: () => void,
): Promise<void> {
  let isOver = false;
  const over = done
    .catch(() => undefined)
    .finally(() => {
      isOver = true;
    });
  while (!isOver) {
    look();
    await Promise.race([over, delay(everyMs)]);
  }
}
