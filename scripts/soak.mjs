// Soak: what takes longer than every commit should wait. The last result of each part is kept in
// docs/soak.md.
//   npm run soak                  all of it, in an hour or more
//   npm run soak -- 3 7           some parts, by their numbers in that page
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
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
  [
    'two and three bits with a matrix and without',
    'node_modules/vitest/vitest.mjs',
    'run',
    'cluster-tests/measure/matrix-gains.test.ts',
  ],
];

const page = `${root}/docs/soak.md`;
const chosen = process.argv.slice(2).map(Number);
const unknown = chosen.find((number) => parts[number - 1] === undefined);
if (unknown !== undefined) {
  console.error(`soak: there are parts 1 to ${parts.length}`);
  process.exit(2);
}
await setup({ dev: true, isas: 'all' });
const git = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' });
const commit = git.stdout.trim();
const machine = `${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores`;
let failed = 0;
for (const [index, [name, ...command]] of parts.entries()) {
  if (chosen.length > 0 && !chosen.includes(index + 1)) continue;
  let status;
  const seconds = await timed(() => {
    const env = { ...process.env, QUANTD_SOAK: '1' };
    status = spawnSync(process.execPath, command, { cwd: root, stdio: 'inherit', env }).status;
  });
  if (status !== 0) failed++;
  const result = status === 0 ? 'passed' : 'FAILED';
  // At once: the next part may take half an hour, and end the machine.
  writePage(name, `${result} | ${seconds} s | ${commit} | ${machine} |`);
}
console.log(readFileSync(page, 'utf8'));
process.exit(failed);

/** Writes a new result of one part beside the last of the others. */
function writePage(name, result) {
  const rows = new Map();
  for (const line of readFileSync(page, 'utf8').split('\n')) {
    const [, number, part, ...rest] = line.split('|').map((cell) => cell.trim());
    if (/^\d+$/.test(number ?? '')) rows.set(part, rest.join(' | ').trim());
  }
  rows.set(name, result);
  const text = [
    '# The last soak',
    '',
    `Made by \`npm run soak\`, with Node ${process.versions.node}; the table of the first part is`,
    '[quantizers-result.md](quantizers-result.md).',
    '',
    '| | part | result | time | commit | machine |',
    '|---|---|---|---|---|---|',
    ...parts.map(([part], index) => {
      return `| ${index + 1} | ${part} | ${rows.get(part) ?? 'not run | | | |'}`;
    }),
    '',
  ];
  writeFileSync(page, text.join('\n'));
}
