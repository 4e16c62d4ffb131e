// Bench measure, products: the matrix products of a forward pass beside llama.cpp's, in turns.
//
//   shapes × tokens × threads ──▶ bench-forward and llama.cpp, a product each in turn ──▶ GFLOP/s, ratios
//
// Both programs hold the same shape in memory and do one product whenever they are asked, so that
// what else the machine does hits them alike. Told are medians of wall time, and beside them those
// of the CPU seconds of all threads, which others hardly change. Read next: bench-forward-llama.mjs,
// kernels/bench-forward.cpp.
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { defaultCpu, shapes, smokeShapes, whyNoLlamaProducts } from './bench-forward-llama.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const benchForward = join(root, 'build/kernels/bench-forward');
const llamaScript = join(root, 'scripts/bench-forward-llama.mjs');
/** At least so many turns, and for products that take no time at all as many more as this lasts. */
const TURNS_MIN = 5;
const TURNS_MAX = 25;
const SECONDS_MIN = 3;

/** Ours, then llama.cpp's library that it is compared with. */
const pairs = [
  { sets: ['amx', 'avx512bf16', 'avx512'], cpu: 'zen4' },
  { sets: ['avx2'], cpu: 'haswell' },
];

/** What the ratio should be at least. */
function goalOf(cpu, shape, tokens) {
  const isDense = shapes[shape].experts === undefined;
  if (cpu === 'haswell') return isDense ? 1.2 : 2;
  if (isDense) return 2.5;
  return tokens >= 4096 ? 3.5 : 2;
}

/** A program that does one product for each line, and says how many seconds it took. */
function openProgram(command, words) {
  const child = spawn(command, words, { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = new Promise((resolve) => child.once('close', resolve));
  return {
    async ask(line) {
      child.stdin.write(`${line}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`${command} ${words.join(' ')} ended with ${await ended}`);
      const [seconds, cpu] = value.split(' ').map(Number);
      return { seconds, cpu };
    },
    async close() {
      child.stdin.end();
      await ended;
    },
  };
}

/** Those of ours that this machine runs. */
function runnableSets() {
  const { stdout } = spawnSync(benchForward, ['--smoke', '--json'], { encoding: 'utf8' });
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  return new Set(rows.map(({ set }) => set));
}

/** Every program that takes part, each with what to tell it for a number of threads. */
function openAll(name, shape, { tokens, smoke }) {
  const { columns, rows, experts = 1, used = 1, rowsAToken = 1 } = shape;
  const asked = [columns, rows, experts, used, rowsAToken, tokens].join();
  const ours = openProgram(benchForward, ['--asked', asked]);
  const runnable = runnableSets();
  const sets = pairs.flatMap((pair) => pair.sets).filter((set) => runnable.has(set));
  const words = ['--asked', '--shapes', name, '--tokens', tokens, ...(smoke ? ['--smoke'] : [])];
  const theirs = cpusOfLlama().map((cpu) => ({
    name: cpu,
    program: openProgram(process.execPath, [llamaScript, '--cpu', cpu, ...words.map(String)]),
    line: (threads) => threads,
  }));
  return [
    ...sets.map((set) => ({ name: set, program: ours, line: (threads) => `${set} ${threads}` })),
    ...theirs,
  ];
}

/** Those of the pairs that have a set of ours on this machine. */
function runnablePairs() {
  const runnable = runnableSets();
  return pairs.filter(({ sets }) => sets.some((set) => runnable.has(set)));
}

/** Those to compare with, and the one that llama.cpp itself would load here. */
function cpusOfLlama() {
  if (whyNoLlamaProducts() !== undefined) return [];
  return [...new Set([...runnablePairs().map(({ cpu }) => cpu), defaultCpu()])];
}

/** Each program once and once again, until there are enough turns; the first turn is not counted. */
async function takeTurns(programs, { shape, tokens, threads, smoke }) {
  const { columns, rows, used = 1 } = shape;
  const flops = 2 * columns * rows * tokens * used;
  const taken = programs.map(({ name }) => ({ name, seconds: [], cpu: [] }));
  const enough = (turn, total) =>
    smoke ? turn > 1 : turn > TURNS_MAX || (turn > TURNS_MIN && total > SECONDS_MIN);
  let total = 0;
  for (let turn = 0; !enough(turn, total); turn++) {
    for (const [index, { program, line }] of programs.entries()) {
      const { seconds, cpu } = await program.ask(line(threads));
      if (turn === 0) continue;
      taken[index].seconds.push(seconds);
      taken[index].cpu.push(cpu);
      total += seconds;
    }
  }
  return new Map(
    taken.map(({ name, seconds, cpu }) => [
      name,
      { gflops: flops / median(seconds) / 1e9, ofCpu: flops / median(cpu) / 1e9 },
    ]),
  );
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/**
 * The rows of the first table; the second has the ratios beside what they should be.
 *
 *   {smoke, tokens, threads} ──▶ [{shape, tokens, threads, by: Map(name ──▶ {gflops, ofCpu})}]
 */
export async function benchProducts({ smoke, tokens = [512, 4096], threads }) {
  const rows = [];
  for (const [name, shape] of Object.entries(smoke ? smokeShapes : shapes)) {
    for (const count of smoke ? [16] : tokens) {
      rows.push(...(await benchShape(name, shape, { tokens: count, threads, smoke })));
    }
  }
  printHead(headOf(rows[0].by));
  for (const row of rows) console.log(line(cellsOf(row)));
  printRatios(rows);
  return rows;
}

async function benchShape(name, shape, { tokens, threads, smoke }) {
  const rows = [];
  const programs = openAll(name, shape, { tokens, smoke });
  for (const team of threads) {
    const by = await takeTurns(programs, { shape, tokens, threads: team, smoke });
    rows.push({ shape: name, tokens, threads: team, by });
    console.log(`  ${cellsOf(rows.at(-1)).join('  ')}`);
  }
  for (const program of new Set(programs.map(({ program }) => program))) await program.close();
  return rows;
}

const line = (cells) => `| ${cells.join(' | ')} |`;
const what = (shape) => {
  const { columns, rows, experts } = shapes[shape];
  return `${columns} × ${rows}${experts === undefined ? '' : `, ${experts} experts`}`;
};
const headOf = (by) => ['product', 'tokens', 'threads', ...by.keys()];
const cellsOf = ({ shape, tokens, threads, by }) => [
  ...[what(shape), tokens, threads],
  ...[...by.values()].map(({ gflops, ofCpu }) => `${gflops.toFixed(0)} (${ofCpu.toFixed(0)})`),
];

function printHead(head) {
  console.log(line(head));
  console.log(line(head.map(() => '---')));
}

/** Of wall time, and of CPU time; ours is the best of the sets that one library stands against. */
function printRatios(rows) {
  const cpus = cpusOfLlama();
  if (cpus.length === 0) return;
  const wanted = runnablePairs();
  const compared = [...wanted, { sets: wanted[0].sets, cpu: cpus.at(-1) }].slice(0, cpus.length);
  console.log(`\nllama.cpp itself would load libggml-cpu-${defaultCpu()}.so here\n`);
  const heads = compared.map(({ sets, cpu }) => `${sets.join(' or ')} to ${cpu}`);
  printHead(['product', 'tokens', 'threads', ...heads]);
  for (const row of rows) {
    const ratios = compared.map((pair, index) => ratioCell(pair, row, index < wanted.length));
    console.log(line([what(row.shape), row.tokens, row.threads, ...ratios]));
  }
}

function ratioCell({ sets, cpu }, { shape, tokens, by }, hasGoal) {
  const ratioOf = (field) => {
    const ours = sets.flatMap((set) => (by.has(set) ? [by.get(set)[field]] : []));
    return Math.max(...ours) / by.get(cpu)[field];
  };
  const wall = ratioOf('gflops');
  const ofCpu = ratioOf('ofCpu').toFixed(2);
  const goal = goalOf(cpu, shape, tokens);
  const told = hasGoal ? `, goal ${goal}: ${wall >= goal ? 'reached' : 'not reached'}` : '';
  return `${wall.toFixed(2)} × (${ofCpu})${told}`;
}
