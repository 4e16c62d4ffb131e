/**
 * Toolchain: which compiler, which sources, which flags.
 *
 *   environment + options ──▶ findCompiler, planObjects ──▶ Object[]  (read next: build.mjs)
 */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

export const kernelsDirectory = import.meta.dirname;
export const rootDirectory = path.dirname(kernelsDirectory);

/** Compiled once per instruction set, each time into another namespace. */
const kernelSources = [
  // One family each.
  'plain',
  'symmetric',
  'affine',
  'descent',
  'few-bits',
  'microscale',
  'nonlinear',
  'codebook-iq1',
  'codebook-iq2',
  'codebook-iq3',
  // The other way round.
  'dequantize',
  'dequantize-codebooks',
  'dequantize-super-blocks',
  'table',
];
/** The forward pass: likewise, and for the sets that differ in it alone. */
const forwardSources = [
  ...['products', 'forward-rows', 'forward-gates', 'forward-attention', 'forward-table'],
];
/** Compiled once, for every CPU of the architecture. */
const commonSources = [
  ...['codebooks', 'sha256', 'checksum', 'dispatch', 'samples', 'self-test', 'job'],
  ...['forward-dispatch', 'products-self-test', 'fixed-point', 'forward-self-test'],
];
/** The forward pass over a layer, for the addon and whatever measures it. */
const executorSources = [
  ...['team', 'mapped-file', 'layer', 'weights'],
  ...['executor', 'executor-products', 'executor-experts'],
];
const addonSources = ['pool', 'read-ahead', 'piece-hash', 'file-hash', ...executorSources, 'addon'];
export const programs = {
  check: ['check'],
  bench: ['bench'],
  fuzz: ['fuzz'],
  'check-forward': ['check-forward'],
  'check-forward-ops': ['check-forward-ops'],
  'bench-forward': ['bench-forward'],
  'check-executor': [...executorSources, 'check-executor'],
};

// GCC 12 warns of its own headers: it fills registers that nobody reads.
const avx512Flags = [
  '-march=x86-64-v4',
  '-Wno-uninitialized',
  '-Wno-unknown-warning-option',
  '-Wno-maybe-uninitialized',
];
const avx512Macros = ['F', 'BW', 'CD', 'DQ', 'VL'].map((part) => `__AVX512${part}__`);

/**
 * The instruction sets of each architecture with their flags, slowest first, and how a compiler
 * under -march=native says that this CPU has them. `forward`: the forward pass alone gains by it, and
 * takes all else from the set that it `needs`.
 */
const architectures = {
  x86_64: {
    sets: {
      scalar: { flags: [], macros: [] },
      avx2: {
        flags: ['-mavx2', '-mfma', '-mf16c', '-mbmi', '-mbmi2'],
        macros: ['__AVX2__', '__FMA__', '__F16C__', '__BMI2__'],
      },
      avx512: {
        flags: avx512Flags,
        macros: avx512Macros,
      },
      avx512bf16: {
        forward: true,
        needs: 'avx512',
        flags: [...avx512Flags, '-mavx512bf16'],
        macros: [...avx512Macros, '__AVX512BF16__'],
      },
      amx: {
        forward: true,
        needs: 'avx512',
        flags: [...avx512Flags, '-mavx512bf16', '-mamx-tile', '-mamx-bf16'],
        macros: [...avx512Macros, '__AVX512BF16__', '__AMX_TILE__', '__AMX_BF16__'],
      },
    },
    extra: { 'sha256-x86': ['-msse4.1', '-msha'], 'checksum-x86': ['-msse4.2'] },
    fused: /\bvfn?m(add|sub)/,
  },
  aarch64: {
    sets: { scalar: { flags: [], macros: [] }, neon: { flags: [], macros: [] } },
    extra: {
      'sha256-arm': ['-march=armv8-a+crypto'],
      'checksum-arm': ['-march=armv8-a+crc'],
    },
    fused: /\bfn?m(la|ls|add|sub)\b/,
  },
};

/**
 * The order and choice of instructions where they count; no byte depends on them. Sanitizers do
 * without: unrolled loops hold the same checks several times and take twice as long to compile.
 */
const tunings = { 'affine-avx512': ['-mtune=icelake-server', '-funroll-loops'] };

const commonFlags = [
  '-std=c++20',
  '-fPIC',
  // One rounding per written operation: without this GCC and Clang fuse a product with a sum,
  // even in intrinsics, and the bytes differ.
  '-ffp-contract=off',
  // sqrt becomes one instruction, and selects may be vectorized; no value changes.
  '-fno-math-errno',
  '-fno-trapping-math',
  '-fno-exceptions',
  '-fno-rtti',
  '-fvisibility=hidden',
  '-fstack-protector-strong',
  '-Wall',
  '-Wextra',
  '-Werror',
];
const releaseFlags = ['-U_FORTIFY_SOURCE', '-D_FORTIFY_SOURCE=2'];
// Without debug information, of which clang makes a quarter of its time: undefined behaviour names
// its line all the same, a bad address its function.
const sanitizeFlags = [
  '-fsanitize=address,undefined',
  '-fno-sanitize-recover=all',
  '-fno-omit-frame-pointer',
];

// libFuzzer comes with clang alone; which also compiles under sanitizers several times as fast.
const clangs = ['clang++', ...[14, 15, 16, 17, 18, 19, 20].map((major) => `clang++-${major}`)];

/**
 * The first of $CXX, g++, clang++ that runs, or of the clangs alone if `clang`; undefined when none
 * does.
 */
export function findCompiler(environment, { clang = false } = {}) {
  const candidates = clang ? clangs : ['g++', 'clang++'];
  const wanted = environment.CXX ? [environment.CXX] : candidates;
  for (const command of wanted) {
    const asked = spawnSync(command, ['--version'], { encoding: 'utf8' });
    if (asked.status === 0) return { command, version: asked.stdout.trim() };
  }
  return undefined;
}

/** The architecture a compiler should make code for: x86_64 or aarch64. */
export function architectureOf(target) {
  const name = target ?? { x64: 'x86_64', arm64: 'aarch64' }[process.arch] ?? process.arch;
  if (!Object.hasOwn(architectures, name)) {
    throw new Error(`there are kernels for x86_64 and aarch64, not for ${name}`);
  }
  return name;
}

/** `native`, `all` or a list, to names of instruction sets; scalar is always among them. */
export function chooseSets(wanted, architecture, compiler) {
  const { sets } = architectures[architecture];
  const names = Object.keys(sets);
  if (wanted === 'all') return names;
  if (wanted !== 'native') {
    const list = wanted.split(',');
    const unknown = list.find((name) => !names.includes(name));
    if (unknown !== undefined) throw new Error(`--isa knows ${names.join(', ')}, not ${unknown}`);
    const needed = list.map((name) => sets[name].needs);
    return names.filter((name) => ['scalar', ...list, ...needed].includes(name));
  }
  const asked = spawnSync(compiler.command, ['-march=native', '-dM', '-E', '-x', 'c++', '-'], {
    encoding: 'utf8',
    input: '',
  });
  const defined = asked.status === 0 ? asked.stdout : '';
  return names.filter((name) => sets[name].macros.every((macro) => defined.includes(` ${macro} `)));
}

/** Those of `sets` that quantize. */
export function quantizingSets(sets, architecture) {
  return sets.filter((set) => !architectures[architecture].sets[set].forward);
}

/** The pattern of an instruction that multiplies and adds with one rounding. */
export function fusedPattern(architecture) {
  return architectures[architecture].fused;
}

const packageVersion = (name) =>
  JSON.parse(readFileSync(path.join(rootDirectory, 'node_modules', name, 'package.json'), 'utf8'))
    .version;

function addonFlags() {
  const modules = path.join(rootDirectory, 'node_modules');
  return [
    '-DNAPI_VERSION=8',
    '-DNAPI_DISABLE_CPP_EXCEPTIONS',
    // A terminating worker runs no JavaScript: settling a promise then fails, which is no bug.
    '-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
    '-isystem',
    path.join(modules, 'node-api-headers', 'include'),
    '-isystem',
    path.join(modules, 'node-addon-api'),
  ];
}

/** What the addon's objects depend on besides sources and flags. */
export function packageVersions() {
  return ['node-api-headers', 'node-addon-api'].map((name) => `${name} ${packageVersion(name)}`);
}

/**
 * Every object of a program or of the addon: {name, source, flags}, and `fuses` where DET-1.md
 * wants products and sums with one rounding. `parts` are sources besides the common ones.
 */
export function planObjects({ architecture, sets, parts, sanitize, fuzz }) {
  const { sets: known, extra } = architectures[architecture];
  const checked = [...sanitizeFlags, ...(fuzz ? ['-fsanitize=fuzzer-no-link'] : [])];
  const base = [...commonFlags, ...(sanitize ? checked : releaseFlags)];
  // Under sanitizers more takes minutes to compile and finds nothing more.
  const level = sanitize ? '-O1' : '-O3';
  // With both sanitizers clang takes over a minute for the widest tiles; the narrower ones, of the same
  // source, keep both.
  const unchecked = (source, set) =>
    sanitize && source === 'products' && (set.startsWith('avx512') || set === 'amx')
      ? ['-fno-sanitize=undefined']
      : [];
  const compiledFor = (set) => (source) => ({
    name: `${source}-${set}`,
    source,
    fuses: forwardSources.includes(source),
    flags: [
      ...[...base, level, `-DQUANTD_ISA=${set}`, ...known[set].flags],
      ...unchecked(source, set),
      ...((!sanitize && tunings[`${source}-${set}`]) || []),
    ],
  });
  const kernels = [
    ...quantizingSets(sets, architecture).flatMap((set) => kernelSources.map(compiledFor(set))),
    ...sets.flatMap((set) => forwardSources.map(compiledFor(set))),
  ];
  const have = sets.map((set) => `-DQUANTD_HAVE_${set.toUpperCase()}`);
  const plain = [...commonSources, ...parts].map((source) => ({
    name: source,
    source,
    flags: [...base, '-O2', ...have, ...(source === 'addon' ? addonFlags() : [])],
  }));
  const special = Object.entries(extra).map(([source, flags]) => ({
    name: source,
    source,
    flags: [...base, '-O3', ...flags],
  }));
  // The longest first, so that no core waits for it alone at the end.
  return [...plain.reverse(), ...kernels, ...special];
}

export { addonSources };

/** How to link the addon (a shared library that Node loads) or a program. */
export function linkFlags({ shared, sanitize, cross, fuzzer }) {
  const flags = [...(sanitize ? sanitizeFlags : []), ...(fuzzer ? ['-fsanitize=fuzzer'] : [])];
  if (process.platform === 'darwin') {
    return [...flags, ...(shared ? ['-bundle', '-undefined', 'dynamic_lookup'] : [])];
  }
  const hardening = ['-Wl,-z,relro,-z,now', '-Wl,-z,noexecstack', '-pthread'];
  if (shared) return [...flags, ...hardening, '-shared'];
  // A cross-compiled program runs in an emulator that has no libraries of the target.
  return [...flags, ...hardening, ...(cross ? ['-static'] : [])];
}
