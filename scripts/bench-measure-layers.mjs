// Bench measure, layers: a measurement's layers of real size beside llama.cpp decoding the same
// chunks, and where their time goes.
//
//   two layers of the 26B shapes ──▶ waves through the addon, decodes of llama.cpp, in turns
//                                ──▶ seconds a chunk, ratio; seconds of each operation
//
// Ours is what a measurement does: waves of 8 chunks through every layer, sums collected. llama.cpp
// decodes a BF16 GGUF of the same checkpoint, a chunk at a time, with F32 keys and values and no
// flash attention; what llama-imatrix itself adds to that is not counted. Read next:
// cluster-tests/measure/large-layers.ts, llama-forward-child.mjs there.
import { fork } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { defaultCpu, whyNoLlamaProducts } from './bench-forward-llama.mjs';
import { runQuantd } from './bench-programs.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const libraries = join(root, 'node_modules/@node-llama-cpp/linux-x64/bins/linux-x64');
const child = join(root, 'cluster-tests/measure/llama-forward-child.mjs');
const addonPath = join(root, 'build/kernels/quantd.node');

const POSITIONS = 512;
const GOAL = 2;

/** The modules of the tests, as one that Node can load. */
async function loadModules() {
  const outfile = join(root, 'build', 'bench-measure-modules.mjs');
  await build({
    absWorkingDir: root,
    entryPoints: ['cluster-tests/measure/large-layers.ts'],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'warning',
  });
  return import(outfile);
}

/** `{checkpoint, gguf}` in the directory, made where they are not there yet. */
async function makeModel(modules, directory, isSmall) {
  const checkpoint = join(directory, 'checkpoint');
  const gguf = join(directory, 'model.gguf');
  if (!existsSync(checkpoint)) {
    const unfinished = `${checkpoint}.part`;
    rmSync(unfinished, { recursive: true, force: true });
    await modules.writeLargeLayers(unfinished, isSmall);
    renameSync(unfinished, checkpoint);
  }
  if (!existsSync(gguf)) {
    const data = mkdtempSync(join(directory, 'data-'));
    const words = ['--type', 'BF16', '--out', gguf, '--name', 'bench', '--solo'];
    await runQuantd(['convert', checkpoint, ...words], data);
    rmSync(data, { recursive: true });
  }
  return { checkpoint, gguf };
}

/** Wall and CPU seconds of what `work` does in this process. */
async function timed(work) {
  const cpuBefore = process.cpuUsage();
  const start = process.hrtime.bigint();
  await work();
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { seconds, cpu: (user + system) / 1e6 };
}

/** Memory that is there already: a measurement uses the same for all of its waves. */
function touched(bytes) {
  return new Uint8Array(bytes).fill(1);
}

/** Our side: the layers prepared once, waves as often as wanted. */
async function openOurs(modules, checkpoint, { isa, threads, chunks }) {
  const { planRegisters, sumsBytes } = modules;
  const kernels = modules.loadForward({ addonPath, threads, isa, planRegisters });
  const { forward, angles, placed } = await modules.openLayers(checkpoint, chunks[0].length);
  const layers = [];
  const prepare = await timed(async () => {
    for (const layer of forward.layers) {
      layers.push(await kernels.prepareLayer(layer, layer.weights.map(placed), angles));
    }
  });
  const shape = { chunks: chunks.length, positions: chunks[0].length };
  const tokens = Int32Array.from(chunks.flatMap((chunk) => [...chunk]));
  const hidden = new Float32Array(tokens.length * forward.hiddenWidth);
  const scratch = touched(
    Math.max(...layers.map((layer) => layer.scratchBytes(shape.chunks, shape.positions))),
  );
  const sums = forward.layers.map(({ statistics }) => new Uint8Array(sumsBytes(statistics)));
  const [lookup] = forward.front.lookups;
  const embed = () => kernels.embed(placed(lookup.table), tokens, lookup.factor, hidden);
  return {
    ...{ kernels, forward, angles, placed, shape, scratch, hidden, embed, prepare },
    async wave() {
      await embed();
      for (const [n, layer] of layers.entries()) {
        const state = new Map([['hidden', hidden]]);
        const { bad } = await layer.run({ ...shape, state, scratch, sums: sums[n] });
        if (bad.length > 0) throw new Error(`layer ${n}: chunks ${bad} are not finite`);
      }
    },
    close() {
      for (const layer of layers) layer.close();
      kernels.close();
    },
  };
}

/** Seconds of each chunk's decode; the first reads the weights into memory and is left out. */
function decodeWithLlama(gguf, { chunks, cpu, threads }) {
  const llama = fork(child, [libraries, '/dev/null'], {
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: { PATH: '/usr/bin:/bin', GGML_NO_BACKTRACE: '1' },
  });
  return new Promise((resolve, reject) => {
    llama.on('message', ({ ok, error, seconds, cpuSeconds }) => {
      llama.disconnect();
      if (!ok) return reject(new Error(error));
      resolve(seconds.slice(1).map((one, i) => ({ seconds: one, cpu: cpuSeconds[i + 1] })));
    });
    llama.on('exit', (code, signal) => reject(new Error(`llama.cpp died (${signal ?? code})`)));
    llama.send({ gguf, chunks: [chunks[0], ...chunks], want: {}, cpu, threads });
  });
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

const perChunk = (list) => ({
  seconds: median(list.map(({ seconds }) => seconds)),
  cpu: median(list.map(({ cpu }) => cpu)),
});

/** Waves of ours and decodes of theirs in turns. */
async function compareWhole(modules, model, { pair, threads, chunks, turns }) {
  const { isa, cpus } = pair;
  const ours = await openOurs(modules, model.checkpoint, { isa, threads, chunks });
  const taken = { ours: [] };
  for (const cpu of cpus) taken[cpu] = [];
  for (let turn = 0; turn < turns; turn++) {
    const { seconds, cpu } = await timed(ours.wave);
    taken.ours.push({ seconds: seconds / chunks.length, cpu: cpu / chunks.length });
    for (const cpu of cpus) {
      const decoded = await decodeWithLlama(model.gguf, {
        chunks: chunks.slice(0, 2),
        cpu,
        threads,
      });
      taken[cpu].push(...decoded);
    }
  }
  ours.close();
  const own = perChunk(taken.ours);
  console.log(
    `\n${isa}, ${threads} threads, ${chunks.length} chunks of ${chunks[0].length}: ours ` +
      `${text(own)} s a chunk; once before that ${text(ours.prepare)} s to check the weights`,
  );
  for (const cpu of cpus) {
    const theirs = perChunk(taken[cpu]);
    const ratio = theirs.seconds / own.seconds;
    const goal = `goal ${GOAL}: ${ratio >= GOAL ? 'reached' : 'not reached'}`;
    const ofCpu = (theirs.cpu / own.cpu).toFixed(2);
    console.log(`  ${cpu}: ${text(theirs)} s, ${ratio.toFixed(2)} × (${ofCpu}), ${goal}`);
  }
}

const text = ({ seconds, cpu }) => `${seconds.toFixed(3)} (${cpu.toFixed(3)} of CPU)`;

/** Each operation by itself, in the order of the layers, on the numbers that it meets there. */
async function profile(modules, model, { isa, threads, chunks, turns }) {
  const ours = await openOurs(modules, model.checkpoint, { isa, threads, chunks });
  await ours.embed();
  const rows = [];
  for (const [n, layer] of ours.forward.layers.entries()) {
    const state = new Map();
    for (const [register, width] of modules.registersOf(layer)) {
      const numbers = register === 'hidden' ? ours.hidden : undefined;
      state.set(register, numbers ?? new Float32Array(chunks.length * chunks[0].length * width));
    }
    for (const operation of layer.operations) {
      const taken = await profileOne(modules, ours, { layer, operation, state, turns });
      rows.push({ layer: n, operation, ...taken });
    }
  }
  const whole = [];
  for (let turn = 0; turn < turns; turn++) whole.push(await timed(ours.wave));
  ours.close();
  printProfile(rows, { isa, threads, chunks, whole: perChunk(whole) });
}

async function profileOne(modules, ours, { layer, operation, state, turns }) {
  const one = modules.layerOfOne(layer, operation);
  const { kernels, shape } = ours;
  const prepared = await kernels.prepareLayer(one, one.weights.map(ours.placed), ours.angles);
  const sums = new Uint8Array(modules.sumsBytes(one.statistics));
  const scratch = touched(prepared.scratchBytes(shape.chunks, shape.positions));
  const written = state.get(operation.into ?? operation.from);
  const before = written.slice();
  const all = [];
  for (let turn = 0; turn < turns; turn++) {
    // Most work in place.
    written.set(before);
    all.push(await timed(() => prepared.run({ ...shape, state, scratch, sums })));
  }
  prepared.close();
  const multiplications = one.weights
    .filter(({ shape }) => shape.length > 1)
    .reduce((sum, { shape: [columns, rows] }) => sum + columns * rows, 0);
  return { ...perChunk(all), multiplications: multiplications * (operation.used ?? 1) };
}

function nameOf({ kind, ...operation }) {
  const weight = operation.weight ?? operation.gateUp;
  const tensor = weight === undefined ? '' : ` ${weight.replace(/^blk\.\d+\.|\.weight$/g, '')}`;
  return kind === 'product' || kind === 'experts' ? `${kind}${tensor}` : kind;
}

function printProfile(rows, { isa, threads, chunks, whole }) {
  const sum = rows.reduce((total, { seconds }) => total + seconds, 0);
  const byName = new Map();
  for (const { operation, seconds, cpu, multiplications } of rows) {
    const name = nameOf(operation);
    const known = byName.get(name) ?? { seconds: 0, cpu: 0, multiplications: 0 };
    byName.set(name, {
      seconds: known.seconds + seconds,
      cpu: known.cpu + cpu,
      multiplications: known.multiplications + multiplications,
    });
  }
  const tokens = chunks.length * chunks[0].length;
  console.log(
    `\n${isa}, ${threads} threads: ${chunks.length} chunks through both layers at once ` +
      `${text(whole)} s; one operation at a time ${sum.toFixed(3)} s\n`,
  );
  console.log('| operation | ms a chunk | share | CPU ms a chunk | GFLOP/s |');
  console.log('| --- | --- | --- | --- | --- |');
  const sorted = [...byName].sort((a, b) => b[1].seconds - a[1].seconds);
  for (const [name, { seconds, cpu, multiplications }] of sorted) {
    const share = `${((100 * seconds) / sum).toFixed(1)} %`;
    const rate = (2 * multiplications * tokens) / seconds / 1e9;
    const ms = [seconds, cpu].map((one) => ((1000 * one) / chunks.length).toFixed(2));
    console.log(
      `| ${name} | ${ms[0]} | ${share} | ${ms[1]} | ${rate > 0 ? rate.toFixed(0) : ''} |`,
    );
  }
}

/**
 * Both measurements. `keep` is a directory that holds the model for the next time.
 *
 *   {smoke, keep, chunks, turns, threads, only} ──▶ lines on stdout
 */
export async function benchLayers({
  smoke = false,
  keep,
  chunks: count = 8,
  turns = 3,
  threads = 2,
  only = ['whole', 'profile'],
}) {
  const modules = await loadModules();
  const directory = keep ?? mkdtempSync(join(tmpdir(), 'quantd-bench-measure-'));
  mkdirSync(directory, { recursive: true });
  try {
    const model = await makeModel(modules, directory, smoke);
    const chunks = modules.drawChunks(smoke ? 320 : 2048, {
      count,
      tokens: smoke ? 64 : POSITIONS,
    });
    const hasLlama = whyNoLlamaProducts() === undefined;
    const pairs = [
      { isa: 'avx512', cpus: hasLlama ? [...new Set(['zen4', defaultCpu()])] : [] },
      { isa: 'avx2', cpus: hasLlama ? ['haswell'] : [] },
    ];
    for (const pair of pairs) {
      if (only.includes('whole')) {
        await compareWhole(modules, model, { pair, threads, chunks, turns });
      }
    }
    if (only.includes('profile')) {
      await profile(modules, model, { isa: 'avx512', threads, chunks, turns });
    }
  } finally {
    if (keep === undefined) rmSync(directory, { recursive: true, force: true });
  }
}
