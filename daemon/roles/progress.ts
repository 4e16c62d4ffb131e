/**
 * Progress: how far a stage is, how fast it goes and how long it will take.
 *
 *   bytes done, as they are done ──▶ Progress.add ──▶ `progress` events, a few a second
 */

import type { RunEvent } from '../../proto/api.ts';
import type { Clock } from '../ports.ts';

type ProgressEvent = Extract<RunEvent, { type: 'progress' }>;

// Often enough for a bar that moves, rare enough to cost nothing.
const INTERVAL_MS = 200;

export class Progress {
  readonly #clock: Clock;
  readonly #report: (event: RunEvent) => void;
  #stage: ProgressEvent['stage'] = 'fingerprint';
  #bytesTotal = 0;
  #bytesDone = 0;
  #startMs = 0;
  #toldMs = 0;

  constructor(clock: Clock, report: (event: RunEvent) => void) {
    this.#clock = clock;
    this.#report = report;
  }

  begin(stage: ProgressEvent['stage'], bytesTotal: number): void {
    this.#stage = stage;
    this.#bytesTotal = bytesTotal;
    this.#bytesDone = 0;
    this.#startMs = this.#clock.now();
    this.#tell();
  }

  add(bytes: number): void {
    this.#bytesDone += bytes;
    const isWhole = this.#bytesDone >= this.#bytesTotal;
    if (isWhole || this.#clock.now() - this.#toldMs >= INTERVAL_MS) this.#tell();
  }

  #tell(): void {
    this.#toldMs = this.#clock.now();
    const seconds = (this.#toldMs - this.#startMs) / 1000;
    const rate = seconds > 0 ? this.#bytesDone / seconds : 0;
    const bytesLeft = Math.max(0, this.#bytesTotal - this.#bytesDone);
    this.#report({
      type: 'progress',
      stage: this.#stage,
      bytesDone: this.#bytesDone,
      bytesTotal: this.#bytesTotal,
      bytesPerSecond: Math.round(rate),
      ...(rate > 0 ? { secondsLeft: Math.round((bytesLeft / rate) * 10) / 10 } : {}),
    });
  }
}
