/** Goal: two lockfiles are one release, or what makes them two is named, inputs before outputs. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { makeSmallRelease } from '../../../cluster-tests/small-release.ts';
import { FaultError } from '../../../proto/fault.ts';
import type { PureLock } from '../../../proto/lockfile.ts';
import { quantizeRequest } from '../../../proto/requests.ts';
import { compareLocks } from './compare-locks.ts';
import { RULES, wishesOf } from './lock.ts';
import { checkContracts, folderName, requestFromLock } from './rebuild.ts';

const { lock } = makeSmallRelease().lock;

/** Every place in a value where a number or a text stands. */
function leavesOf(value: unknown, path: readonly string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [[...path]];
  return Object.entries(value).flatMap(([key, inner]) => leavesOf(inner, [...path, key]));
}

/** A copy in which one leaf is another of its kind. */
function changed(value: PureLock, path: readonly string[]): PureLock {
  const copy = structuredClone(value);
  let place: Record<string, unknown> = copy;
  for (const key of path.slice(0, -1)) place = place[key] as Record<string, unknown>;
  const last = path.at(-1) ?? '';
  const leaf = place[last];
  place[last] =
    typeof leaf === 'number' ? leaf + 1 : typeof leaf === 'boolean' ? !leaf : `${leaf}x`;
  return copy;
}

test('the same lockfile has no difference, whatever order its keys are in', () => {
  const turned = Object.fromEntries(Object.entries(lock).reverse()) as PureLock;
  expect(compareLocks(lock, structuredClone(lock))).toEqual([]);
  expect(compareLocks(lock, turned)).toEqual([]);
});

test('a change of any one value is found', () => {
  fc.assert(
    fc.property(fc.constantFrom(...leavesOf(lock)), (path) => {
      expect(compareLocks(lock, changed(lock, path)).length).toBeGreaterThan(0);
      expect(compareLocks(changed(lock, path), lock).length).toBeGreaterThan(0);
    }),
  );
});

test.each([
  [['source', 'files', '0', 'sha256'], { file: 'source/model.safetensors' }],
  [['contracts', 'quantizers'], { key: 'contracts.quantizers' }],
  [['wishes', 'types', '1'], { key: 'wishes.types.1' }],
  [['imatrix', 'sha256'], { file: 'Small-imatrix.gguf' }],
  [['files', '2', 'sha256'], { file: 'README.md' }],
])('a change of %s is named', (path, detail) => {
  expect(compareLocks(lock, changed(lock, path))[0]?.detail).toMatchObject(detail);
});

test('outputs that differ are told of by tensor, after the inputs', () => {
  const made = structuredClone(lock);
  const [, output] = made.outputs;
  if (output?.tensors[0] === undefined) throw new Error('the small release has two outputs');
  output.tensors[0][2] = '0'.repeat(64);
  output.sha256 = '1'.repeat(64);
  const details = compareLocks(lock, made).map(({ detail }) => detail);
  expect(details).toMatchObject([{ file: 'Small-Q4_0.gguf', tensor: 'blk.0.attn_q.weight' }]);
  made.model.name = 'Other';
  expect(compareLocks(lock, made)[0]?.detail.key).toBe('model.name');
});

describe('a lockfile as a request', () => {
  const paths = {
    source: { source: '/s' },
    out: '/o',
    texts: ['/t/one'],
    imatrix: '/m/Small-imatrix.gguf',
  };

  test('asks for what was asked for', () => {
    fc.assert(
      fc.property(
        fc.record({
          types: fc.array(fc.constantFrom('Q8_0', 'Q4_K_M', 'IQ1_S'), { minLength: 1 }),
          pure: fc.boolean(),
          keepSplit: fc.boolean(),
          tensorTypes: fc.array(fc.constantFrom('attn=Q6_K', 'ffn=Q4_0')),
          overrideKv: fc.array(fc.constant('general.license=str:mit')),
          pruneLayers: fc.array(fc.nat(9)),
          compat: fc.option(fc.constant('llama-quantize'), { nil: undefined }),
        }),
        ({ compat, ...asked }) => {
          const common = { kind: 'quantize', source: '/x', out: '/y', ...asked };
          const request = quantizeRequest.parse(
            compat === undefined ? common : { ...common, compat },
          );
          const wishes = wishesOf(request, 'Small');
          const { kind, ...again } = requestFromLock({ ...lock, wishes }, paths);
          expect(kind).toBe('release');
          expect(again).toMatchObject({ source: '/s', out: '/o', overwrite: false });
          expect(wishesOf({ ...again, kind: 'quantize', dryRun: false }, 'Small')).toEqual(wishes);
        },
      ),
    );
  });

  test('takes a matrix that was given under the name that it had', () => {
    expect(requestFromLock(lock, paths).imatrix).toEqual({
      path: '/m/Small-imatrix.gguf',
      given: 'Small-imatrix.gguf',
    });
  });

  test('with a name that is a path is refused', () => {
    const hostile = { ...lock, wishes: { ...lock.wishes, name: '../../etc' } };
    expect(() => folderName(hostile)).toThrow(FaultError);
    expect(folderName(lock)).toBe('Small-GGUF');
  });
});

describe('contracts', () => {
  const { quantizers, measuring } = lock.contracts;
  const own = { version: '0.1.0', selfTests: { quantizers, forward: measuring.selfTest } };
  const locked = { quantd: '0.1.0', contracts: { ...lock.contracts, rules: RULES } };

  test('that are the same are enough, another version is a warning', () => {
    expect(checkContracts(locked, own, measuring.name)).toEqual([]);
    const older = checkContracts({ ...locked, quantd: '0.0.9' }, own, measuring.name);
    expect(older).toMatchObject([{ severity: 'warning', kind: { code: 'QD-6521' } }]);
  });

  test('that differ end it, with the version to install', () => {
    const other = { ...own, selfTests: { ...own.selfTests, quantizers: 'f'.repeat(64) } };
    expect(() => checkContracts({ ...locked, quantd: '0.0.9' }, other, measuring.name)).toThrow(
      expect.objectContaining({
        kind: expect.objectContaining({ code: 'QD-6530' }),
        detail: expect.objectContaining({
          key: 'contracts.quantizers',
          hint: expect.stringContaining('quantd@0.0.9'),
        }),
      }),
    );
  });
});
