// Tests: sets up, checks the kernels of every instruction set, then runs every test.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { provide } from './debian-packages.mjs';
import { runOrExit, setup, timed } from './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const reportPath = `${root}/build/test-report.json`;
const times = [];
const part = async (name, work) => times.push([name, await timed(work)]);

await part('set-up', () => setup({ dev: true, isas: 'all' }));
// Hosts in network namespaces, and an image built without Docker.
await part('packages', () => provide(['ip', 'debootstrap'], ['iproute2', 'debootstrap']));
await part('kernel checks', () => runOrExit(process.execPath, ['scripts/kernel-checks.mjs']));
let status = 1;
await part('vitest', () => {
  rmSync(reportPath, { force: true });
  const args = ['vitest', 'run', '--reporter=default', '--reporter=json'];
  const run = spawnSync('npx', ['--no-install', ...args, `--outputFile.json=${reportPath}`], {
    cwd: root,
    stdio: 'inherit',
    // What a package printed on standard error of every test hides the failures.
    env: { ...process.env, npm_config_loglevel: 'error' },
  });
  status = run.status ?? 1;
});

for (const [name, seconds] of times) console.log(`time  ${name.padEnd(14)} ${seconds} s`);
const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(
  readFileSync(reportPath, 'utf8'),
);
console.log(`${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests} skipped`);
process.exit(status);
