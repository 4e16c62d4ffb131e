// Set-up: packages, kernels and bundles, each only when it is needed.
//   node scripts/setup.mjs [--dev]      --dev also installs what the tests need
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const NODE_MIN = [20, 20];

/** Runs a command in the project's directory; ends the process when it fails. */
export function runOrExit(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (status === 0) return;
  if (error) console.error(`${command}: ${error.message}`);
  process.exit(status ?? 3);
}

/** Seconds that `work` took, in one decimal. */
export async function timed(work) {
  const start = process.hrtime.bigint();
  await work();
  return (Number(process.hrtime.bigint() - start) / 1e9).toFixed(1);
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return;
  console.error(
    `quantd needs Node ${NODE_MIN.join('.')} or newer; this is ${process.versions.node}`,
  );
  process.exit(3);
}

/** Installs from the lock file, without any package's own scripts. */
function installPackages(dev) {
  const lock = readFileSync(`${root}/package-lock.json`);
  const wanted = createHash('sha256').update(lock).digest('hex');
  const stampPath = `${root}/node_modules/.quantd-installed.json`;
  const stamp = existsSync(stampPath) ? JSON.parse(readFileSync(stampPath, 'utf8')) : {};
  if (stamp.lock === wanted && (stamp.dev || !dev)) return;
  const scope = dev ? ['--include=dev'] : ['--omit=dev'];
  // The oracle package is for x86-64 Linux alone: elsewhere the tests that need it say so.
  const foreign = process.platform !== 'linux' || process.arch !== 'x64';
  const force = dev && foreign ? ['--force'] : [];
  runOrExit('npm', [
    'ci',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    ...scope,
    ...force,
  ]);
  writeFileSync(stampPath, JSON.stringify({ lock: wanted, dev }));
}

/** One digest over the hashes that the kernels must give before they are used. */
function selfTests(...names) {
  const hashes = names.flatMap((name) => {
    return readFileSync(`${root}/kernels/${name}-hashes.inc`, 'utf8').match(/[0-9a-f]{64}/g);
  });
  return createHash('sha256').update(hashes.join('\n')).digest('hex');
}

// A daemon that runs while it is built anew may still load a part that it has not needed yet.
const OLD_CHUNK_MS_MIN = 24 * 60 * 60 * 1000;

function removeOldChunks(directory) {
  for (const name of readdirSync(directory)) {
    const file = `${directory}/${name}`;
    if (Date.now() - statSync(file).mtimeMs > OLD_CHUNK_MS_MIN) rmSync(file);
  }
}

async function bundle() {
  const { build } = await import('esbuild');
  const { version } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'));
  await build({
    absWorkingDir: root,
    entryPoints: { cli: 'cli/main.ts', daemon: 'daemon/main.ts' },
    outdir: 'build',
    outExtension: { '.js': '.mjs' },
    bundle: true,
    // What a command does not need it does not read: most of the daemon is the network.
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    platform: 'node',
    target: 'node20',
    format: 'esm',
    sourcemap: 'linked',
    logLevel: 'warning',
    define: {
      QUANTD_VERSION: JSON.stringify(version),
      QUANTD_SELF_TESTS: JSON.stringify({
        quantizers: selfTests('self-test', 'self-test-float'),
        forward: selfTests('forward', 'products'),
      }),
    },
    // Packages of the older module kind call `require` for what Node brings along.
    banner: {
      js: "import { createRequire as quantdRequire } from 'node:module'; const require = quantdRequire(import.meta.url);",
    },
  });
  removeOldChunks(`${root}/build/chunks`);
  for (const folder of ['texts', 'recipes']) {
    cpSync(`${root}/daemon/${folder}`, `${root}/build/${folder}`, { recursive: true });
  }
}

/** Does what is missing and prints a line for each part. */
export async function setup({ dev = false, isas = 'native' } = {}) {
  checkNode();
  const say = (part, seconds) => console.log(`setup  ${part.padEnd(10)} ${seconds} s`);
  say('packages', await timed(() => installPackages(dev)));
  say(
    'kernels',
    await timed(() => runOrExit(process.execPath, ['kernels/build.mjs', `--isa=${isas}`])),
  );
  say('bundles', await timed(bundle));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await setup({ dev: process.argv.includes('--dev') });
}
