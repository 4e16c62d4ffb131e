import fc from 'fast-check';
import { expect, test } from 'vitest';
import { layoutGguf } from '../gguf/layout.ts';
import type { ModelTensor } from '../models/family.ts';
import { type Plan, planRun } from '../plan/plan.ts';
import { type PeerOffer, Schedule, type ScheduleEffect, type ScheduleEvent } from './schedule.ts';

/** A hash good enough to tell the few hundred encodings of a test apart. */
function smallHash(bytes: Uint8Array): Uint8Array {
  const digest = new Uint8Array(32);
  let a = 2166136261;
  bytes.forEach((byte, index) => {
    a = Math.imul(a ^ byte, 16777619);
    digest[index % 32] = (digest[index % 32] ?? 0) ^ (a >>> 24);
  });
  return digest;
}

/** `tensors` matrices of 32 × 4 and two outputs of which the first lacks the last tensor. */
function samplePlan(tensors: number): Plan {
  const model: ModelTensor[] = Array.from({ length: tensors }, (_, index) => ({
    name: `blk.${index}.ffn_up.weight`,
    shape: [32, 4],
    keepF32: false,
    source: {
      kind: 'checkpoint',
      dtype: 'BF16',
      parts: [
        {
          name: `t${index}`,
          dtype: 'BF16',
          shape: [4, 32],
          file: 'model.safetensors',
          offset: index * 256,
          bytes: 256,
        },
      ],
    },
  }));
  const outputs = (['Q8_0', 'Q4_0'] as const).map((type, index) => {
    const held = index === 0 ? model.slice(0, Math.max(1, tensors - 1)) : model;
    return {
      file: `model-${type}.gguf`,
      types: new Map(held.map(({ name }) => [name, type])),
      layout: layoutGguf({
        metadata: [],
        tensors: held.map(({ name, shape }) => ({ name, shape, type })),
      }),
    };
  });
  return planRun({
    tensors: model,
    outputs,
    fileDigests: new Map([['model.safetensors', 'ab']]),
    sha256: smallHash,
  });
}

const anyPeer: PeerOffer = {
  peer: 'p',
  leasesMax: 2,
  memoryBytes: 1e9,
  speed: 1,
  diskBytes: 1e9,
  isLocal: false,
};
const joined = (...peers: readonly Partial<PeerOffer>[]): ScheduleEvent => ({
  kind: 'peers-joined',
  peers: peers.map((peer) => ({ ...anyPeer, ...peer })),
});

interface World {
  readonly plan: Plan;
  readonly choose: (count: number) => number;
  /** The world's own account of what is on disk: the schedule is never asked. */
  readonly disk: Set<string>;
  readonly sealed: Set<number>;
  finished: boolean;
  drained: boolean;
}

interface Happening {
  readonly events: readonly ScheduleEvent[];
  readonly later: readonly Fate[];
}

/** Something under way; with `peer`, it may be lost with that peer. */
interface Fate {
  readonly peer?: string;
  readonly happen: () => Happening;
}

/** Runs the schedule over a world in which anything that is under way may happen next. */
function play(world: World, stepsMax: number): void {
  const schedule = new Schedule(world.plan);
  let underWay: Fate[] = [];
  let peers = 0;
  let nowMs = 0;
  const feed = (event: ScheduleEvent): void => {
    // Sometimes long enough that leases are overtaken.
    nowMs += world.choose(6) === 0 ? 20_000 : 10;
    for (const effect of schedule.step(event, nowMs)) react(effect);
  };
  const react = (effect: ScheduleEffect): void => {
    if (effect.kind === 'lease') {
      underWay.push(fateOfLease(world, effect));
    }
    if (effect.kind === 'seal') {
      underWay.push({ happen: () => ({ events: fateOfSeal(world, effect.output), later: [] }) });
    }
    if (effect.kind === 'finished') world.finished = true;
    if (effect.kind === 'drained') world.drained = true;
  };
  const join = (): void => {
    const fresh = { ...anyPeer, peer: `p${peers++}`, memoryBytes: 1000, isLocal: true };
    feed({ kind: 'peers-joined', peers: [fresh] });
  };
  join();
  for (let step = 0; step < stepsMax && !world.finished; step++) {
    if (underWay.length === 0) {
      join();
      continue;
    }
    const [next] = underWay.splice(world.choose(underWay.length), 1);
    const { events, later } = next?.happen() ?? { events: [], later: [] };
    underWay.push(...later);
    for (const event of events) feed(event);
    if (world.choose(8) === 0) {
      const peer = `p${world.choose(peers)}`;
      // Its answers die with it, or arrive after it was given up for lost.
      if (world.choose(2) === 0) underWay = underWay.filter((fate) => fate.peer !== peer);
      feed({ kind: 'peer-left', peer });
      join();
    }
  }
}

/** The answer of a lease; the runs it carries are stored later, each in its own time. */
function fateOfLease(
  { plan, disk }: World,
  { peer, task, runs }: Extract<ScheduleEffect, { kind: 'lease' }>,
): Fate {
  const placements = runs.flatMap((run) => plan.tasks[task]?.runs[run]?.placements ?? []);
  const stores = placements.map(({ output, run }) => ({
    happen: (): Happening => {
      disk.add(`${output}/${run}`);
      return { events: [{ kind: 'runs-stored', output, runs: [run] }], later: [] };
    },
  }));
  return {
    peer,
    happen: () => ({ events: [{ kind: 'task-answered', peer, task, runs }], later: stores }),
  };
}

function fateOfSeal(world: World, output: number): ScheduleEvent[] {
  const count = world.plan.outputs[output]?.runs.length ?? 0;
  const isLost = world.choose(4) === 0 && count > 0;
  if (isLost) {
    const run = world.choose(count);
    world.disk.delete(`${output}/${run}`);
    return [{ kind: 'runs-lost', output, runs: [run] }];
  }
  const missing = Array.from({ length: count }, (_, run) => `${output}/${run}`).filter(
    (key) => !world.disk.has(key),
  );
  expect(missing).toEqual([]);
  expect(world.sealed.has(output)).toBe(false);
  world.sealed.add(output);
  return [{ kind: 'sealed', output }];
}

// Goal: whatever order things happen in, whoever dies and whatever the disk loses, every output is
// sealed once and only when the world's own account says that all its runs are on disk.
test('every run is stored before its output is sealed, under any order of events', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.infiniteStream(fc.nat()),
      (tensors, numbers) => {
        const world: World = {
          plan: samplePlan(tensors),
          choose: (count) => (numbers.next().value as number) % count,
          disk: new Set(),
          sealed: new Set(),
          finished: false,
          drained: false,
        };
        play(world, 3000);
        expect(world.finished).toBe(true);
        expect(world.sealed.size).toBe(2);
      },
    ),
    { numRuns: 300 },
  );
});

test('what an earlier run stored is not leased again', () => {
  const plan = samplePlan(3);
  const schedule = new Schedule(plan);
  schedule.step({ kind: 'runs-stored', output: 0, runs: [0, 1] }, 0);
  schedule.step({ kind: 'runs-stored', output: 1, runs: [0] }, 0);
  const effects = schedule.step(joined({ leasesMax: 9 }), 0);
  // Both outputs have the first tensor; of the second only Q4_0 is missing; no Q8_0 of the third.
  const types = effects.flatMap((effect) =>
    effect.kind === 'lease'
      ? [[effect.task, effect.runs.map((run) => plan.tasks[effect.task]?.runs[run]?.type)]]
      : [],
  );
  expect(types).toEqual([
    [1, ['Q4_0']],
    [2, ['Q4_0']],
  ]);
});

test('leases respect the memory a peer offers, and a peer that holds nothing gets any task', () => {
  const plan = samplePlan(6);
  const task = plan.tasks[0]?.memoryBytes ?? 0;
  const leasesFor = (memoryBytes: number, leasesMax: number): number =>
    new Schedule(plan)
      .step(joined({ leasesMax, memoryBytes }), 0)
      .filter(({ kind }) => kind === 'lease').length;
  expect(leasesFor(3 * task, 100)).toBe(3);
  expect(leasesFor(1e9, 4)).toBe(4);
  expect(leasesFor(1, 100)).toBe(1);
});

test('a drained schedule hands out nothing and says when all leases have come back', () => {
  const plan = samplePlan(6);
  const schedule = new Schedule(plan);
  const leases = schedule
    .step(joined({}), 0)
    .flatMap((effect) => (effect.kind === 'lease' ? [effect.task] : []));
  const answer = (task = -1): ScheduleEvent => ({
    kind: 'task-answered',
    peer: 'p',
    task,
    runs: [0],
  });
  expect(schedule.step({ kind: 'drain' }, 0)).toEqual([]);
  expect(schedule.step(answer(leases[0]), 0)).toEqual([]);
  expect(schedule.step(answer(leases[1]), 0)).toEqual([{ kind: 'drained' }]);
});

const tasksOf = (effects: readonly ScheduleEffect[], peer: string): number[] =>
  effects.flatMap((effect) =>
    effect.kind === 'lease' && effect.peer === peer ? [effect.task] : [],
  );

test('peers that come together get layers that follow one another, an equal part each', () => {
  const schedule = new Schedule(samplePlan(12));
  schedule.step(joined({ peer: 'a' }, { peer: 'b', speed: 1.4 }, { peer: 'c' }), 0);
  expect([...schedule.shares()]).toEqual([
    ['a', [0, 1, 2, 3]],
    ['b', [4, 5, 6, 7]],
    ['c', [8, 9, 10, 11]],
  ]);
});

test('a peer that is twice as fast gets twice as much, one without disk nothing', () => {
  const schedule = new Schedule(samplePlan(12));
  schedule.step(joined({ peer: 'a', speed: 2 }, { peer: 'b' }, { peer: 'c', diskBytes: 0 }), 0);
  expect([...schedule.shares()].map(([, tasks]) => tasks.length)).toEqual([8, 4, 0]);
});

test('the leases of a peer that dies go to the others; what it had answered stays', () => {
  const schedule = new Schedule(samplePlan(8));
  const first = schedule.step(joined({ peer: 'a' }, { peer: 'b' }), 0);
  expect(tasksOf(first, 'a')).toEqual([0, 1]);
  const next = schedule.step({ kind: 'task-answered', peer: 'a', task: 0, runs: [0, 1] }, 1);
  expect(tasksOf(next, 'a')).toEqual([2]);
  schedule.step({ kind: 'peer-left', peer: 'a' }, 2);
  expect([...schedule.shares()]).toEqual([['b', [4, 5, 1, 2, 3, 6, 7]]]);
});

test('a peer that comes back gets what it has the source of', () => {
  const schedule = new Schedule(samplePlan(8));
  schedule.step(joined({ peer: 'a' }, { peer: 'b' }), 0);
  schedule.step({ kind: 'peer-left', peer: 'a' }, 1);
  const back = schedule.step(joined({ peer: 'a' }), 2);
  expect(tasksOf(back, 'a')).toEqual([0, 1]);
});

test('a peer that joins half-way gets a part of what nobody has begun', () => {
  const schedule = new Schedule(samplePlan(12));
  schedule.step(joined({ peer: 'a' }), 0);
  schedule.step(joined({ peer: 'b' }), 1);
  const shares = schedule.shares();
  expect(shares.get('a')).toHaveLength(7);
  expect(shares.get('b')).toHaveLength(5);
});

test('an idle peer repeats a lease that takes far too long, and the first answer counts', () => {
  const schedule = new Schedule(samplePlan(4));
  schedule.step(joined({ peer: 'slow' }, { peer: 'quick' }), 0);
  for (const task of [2, 3]) {
    schedule.step({ kind: 'task-answered', peer: 'quick', task, runs: [0, 1] }, 100);
  }
  expect(tasksOf(schedule.step({ kind: 'tick' }, 9_000), 'quick')).toEqual([]);
  expect(tasksOf(schedule.step({ kind: 'tick' }, 10_500), 'quick')).toEqual([0, 1]);
  const [released] = schedule.step(
    { kind: 'task-answered', peer: 'quick', task: 0, runs: [0, 1] },
    11_000,
  );
  expect(released).toEqual({ kind: 'release', peer: 'slow', task: 0 });
  // The late answer changes nothing.
  expect(schedule.step({ kind: 'task-answered', peer: 'slow', task: 0, runs: [] }, 12_000)).toEqual(
    [],
  );
});

test('what a declining peer has goes to others, and nothing more comes to it', () => {
  const schedule = new Schedule(samplePlan(4));
  schedule.step(joined({ peer: 'full' }, { peer: 'roomy' }), 0);
  schedule.step({ kind: 'task-declined', peer: 'full', task: 0 }, 1);
  expect(schedule.shares().get('full')).toEqual([1]);
  schedule.step({ kind: 'peer-left', peer: 'roomy' }, 2);
  expect(schedule.waiting).toBe(3);
});

test('a peer that declined is asked again after half a minute, should nobody else be here', () => {
  const schedule = new Schedule(samplePlan(3));
  schedule.step(joined({ peer: 'full' }), 0);
  schedule.step({ kind: 'task-declined', peer: 'full', task: 0 }, 1000);
  expect(schedule.step({ kind: 'tick' }, 30_999)).toEqual([]);
  expect(schedule.step({ kind: 'tick' }, 31_000)).toContainEqual({
    kind: 'lease',
    peer: 'full',
    task: 0,
    runs: [0, 1],
  });
});

test('only the machine that reads the source makes what has none', () => {
  const schedule = new Schedule(samplePlan(3));
  const effects = schedule.step(joined({ peer: 'local', isLocal: true, speed: 0 }), 0);
  expect(effects).toEqual([]);
  expect(schedule.waiting).toBe(3);
});

test('layers that a peer has measured are quantized there, those of replicas by turns', () => {
  const schedule = new Schedule(samplePlan(8));
  schedule.step({ kind: 'layers-held', peer: 'b', layers: [0, 1, 2, 3, 4] }, 0);
  schedule.step({ kind: 'layers-held', peer: 'a', layers: [5, 6, 7] }, 0);
  schedule.step(joined({ peer: 'a' }, { peer: 'b' }, { peer: 'c' }), 0);
  expect([...schedule.shares()]).toEqual([
    ['a', [5, 6, 7]],
    ['b', [0, 1, 2, 3, 4]],
    ['c', []],
  ]);
  const replicas = new Schedule(samplePlan(8));
  for (const peer of ['b', 'c']) {
    replicas.step({ kind: 'layers-held', peer, layers: [0, 1, 2, 3, 4, 5, 6, 7] }, 0);
  }
  replicas.step(joined({ peer: 'a' }, { peer: 'b' }, { peer: 'c', speed: 3 }), 0);
  expect(replicas.shares().get('a')).toEqual([]);
  expect(replicas.shares().get('b')).toHaveLength(2);
  expect(replicas.shares().get('c')).toHaveLength(6);
});
