/** Goal: nothing in a release can change without being named, and what is right is never blamed. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256 } from '../../cluster-tests/simulator/sha256.ts';
import {
  type Files,
  makeSmallRelease,
  memoryFolder,
  putLock,
  SIGNER,
} from '../../cluster-tests/small-release.ts';
import type { RunEvent } from '../../proto/api.ts';
import { FaultError } from '../../proto/fault.ts';
import { LEFT_FILE } from '../../proto/left-record.ts';
import { LOCK_FILE, type LockFile, SIGNATURE_FILE } from '../../proto/lockfile.ts';
import { cryptography } from '../adapters/cryptography.ts';
import { compareSums, readSums } from '../core/release/checksums.ts';
import { encodeLeft } from '../core/release/left-record.ts';
import { pureFiles } from '../core/release/read-lock.ts';
import { checkSignature } from '../core/release/signature.ts';
import { type VerifyPorts, verifyRelease } from './verify-release.ts';

type Finding = Extract<RunEvent, { type: 'finding' }>;
type Verified = Extract<RunEvent, { type: 'verified' }>;

interface Outcome {
  /** Code of the fault at the end. */
  readonly code: string | undefined;
  readonly faults: readonly Finding[];
  readonly warnings: readonly Finding[];
  readonly verified: Verified | undefined;
}

async function verify(
  files: Files,
  { named, signer }: { named?: string; signer?: string } = {},
): Promise<Outcome> {
  const events: RunEvent[] = [];
  const unused = (): never => {
    throw new Error('not asked for');
  };
  const ports: VerifyPorts = {
    openRelease: async () => memoryFolder(files, named),
    openSource: unused,
    openFile: unused,
    splitPath: unused,
    parseToml: unused,
    kernels: { info: { threads: 2 } } as VerifyPorts['kernels'],
    clock: {
      now: () => 0,
      after: (_, work) => {
        work();
        return () => undefined;
      },
    },
    sha256,
    verify: cryptography.verify,
    version: '0.1.0',
  };
  const request = { kind: 'verify', release: '/release', spot: 0, seed: 1 } as const;
  const wanted = signer === undefined ? request : { ...request, signer };
  let code: string | undefined;
  try {
    await verifyRelease(wanted, ports, (event) => events.push(event), new AbortController().signal);
  } catch (error) {
    if (!(error instanceof FaultError)) throw error;
    code = error.kind.code;
  }
  const findings = events.filter((event): event is Finding => event.type === 'finding');
  return {
    code,
    faults: findings.filter(({ severity }) => severity === 'fault'),
    warnings: findings.filter(({ severity }) => severity === 'warning'),
    verified: events.find((event): event is Verified => event.type === 'verified'),
  };
}

const { files: whole, lock: wholeLock } = makeSmallRelease();

function changed(file: string, edit: (bytes: Uint8Array) => Uint8Array): Files {
  const files = new Map(whole);
  files.set(file, edit((files.get(file) ?? new Uint8Array(0)).slice()));
  return files;
}

/** What is found; a fault counts as one. */
function countOf(check: (bytes: Uint8Array) => readonly unknown[], bytes: Uint8Array): number {
  try {
    return check(bytes).length;
  } catch (error) {
    if (!(error instanceof FaultError)) throw error;
    return 1;
  }
}

function flipped(bytes: Uint8Array, byte: number, bit: number): Uint8Array {
  bytes[byte] = (bytes[byte] ?? 0) ^ (1 << bit);
  return bytes;
}

test('a release as it was made has nothing wrong', async () => {
  const { code, faults, warnings, verified } = await verify(whole);
  expect([code, faults, warnings]).toEqual([undefined, [], []]);
  expect(verified).toMatchObject({ signer: SIGNER, files: 9, tensors: 5, types: 'lockfile' });
});

describe('one bit', () => {
  const names = [...whole.keys()];

  test('of any file is found, and the file is named', async () => {
    const anyBit = fc.constantFrom(...names).chain((file) =>
      fc.record({
        file: fc.constant(file),
        byte: fc.nat((whole.get(file)?.length ?? 1) - 1),
        bit: fc.nat(7),
      }),
    );
    await fc.assert(
      fc.asyncProperty(anyBit, async ({ file, byte, bit }) => {
        const { code, faults } = await verify(changed(file, (bytes) => flipped(bytes, byte, bit)));
        expect(code).toBe('QD-6501');
        // What is said of a lockfile is said by the signature beside it, too.
        const accused = [file, ...(file === LOCK_FILE ? [SIGNATURE_FILE] : [])];
        expect(accused).toContain(faults[0]?.file);
      }),
      { numRuns: 60 },
    );
  });

  // Where a reader may look away: spaces, spare bits of base64, letters that may be capitals.
  test('of the signature or of SHA256SUMS is found wherever it is', () => {
    const bytesOf = (file: string): Uint8Array => whole.get(file) ?? new Uint8Array(0);
    const lock = bytesOf(LOCK_FILE);
    const listed = pureFiles(wholeLock.lock);
    const checks: [string, (bytes: Uint8Array) => readonly unknown[]][] = [
      [SIGNATURE_FILE, (bytes) => checkSignature(lock, bytes, cryptography.verify).findings],
      ['SHA256SUMS', (bytes) => compareSums(readSums(bytes), listed)],
    ];
    for (const [file, check] of checks) {
      expect(check(bytesOf(file))).toEqual([]);
      for (let bit = 0; bit < 8 * bytesOf(file).length; bit++) {
        const bytes = flipped(bytesOf(file).slice(), bit >> 3, bit & 7);
        expect(countOf(check, bytes), `${file} bit ${bit}`).toBeGreaterThan(0);
      }
    }
  });

  test('of an output is found in its header, its tensor or between two', async () => {
    const file = 'Small-Q4_0.gguf';
    const bytes = whole.get(file) ?? new Uint8Array(0);
    // No multiple of anything in it, so that all kinds of bytes are met.
    for (let byte = 0; byte < bytes.length; byte += 7) {
      const { faults } = await verify(changed(file, (all) => flipped(all, byte, byte & 7)));
      const place = faults.find(({ code }) => /^QD-651[3457]$/.test(code));
      expect(place, `byte ${byte}`).toMatchObject({ file });
      if (place?.code === 'QD-6517') continue;
      const [, first, last] = /bytes (\d+) to (\d+)$/.exec(place?.why ?? '') ?? [];
      expect(byte).toBeGreaterThanOrEqual(Number(first));
      expect(byte).toBeLessThanOrEqual(Number(last));
    }
  });
});

describe('a file', () => {
  test('that is cut, longer or away is told of', async () => {
    for (const file of wholeLock.lock.files.map((entry) => entry.file)) {
      const cut = await verify(changed(file, (bytes) => bytes.subarray(0, -1)));
      expect(cut.faults[0], file).toMatchObject({ file, code: 'QD-6511' });
      const longer = await verify(changed(file, (bytes) => Buffer.concat([bytes, bytes])));
      expect(longer.faults[0], file).toMatchObject({ file, code: 'QD-6511' });
    }
  });

  test('that nobody lists is a warning', async () => {
    const files = new Map(whole).set('virus.exe', new Uint8Array(3));
    const { code, warnings } = await verify(files);
    expect(code).toBe(undefined);
    expect(warnings).toMatchObject([{ code: 'QD-6520', file: 'virus.exe' }]);
  });

  test('of a release is verified by itself, with the same lockfile', async () => {
    const named = 'Small-Q8_0.gguf';
    const { code, verified } = await verify(whole, { named });
    expect(code).toBe(undefined);
    expect(verified).toMatchObject({ files: 1, tensors: 2, signer: SIGNER });
    const wrong = await verify(
      changed(named, (bytes) => flipped(bytes, bytes.length - 40, 0)),
      { named },
    );
    expect(wrong.code).toBe('QD-6501');
  });

  test('without a lockfile is compared with SHA256SUMS, or with nothing', async () => {
    const named = 'Small-Q8_0.gguf';
    const bytes = whole.get(named) ?? new Uint8Array(0);
    const alone = await verify(new Map([[named, bytes]]), { named });
    expect([alone.code, alone.warnings.map(({ code }) => code)]).toEqual([undefined, ['QD-6522']]);
    const sums = whole.get('SHA256SUMS') ?? new Uint8Array(0);
    const beside = new Map([
      [named, flipped(bytes.slice(), bytes.length - 60, 3)],
      ['SHA256SUMS', sums],
    ]);
    const wrong = await verify(beside, { named });
    expect(wrong.faults).toMatchObject([{ code: 'QD-6512', file: named }]);
  });
});

describe('an output that was left on another machine', () => {
  const [away] = wholeLock.lock.outputs;
  const { file = '', bytes = 0, sha256: digest = '' } = away ?? {};
  const where = { id: digest, machine: 'box', peer: 'peer', path: '/there/x.gguf' };
  const leaving = (told: { bytes: number }): Files => {
    const files = new Map(whole);
    files.delete(file);
    const outputs = [{ file, sha256: digest, ...where, ...told }];
    files.set(LEFT_FILE, encodeLeft({ release: '0'.repeat(32), outputs }));
    return files;
  };

  test('is told of, and the rest is what it should be', async () => {
    const { code, faults, warnings, verified } = await verify(leaving({ bytes }));
    expect([code, faults]).toEqual([undefined, []]);
    expect(warnings).toMatchObject([{ code: 'QD-6535', file, why: 'box' }]);
    expect(verified).toMatchObject({ files: 8, left: 1 });
  });

  test('is read where it lies in the folder all the same', async () => {
    const files = leaving({ bytes });
    files.set(file, flipped((whole.get(file) ?? new Uint8Array(0)).slice(), 40, 1));
    expect((await verify(files)).faults[0]).toMatchObject({ file });
  });

  test('is missing where its record says something else than the lockfile', async () => {
    const { code, faults } = await verify(leaving({ bytes: bytes + 1 }));
    expect(code).toBe('QD-6501');
    expect(faults.map((fault) => [fault.code, fault.file])).toEqual([
      ['QD-6534', LEFT_FILE],
      ['QD-6552', file],
    ]);
  });
});

describe('who signed', () => {
  test('is asked for', async () => {
    expect((await verify(whole, { signer: SIGNER })).code).toBe(undefined);
    const other = await verify(whole, { signer: `${SIGNER}x` });
    expect(other.faults).toMatchObject([{ code: 'QD-6507' }]);
  });

  test('may be nobody, unless someone is asked for', async () => {
    const files = new Map(whole);
    files.delete(SIGNATURE_FILE);
    const { code, warnings } = await verify(files);
    expect([code, warnings[0]?.code]).toEqual([undefined, 'QD-6506']);
    expect((await verify(files, { signer: SIGNER })).code).toBe('QD-6501');
  });

  test('cannot be someone else with the same words', async () => {
    const text = new TextDecoder().decode(whole.get(SIGNATURE_FILE));
    const other = cryptography.random(32);
    const files = changed(SIGNATURE_FILE, () =>
      new TextEncoder().encode(
        text.replace(/("publicKey": ")[^"]*/, `$1${Buffer.from(other).toString('base64')}`),
      ),
    );
    expect((await verify(files)).faults).toMatchObject([{ code: 'QD-6504' }]);
  });
});

describe('a signed lockfile that is hostile', () => {
  const edits: Record<string, (lock: LockFile) => unknown> = {
    'a path that leaves the folder': ({ lock, run }) => ({
      lock: {
        ...lock,
        files: [{ file: '../secret', bytes: 1, sha256: lock.contracts.quantizers }],
      },
      run,
    }),
    'an absolute path': ({ lock, run }) => ({
      lock: { ...lock, files: [{ file: '/etc/passwd', bytes: 1, sha256: '0'.repeat(64) }] },
      run,
    }),
    'a file twice': ({ lock, run }) => ({
      lock: { ...lock, files: [...lock.files, ...lock.files] },
      run,
    }),
    'two digests for a file': ({ lock, run }) => ({
      lock: { ...lock, imatrix: { ...lock.imatrix, sha256: '0'.repeat(64) } },
      run,
    }),
    'a tensor twice': ({ lock, run }) => ({
      lock: {
        ...lock,
        outputs: lock.outputs.map((output) => ({
          ...output,
          tensors: [...output.tensors, ...output.tensors],
        })),
      },
      run,
    }),
    'a negative size': ({ lock, run }) => ({
      lock: { ...lock, model: { ...lock.model, elements: -1 } },
      run,
    }),
    'a field that nobody knows': ({ lock, run }) => ({ lock: { ...lock, extra: 1 }, run }),
    'another schema': ({ lock, run }) => ({ lock: { ...lock, schema: 2 }, run }),
    'itself among its files': ({ lock, run }) => ({
      lock,
      run: { ...run, files: [{ file: LOCK_FILE, bytes: 1, sha256: '0'.repeat(64) }] },
    }),
  };

  test.each(Object.entries(edits))('with %s is refused', async (_, edit) => {
    const files = new Map(whole);
    putLock(files, edit(wholeLock));
    const { faults } = await verify(files);
    expect(faults[0]).toMatchObject({ code: 'QD-6503', file: LOCK_FILE });
  });

  test('cut anywhere is refused', async () => {
    const bytes = whole.get(LOCK_FILE) ?? new Uint8Array(0);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 3), async (length) => {
        const files = new Map(whole);
        putLock(files, bytes.slice(0, length));
        const { faults } = await verify(files);
        expect(faults[0]).toMatchObject({ code: 'QD-6503' });
      }),
      { numRuns: 30 },
    );
  });

  test('with a key given twice, or nested without end, is refused', async () => {
    const text = new TextDecoder().decode(whole.get(LOCK_FILE));
    for (const hostile of [
      text.replace('"run":', '"run": {}, "run":'),
      `{"lock":${'['.repeat(100_000)}`,
      '[]',
      '',
    ]) {
      const files = new Map(whole);
      putLock(files, new TextEncoder().encode(hostile));
      expect((await verify(files)).faults[0]).toMatchObject({ code: 'QD-6503' });
    }
  });

  test('whose tensors are others than the file has says which', async () => {
    const [first, ...rest] = wholeLock.lock.outputs;
    const tensors = first?.tensors.map(([name, , digest]) => [name, 'Q6_K', digest]);
    const files = new Map(whole);
    const outputs = [{ ...first, tensors }, ...rest];
    putLock(files, { ...wholeLock, lock: { ...wholeLock.lock, outputs } });
    const { faults } = await verify(files);
    expect(faults).toMatchObject([
      { code: 'QD-6516', file: 'Small-Q8_0.gguf', tensor: 'blk.0.attn_q.weight' },
    ]);
  });
});
