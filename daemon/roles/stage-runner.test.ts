/**
 * Goal: a machine computes as long as it has a wave to compute: the next one is fetched meanwhile, the
 * last one kept, and no more of them are in memory than planned.
 * Method: one layer, a chunk a wave; everything that the runner waits for ends when the test says so.
 */

import { expect, test } from 'vitest';
import type { LayerJob, LayerResult } from '../ports.ts';
import { madeModel } from './made-layers.ts';
import {
  type StageIo,
  type StageResult,
  StageRunner,
  type StageRunnerParts,
} from './stage-runner.ts';

type Step = 'fetch' | 'compute' | 'keep';

/** What is under way, as `fetch 0` of a chunk: until `end`, or at once where nothing is held up. */
class Stages {
  readonly #under = new Map<string, () => void>();
  readonly #runner: StageRunner;
  readonly #held: ReadonlySet<Step>;
  /** Every step that began, in order. */
  readonly begun: string[] = [];

  constructor(held: readonly Step[]) {
    this.#held = new Set(held);
    this.#runner = new StageRunner({
      ...{ model: madeModel, memoryBytes: 1 << 20, cacheBytes: 1 << 20, sourceBytes: () => 1 },
      clock: { now: () => 0 },
      layer: async () => ({ scratchBytes: () => 1, run: (job: LayerJob) => this.#compute(job) }),
    } as unknown as StageRunnerParts);
  }

  run(chunks: readonly number[]): Promise<StageResult> {
    const task = { from: 0, to: 1, chunks, collect: new Set<number>(), waveChunks: 1 };
    const io: StageIo = {
      readState: async (_, chunk, [into]) => {
        await this.#step('fetch', chunk);
        into?.fill(chunk);
      },
      readInputs: async () => undefined,
      keepState: (_, chunk, [from]) => {
        expect(from?.[0], 'numbers that are kept are those of their chunk').toBe(chunk);
        return this.#step('keep', chunk);
      },
      passed: () => undefined,
      keepSums: async () => undefined,
    };
    return this.#runner.run(task, io, new AbortController().signal);
  }

  /** In alphabetical order. */
  get under(): string[] {
    return [...this.#under.keys()].sort();
  }

  end(name: string): void {
    const end = this.#under.get(name);
    expect(end, `${name} is under way`).toBeDefined();
    this.#under.delete(name);
    end?.();
  }

  async #compute({ state }: LayerJob): Promise<LayerResult> {
    await this.#step('compute', state.get('hidden')?.[0] ?? Number.NaN);
    return { bad: [] };
  }

  async #step(step: Step, chunk: number): Promise<void> {
    const name = `${step} ${chunk}`;
    this.begun.push(name);
    if (!this.#held.has(step)) return;
    await new Promise<void>((resolve) => this.#under.set(name, resolve));
  }
}

const expectUnder = (stages: Stages, ...names: string[]): Promise<void> =>
  expect.poll(() => stages.under).toEqual(names);

test('while a wave is computed the next is fetched, each time', async () => {
  const stages = new Stages(['fetch', 'compute']);
  const result = stages.run([0, 1, 2, 3]);
  await expectUnder(stages, 'fetch 0');
  stages.end('fetch 0');
  for (const chunk of [0, 1, 2]) {
    await expectUnder(stages, `compute ${chunk}`, `fetch ${chunk + 1}`);
    stages.end(`fetch ${chunk + 1}`);
    await expectUnder(stages, `compute ${chunk}`);
    stages.end(`compute ${chunk}`);
  }
  await expectUnder(stages, 'compute 3');
  stages.end('compute 3');
  expect(await result).toEqual({ bad: [], computeMs: 0 });
});

test('while a wave is kept the next is computed', async () => {
  const stages = new Stages(['compute', 'keep']);
  const result = stages.run([0, 1, 2]);
  await expectUnder(stages, 'compute 0');
  stages.end('compute 0');
  await expectUnder(stages, 'compute 1', 'keep 0');
  stages.end('compute 1');
  // Kept in order; and the third wave has no room in memory before the first is gone.
  await expectUnder(stages, 'keep 0');
  expect(stages.begun).not.toContain('fetch 2');
  stages.end('keep 0');
  await expectUnder(stages, 'compute 2', 'keep 1');
  stages.end('keep 1');
  stages.end('compute 2');
  await expectUnder(stages, 'keep 2');
  stages.end('keep 2');
  await result;
});

test('two leases have a wave each, and one of them a second', async () => {
  const stages = new Stages(['compute']);
  const results = Promise.all([stages.run([0, 1, 2]), stages.run([3, 4, 5])]);
  const fetched = (): number => stages.begun.filter((name) => name.startsWith('fetch')).length;
  for (let done = 0; done < 6; done++) {
    await expect.poll(() => stages.under.length).toBe(1);
    // Everything that may begin has: nothing of it waits for more than promises.
    await new Promise((resolve) => setTimeout(resolve, 1));
    expect(fetched()).toBe(Math.min(6, done + 3));
    stages.end(stages.under[0] ?? '');
  }
  await results;
});
