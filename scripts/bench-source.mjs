// Bench source: a large BF16 GGUF with numbers of the spread of real weights, and an importance
// matrix for it.
//
//   bytes ──▶ sparse checkpoint ──▶ filled ──▶ `quantd convert` ──▶ GGUF, imatrix file, its weights
//
// Its shapes are those of the published mixture of experts (cluster-tests/checkpoints/generate.ts),
// so that both kinds of rows are in it: whole super-blocks, and 704 columns that are not.
import {
  closeSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { runQuantd } from './bench-programs.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
// An odd number: the rows of a tensor, which are of even length, do not repeat in step with it.
const DRAWN_WEIGHTS = 8_388_593;
// The spread of the matrices of published models is 0.01 to 0.05.
const WEIGHT_SCALE = 0.05;
const SEED = 1;

/** The generators of the tests, as a module that Node can load. */
async function loadGenerators() {
  const outfile = join(root, 'build', 'bench-generators.mjs');
  const contents = `
    export { writeSparseCheckpoint } from './cluster-tests/checkpoints/generate.ts';
    export { seededRandom } from './cluster-tests/checkpoints/random.ts';
    export { drawEntry, imatrixGguf, meansOf } from './cluster-tests/importance/write-imatrix.ts';`;
  await build({
    absWorkingDir: root,
    stdin: { contents, resolveDir: root, loader: 'ts' },
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'warning',
  });
  return import(outfile);
}

/** Weights as bf16: sums of four even draws, which is close to a normal distribution. */
function drawWeights(count) {
  const bytes = Buffer.alloc(count * 2);
  let state = SEED;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const single = new Float32Array(1);
  const bits = new Uint32Array(single.buffer);
  for (let i = 0; i < count; i++) {
    single[0] = (next() + next() + next() + next() - 2) * WEIGHT_SCALE;
    bytes.writeUInt16LE(bits[0] >>> 16, i * 2);
  }
  return bytes;
}

/** Fills the holes of a safetensors file after its header. */
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

/** A checkpoint of about `bytes` bytes in the directory `path`. */
export async function makeCheckpoint(path, bytes) {
  const { writeSparseCheckpoint } = await loadGenerators();
  await writeSparseCheckpoint(path, bytes);
  const shards = readdirSync(path).filter((file) => file.endsWith('.safetensors'));
  const weights = drawWeights(DRAWN_WEIGHTS);
  for (const file of shards) fillTensors(join(path, file), weights);
  const sourceBytes = shards.reduce((sum, file) => sum + statSync(join(path, file)).size, 0);
  return { path, sourceBytes };
}

/** The same as one GGUF: `{path, bytes, imatrix: {path, weights, chunks, datasets}}`. */
export async function makeGguf(directory, bytes) {
  const checkpoint = join(directory, 'checkpoint');
  await makeCheckpoint(checkpoint, bytes);
  const path = join(directory, 'source.gguf');
  const data = join(directory, 'data-convert');
  await runQuantd(
    ['convert', checkpoint, '--type', 'BF16', '--out', path, '--name', 'bench'],
    data,
  );
  for (const used of [checkpoint, data]) rmSync(used, { recursive: true });
  return loadSource(directory);
}

/** What `makeGguf` left in the directory. */
export async function loadSource(directory) {
  const path = join(directory, 'source.gguf');
  return { path, bytes: statSync(path).size, imatrix: await makeImatrix(directory, path) };
}

/** Importance of every matrix but the embeddings, whose inputs are token numbers. */
async function makeImatrix(directory, gguf) {
  const { seededRandom, drawEntry, imatrixGguf, meansOf } = await loadGenerators();
  const data = join(directory, 'data-inspect');
  const { stdout } = await runQuantd(['inspect', gguf], data);
  rmSync(data, { recursive: true });
  const random = seededRandom(SEED);
  const entries = JSON.parse(stdout)
    .tensors.filter(({ name, shape }) => shape.length > 1 && name.startsWith('blk.'))
    .map((tensor) => drawEntry(tensor, random, 'positive'));
  const path = join(directory, 'imatrix.gguf');
  const about = { datasets: ['calibration.txt'], chunks: 125 };
  writeFileSync(path, imatrixGguf({ entries, ...about }));
  const weights = entries.map(({ name, sums, counts }) => ({
    name,
    weights: meansOf(sums, counts),
  }));
  return { path, weights, ...about };
}
