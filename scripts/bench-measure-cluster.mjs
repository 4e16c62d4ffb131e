// Bench of measuring on two machines of one core each, beside one such machine.
//   node scripts/bench-measure-cluster.mjs [--smoke] [--turns=5] [--model=26b|small]
// The model has eight layers: of the 26B shapes with the eight experts that a token meets, so that what
// is computed for each byte between two machines is a quarter of what it is with all thirty layers;
// or `small`, with a third of the weights and less than half as much for each byte. Each worker is held
// to a core of its own; the coordinator computes nothing. What is timed is from the first step to the
// last, without the weights' way to the workers. In turns: one worker; two as replicas of all layers;
// two as stages, at least 32 waves long.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { eventsOf, runQuantd } from './bench-programs.mjs';
import { ask, startDaemon, stopDaemons, untilMembers } from './daemons.mjs';
import { setup } from './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const CTX = 256;
const common = {
  ...{ name: 'bench', seed: 1, dtype: 'BF16', shards: 1, vocabulary: 2048, window: 1024 },
  ...{ layers: 'SSSFSSSF', globalKvHeads: 2, keysAreValues: true },
};
const experts = { count: 8, used: 2, width: 1024, form: 'stacked' };
const models = {
  '26b': {
    ...common,
    ...{ hidden: 2816, heads: 16, kvHeads: 8, headDim: 256, globalHeadDim: 512, dense: 2112 },
    experts: { ...experts, used: 8, width: 704 },
  },
  small: {
    ...common,
    ...{ hidden: 1024, heads: 8, kvHeads: 4, headDim: 128, globalHeadDim: 256, dense: 2048 },
    experts,
  },
  smoke: {
    ...common,
    ...{ layers: 'SSSF', hidden: 256, heads: 4, kvHeads: 4, headDim: 64, globalHeadDim: 128 },
    ...{ dense: 512, experts: { ...experts, width: 256 } },
  },
};

async function makeSource(directory, model) {
  const outfile = join(root, 'build', 'bench-checkpoint.mjs');
  await build({
    absWorkingDir: root,
    stdin: {
      contents: "export { writeCheckpoint } from './cluster-tests/checkpoints/generate.ts';",
      resolveDir: root,
      loader: 'ts',
    },
    ...{ outfile, bundle: true, platform: 'node', format: 'esm', logLevel: 'warning' },
  });
  const { writeCheckpoint } = await import(outfile);
  await writeCheckpoint(directory, models[model]);
  return directory;
}

/** A coordinator with so many workers, the first on core 0, the next on core 1. */
async function startCluster(scratch, name, workers) {
  const data = (each) => join(scratch, `${name}-${each}`);
  const up = ['up', '--listen', '127.0.0.1:0', '--threads', '0'];
  const { invite } = await startDaemon(`${name}-nas`, up, data('nas'));
  for (let core = 0; core < workers; core++) {
    await startDaemon(
      `${name}-w${core}`,
      ['join', invite.token, '--threads', '1'],
      data(`w${core}`),
    );
    const { pid } = await ask(data(`w${core}`), '/v1/status');
    pinTo(core, pid);
  }
  await untilMembers(data('nas'), workers + 1);
  return data('nas');
}

/** Every thread of the process, and those that it starts later. */
function pinTo(core, pid) {
  execFileSync('taskset', ['-a', '-c', '-p', String(core), String(pid)], { stdio: 'ignore' });
}

/** Seconds from the first step to the last. */
async function timeRun(source, out, data, words) {
  const all = ['imatrix', source, '--out', out, '--ctx', String(CTX), '--overwrite', ...words];
  const events = eventsOf(await runQuantd(all, data));
  const steps = events.filter(({ type, stage }) => type === 'progress' && stage === 'measure');
  const first = steps.find(({ bytesDone }) => bytesDone > 0);
  const last = steps.at(-1);
  if (first === undefined)
    throw new Error(`nothing was measured: ${JSON.stringify(events.at(-1))}`);
  const done = last.bytesDone - first.bytesDone;
  const seconds = (Date.parse(last.ts) - Date.parse(first.ts)) / 1000;
  return { seconds: (seconds * last.bytesTotal) / done, sha256: shaOf(events) };
}

const shaOf = (events) => events.find(({ type }) => type === 'imatrix')?.sha256;
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

/** Prints the ratios of the medians. */
export async function benchMeasureCluster({ smoke = false, turns = 5, model = '26b' } = {}) {
  if (availableParallelism() < 2) {
    console.log('measuring on two cores: left out, this machine has one');
    return;
  }
  const scratch = mkdtempSync(join(tmpdir(), 'quantd-bench-measure-'));
  try {
    const source = await makeSource(join(scratch, 'source'), smoke ? 'smoke' : model);
    const one = await startCluster(scratch, 'one', 1);
    const two = await startCluster(scratch, 'two', 2);
    const chunks = smoke ? 4 : 64;
    const same = ['--chunks', String(chunks), '--wave', '2'];
    const ways = [
      { name: 'one worker', data: one, words: same, goal: undefined },
      { name: 'two replicas', data: two, words: [...same, '--replicas', '2'], goal: 1.8 },
      { name: `two stages, ${chunks / 2} waves`, data: two, words: same, goal: 1.75 },
    ];
    const seconds = ways.map(() => []);
    const digests = new Set();
    for (let turn = 0; turn < (smoke ? 1 : turns); turn++) {
      for (const [index, { data, words }] of ways.entries()) {
        const out = join(scratch, `${turn}-${index}.gguf`);
        const run = await timeRun(source, out, data, words);
        seconds[index].push(run.seconds);
        digests.add(run.sha256);
      }
    }
    console.log(
      `\n${smoke ? 'smoke' : model}: measuring ${chunks} chunks of ${CTX} tokens, median of ${seconds[0].length}`,
    );
    for (const [index, { name, goal }] of ways.entries()) {
      const ratio = median(seconds[0]) / median(seconds[index]);
      const wanted = goal === undefined ? '' : `  ${ratio.toFixed(2)}× (aim ≥ ${goal}×)`;
      console.log(
        `  ${name.padEnd(22)} ${median(seconds[index]).toFixed(1).padStart(7)} s${wanted}`,
      );
    }
    console.log(`  importance matrices that differ: ${digests.size - 1}`);
  } finally {
    await stopDaemons();
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await setup({ dev: true });
  const { values } = parseArgs({
    options: {
      smoke: { type: 'boolean', default: false },
      turns: { type: 'string', default: '5' },
      model: { type: 'string', default: '26b' },
    },
  });
  await benchMeasureCluster({ ...values, turns: Number(values.turns) });
}
