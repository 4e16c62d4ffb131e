// Kernel checks: what the kernels promise, where vitest cannot look.
//   node scripts/kernel-checks.mjs           as `npm test` does, in about a minute
//   node scripts/kernel-checks.mjs --soak    the same at length
// Arm in an emulator; address and undefined-behaviour sanitizers; random floats; the bench at its
// smallest. Compilers of Debian that are missing are installed on CI; elsewhere what needs them is left out, but not of a soak.
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { provide } from './debian-packages.mjs';
import { runOrExit, timed } from './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const programs = join(root, 'build', 'kernels');
const oracle = join(root, 'node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so');
const soak = process.argv.includes('--soak');
// Enough for a few thousand cases, and for a few million.
const fuzzSeconds = soak ? 1200 : 15;

/** Whether a part's compilers are there; a soak that leaves something out has not passed. */
function provideCompilers(commands, packages) {
  const provided = provide(commands, packages);
  if (!provided && soak) process.exit(3);
  return provided;
}

const build = (args, env = {}) =>
  runOrExit(process.execPath, ['kernels/build.mjs', '--isa=all', ...args], {
    env: { ...process.env, ...env },
  });

/**
 * Runs programs that compute on one thread each, as many at a time as there are cores; the first is
 * begun first. What one prints comes as a whole; the first that fails ends the process.
 */
async function runAll(programsAndArgs, atOnce = availableParallelism()) {
  const waiting = [...programsAndArgs];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [command, args] = next;
      await new Promise((resolve) => {
        const options = { cwd: root, maxBuffer: 1 << 28, encoding: 'utf8' };
        execFile(command, args, options, (error, stdout, stderr) => {
          process.stdout.write(stdout + stderr);
          if (error === null) return resolve();
          console.error(`${command} ${args.join(' ')} ended with ${error.signal ?? error.code}`);
          process.exit(1);
        });
      });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

/** The bytes of the stored hashes on the other architecture, by plain loops and by lanes. */
async function checkArm() {
  const prefix = 'aarch64-linux-gnu-';
  if (process.arch === 'arm64') return;
  if (!provideCompilers([`${prefix}g++`, 'qemu-aarch64'], ['g++-aarch64-linux-gnu', 'qemu-user']))
    return;
  const tools = { CXX: `${prefix}g++`, OBJDUMP: `${prefix}objdump` };
  build(['--check', '--target=aarch64'], tools);
  const program = (name, ...args) => ['qemu-aarch64', [join(programs, `${name}-aarch64`), ...args]];
  await runAll([
    program('check', soak ? '--quick' : '--self-test'),
    program('check-forward', '--quick'),
    program('check-executor'),
    program('check-forward-ops'),
  ]);
}

/** Every set against the scalar one, under sanitizers, made by a second compiler. */
async function checkSanitized() {
  const clang = process.env.CXX ?? 'clang++-14';
  if (!provideCompilers([clang], ['clang-14', 'libclang-rt-14-dev'])) return;
  build(['--fuzz'], { CXX: clang });
  const program = (name, ...args) => [join(programs, `${name}-sanitize`), args];
  const quick = soak ? [] : ['--quick'];
  const others = [
    program('check-forward', ...quick),
    program('check-executor'),
    program('check-forward-ops'),
  ];
  // The first takes as long as all the others.
  await Promise.all([runAll([program('check', ...quick)]), fuzz().then(() => runAll(others, 1))]);
}

/** Random floats for some time; the case of a failure stays in build/kernels/fuzz-artifacts. */
async function fuzz() {
  const artifacts = join(programs, 'fuzz-artifacts');
  mkdirSync(artifacts, { recursive: true });
  const args = [
    ...[`-max_total_time=${fuzzSeconds}`, `-artifact_prefix=${artifacts}/`],
    // Long inputs from the start: short ones repeat themselves in every block.
    ...['-max_len=2048', '-len_control=0'],
    ...['-print_final_stats=1', '-print_funcs=0'],
  ];
  const options = { encoding: 'utf8', maxBuffer: 1 << 28 };
  const { stderr } = await promisify(execFile)(join(programs, 'fuzz'), args, options).catch(
    (error) => {
      console.error(error.stderr?.slice(-10_000) ?? error);
      process.exit(1);
    },
  );
  const [, cases] = /number_of_executed_units: (\d+)/.exec(stderr) ?? [];
  console.log(`fuzz: ${cases} cases in ${fuzzSeconds} s`);
}

/** Sees that the bench still runs; its numbers say nothing. */
function smokeBench() {
  build(['--bench']);
  const types = ['--types', 'F16,Q4_K,IQ3_XXS'];
  const beside = existsSync(oracle) ? ['--oracle', oracle] : [];
  runOrExit(join(programs, 'bench'), ['--smoke', ...types, ...beside]);
  runOrExit(join(programs, 'bench-forward'), ['--smoke']);
}

/** The check program itself, each set against the scalar one. */
async function checkNative() {
  build(['--check']);
  const names = ['check', 'check-forward', 'check-executor', 'check-forward-ops'];
  await runAll(names.map((name) => [join(programs, name), []]));
}

/** What the CPU lacks is named, not passed over: every set in turn, as if the CPU had not this. */
function checkLeftOut() {
  const { sets } = JSON.parse(readFileSync(join(programs, 'quantd.json'), 'utf8'));
  const sha256 = process.arch === 'arm64' ? 'armv8' : 'sha-ni';
  for (const set of [...sets.filter((name) => name !== 'scalar'), sha256]) {
    const env = { ...process.env, QUANTD_CPU_WITHOUT: set };
    for (const args of [
      ['check', '--self-test'],
      ['bench', '--smoke', '--types', 'Q8_0'],
      ...(set === sha256 ? [] : [['check-forward', '--self-test']]),
    ]) {
      const [name, ...rest] = args;
      const { status, stdout } = spawnSync(join(programs, name), rest, { encoding: 'utf8', env });
      const rows = stdout.split('\n').filter((line) => line.split(/[\s:]+/).includes(set));
      if (status === 0 && rows.length > 0 && rows.every((row) => row.endsWith('left out: CPU')))
        continue;
      console.error(`${name} without ${set} ended with ${status} and prints:\n${stdout}`);
      process.exit(1);
    }
  }
}

for (const work of [checkNative, smokeBench, checkLeftOut, checkArm, checkSanitized]) {
  console.log(`${work.name} took ${await timed(work)} s`);
}
