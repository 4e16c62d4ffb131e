/** Goal: a state is there for whoever asks a little too early, and until the last lease lets go of it. */

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Clock, LeafStore } from '../ports.ts';
import { KeptStates } from './kept-states.ts';

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

class Memory implements LeafStore {
  readonly kept = new Map<string, Uint8Array>();

  get bytes(): number {
    return [...this.kept.values()].reduce((sum, { length }) => sum + length, 0);
  }

  async read(run: string, key: string, into: Uint8Array): Promise<boolean> {
    return this.readPart(run, key, 0, into);
  }

  async readPart(_: string, key: string, offset: number, into: Uint8Array): Promise<boolean> {
    const found = this.kept.get(key);
    if (found === undefined) return false;
    into.set(found.subarray(offset, offset + into.length));
    return true;
  }

  path(run: string, key: string): string {
    return `${run}/${key}`;
  }

  async put(_: string, key: string, bytes: Uint8Array): Promise<void> {
    this.kept.set(key, bytes);
  }

  async remove(_: string, key: string): Promise<void> {
    this.kept.delete(key);
  }

  async drop(): Promise<void> {
    this.kept.clear();
  }
}

/** Time passes when the test says so. */
class Hands implements Clock {
  readonly due = new Set<() => void>();

  now(): number {
    return 0;
  }

  after(_: number, work: () => void): () => void {
    this.due.add(work);
    return () => this.due.delete(work);
  }

  ring(): void {
    for (const work of [...this.due]) work();
  }
}

const place = { total: 4, offset: 1, bytes: 2 };

test('who asks too early waits, for a while', async () => {
  const clock = new Hands();
  const states = new KeptStates('run', { store: new Memory(), clock, sha256 });
  const early = states.read(2, 7, place);
  await states.keep(1, 2, 7, Uint8Array.of(1, 2, 3, 4));
  expect(await early).toEqual(Uint8Array.of(2, 3));
  const never = states.read(2, 8, place);
  clock.ring();
  expect(await never).toBeUndefined();
  expect(clock.due.size).toBe(0);
  expect(await states.read(2, 7, { ...place, total: 5 })).toBeUndefined();
});

test('a state that two leases have left is kept until both are released', async () => {
  const store = new Memory();
  const states = new KeptStates('run', { store, clock: new Hands(), sha256 });
  for (const lease of [1, 2]) await states.keep(lease, 2, 7, Uint8Array.of(1, 2, 3, 4));
  await states.keep(3, 2, 8, Uint8Array.of(5, 6, 7, 8));
  await states.release(1);
  expect(store.bytes).toBe(8);
  await states.release(2);
  expect(store.bytes).toBe(4);
  await states.releaseAll();
  expect(store.bytes).toBe(0);
});
