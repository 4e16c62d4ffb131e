import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyBlob, anyDigest, anyLease, anyMessage } from '../cluster-tests/any-peer-message.ts';
import type { BlobName } from './blob-names.ts';
import {
  decodeBlockReply,
  decodeBlockRequest,
  encodeBlockReply,
  encodeBlockRequest,
} from './block-codec.ts';
import { joinBytes } from './bytes.ts';
import { FaultError } from './fault.ts';
import { decodePeerMessage, encodePeerMessage } from './peer-codec.ts';
import { FRAME_BYTES_MAX } from './peer-limits.ts';
import { LEAF_BYTES, type Lease, type PeerMessage } from './peer-messages.ts';

/** Decodes, and tells whether it was refused in the way it must be. */
function refused(decode: () => unknown): boolean {
  try {
    decode();
    return false;
  } catch (error) {
    expect(error).toBeInstanceOf(FaultError);
    return true;
  }
}

const frameOf = (...parts: number[][]): Uint8Array => Uint8Array.from(parts.flat());
/** A field of the wire type with a length, in front of its bytes. */
function field(number: number, body: Uint8Array | number[]): number[] {
  const length = [];
  for (let rest = body.length; ; rest >>>= 7) {
    length.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest <= 127) break;
  }
  const tag = number < 16 ? [(number << 3) | 2] : [((number << 3) & 127) | 130, number >> 4];
  return [...tag, ...length, ...body];
}

describe('what is said is understood', () => {
  test('every message', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        expect(decodePeerMessage(encodePeerMessage(message))).toEqual(message);
      }),
      { numRuns: 500 },
    );
  });

  test('every request for a block and both replies', () => {
    fc.assert(
      fc.property(anyBlob, fc.option(anyDigest), fc.maxSafeNat(), (blob, told, place) => {
        const bytes = Math.min(LEAF_BYTES, blob.bytes);
        const isDigestKnown = told === null;
        const digest = told ?? undefined;
        const request = { blob, offset: place % (blob.bytes - bytes + 1), bytes, isDigestKnown };
        expect(decodeBlockRequest(encodeBlockRequest(request))).toEqual(request);
        const reply = { kind: 'ok' as const, digest, bytes };
        expect(decodeBlockReply(encodeBlockReply(reply))).toEqual(reply);
      }),
    );
    expect(decodeBlockReply(encodeBlockReply({ kind: 'absent' }))).toEqual({ kind: 'absent' });
  });

  test('a sentence that is too long loses its end, not its frame', () => {
    const declined = `${'x'.repeat(5000)}\ud800`;
    const answer = {
      kind: 'answer' as const,
      run: '0'.repeat(32),
      task: 1,
      made: [],
      signature: new Uint8Array(0),
      declined,
    };
    const back = decodePeerMessage(encodePeerMessage(answer));
    expect(back).toMatchObject({ declined: `${'x'.repeat(2047)}…` });
  });
});

describe('whatever comes in ends in a message or in a fault', () => {
  test('any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (frame) => {
        refused(() => decodePeerMessage(frame));
        refused(() => decodeBlockRequest(frame));
        refused(() => decodeBlockReply(frame));
      }),
      { numRuns: 2000 },
    );
  });

  test('a message with bytes changed, put in or cut off', () => {
    const edits = fc.array(
      fc.record({ at: fc.nat(), drop: fc.nat(3), put: fc.uint8Array({ maxLength: 3 }) }),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(anyMessage, edits, (message, changes) => {
        const frame = [...encodePeerMessage(message)];
        for (const { at, drop, put } of changes) {
          frame.splice(at % (frame.length + 1), drop, ...put);
        }
        let understood: PeerMessage;
        try {
          understood = decodePeerMessage(Uint8Array.from(frame));
        } catch (error) {
          expect(error).toBeInstanceOf(FaultError);
          return;
        }
        // What got through is a message like any other.
        expect(decodePeerMessage(encodePeerMessage(understood))).toEqual(understood);
      }),
      { numRuns: 2000 },
    );
  });

  test('every beginning of a lease', () => {
    const [lease] = fc.sample(anyLease, { numRuns: 1, seed: 7 });
    if (lease === undefined) throw new Error('fast-check gave no lease');
    const frame = encodePeerMessage(lease);
    for (let length = 0; length < frame.length; length++) {
      refused(() => decodePeerMessage(frame.subarray(0, length)));
    }
    expect(refused(() => decodePeerMessage(frame.subarray(0, 10)))).toBe(true);
  });
});

/** An `assemble` of a file of 100 bytes. */
function assembleFields(file: string, headerBytes = 10): number[] {
  const digest = new Array<number>(32).fill(1);
  return [
    ...field(1, digest.slice(0, 16)),
    ...field(4, digest.slice(0, 16)),
    ...field(5, [...Buffer.from(file)]),
    ...field(6, digest),
    ...[56, 100, 64, (headerBytes & 127) | (headerBytes > 127 ? 128 : 0)],
    ...(headerBytes > 127 ? [headerBytes >> 7] : []),
    ...field(10, digest),
  ];
}

describe('hostile frames', () => {
  test('the assembly that is damaged below is one when it is not', () => {
    const frame = frameOf(field(18, assembleFields('a.gguf')));
    expect(decodePeerMessage(frame)).toMatchObject({ kind: 'assemble', file: 'a.gguf' });
  });

  const run = field(1, new Array<number>(16).fill(7));
  const cases: Record<string, Uint8Array> = {
    'nothing at all': frameOf(),
    'an unknown message': frameOf(field(30, [])),
    'an assembly of no output': frameOf(field(18, run)),
    'an output outside its folder': frameOf(field(18, assembleFields('../x'))),
    'an output in a folder': frameOf(field(18, assembleFields('a/b.gguf'))),
    'an output that would be hidden': frameOf(field(18, assembleFields('.part'))),
    'a header behind its file': frameOf(field(18, assembleFields('a.gguf', 200))),
    'a state of no phase': frameOf(field(19, [...run, 16, 1, 24, 1, 32, 0])),
    'a run id of 15 bytes': frameOf(field(2, field(1, new Array<number>(15).fill(1)))),
    'a run id of 17 bytes': frameOf(field(2, field(1, new Array<number>(17).fill(1)))),
    'a run id that is missing': frameOf(field(2, [])),
    'a run id that is a number': frameOf(field(2, [8, 5])),
    'a hello without anything': frameOf(field(1, [])),
    'a length past the end': Uint8Array.from([18, 100, 1, 2]),
    'a length of 2^32': Uint8Array.from([18, 0x80, 0x80, 0x80, 0x80, 0x10]),
    'a varint of 11 bytes': frameOf(field(3, [16, ...new Array<number>(10).fill(0xff), 1])),
    'an end without a group': Uint8Array.from([(2 << 3) | 4]),
    'a group that never ends': Uint8Array.from([(20 << 3) | 3]),
    'a bomb of groups': new Uint8Array(FRAME_BYTES_MAX).fill((9 << 3) | 3),
    'a wire type that does not exist': Uint8Array.from([(2 << 3) | 7, 0, 0]),
    'field number 0': Uint8Array.from([2, 0]),
    'more than a frame': new Uint8Array(FRAME_BYTES_MAX + 1),
    '2^40 tasks by the count': frameOf(field(4, [...run, ...field(2, new Uint8Array(5000))])),
    'records by the thousand': frameOf(field(8, new Array(2000).fill(field(1, [])).flat())),
    'an empty record': frameOf(field(8, field(1, []))),
    'a network key of 31 bytes': frameOf(field(9, field(2, new Uint8Array(31)))),
  };
  for (const [what, frame] of Object.entries(cases)) {
    test(what, () => {
      expect(refused(() => decodePeerMessage(frame))).toBe(true);
    });
  }

  const lease: Lease = {
    kind: 'lease',
    run: '0'.repeat(32),
    task: 1,
    tensor: 'blk.0.attn_q.weight',
    element: 'BF16',
    shape: [256, 4],
    rowStart: 0,
    rows: 4,
    pieces: [
      {
        file: 'model.safetensors',
        fileDigest: '1'.repeat(64),
        offset: 8,
        bytes: LEAF_BYTES + 1,
        leaves: [new Uint8Array(32), new Uint8Array(32)],
      },
    ],
    sources: ['12D3KooW'.padEnd(52, 'x')],
    runs: [{ unit: '2'.repeat(64), type: 'Q4_K', bytes: 144 }],
    assemblers: [],
  };
  const [piece] = lease.pieces;
  const [leased] = lease.runs;
  if (piece === undefined || leased === undefined) throw new Error('the lease has its parts');
  const leases: Record<string, Lease> = {
    'a leaf too few': { ...lease, pieces: [{ ...piece, leaves: [new Uint8Array(32)] }] },
    'a leaf too many': {
      ...lease,
      pieces: [{ ...piece, leaves: [...piece.leaves, new Uint8Array(32)] }],
    },
    'a digest of 31 bytes': { ...lease, pieces: [{ ...piece, fileDigest: '1'.repeat(62) }] },
    'a piece of no bytes': { ...lease, pieces: [{ ...piece, bytes: 0, leaves: [] }] },
    'a piece of a terabyte': { ...lease, pieces: [{ ...piece, bytes: 2 ** 40 }] },
    'a piece that ends above 2^53': {
      ...lease,
      pieces: [{ ...piece, offset: Number.MAX_SAFE_INTEGER }],
    },
    'a number above 2^53': { ...lease, rowStart: 2 ** 60 },
    'no shape': { ...lease, shape: [] },
    'five dimensions': { ...lease, shape: [1, 1, 1, 1, 1] },
    'a dimension of 0': { ...lease, shape: [256, 0] },
    'no rows': { ...lease, rows: 0 },
    'no name': { ...lease, tensor: '' },
    'a name that moves the cursor': { ...lease, tensor: 'blk\u001b[2J' },
    'a name without end': { ...lease, tensor: 'x'.repeat(2000) },
    'a peer that is none': { ...lease, sources: ['../../etc/passwd'] },
    'too many sources': { ...lease, sources: new Array(65).fill(lease.sources[0]) },
    'an assembler that is none': { ...lease, assemblers: ['/dns4/evil'] },
    'too many runs': { ...lease, runs: new Array(65).fill(leased) },
    'importance of 5 bytes': { ...lease, importance: new Uint8Array(5) },
  };
  for (const [what, message] of Object.entries(leases)) {
    test(`a lease with ${what}`, () => {
      expect(refused(() => decodePeerMessage(encodePeerMessage(message)))).toBe(true);
    });
  }
  test('and the same lease without all that', () => {
    expect(decodePeerMessage(encodePeerMessage(lease))).toEqual(lease);
  });

  test('a block outside its blob', () => {
    const blob: BlobName = {
      kind: 'block-run',
      run: '0'.repeat(32),
      unit: '2'.repeat(64),
      bytes: 100,
    };
    const request = (offset: number, bytes: number): boolean =>
      refused(() =>
        decodeBlockRequest(encodeBlockRequest({ blob, offset, bytes, isDigestKnown: true })),
      );
    expect(request(0, 100)).toBe(false);
    expect(request(1, 100)).toBe(true);
    expect(request(100, 1)).toBe(true);
    expect(request(0, 0)).toBe(true);
    expect(request(0, 101)).toBe(true);
  });

  // Goal: no frame is worth much more memory than itself. Method: the densest lists that a frame
  // can hold, each entry two bytes long; the decoder must give up early in them.
  const lists: Record<string, [message: number, list: number]> = {
    pieces: [3, 8],
    sources: [3, 9],
    runs: [3, 10],
    made: [5, 3],
    records: [8, 1],
  };
  for (const [what, [message, list]] of Object.entries(lists)) {
    test(`a frame full of empty ${what}`, () => {
      const empty = new Array<number[]>(32_000).fill(field(list, [])).flat();
      const bomb = frameOf(field(message, empty));
      expect(bomb.length).toBeLessThan(FRAME_BYTES_MAX);
      expect(() => decodePeerMessage(bomb)).toThrow('more than 4096 fields');
    });
  }
});

test('the committed code is what peer.proto gives', () => {
  const script = fileURLToPath(new URL('../scripts/generate-proto.mjs', import.meta.url));
  const directory = mkdtempSync(join(tmpdir(), 'quantd-proto-'));
  try {
    execFileSync(process.execPath, [script, directory]);
    for (const file of ['peer.generated.js', 'peer.generated.d.ts']) {
      const committed = fileURLToPath(new URL(`generated/${file}`, import.meta.url));
      expect(readFileSync(join(directory, file), 'utf8')).toBe(readFileSync(committed, 'utf8'));
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('bytes are put together in order', () => {
  expect(joinBytes([Uint8Array.of(1), Uint8Array.of(), Uint8Array.of(2, 3)])).toEqual(
    Uint8Array.of(1, 2, 3),
  );
});
