// Soak: what takes longer than every commit should wait. Its last result is kept in docs/soak.md.
//   npm run soak
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { setup, timed } from './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const parts = [
  [
    '50 million weights a type against llama.cpp',
    'cluster-tests/oracle/quantizers-long.mjs',
    '--write',
  ],
  [
    '20 000 simulated runs of a cluster',
    'scripts/simulate.mjs',
    '--from',
    '1000000',
    '--count',
    '20000',
  ],
  [
    '2 000 simulated measurements by a cluster',
    'scripts/simulate.mjs',
    '--measure',
    '--from',
    '1000000',
    '--count',
    '2000',
  ],
  [
    'four machines of 512 MiB measure and quantize 6.5 GB',
    'node_modules/vitest/vitest.mjs',
    'run',
    'cluster-tests/memory-pool.test.ts',
  ],
  [
    'every type of every model against llama.cpp',
    'node_modules/vitest/vitest.mjs',
    'run',
    'cluster-tests/importance/same-bytes.test.ts',
    'cluster-tests/oracle/same-bytes.test.ts',
    'cluster-tests/det1-model/against-llama.test.ts',
    'cluster-tests/oracle/same-bytes-gguf.test.ts',
  ],
  ['kernels on Arm, under sanitizers, fuzzed', 'scripts/kernel-checks.mjs', '--soak'],
  ['whole models by an emulated Arm machine', 'cluster-tests/arm/emulated-arm.mjs'],
  ['a published tokenizer of 262 144 tokens', 'cluster-tests/oracle/real-tokenizer.mjs'],
];

await setup({ dev: true, isas: 'all' });
const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' });
const rows = [];
let failed = 0;
for (const [name, ...command] of parts) {
  let status;
  const seconds = await timed(() => {
    const env = { ...process.env, QUANTD_SOAK: '1' };
    status = spawnSync(process.execPath, command, { cwd: root, stdio: 'inherit', env }).status;
  });
  if (status !== 0) failed++;
  rows.push(`| ${name} | ${status === 0 ? 'passed' : 'FAILED'} | ${seconds} s |`);
}
const text = [
  '# The last soak',
  '',
  `Commit ${commit.stdout.trim()}, ${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, Node ${process.versions.node}.`,
  'Made by `npm run soak`; the table of the first part is [quantizers-result.md](quantizers-result.md).',
  '',
  '| part | result | time |',
  '|---|---|---|',
  ...rows,
  '',
].join('\n');
writeFileSync(`${root}/docs/soak.md`, text);
console.log(text);
process.exit(failed);
