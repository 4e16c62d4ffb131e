// Bench measure: how fast a measurement is beside llama.cpp, and where its time goes.
//
//   node scripts/bench-measure.mjs            products, whole layers, profile: some ten minutes
//     --only=products,whole,profile           some of it
//     --chunks=8 --turns=3 --threads=2        other numbers for whole layers and profile
//     --keep                                  leaves the model (6.6 GB) in build/bench-measure
//     --smoke                                 small ones, to see that the bench still runs
//
// The same as `npm run bench -- --measure`. Ratios are of medians of turns in one run; beside those
// of wall time stand those of CPU time, which other work on the machine hardly changes. Its results
// are kept in docs/bench.md. Read next: bench-measure-products.mjs, bench-measure-layers.mjs.
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { benchLayers } from './bench-measure-layers.mjs';
import { benchProducts } from './bench-measure-products.mjs';
import { runOrExit } from './setup.mjs';

const script = fileURLToPath(import.meta.url);
const root = fileURLToPath(new URL('..', import.meta.url));

const number = (value) => (value === undefined ? undefined : Number(value));
const list = (value) => value?.split(',');

/** @param words the command line's */
export async function benchMeasure(words) {
  const { values } = parseArgs({
    args: words,
    strict: false,
    options: {
      only: { type: 'string', default: 'products,whole,profile' },
      chunks: { type: 'string' },
      turns: { type: 'string' },
      threads: { type: 'string' },
      tokens: { type: 'string' },
      keep: { type: 'boolean' },
      smoke: { type: 'boolean', default: false },
    },
  });
  const { smoke } = values;
  const only = list(values.only);
  runOrExit(process.execPath, ['kernels/build.mjs', '--isa=all', '--bench']);
  console.log(`\n${cpus()[0].model}, ${cpus().length} cores, load ${loadavg()[0].toFixed(1)}\n`);
  if (only.includes('products')) {
    const threads = (list(values.threads) ?? (smoke ? ['1'] : ['1', '2'])).map(Number);
    await benchProducts({ smoke, threads, tokens: list(values.tokens)?.map(Number) });
  }
  if (only.includes('whole') || only.includes('profile')) {
    const [chunks, turns, threads] = [values.chunks, values.turns, values.threads].map(number);
    const keep = values.keep
      ? join(root, 'build', `bench-measure${smoke ? '-smoke' : ''}`)
      : undefined;
    await benchLayers({ smoke, keep, chunks, turns, threads, only });
  }
  console.log(`\nload ${loadavg()[0].toFixed(1)}`);
}

if (process.argv[1] === script) await benchMeasure(process.argv.slice(2));
