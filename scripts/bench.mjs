// Bench: the kernels, every common type through the whole program, and the program beside llama.cpp.
//   npm run bench                 kernels, a 1 GB checkpoint, a 4.2 GB GGUF: an hour
//   npm run bench -- --measure    the forward pass alone, with the words of bench-measure.mjs
//   npm run bench -- --smoke      small ones, to see that the bench still runs
// Its results are kept in docs/bench.md. Read next: bench-whole.mjs.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { benchCluster } from './bench-cluster.mjs';
import { benchMeasure } from './bench-measure.mjs';
import { benchMeasureCluster } from './bench-measure-cluster.mjs';
import { benchNetwork } from './bench-network.mjs';
import { eventsOf, runQuantd } from './bench-programs.mjs';
import { makeCheckpoint } from './bench-source.mjs';
import { benchWhole } from './bench-whole.mjs';
import { runOrExit, setup } from './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const smoke = process.argv.includes('--smoke');
const types = smoke ? ['Q8_0'] : ['BF16', 'Q8_0', 'Q4_0', 'Q6_K', 'Q4_K_M', 'Q4_K_M,Q5_K_M,Q8_0'];

/** Each kernel on one thread, in turns with llama.cpp where it is installed. */
function benchKernels() {
  const oracle = 'node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so';
  const beside = existsSync(join(root, oracle)) && !smoke ? ['--oracle', oracle] : [];
  runOrExit(process.execPath, ['kernels/build.mjs', '--isa=all', '--bench']);
  runOrExit('build/kernels/bench', [...(smoke ? ['--smoke'] : []), ...beside]);
}

/** MB/s of source for each type, beside a plain copy of the same bytes. */
async function benchTypes(scratch) {
  const source = await makeCheckpoint(join(scratch, 'source'), smoke ? 5e8 : 1e9);
  const copyStart = process.hrtime.bigint();
  runOrExit('cp', ['-r', source.path, join(scratch, 'copy')]);
  const copySeconds = Number(process.hrtime.bigint() - copyStart) / 1e9;
  rmSync(join(scratch, 'copy'), { recursive: true });

  console.log(`\n${cpus()[0].model}, ${availableParallelism()} cores`);
  const megabytes = source.sourceBytes / 1e6;
  const copyRate = (megabytes / copySeconds).toFixed(0);
  console.log(`source ${megabytes.toFixed(0)} MB; plain copy ${copyRate} MB/s`);
  console.log('MB/s of source  quantizing stage per core, and the whole run from start to sealed');
  for (const type of types) {
    for (const threads of new Set([1, availableParallelism()])) {
      const out = join(scratch, 'out');
      const words = ['quantize', source.path, '--type', type, '--out', out, '--name', 'bench'];
      const more = ['--threads', String(threads), '--overwrite'];
      const done = eventsOf(await runQuantd([...words, ...more], join(scratch, 'data'))).at(-1);
      const stage = done.stages.find((one) => one.stage === 'quantize');
      const perCore = (megabytes / stage.seconds / threads).toFixed(0).padStart(6);
      const whole = (megabytes / done.seconds).toFixed(0).padStart(6);
      console.log(`${type.padEnd(20)} ${threads} threads  ${perCore} per core  ${whole} whole`);
      rmSync(out, { recursive: true });
    }
  }
}

await setup({ dev: true });
if (process.argv.includes('--measure')) {
  await benchMeasure(process.argv.slice(2).filter((word) => word !== '--measure'));
  process.exit();
}
benchKernels();
const scratch = mkdtempSync(join(tmpdir(), 'quantd-bench-'));
try {
  await benchTypes(scratch);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
await benchWhole({ smoke, turns: 3, only: [], keep: false });
await benchNetwork({ small: smoke });
await benchCluster({ small: smoke });
await benchMeasureCluster({ smoke });
await benchMeasure(smoke ? ['--smoke'] : []);
