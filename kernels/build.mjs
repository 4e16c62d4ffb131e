/**
 * Builds the native kernels with nothing but a C++ compiler: no gyp, no make, no headers to fetch.
 *
 *   kernels/*.cpp ──▶ build/kernels/objects ──▶ build/kernels/quantd.node, tested, then renamed
 *
 *   node kernels/build.mjs                  the addon, for the instruction sets of this CPU
 *     --isa=native|all|avx2,avx512          which instruction sets (scalar is always built)
 *     --check  --bench                      also build/kernels/check, build/kernels/bench, and
 *                                           the same of the forward pass, check-forward …
 *     --sanitize                            only check-sanitize, … (ASan and UBSan)
 *     --fuzz                                the same, and build/kernels/fuzz; with clang
 *     --target=aarch64                      only programs, with $CXX as the cross compiler
 *     --target=aarch64 --addon              only build/kernels/quantd-aarch64.node, not tested
 *
 * Read next: toolchain.mjs.
 */

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import * as toolchain from './toolchain.mjs';

const { kernelsDirectory, rootDirectory } = toolchain;
const outDirectory = path.join(rootDirectory, 'build', 'kernels');
const objectsDirectory = path.join(outDirectory, 'objects');
const addonFile = path.join(outDirectory, 'quantd.node');
const stampFile = path.join(outDirectory, 'quantd.json');
const EXIT_ENVIRONMENT = 3;

/** Something the reader of the terminal can mend. */
class BuildError extends Error {
  exit = 1;
  constructor(message, exit = 1) {
    super(message);
    this.exit = exit;
  }
}

const digestOf = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest('hex');
};
const readKernelFile = (name) => readFileSync(path.join(kernelsDirectory, name));

/** One digest over every header: a changed header rebuilds everything, which takes seconds. */
function digestHeaders() {
  const names = readdirSync(kernelsDirectory).filter((name) => /\.(h|inc)$/.test(name));
  return digestOf(...names.sort().flatMap((name) => [name, readKernelFile(name)]));
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('exit', (code, signal) =>
      code === 0
        ? resolve()
        : reject(new BuildError(`${path.basename(command)} ended with ${code ?? signal}`)),
    );
  });
}

/** Runs `work` on every item, as many at a time as there are cores. */
async function inParallel(items, work) {
  const waiting = [...items];
  const lane = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, lane));
}

/** Gives each object a file whose name holds the digest of all it is made from. */
function nameObjects(objects, { compiler, architecture, sanitize, fuzz }) {
  const shared = [compiler.command, compiler.version, digestHeaders()];
  const versions = toolchain.packageVersions().join();
  return objects.map((object) => {
    // Include paths are this machine's; versions say the same.
    const flags = object.flags.filter((flag) => !path.isAbsolute(flag)).join(' ');
    const digest = digestOf(
      ...shared,
      versions,
      flags,
      readKernelFile(`${object.source}.cpp`),
    ).slice(0, 16);
    const checked = fuzz ? '-fuzz' : '-sanitize';
    const kind = `${architecture}${sanitize ? checked : ''}`;
    return {
      ...object,
      digest,
      file: path.join(objectsDirectory, kind, `${object.name}-${digest}.o`),
    };
  });
}

const filesIn = (directory) => {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
};

async function compile(objects, compiler) {
  if (objects.length === 0) return;
  const directory = path.dirname(objects[0].file);
  mkdirSync(directory, { recursive: true });
  const present = new Set(filesIn(directory));
  const missing = objects.filter(({ file }) => !present.has(path.basename(file)));
  await inParallel(missing, async ({ name, source, flags, file }) => {
    const temporary = `${file}.${process.pid}`;
    const input = path.join(kernelsDirectory, `${source}.cpp`);
    await run(compiler.command, [...flags, '-c', input, '-o', temporary]);
    renameSync(temporary, file);
    // Older objects of the same name are of no use to anyone.
    for (const old of present) {
      if (old.length === name.length + 19 && old.startsWith(`${name}-`)) {
        rmSync(path.join(directory, old), { force: true });
      }
    }
  });
}

async function link(objects, compiler, { into, ...options }) {
  const temporary = `${into}.${process.pid}.tmp`;
  const files = objects.map(({ file }) => file);
  const flags = toolchain.linkFlags(options);
  await run(compiler.command, [...files, ...flags, '-o', temporary]);
  return temporary;
}

// Runs in a process of its own: a crash there is an answer too.
const selfTestProgram = `
  const addon = { exports: {} };
  process.dlopen(addon, process.argv[1]);
  const { Kernels } = addon.exports;
  for (const isa of new Kernels({ threads: 1 }).info.isas) {
    const wrong = new Kernels({ threads: 1, isa }).selfTest();
    if (wrong !== undefined) {
      console.error('the ' + isa + ' kernel ' + wrong + ' gives wrong bytes');
      process.exit(1);
    }
  }`;

function selfTest(file) {
  const { status, signal, stderr } = spawnSync(process.execPath, ['-e', selfTestProgram, file], {
    encoding: 'utf8',
  });
  if (status !== 0) {
    rmSync(file, { force: true });
    throw new BuildError(`the self-test failed (${status ?? signal})\n${stderr}`);
  }
}

/** Whether what stands in build/kernels was made from exactly this, and is whole. */
function isCurrent(digest) {
  try {
    const stamp = JSON.parse(readFileSync(stampFile, 'utf8'));
    return stamp.digest === digest && stamp.addon === digestOf(readFileSync(addonFile));
  } catch {
    return false; // No stamp, a broken one, or no addon: build.
  }
}

function writeStamp(stamp) {
  const temporary = `${stampFile}.${process.pid}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(stamp, null, 2)}\n`);
  renameSync(temporary, stampFile);
}

/** The addon of another architecture; whoever runs it lets it test itself. */
async function buildForeignAddon(plan) {
  const { compiler, architecture } = plan;
  const parts = toolchain.addonSources;
  const objects = nameObjects(toolchain.planObjects({ ...plan, parts }), plan);
  await compile(objects, compiler);
  const into = path.join(outDirectory, `quantd-${architecture}.node`);
  renameSync(await link(objects, compiler, { into, shared: true }), into);
  console.log(`kernels: built ${path.relative(rootDirectory, into)}`);
}

async function buildAddon(plan) {
  const started = performance.now();
  const { compiler, sets } = plan;
  const parts = toolchain.addonSources;
  const objects = nameObjects(toolchain.planObjects({ ...plan, parts }), plan);
  const digest = digestOf(...objects.flatMap((object) => [object.name, object.digest]));
  if (isCurrent(digest)) {
    console.log(`kernels: ${path.relative(rootDirectory, addonFile)} is up to date`);
    return;
  }
  await compile(objects, compiler);
  const made = await link(objects, compiler, { into: addonFile, shared: true });
  selfTest(made);
  const addon = digestOf(readFileSync(made));
  renameSync(made, addonFile);
  writeStamp({
    ...{ digest, addon, compiler: compiler.version.split('\n')[0] },
    sets: toolchain.quantizingSets(sets, plan.architecture),
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`kernels: built ${sets.join(', ')} in ${seconds} s, self-test passed`);
}

/** Fails when anything multiplies and adds with one rounding; needs objdump. */
function refuseFused(objects, architecture) {
  const command = process.env.OBJDUMP ?? 'objdump';
  for (const { name, file } of objects.filter(({ fuses }) => !fuses)) {
    const dumped = spawnSync(command, ['-d', '--no-show-raw-insn', file], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    if (dumped.status !== 0) {
      if (process.env.CI !== undefined) throw new BuildError(`${command} does not run`);
      console.log(`kernels: not looked for fused instructions, ${command} does not run`);
      return;
    }
    const found = toolchain.fusedPattern(architecture).exec(dumped.stdout);
    if (found !== null) throw new BuildError(`${name} has a fused instruction: ${found[0]}`);
  }
}

async function buildProgram(name, plan) {
  const { compiler, architecture, sanitize, cross } = plan;
  const parts = toolchain.programs[name];
  const objects = nameObjects(toolchain.planObjects({ ...plan, parts }), plan);
  await compile(objects, compiler);
  if (name === 'check' && !sanitize) refuseFused(objects, architecture);
  const fuzzer = name === 'fuzz';
  const suffix = `${sanitize && !fuzzer ? '-sanitize' : ''}${cross ? `-${architecture}` : ''}`;
  const into = path.join(outDirectory, `${name}${suffix}`);
  const options = { into, shared: false, sanitize, cross, fuzzer };
  renameSync(await link(objects, compiler, options), into);
  console.log(`kernels: built ${path.relative(rootDirectory, into)}`);
}

function chooseCompiler(clang) {
  const compiler = toolchain.findCompiler(process.env, { clang });
  if (compiler !== undefined) return compiler;
  const name = process.env.CXX ?? (clang ? 'clang++' : 'g++');
  const packages = clang ? 'clang-14 libclang-rt-14-dev' : 'g++';
  throw new BuildError(
    `no C++ compiler: ${name} does not run\n  Debian, Ubuntu:  apt-get install ${packages}`,
    EXIT_ENVIRONMENT,
  );
}

async function main() {
  const { values: options } = parseArgs({
    options: {
      isa: { type: 'string', default: 'native' },
      target: { type: 'string' },
      check: { type: 'boolean', default: false },
      bench: { type: 'boolean', default: false },
      addon: { type: 'boolean', default: false },
      sanitize: { type: 'boolean', default: false },
      fuzz: { type: 'boolean', default: false },
    },
  });
  const compiler = chooseCompiler(options.fuzz);
  const architecture = toolchain.architectureOf(options.target);
  const cross = architecture !== toolchain.architectureOf(undefined);
  const isa = cross && options.isa === 'native' ? 'all' : options.isa;
  const sets = toolchain.chooseSets(isa, architecture, compiler);
  const { fuzz } = options;
  const sanitize = options.sanitize || fuzz;
  const plan = { compiler, architecture, sets, cross, sanitize, fuzz };

  mkdirSync(outDirectory, { recursive: true });
  // Programs first: `check --hashes` makes what the addon's self-test compares with.
  if (options.check || sanitize) {
    await buildProgram('check', plan);
    await buildProgram('check-forward', plan);
    await buildProgram('check-forward-ops', plan);
    await buildProgram('check-executor', plan);
  }
  if (fuzz) await buildProgram('fuzz', plan);
  if (options.bench && !sanitize) {
    await buildProgram('bench', plan);
    await buildProgram('bench-forward', plan);
  }
  if (!cross && !sanitize) await buildAddon(plan);
  if (cross && options.addon) await buildForeignAddon(plan);
}

try {
  await main();
} catch (error) {
  console.error(`kernels: ${error.message}`);
  process.exitCode = error instanceof BuildError ? error.exit : 1;
}
