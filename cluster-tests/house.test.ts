/** The rules of the code's shape that the linter cannot know. */

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const LINES_MAX = 500;

function filesBelow(directory: string, ending: RegExp): string[] {
  return readdirSync(join(root, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const typescript = ['proto', 'daemon', 'cli', 'cluster-tests'].flatMap((folder) =>
  filesBelow(folder, /\.ts$/),
);
const native = filesBelow('kernels', /\.(cpp|h)$/);
const scripts = [...filesBelow('scripts', /\.mjs$/), ...filesBelow('kernels', /\.mjs$/)];
const code = [...typescript, ...native, ...scripts].filter((file) => !file.includes('.generated.'));

/** `file:line` of every line of `files` that `pattern` matches. */
function linesWith(files: readonly string[], pattern: RegExp): string[] {
  return files.flatMap((file) =>
    read(file)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}`] : [])),
  );
}

test('there is code to look at', () => {
  expect(typescript.length).toBeGreaterThan(50);
  expect(native.length).toBeGreaterThan(10);
});

test(`no file has more than ${LINES_MAX} lines`, () => {
  const long = code.filter((file) => read(file).split('\n').length > LINES_MAX);
  expect(long).toEqual([]);
});

test('every file begins by saying what it is for', () => {
  // A .cpp whose .h tells it need not tell it again.
  const silent = code.filter(
    (file) =>
      !native.includes(file.replace(/\.cpp$/, '.h')) &&
      !/^(#!.*\n)?(\/\*\*|\/\/|#pragma once\n+\/\/)/.test(read(file)) &&
      !/\.test\.ts$/.test(file),
  );
  expect(silent).toEqual([]);
});

describe('layers', () => {
  const core = typescript.filter(
    (file) => /^daemon\/core\//.test(file) && !/\.test\.ts$/.test(file),
  );

  test('the core neither waits nor throws dice', () => {
    expect(linesWith(core, /\basync\b|\bawait\b|Math\.random|\bPromise</)).toEqual([]);
  });

  test('the core imports itself and proto/ only', () => {
    const outside = linesWith(core, /from '(?!\.)/).concat(
      linesWith(core, /from '(\.\.\/)+(ports|roles|adapters|main|service|settings|polyfill)/),
    );
    expect(outside).toEqual([]);
  });

  test('core/ holds folders, no files of its own', () => {
    expect(core.filter((file) => file.split('/').length === 3)).toEqual([]);
  });

  test('ports are types', () => {
    expect(
      linesWith(['daemon/ports.ts'], /^import (?!type)|^export (const|function|class|let)/),
    ).toEqual([]);
  });

  test('packages outside adapters/ are named here on purpose', () => {
    const imports = typescript
      .filter((file) => !/\.test\.ts$|^cluster-tests\//.test(file))
      .filter((file) => !file.startsWith('daemon/adapters/'))
      .flatMap((file) =>
        [...read(file).matchAll(/from '([^'.][^']*)'/g)].map(
          (match) => `${file.split('/')[0]}: ${match[1]}`,
        ),
      )
      .filter((entry) => !entry.includes(': node:'));
    expect([...new Set(imports)].sort()).toEqual([
      'cli: commander',
      'cli: env-paths',
      'cli: log-update',
      'proto: protobufjs/minimal.js',
      'proto: zod',
    ]);
  });
});

test('what imports what, folder by folder, is what ARCHITECTURE.md says', () => {
  const folderOf = (file: string): string => (dirname(file) === 'daemon' ? file : dirname(file));
  const edges = new Map<string, Set<string>>();
  for (const file of typescript) {
    const isOurs = /^(proto|cli|daemon)\//.test(file) && !/\.test\.ts$/.test(file);
    for (const [, target = ''] of isOurs ? read(file).matchAll(/from '(\.[^']+)'/g) : []) {
      const from = folderOf(file);
      const to = folderOf(normalize(join(dirname(file), target)));
      if (from !== to) edges.set(from, (edges.get(from) ?? new Set()).add(to));
    }
  }
  const short = (folder: string): string => folder.replace(/^daemon\//, '');
  const found = [...edges]
    .map(([from, to]) => `${short(from)}: ${[...to].map(short).sort().join(', ')}`)
    .sort();
  const told = /<!-- imports -->\n```\n([^`]*)\n```/.exec(read('ARCHITECTURE.md'))?.[1];
  expect(told?.split('\n')).toEqual(found);
});

test('no code is left half done', () => {
  const marks = new RegExp(['TO' + 'DO', 'FIX' + 'ME', '@ts-' + 'ignore', 'as ' + 'any'].join('|'));
  expect(
    linesWith(
      code.filter((file) => !file.endsWith('house.test.ts')),
      marks,
    ),
  ).toEqual([]);
});

test('the number of runtime packages is raised on purpose', () => {
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: object };
  expect(Object.keys(dependencies)).toHaveLength(28);
});

test('versions are exact', () => {
  const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Record<
    string,
    Record<string, string>
  >;
  const loose = Object.entries({ ...dependencies, ...devDependencies }).filter(
    ([, version]) => !/^\d+\.\d+\.\d+$/.test(version),
  );
  expect(loose).toEqual([]);
});

test('no path of one machine stands in the project', () => {
  const texts = [
    ...code,
    'README.md',
    'ARCHITECTURE.md',
    'CHANGELOG.md',
    ...filesBelow('docs', /\.md$/),
  ];
  const homes = new RegExp(['/ho' + 'me/', '/ro' + 'ot/', '/wo' + 'rk/', '/Us' + 'ers/'].join('|'));
  expect(linesWith(texts, homes)).toEqual([]);
});

test('every fault kind has its own code and a hint', async () => {
  const files = typescript.filter((file) => /faults\.ts$|settings\.ts$|local-api\.ts$/.test(file));
  const codes = files.flatMap((file) =>
    [...read(file).matchAll(/code: '(QD-\d{4})'/g)].map((m) => m[1]),
  );
  expect(codes.length).toBeGreaterThan(40);
  expect(new Set(codes).size).toBe(codes.length);
  const withoutHint = files.filter((file) => {
    const text = read(file);
    return (text.match(/code: 'QD-/g) ?? []).length > (text.match(/\bhint:/g) ?? []).length;
  });
  expect(withoutHint).toEqual([]);
});
