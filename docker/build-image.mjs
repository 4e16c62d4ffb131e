// Build image: every step that the Dockerfile runs, as a program that runs without Docker too.
//   sources ──▶ node docker/build-image.mjs INTO ──▶ INTO/ has what the image adds to its base
// Needs Debian, root and Node with npm; fetches from Debian's mirror and the npm registry alone.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runOrExit, setup } from '../scripts/setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const HOME = 'opt/quantd';
// The bundles hold every package, so that the image needs no node_modules.
const parts = [
  'LICENSE',
  'package.json',
  'cli/quantd',
  'build/cli.mjs',
  'build/daemon.mjs',
  'build/chunks',
  'build/kernels/quantd.node',
  'build/texts/calibration.txt',
  'build/recipes',
];

function installCompiler() {
  if (spawnSync('g++', ['--version'], { stdio: 'ignore' }).status === 0) return;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  runOrExit('apt-get', ['update', '-qq'], { env });
  runOrExit('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'g++'], { env });
}

function layOut(into) {
  for (const part of parts) {
    const target = join(into, HOME, part);
    mkdirSync(dirname(target), { recursive: true });
    const filter = (file) => !file.endsWith('.map');
    cpSync(join(root, part), target, { recursive: true, filter });
  }
  mkdirSync(join(into, 'usr/local/bin'), { recursive: true });
  symlinkSync(`/${HOME}/cli/quantd`, join(into, 'usr/local/bin/quantd'));
}

const [into] = process.argv.slice(2);
if (into === undefined) {
  console.error('usage: node docker/build-image.mjs INTO');
  process.exit(2);
}
installCompiler();
// Every instruction set: the image may run on a CPU other than that of its builder.
await setup({ isas: 'all' });
layOut(into);
