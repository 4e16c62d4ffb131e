// Bench: MB/s of source through the whole program, beside a plain copy of the same bytes.
//   npm run bench                 a 1 GB checkpoint, the common types
//   npm run bench -- --smoke      a small one, to see that the bench still runs
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { runOrExit, setup } from './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const smoke = process.argv.includes('--smoke');
const types = smoke ? ['Q8_0'] : ['BF16', 'Q8_0', 'Q4_0', 'Q6_K', 'Q4_K_M', 'Q4_K_M,Q5_K_M,Q8_0'];

/** The checkpoint generator of the tests, as a module that Node can load. */
async function loadGenerator() {
  const outfile = join(root, 'build', 'generate.mjs');
  await build({
    absWorkingDir: root,
    entryPoints: ['cluster-tests/checkpoints/generate.ts'],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'warning',
  });
  return import(outfile);
}

/** Numbers with the spread of real weights, from a fixed seed, as bf16. */
function drawWeights(count) {
  const bytes = Buffer.alloc(count * 2);
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const single = new Float32Array(1);
  const bits = new Uint32Array(single.buffer);
  for (let i = 0; i < count; i++) {
    single[0] = (next() + next() + next() + next() - 2) * 0.05;
    bytes.writeUInt16LE(bits[0] >>> 16, i * 2);
  }
  return bytes;
}

/** Fills the holes of a tensor file after its header. */
function fillTensors(path, weights) {
  const file = openSync(path, 'r+');
  const head = Buffer.alloc(8);
  readSync(file, head, 0, 8, 0);
  const { size } = statSync(path);
  for (let at = 8 + Number(head.readBigUInt64LE()); at < size; at += weights.length) {
    writeSync(file, weights, 0, Math.min(weights.length, size - at), at);
  }
  closeSync(file);
}

function quantize(source, out, data, type, threads) {
  const { stdout, status, stderr } = spawnSync(
    process.execPath,
    [
      ...['cli/quantd', 'quantize', source, '--type', type, '--out', out, '--name', 'bench'],
      ...['--threads', String(threads), '--data', data, '--json', '--overwrite'],
    ],
    { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28 },
  );
  if (status !== 0) throw new Error(`${stdout.slice(-2000)}${stderr}`);
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const stage = events.filter(
    ({ type: kind, stage }) => kind === 'progress' && stage === 'quantize',
  );
  return { done: events.at(-1), made: stage.at(-1) };
}

/** Each kernel on one thread, in turns with llama.cpp where it is installed. */
function benchKernels() {
  const oracle = 'node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so';
  const beside = existsSync(join(root, oracle)) && !smoke ? ['--oracle', oracle] : [];
  runOrExit(process.execPath, ['kernels/build.mjs', '--isa=all', '--bench']);
  runOrExit('build/kernels/bench', [...(smoke ? ['--smoke'] : []), ...beside]);
}

await setup({ dev: true });
benchKernels();
const scratch = mkdtempSync(join(tmpdir(), 'quantd-bench-'));
try {
  const { writeSparseCheckpoint } = await loadGenerator();
  const source = join(scratch, 'source');
  await writeSparseCheckpoint(source, smoke ? 5e8 : 1e9);
  const shards = readdirSync(source).filter((file) => file.endsWith('.safetensors'));
  const weights = drawWeights(4 * 1024 * 1024);
  for (const file of shards) fillTensors(join(source, file), weights);

  const copyStart = process.hrtime.bigint();
  runOrExit('cp', ['-r', source, join(scratch, 'copy')]);
  const copySeconds = Number(process.hrtime.bigint() - copyStart) / 1e9;
  const sourceBytes = shards.reduce((sum, file) => sum + statSync(join(source, file)).size, 0);
  rmSync(join(scratch, 'copy'), { recursive: true });

  console.log(`\n${cpus()[0].model}, ${availableParallelism()} cores`);
  console.log(
    `source ${(sourceBytes / 1e6).toFixed(0)} MB; plain copy ${(sourceBytes / 1e6 / copySeconds).toFixed(0)} MB/s`,
  );
  console.log('MB/s of source  quantizing stage per core, and the whole run from start to sealed');
  for (const type of types) {
    for (const threads of new Set([1, availableParallelism()])) {
      const out = join(scratch, 'out');
      const { done, made } = quantize(source, out, join(scratch, 'data'), type, threads);
      const stageRate = made.bytesPerSecond / 1e6;
      const wholeRate = done.sourceBytesRead / 1e6 / done.seconds;
      console.log(
        `${type.padEnd(20)} ${threads} threads  ${(stageRate / threads).toFixed(0).padStart(6)} per core  ${wholeRate.toFixed(0).padStart(6)} whole`,
      );
      rmSync(out, { recursive: true });
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
