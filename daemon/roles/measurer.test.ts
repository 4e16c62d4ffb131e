/**
 * Goal: sums count as those of the chunks that they hold, also where one of these turns out bad
 * elsewhere in the moment when they are finished.
 * Method: this machine runs layer 0, another layer 1; what runs here ends when the test says so.
 */

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { PeerMessage } from '../../proto/peer-messages.ts';
import { GROUP_CHUNKS } from '../core/calibration/chunks.ts';
import { readCounts, viewStatistics } from '../core/importance/statistics.ts';
import type {
  ConnectedPeer,
  LayerJob,
  LayerResult,
  LeafStore,
  MeasurementFiles,
  Network,
  NetworkListener,
} from '../ports.ts';
import { KeptStates } from './kept-states.ts';
import { madeModel as model, madeStatistics as statistics } from './made-layers.ts';
import { Measurer, type MeasurerParts } from './measurer.ts';
import { StageRunner, type StageRunnerParts } from './stage-runner.ts';
import { SumsStore } from './sums-store.ts';

const RUN = 'ab'.repeat(16);
// It multiplies as fast as this machine, and no other speed matters.
const speeds = { multiplicationsPerSecond: 1, bytesPerSecond: 1e9 };
const BAD = 3;
const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
const clock = { now: () => 0, after: () => () => undefined };

/** All that runs is under way until it is ended; it counts its chunks. */
class Running {
  readonly #under: (() => void)[] = [];

  get count(): number {
    return this.#under.length;
  }

  run({ chunks, sums }: LayerJob): Promise<LayerResult> {
    return new Promise((resolve) => {
      this.#under.push(() => {
        const [view] = sums === undefined ? [] : viewStatistics(statistics, sums);
        if (view !== undefined) view.counts[0] = (view.counts[0] ?? 0) + chunks;
        resolve({ bad: [] });
      });
    });
  }

  end(): void {
    this.#under.shift()?.();
  }
}

function filesInMemory(): MeasurementFiles {
  const files = new Map<string, Uint8Array>();
  return {
    list: async () => [...files.keys()],
    read: async (name) => files.get(name),
    write: async (name, bytes) => void files.set(name, bytes.slice()),
    remove: async (name) => void files.delete(name),
    drop: async () => files.clear(),
  };
}

test.each([
  ['at once', 0, 1],
  ['in two waves', GROUP_CHUNKS / 2, 2],
])('chunks that run %s', async (_, waveChunks, waves) => {
  const running = new Running();
  const listeners: NetworkListener[] = [];
  const sent: PeerMessage[] = [];
  const other = {
    ...{ peer: 'w', role: 'worker' },
    hello: { ...speeds, name: 'w', threads: 1, diskBytes: 1e9 },
  } as ConnectedPeer;
  const network = {
    self: 'me',
    serve: () => () => undefined,
    listen: (listener: NetworkListener) => {
      listeners.push(listener);
      listener.connected?.(other);
      return () => undefined;
    },
    send: (_to: string, message: PeerMessage) => void sent.push(message),
    peers: () => [],
    addressesOf: async () => [],
  } as unknown as Network;
  const disk = { put: async () => undefined, remove: async () => undefined };
  const front = { state: async () => [new Float32Array(1)], inputs: async () => [] };
  const store = await SumsStore.open(filesInMemory(), model.statistics, sha256);
  const runner = new StageRunner({
    ...{ model, memoryBytes: 1 << 20, cacheBytes: 1 << 20, sourceBytes: () => 1, clock },
    layer: async () => ({ scratchBytes: () => 1, run: (job: LayerJob) => running.run(job) }),
  } as unknown as StageRunnerParts);
  const measurer = new Measurer({
    ...{ model, store, clock, sha256, waveChunks, chunks: GROUP_CHUNKS },
    ...{ replicas: 1, localSpeed: 1, local: { run: RUN, model, runner, front, clock } },
    costs: model.layers.map(() => ({ sourceBytes: 1, multiplications: 1 })),
    states: new KeptStates(RUN, { store: disk as unknown as LeafStore, clock, sha256 }),
    wire: { network, run: RUN, firstLease: 0, description: new Uint8Array(1) },
    ...{ onNotice: () => undefined, onPassed: () => undefined, onStages: () => undefined },
  } as unknown as MeasurerParts);
  const over = measurer.run(new AbortController().signal);
  over.catch(() => undefined);

  await expect.poll(() => sent.findLast(({ kind }) => kind === 'stage-lease')).toBeDefined();
  const given = sent.findLast((message) => message.kind === 'stage-lease');
  expect(given).toMatchObject({ from: 1, to: 2, leftOut: [] });
  for (let wave = 1; wave < waves; wave++) {
    await expect.poll(() => running.count).toBe(1);
    running.end();
  }
  await expect.poll(() => running.count).toBe(1);
  const answer = { kind: 'stage-answer', run: RUN, lease: given?.lease ?? 0 } as const;
  listeners[0]?.message?.(other, { ...answer, bad: [BAD], computeMs: 0 });
  // What is computed ends with the bad chunk in it, then what is begun without it.
  for (let ended = 0; ended <= waves; ended++) {
    await expect.poll(() => running.count).toBeGreaterThan(0);
    running.end();
  }
  const count = async (): Promise<number[] | undefined> => {
    if (!store.has(0, 0)) return undefined;
    const [view] = viewStatistics(statistics, await measurer.sumsOf(0));
    return view && readCounts(view.counts);
  };
  await expect.poll(count).toEqual([GROUP_CHUNKS - 1]);
  expect(store.list()).toEqual([{ layer: 0, group: 0, leftOut: [BAD] }]);
  await measurer.close(undefined);
});
