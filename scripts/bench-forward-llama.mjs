// Bench forward llama: GFLOP/s of llama.cpp's matrix products on the shapes of a forward pass.
//   node scripts/bench-forward-llama.mjs --cpu haswell --threads 1,2   a JSON line for each product
//   node scripts/bench-forward-llama.mjs --smoke                       small ones; checks the numbers
//   node scripts/bench-forward-llama.mjs --asked --shapes down --tokens 512
//                              for each number of threads on stdin, one product: its seconds, CPU too
//
//   shape ──▶ a ggml graph of one product, through koffi ──▶ {shape, tokens, threads, gflops, …}
//
// The weights are bf16 and the activations f32, as in a decode of a BF16 GGUF. --cpu names one of
// the package's libggml-cpu-*.so; zen4 uses the bf16 unit, haswell is AVX2. Before it measures it
// compares a small product with binary64. Others call `benchForwardLlama` for the same rows.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import koffi from 'koffi';

const script = fileURLToPath(import.meta.url);
const root = fileURLToPath(new URL('..', import.meta.url));
const libraries = join(root, 'node_modules/@node-llama-cpp/linux-x64/bins/linux-x64');

/** Of the 26B mixture of experts: columns are the inner length, rows those of a weight. */
export const shapes = {
  dense: { columns: 2816, rows: 2112 },
  'gate-up': { columns: 2816, rows: 1408, experts: 128, used: 8, rowsAToken: 1 },
  down: { columns: 704, rows: 2816, experts: 128, used: 8, rowsAToken: 8 },
};
/** Of the same kinds, for a look whether it all still runs. */
export const smokeShapes = {
  dense: { columns: 256, rows: 96 },
  'gate-up': { columns: 256, rows: 64, experts: 8, used: 2, rowsAToken: 1 },
  down: { columns: 32, rows: 256, experts: 8, used: 2, rowsAToken: 2 },
};

const ggmlF32 = 0;
const ggmlI32 = 26;
const ggmlBf16 = 30;
/** As many runs as take this long, and at least three: the best of them is told, and the median. */
const SECONDS_MIN = 1;
const RUNS_MIN = 3;
/** How far a product may be from binary64, over the root mean square of its results. */
const ERROR_MAX = 1e-5;

/** The library that llama.cpp would load of those that are installed. */
export function defaultCpu() {
  const { stdout } = spawnSync(process.execPath, [script, '--default-cpu'], { encoding: 'utf8' });
  return stdout.trim();
}

/** Of the highest score on this CPU. */
function highestScore() {
  const base = koffi.load(join(libraries, 'libggml-base.so'), { global: true });
  const best = { cpu: '', score: 0, base };
  for (const file of readdirSync(libraries)) {
    const [, cpu] = /^libggml-cpu-(.*)\.so$/.exec(file) ?? [];
    if (cpu === undefined) continue;
    const score = koffi.load(join(libraries, file)).func('int ggml_backend_score()')();
    if (score > best.score) Object.assign(best, { cpu, score });
  }
  return best.cpu;
}

/** Why there is nothing to compare with; undefined where there is. */
export function whyNoLlamaProducts(cpu = 'zen4') {
  return existsSync(join(libraries, `libggml-cpu-${cpu}.so`))
    ? undefined
    : '@node-llama-cpp/linux-x64 is not installed';
}

/**
 * The rows of a run in a process of its own: one process can hold only one CPU library.
 *
 *   {cpu, shapes, tokens, threads, smoke} ──▶ [{program, cpu, shape, tokens, threads, gflops, …}]
 */
export function benchForwardLlama(options = {}) {
  const words = Object.entries(options).flatMap(([name, value]) =>
    value === true ? [`--${name}`] : value === false ? [] : [`--${name}`, String(value)],
  );
  const child = spawn(process.execPath, [script, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: '/usr/bin:/bin', GGML_NO_BACKTRACE: '1' },
  });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  return new Promise((resolve, reject) => {
    child.on('close', (code, signal) => {
      if (code !== 0) return reject(new Error(`llama.cpp's products ended with ${signal ?? code}`));
      resolve(
        stdout
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line)),
      );
    });
  });
}

function bind(cpu) {
  const base = koffi.load(join(libraries, 'libggml-base.so'), { global: true });
  const lib = koffi.load(join(libraries, `libggml-cpu-${cpu}.so`), { global: true });
  koffi.struct('InitParams', { bytes: 'size_t', buffer: 'void *', noAlloc: 'bool' });
  const score = lib.func('int ggml_backend_score()');
  if (score() === 0) throw new Error(`this machine cannot run libggml-cpu-${cpu}.so`);
  return {
    open: base.func('void *ggml_init(InitParams params)'),
    close: base.func('void ggml_free(void *context)'),
    tensor2: base.func('void *ggml_new_tensor_2d(void *context, int type, int64 a, int64 b)'),
    tensor3: base.func(
      'void *ggml_new_tensor_3d(void *context, int type, int64 a, int64 b, int64 c)',
    ),
    product: base.func('void *ggml_mul_mat(void *context, void *weights, void *activations)'),
    productById: base.func(
      'void *ggml_mul_mat_id(void *context, void *weights, void *activations, void *ids)',
    ),
    graph: base.func('void *ggml_new_graph(void *context)'),
    expand: base.func('void ggml_build_forward_expand(void *graph, void *tensor)'),
    data: base.func('void *ggml_get_data(void *tensor)'),
    bytes: base.func('size_t ggml_nbytes(void *tensor)'),
    allocate: base.func('void *ggml_backend_alloc_ctx_tensors(void *context, void *backend)'),
    freeBuffer: base.func('void ggml_backend_buffer_free(void *buffer)'),
    compute: base.func('int ggml_backend_graph_compute(void *backend, void *graph)'),
    backend: lib.func('void *ggml_backend_cpu_init()'),
    setThreads: lib.func('void ggml_backend_cpu_set_n_threads(void *backend, int threads)'),
    end: base.func('void ggml_backend_free(void *backend)'),
  };
}

/** Room for the descriptions of a few tensors and a graph; their numbers stand elsewhere. */
const CONTEXT_BYTES = 1 << 20;

/** One product with random numbers, to be run as often as wanted. */
function makeProduct(ggml, backend, shape, tokens) {
  const { columns, rows, experts, used, rowsAToken } = shape;
  const context = ggml.open({ bytes: CONTEXT_BYTES, buffer: null, noAlloc: true });
  let weights;
  let activations;
  let ids;
  let result;
  if (experts === undefined) {
    weights = ggml.tensor2(context, ggmlBf16, columns, rows);
    activations = ggml.tensor2(context, ggmlF32, columns, tokens);
    result = ggml.product(context, weights, activations);
  } else {
    weights = ggml.tensor3(context, ggmlBf16, columns, rows, experts);
    activations = ggml.tensor3(context, ggmlF32, columns, rowsAToken, tokens);
    ids = ggml.tensor2(context, ggmlI32, used, tokens);
    result = ggml.productById(context, weights, activations, ids);
  }
  const graph = ggml.graph(context);
  ggml.expand(graph, result);
  const buffer = ggml.allocate(context, backend);
  const view = (tensor, Numbers) =>
    new Numbers(koffi.view(ggml.data(tensor), Number(ggml.bytes(tensor))));
  const numbers = {
    weights: view(weights, Uint16Array),
    activations: view(activations, Float32Array),
    ids: ids === undefined ? undefined : view(ids, Int32Array),
    result: view(result, Float32Array),
  };
  fillProduct(numbers, shape);
  return {
    numbers,
    flops: 2 * columns * rows * tokens * (used ?? 1),
    run() {
      const code = ggml.compute(backend, graph);
      if (code !== 0) throw new Error(`ggml_backend_graph_compute returned ${code}`);
    },
    free() {
      ggml.freeBuffer(buffer);
      ggml.close(context);
    },
  };
}

/** Drawn once and repeated: an odd number, so that rows do not repeat in step with it. */
const DRAWN_NUMBERS = 1_048_573;

function fillProduct({ weights, activations, ids }, { experts, used }) {
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const drawn = Float32Array.from({ length: DRAWN_NUMBERS }, () => next() + next() - 1);
  const high = Uint16Array.from(new Uint32Array(drawn.buffer), (bits) => bits >>> 16);
  repeat(weights, high);
  repeat(activations, drawn);
  for (let at = 0; at < (ids?.length ?? 0); at += used) {
    // Distinct experts, any of them as likely as another.
    const chosen = new Set();
    while (chosen.size < used) chosen.add(Math.floor(next() * experts));
    ids.set([...chosen], at);
  }
}

function repeat(into, numbers) {
  for (let at = 0; at < into.length; at += numbers.length) {
    into.set(numbers.subarray(0, Math.min(numbers.length, into.length - at)), at);
  }
}

const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

/** To the nearest bf16, ties to even: what ggml does to the activations of bf16 weights. */
function toBf16(value) {
  single[0] = value;
  word[0] = ((word[0] + 0x7fff + ((word[0] >>> 16) & 1)) >>> 16) << 16;
  return single[0];
}

function widen(code) {
  word[0] = code << 16;
  return single[0];
}

/** Relative distances of the results from binary64, with rounded activations and with plain ones. */
function distances({ weights, activations, ids, result }, shape, tokens) {
  const { columns, rows, used = 1, rowsAToken = 1 } = shape;
  const sums = { scale: 0, rounded: 0, plain: 0 };
  for (let slot = 0; slot < tokens * used; slot++) {
    const token = Math.floor(slot / used);
    const from = (token * rowsAToken + ((slot % used) % rowsAToken)) * columns;
    const matrix = (ids?.[slot] ?? 0) * rows;
    for (let row = 0; row < rows; row++) {
      let rounded = 0;
      let plain = 0;
      for (let k = 0; k < columns; k++) {
        const weight = widen(weights[(matrix + row) * columns + k]);
        plain += weight * activations[from + k];
        rounded += weight * toBf16(activations[from + k]);
      }
      const found = result[slot * rows + row];
      sums.scale += plain ** 2;
      sums.rounded += (found - rounded) ** 2;
      sums.plain += (found - plain) ** 2;
    }
  }
  const { scale, rounded, plain } = sums;
  return { rounded: Math.sqrt(rounded / scale), plain: Math.sqrt(plain / scale) };
}

/** Throws where a small product of this kind is neither that of rounded nor of plain activations. */
function checkProduct(ggml, backend, name) {
  const shape = smokeShapes[name];
  const tokens = 20;
  const product = makeProduct(ggml, backend, shape, tokens);
  product.run();
  const error = distances(product.numbers, shape, tokens);
  product.free();
  if (!(Math.min(error.rounded, error.plain) < ERROR_MAX)) {
    throw new Error(`${name}: llama.cpp's product is ${JSON.stringify(error)} from binary64`);
  }
  return error.rounded < error.plain ? 'bf16' : 'f32';
}

function measure(product, { secondsMin, runsMin }) {
  product.run();
  const seconds = [];
  let total = 0;
  while (total < secondsMin || seconds.length < runsMin) {
    const start = process.hrtime.bigint();
    product.run();
    seconds.push(Number(process.hrtime.bigint() - start) / 1e9);
    total += seconds.at(-1);
  }
  seconds.sort((a, b) => a - b);
  const rate = (one) => Number((product.flops / one / 1e9).toFixed(1));
  return {
    gflops: rate(seconds[0]),
    medianGflops: rate(seconds[seconds.length >> 1]),
    runs: seconds.length,
  };
}

/** Someone else decides when: so two programs take turns. */
async function answerTurns(ggml, backend, { name, shape, tokens }) {
  checkProduct(ggml, backend, name);
  const product = makeProduct(ggml, backend, shape, tokens);
  for await (const line of createInterface({ input: process.stdin })) {
    ggml.setThreads(backend, Number(line));
    const cpuBefore = process.cpuUsage();
    const start = process.hrtime.bigint();
    product.run();
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    const { user, system } = process.cpuUsage(cpuBefore);
    console.log(`${seconds} ${(user + system) / 1e6}`);
  }
  product.free();
}

async function main() {
  const { values } = parseArgs({
    options: {
      cpu: { type: 'string', default: 'zen4' },
      shapes: { type: 'string', default: Object.keys(shapes).join(',') },
      tokens: { type: 'string', default: '512,4096' },
      threads: { type: 'string', default: '1,2' },
      smoke: { type: 'boolean', default: false },
      asked: { type: 'boolean', default: false },
      'default-cpu': { type: 'boolean', default: false },
    },
  });
  if (values['default-cpu']) return console.log(highestScore());
  const ggml = bind(values.cpu);
  const backend = ggml.backend();
  if (values.asked) {
    const name = values.shapes;
    const shape = (values.smoke ? smokeShapes : shapes)[name];
    await answerTurns(ggml, backend, { name, shape, tokens: Number(values.tokens) });
    return ggml.end(backend);
  }
  measureAll(ggml, backend, values);
  ggml.end(backend);
}

function measureAll(ggml, backend, values) {
  const list = (text) => text.split(',').map(Number);
  const effort = values.smoke
    ? { secondsMin: 0, runsMin: 1 }
    : { secondsMin: SECONDS_MIN, runsMin: RUNS_MIN };
  for (const name of values.shapes.split(',')) {
    const shape = (values.smoke ? smokeShapes : shapes)[name];
    if (shape === undefined) throw new Error(`no shape is called ${name}`);
    ggml.setThreads(backend, 1);
    const activations = checkProduct(ggml, backend, name);
    for (const tokens of values.smoke ? [16] : list(values.tokens)) {
      const product = makeProduct(ggml, backend, shape, tokens);
      for (const threads of list(values.threads)) {
        ggml.setThreads(backend, threads);
        const { columns, rows, experts = 1, used = 1 } = shape;
        const what = { program: 'llama.cpp', cpu: values.cpu, shape: name, columns, rows };
        const how = { experts, used, tokens, threads, activations };
        console.log(JSON.stringify({ ...what, ...how, ...measure(product, effort) }));
      }
      product.free();
    }
  }
}

if (process.argv[1] === script) await main();
