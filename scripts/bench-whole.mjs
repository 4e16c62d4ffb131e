// Bench, end to end: `quantd quantize --solo` beside llama.cpp's own quantizer, and six types at
// once beside one after the other.
//
//   generated GGUF ──▶ both programs in turns ──▶ seconds, what each part costs, the same bytes?
//
//   node scripts/bench-whole.mjs              4.2 GB of BF16, outputs in memory and on disk
//     --smoke                                 half a GB, one row: whether the bench still runs
//     --turns=2 --only=tmpfs-warm,six         other or fewer measurements
//     --bytes=1e9                             another size of the source
//     --threads=1                             fewer than the two of both programs
//     --keep                                  leaves the source in build/bench for the next time
//
// A run of quantd is timed as a whole process, from its start to its end, with a data directory
// that knows no digests (first) and once more with one that does (again). llama.cpp is timed from
// the call to its answer, without the start of the process that makes it. Read next:
// bench-programs.mjs, bench-source.mjs.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { eventsOf, quantizeWithLlama, runQuantd, whyNoLlama } from './bench-programs.mjs';
import { loadSource, makeGguf } from './bench-source.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
// Of both programs, unless told.
let threads = 2;
const Q4_K_M = { name: 'Q4_K_M', id: 15 };
const SIX = ['Q2_K', 'Q3_K_M', 'Q4_K_M', 'Q5_K_M', 'Q6_K', 'Q8_0'];
const places = { tmpfs: '/dev/shm', disk: join(root, 'build') };

/** Whether the page cache could be emptied; only root may. */
function emptyCache() {
  const { status } = spawnSync('sh', ['-c', 'sync && echo 3 > /proc/sys/vm/drop_caches'], {
    stdio: 'ignore',
  });
  return status === 0;
}

function warmCache(path) {
  spawnSync('cat', [path], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Brings the page cache to the wanted state; false where that is not allowed. */
function setCache(source, isCold) {
  if (isCold) return emptyCache();
  warmCache(source.path);
  return true;
}

async function sha256Of(path) {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path, { highWaterMark: 1 << 22 })) hash.update(part);
  return hash.digest('hex');
}

/** One run of quantd; the outputs are removed. */
async function timeQuantd(source, types, { out, data }) {
  const load = loadavg()[0];
  const ran = await runQuantd(
    [
      ...['quantize', source.path, '--type', types.join(), '--out', out, '--name', 'bench'],
      ...['--imatrix', source.imatrix.path, '--compat', 'llama-quantize', '--solo'],
      ...['--threads', String(threads)],
    ],
    data,
  );
  const events = eventsOf(ran);
  const outputs = events.filter(({ type }) => type === 'output');
  rmSync(out, { recursive: true });
  return { seconds: ran.seconds, cpu: ran.cpu, load, done: events.at(-1), outputs };
}

/** The call that llama-quantize makes of the same words, with the keys that it adds itself. */
async function timeLlama(source, type, output) {
  const load = loadavg()[0];
  const { path, weights, datasets, chunks } = source.imatrix;
  const overrides = [
    { key: 'quantize.imatrix.file', type: 'str', value: path },
    { key: 'quantize.imatrix.dataset', type: 'str', value: datasets[0] },
    { key: 'quantize.imatrix.entries_count', type: 'int', value: weights.length },
    { key: 'quantize.imatrix.chunks_count', type: 'int', value: chunks },
  ];
  const options = { importance: weights, overrides };
  const request = { input: source.path, output, ftype: type.id, options };
  const timed = await quantizeWithLlama(request, threads);
  const sha256 = await sha256Of(output);
  rmSync(output);
  return { ...timed, load, sha256 };
}

/** One row of the comparison: both programs in turns, the best of each. */
async function compareRow(source, place, isCold, turns) {
  const scratch = mkdtempSync(join(places[place], 'quantd-bench-'));
  const out = join(scratch, 'out');
  const row = { place, cache: isCold ? 'cold' : 'warm', first: [], again: [], llama: [] };
  try {
    for (let turn = 0; turn < turns; turn++) {
      const data = mkdtempSync(join(root, 'build', 'bench-data-'));
      for (const kind of ['first', 'again']) {
        if (!setCache(source, isCold)) return { ...row, left: 'only root may empty the cache' };
        row[kind].push(await timeQuantd(source, [Q4_K_M.name], { out, data }));
      }
      rmSync(data, { recursive: true });
      if (whyNoLlama() === undefined) {
        setCache(source, isCold);
        row.llama.push(await timeLlama(source, Q4_K_M, join(scratch, 'llama.gguf')));
      }
      printTurn(row);
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  const digests = [...row.first, ...row.again].map(({ outputs }) => outputs[0].sha256);
  const all = new Set([...digests, ...row.llama.map(({ sha256 }) => sha256)]);
  if (all.size !== 1) throw new Error(`the programs made different bytes: ${[...all].join()}`);
  return row;
}

/** Six types from one run, and from a run each, all with an empty cache where that is possible. */
async function compareSix(source, turns) {
  const scratch = mkdtempSync(join(places.disk, 'quantd-bench-'));
  const out = join(scratch, 'out');
  const run = async (types) => {
    const data = join(scratch, 'data');
    const isCold = setCache(source, true);
    const first = await timeQuantd(source, types, { out, data });
    setCache(source, false);
    const again = await timeQuantd(source, types, { out, data });
    rmSync(data, { recursive: true });
    const seconds = [first, again].map((timed) => timed.seconds.toFixed(1)).join(' and ');
    console.log(`  ${types.join()}: ${seconds} s, load ${first.load.toFixed(2)}`);
    return { types, isCold, first, again };
  };
  const six = { together: [], apart: [] };
  try {
    for (let turn = 0; turn < turns; turn++) six.together.push(await run(SIX));
    for (const type of SIX) six.apart.push(await run([type]));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  const digestsOf = (runs) => runs.flatMap(({ first }) => first.outputs.map((o) => o.sha256));
  const [one] = six.together;
  if (digestsOf([one]).sort().join() !== digestsOf(six.apart).sort().join()) {
    throw new Error('six types at once have other bytes than one after the other');
  }
  return six;
}

const best = (timed) => timed.reduce((a, b) => (b.seconds < a.seconds ? b : a));
const text = (seconds) => seconds.toFixed(1);

function printTurn({ place, cache, first, again, llama }) {
  const last = [first, again, llama].map((list) => list.at(-1)?.seconds.toFixed(1) ?? '-');
  const load = first.at(-1).load.toFixed(2);
  console.log(
    `  ${place} ${cache}: ${last[0]} first, ${last[1]} again, ${last[2]} llama.cpp s, load ${load}`,
  );
}

function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function comparisonTable(rows) {
  const head = ['outputs', 'cache', 'quantd, first', 'again', 'llama.cpp', 'ratio, first', 'again'];
  return table(
    [...head, 'CPU s, first', 'llama.cpp', 'ratio', 'load'],
    rows.map(({ place, cache, first, again, llama, left }) => {
      if (left !== undefined) return [place, cache, left, ...Array(8).fill('')];
      const seconds = [first, again].map((list) => best(list).seconds);
      const theirs = llama.length > 0 ? best(llama).seconds : Number.NaN;
      const cpu = [first, llama].map((list) => Math.min(...list.map((timed) => timed.cpu)));
      const loads = [...first, ...again, ...llama].map(({ load }) => load);
      return [
        ...[place, cache, ...seconds.map(text), text(theirs)],
        ...seconds.map((own) => `${(theirs / own).toFixed(2)} ×`),
        ...[...cpu.map(text), `${(cpu[1] / cpu[0]).toFixed(2)} ×`],
        `${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}`,
      ];
    }),
  );
}

/** The part of a stage that took longest, of those that go on side by side. */
function limitOf(stage) {
  const parts = {
    kernels: stage.computeThreadSeconds / threads,
    hashing: stage.hashThreadSeconds / (stage.stage === 'fingerprint' ? 1 : threads),
    reading: stage.readSeconds,
    writing: stage.writeSeconds,
    syncing: stage.syncSeconds,
  };
  return Object.entries(parts).reduce((a, b) => (b[1] > a[1] ? b : a))[0];
}

function costTable(runs) {
  const head = ['run', 'stage', 'wall', 'kernels', 'hashing', 'reading', 'writing', 'syncing'];
  return table(
    [...head, 'limit'],
    runs.flatMap(({ name, timed }) => [
      ...timed.done.stages.map((stage) => [
        ...[name, stage.stage, text(stage.seconds), text(stage.computeThreadSeconds)],
        ...[text(stage.hashThreadSeconds), text(stage.readSeconds)],
        ...[text(stage.writeSeconds), text(stage.syncSeconds), limitOf(stage)],
      ]),
      [name, 'the rest', text(timed.seconds - staged(timed)), '', '', '', '', '', 'start and end'],
    ]),
  );
}

const sumOf = (numbers) => numbers.reduce((sum, number) => sum + number, 0);
const staged = ({ done }) => sumOf(done.stages.map(({ seconds }) => seconds));

/** Seconds in which the kernels alone would have made the blocks, with their digests. */
function computeSeconds({ done }) {
  // Also of blocks that were made while the source was still being fingerprinted.
  const seconds = done.stages.map((one) => one.computeThreadSeconds + one.digestThreadSeconds);
  return sumOf(seconds) / threads;
}

function sixTable({ together, apart }) {
  const cold = best(together.map(({ first }) => first));
  const warm = best(together.map(({ again }) => again));
  const computed = sumOf(
    apart.map(({ first, again }) => Math.min(computeSeconds(first), computeSeconds(again))),
  );
  const separate = sumOf(apart.map(({ first }) => first.seconds));
  const { sourceBytes, sourceBytesRead } = cold.done;
  const stage = warm.done.stages.find((one) => one.stage === 'quantize');
  const share = (seconds, of) => (seconds / of).toFixed(2);
  return table(
    ['six types at once', 'seconds', 'at most', 'reached'],
    [
      [
        `source bytes read: ${sourceBytesRead} of ${sourceBytes}`,
        '',
        '1',
        share(sourceBytesRead, sourceBytes),
      ],
      ['six cold runs, one after the other', text(separate), '', ''],
      ['the sum of the six compute times', text(computed), '', ''],
      ['one cold run, to the six runs', text(cold.seconds), '0.8', share(cold.seconds, separate)],
      ['one cold run, to the sum', text(cold.seconds), '1.05', share(cold.seconds, computed)],
      [
        'one warm run with known digests, to the sum',
        text(warm.seconds),
        '1.05',
        share(warm.seconds, computed),
      ],
      ['its quantizing stage, to the sum', text(stage.seconds), '', share(stage.seconds, computed)],
      // What the walls would show if nothing else ran and no core ever waited.
      [
        `its CPU time over ${threads} cores, to the sum`,
        text(warm.cpu / threads),
        '',
        share(warm.cpu / threads, computed),
      ],
      [
        'the same of the cold run',
        text(cold.cpu / threads),
        '',
        share(cold.cpu / threads, computed),
      ],
      [
        'CPU time of the cold run, to that of the six',
        text(cold.cpu),
        '',
        share(cold.cpu, sumOf(apart.map(({ first }) => first.cpu))),
      ],
    ],
  );
}

/** The source of an earlier bench where it was kept, else a new one. */
async function openSource(directory, bytes) {
  const note = join(directory, 'made.json');
  const made = existsSync(note) ? JSON.parse(readFileSync(note, 'utf8')) : undefined;
  if (made?.wanted === bytes) return loadSource(directory);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const source = await makeGguf(directory, bytes);
  writeFileSync(note, JSON.stringify({ wanted: bytes }));
  return source;
}

function machine(source) {
  const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], {
    cwd: root,
    encoding: 'utf8',
  });
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  return (
    `${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${memory} GiB; Node ${process.versions.node}; ` +
    `commit ${commit.stdout.trim()}; ${new Date().toISOString().slice(0, 10)}; ` +
    `source ${(source.bytes / 1e9).toFixed(2)} GB of BF16; ${threads} threads`
  );
}

/** The rows of the comparison that are wanted, one after the other. */
async function compareRows(source, { smoke, turns, only }) {
  const all = ['tmpfs-warm', 'tmpfs-cold', 'disk-warm', 'disk-cold'];
  const wanted = all.filter((name) => only.length === 0 || only.includes(name));
  const rows = [];
  for (const name of smoke ? ['disk-warm'] : wanted) {
    const [place, cache] = name.split('-');
    // The first is the row that a ratio is promised for.
    rows.push(await compareRow(source, place, cache === 'cold', name === all[0] ? turns : 1));
  }
  return rows;
}

/** Runs the bench and prints its tables. */
export async function benchWhole({ smoke, turns, only, keep, bytes = smoke ? 5e8 : 4.2e9 }) {
  const directory = join(root, 'build', `bench-${bytes / 1e6}`);
  const source = await openSource(directory, bytes);
  try {
    console.log(`\n${machine(source)}`);
    if (whyNoLlama() !== undefined) console.log(`without llama.cpp: ${whyNoLlama()}`);
    const rows = await compareRows(source, { smoke, turns, only });
    const runs = rows
      .filter(({ left }) => left === undefined)
      .flatMap(({ place, cache, first, again }) => [
        { name: `${place} ${cache} first`, timed: best(first) },
        { name: `${place} ${cache} again`, timed: best(again) },
      ]);
    if (rows.length > 0) {
      console.log(`\n${Q4_K_M.name} with an importance matrix\n\n${comparisonTable(rows)}`);
    }
    if (!smoke && (only.length === 0 || only.includes('six'))) {
      const six = await compareSix(source, 1);
      console.log(`\n${sixTable(six)}`);
      runs.push({ name: 'six cold', timed: six.together[0].first });
      runs.push({ name: 'six warm again', timed: six.together[0].again });
    }
    console.log(`\n${costTable(runs)}`);
  } finally {
    if (!keep) rmSync(directory, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      smoke: { type: 'boolean', default: false },
      turns: { type: 'string', default: '3' },
      only: { type: 'string', default: '' },
      keep: { type: 'boolean', default: false },
      bytes: { type: 'string' },
      threads: { type: 'string', default: '2' },
    },
  });
  const { setup } = await import('./setup.mjs');
  await setup({ dev: true });
  threads = Number(values.threads);
  const only = values.only.split(',').filter((name) => name !== '');
  const bytes = values.bytes === undefined ? {} : { bytes: Number(values.bytes) };
  await benchWhole({ ...values, ...bytes, only, turns: Number(values.turns) });
}
