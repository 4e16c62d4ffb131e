/** Any message: generators of everything that peers may say, for tests. */

import fc from 'fast-check';
import type { BlobName } from '../proto/blob-names.ts';
import { exitCodes } from '../proto/fault.ts';
import { LEAF_BYTES, type Lease, type PeerMessage } from '../proto/peer-messages.ts';

const anyHex = (bytes: number): fc.Arbitrary<string> =>
  fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .map((value) => Buffer.from(value).toString('hex'));
export const anyDigest = fc.uint8Array({ minLength: 32, maxLength: 32 });
const anyRun = anyHex(16);
const anyName = fc.string({ minLength: 1, maxLength: 64, unit: 'grapheme' });
const anyCount = fc.oneof(fc.nat(1000), fc.constant(Number.MAX_SAFE_INTEGER), fc.maxSafeNat());
const anyTask = fc.nat(2 ** 32 - 1);
const base58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const anyPeer = fc.string({
  minLength: 52,
  maxLength: 52,
  unit: fc.constantFrom(...base58),
});
const anySentence = fc.string({ maxLength: 200, unit: 'grapheme' });
const maybe = { requiredKeys: [] as [] };

const anyPiece = fc
  .record({
    file: anyName,
    fileDigest: anyHex(32),
    offset: fc.nat(2 ** 31),
    bytes: fc.integer({ min: 1, max: 12 * LEAF_BYTES }),
  })
  .chain((piece) => {
    const count = Math.ceil(piece.bytes / LEAF_BYTES);
    return fc
      .array(anyDigest, { minLength: count, maxLength: count })
      .map((leaves) => ({ ...piece, leaves }));
  });

const anyFault = fc
  .tuple(
    fc.record({
      code: fc.constantFrom('QD-5101', 'QD-2203'),
      exit: fc.constantFrom(...Object.values(exitCodes)),
      what: anySentence,
      hint: anySentence,
    }),
    fc.record(
      {
        file: anySentence,
        tensor: anySentence,
        row: anyCount,
        byte: fc.oneof(anyCount, fc.constant('18446744073709551615')),
        key: anySentence,
        why: anySentence,
      },
      maybe,
    ),
  )
  .map(([fault, place]) => ({ ...place, ...fault }));

const anyOrigin = fc.record({
  hubUrl: fc.constantFrom('https://huggingface.co', 'http://127.0.0.1:1'),
  repository: fc.constantFrom('org/name', 'a-b/c.d_e'),
  commit: anyHex(20),
});

export const anyLease = fc
  .tuple(
    fc.record({
      kind: fc.constant('lease'),
      run: anyRun,
      task: anyTask,
      tensor: anyName,
      element: anyName,
      shape: fc.array(fc.integer({ min: 1, max: 2 ** 40 }), { minLength: 1, maxLength: 4 }),
      rowStart: anyCount,
      rows: fc.integer({ min: 1, max: 2 ** 40 }),
      pieces: fc.array(anyPiece, { maxLength: 4 }),
      sources: fc.array(anyPeer, { maxLength: 8 }),
      runs: fc.array(
        fc.record({ unit: anyHex(32), type: anyName, bytes: fc.integer({ min: 1, max: 2 ** 40 }) }),
        { maxLength: 8 },
      ),
      assemblers: fc.array(anyPeer, { maxLength: 8 }),
    }),
    fc.record({ importance: anyDigest, origin: anyOrigin }, maybe),
  )
  .map(([lease, more]): Lease => {
    // Of what comes from a hub nobody knows the leaves beforehand; what the coordinator keeps has them.
    const bare = lease.pieces.map((piece, at) => (at % 2 === 0 ? { ...piece, leaves: [] } : piece));
    return { ...lease, ...more, kind: 'lease', ...(more.origin ? { pieces: bare } : {}) };
  });

const anySet = (max: number, maxLength: number): fc.Arbitrary<number[]> =>
  fc
    .uniqueArray(fc.nat(max), { maxLength })
    .map((numbers) => numbers.toSorted((one, other) => one - other));

const anyBareStageLease = fc.record({
  kind: fc.constant('stage-lease' as const),
  run: anyRun,
  lease: anyTask,
  from: fc.nat(100),
  to: fc.integer({ min: 101, max: 200 }),
  group: anyTask,
  chunks: anySet(1000, 16),
  leftOut: anySet(1000, 16),
  collect: anySet(200, 100),
  inputs: fc.array(anyPeer, { maxLength: 8 }),
  leavesState: fc.boolean(),
  waveChunks: anyTask,
  description: anyDigest,
  descriptionBytes: fc.integer({ min: 1, max: 2 ** 26 }),
});

const anyStageLease: fc.Arbitrary<PeerMessage> = fc
  .tuple(anyBareStageLease, fc.record({ origin: anyOrigin }, maybe))
  .map(([lease, more]) => ({ ...lease, ...more }));

const anyStageMessage: fc.Arbitrary<PeerMessage> = fc.oneof<fc.Arbitrary<PeerMessage>[]>(
  anyStageLease,
  fc.record({
    kind: fc.constant('stage-working' as const),
    run: anyRun,
    leases: fc.array(anyTask, { maxLength: 50 }),
    passed: fc.maxSafeNat(),
    begun: anyTask,
  }),
  fc
    .tuple(
      fc.record({
        kind: fc.constant('stage-answer' as const),
        run: anyRun,
        lease: anyTask,
        bad: anySet(1000, 16),
        computeMs: anyTask,
      }),
      fc.record({ fault: anyFault, declined: anySentence, detour: anySentence }, maybe),
    )
    .map(([answer, why]) => ({ ...answer, ...why })),
  fc.record({
    kind: fc.constant('stage-kept' as const),
    run: anyRun,
    leases: fc.array(anyTask, { maxLength: 50 }),
  }),
  fc.record({
    kind: fc.constant('state-release' as const),
    run: anyRun,
    leases: fc.array(anyTask, { maxLength: 50 }),
  }),
  fc.record({
    kind: fc.constant('sums-held' as const),
    run: anyRun,
    sums: fc.array(
      fc.record({
        layer: fc.nat(1000),
        groups: anySet(1000, 50),
        leftOut: anySet(1000, 50),
        digest: anyDigest,
        bytes: fc.integer({ min: 1, max: 2 ** 30 }),
      }),
      { maxLength: 8 },
    ),
  }),
  fc.record({
    kind: fc.constant('sums-kept' as const),
    run: anyRun,
    digests: fc.array(anyDigest, { maxLength: 8 }),
  }),
);

const anyIndexes = fc.array(fc.nat(2 ** 17), { maxLength: 20 });
const anyOpening = { run: anyRun, output: fc.nat(1000), opening: anyTask };

const anyAssembly: fc.Arbitrary<PeerMessage> = fc.oneof<fc.Arbitrary<PeerMessage>[]>(
  fc.record({
    kind: fc.constant('assemble' as const),
    ...anyOpening,
    release: anyRun,
    file: fc.stringMatching(/^[A-Za-z0-9_-][A-Za-z0-9_ .-]{0,60}$/),
    id: anyDigest,
    fileBytes: fc.integer({ min: 2 ** 20, max: Number.MAX_SAFE_INTEGER }),
    headerBytes: fc.integer({ min: 1, max: 2 ** 20 }),
    runCount: fc.nat(2 ** 17),
    map: anyDigest,
  }),
  fc
    .tuple(
      fc.record({
        kind: fc.constant('assembly-state' as const),
        ...anyOpening,
        phase: fc.constantFrom(
          'open' as const,
          'lost' as const,
          'verifying' as const,
          'sealed' as const,
          'ended' as const,
          'declined' as const,
        ),
        stored: fc.uint8Array({ maxLength: 100 }),
        verifiedBytes: fc.maxSafeNat(),
      }),
      fc.record(
        {
          digest: anyDigest,
          path: anyName,
          declined: fc.string({ minLength: 1, maxLength: 200, unit: 'grapheme' }),
        },
        maybe,
      ),
    )
    .map(([state, more]) => ({ ...state, ...more })),
  fc.record({
    kind: fc.constant('assembly-take' as const),
    ...anyOpening,
    takes: fc.array(
      fc.record({ run: fc.nat(2 ** 17), serial: anyTask, digest: anyDigest, from: anyPeer }),
      { maxLength: 8 },
    ),
  }),
  fc.record({
    kind: fc.constant('assembly-taken' as const),
    ...anyOpening,
    written: anyIndexes,
    stored: anyIndexes,
    failed: fc.array(anyTask, { maxLength: 20 }),
  }),
  fc.record({ kind: fc.constant('assembly-seal' as const), ...anyOpening }),
  fc.record({ kind: fc.constant('assembly-end' as const), ...anyOpening, erase: fc.boolean() }),
);

export const anyMessage: fc.Arbitrary<PeerMessage> = fc.oneof<fc.Arbitrary<PeerMessage>[]>(
  anyStageMessage,
  anyAssembly,
  fc.record({
    kind: fc.constant('meet' as const),
    peer: anyPeer,
    addresses: fc.array(anyName, { maxLength: 8 }),
  }),
  fc.record({
    kind: fc.constant('hello' as const),
    version: anyName,
    contract: anyName,
    name: anyName,
    isa: anyName,
    threads: fc.nat(4096),
    ramBytes: anyCount,
    diskBytes: anyCount,
    bytesPerSecond: fc.double({ min: 0, max: 1e12, noNaN: true }),
    multiplicationsPerSecond: fc.double({ min: 0, max: 1e14, noNaN: true }),
  }),
  fc.record({ kind: fc.constant('run-open' as const), run: anyRun }),
  anyLease,
  fc.record({
    kind: fc.constant('working' as const),
    run: anyRun,
    tasks: fc.array(anyTask, { maxLength: 50 }),
  }),
  fc
    .tuple(
      fc.record({
        kind: fc.constant('answer' as const),
        run: anyRun,
        task: anyTask,
        made: fc.array(fc.record({ unit: anyHex(32), digest: anyDigest }), { maxLength: 8 }),
      }),
      fc.record(
        {
          fault: anyFault,
          declined: anySentence,
          leaves: fc.array(anyDigest, { minLength: 1, maxLength: 12 }),
          detour: anySentence,
        },
        maybe,
      ),
    )
    .chain(([answer, why]) => {
      const bytes = answer.made.length > 0 ? 64 : 0;
      return fc
        .uint8Array({ minLength: bytes, maxLength: bytes })
        .map((signature) => ({ ...answer, ...why, signature }));
    }),
  fc.record({
    kind: fc.constant('kept' as const),
    run: anyRun,
    tasks: fc.array(anyTask, { maxLength: 50 }),
  }),
  fc.record({
    kind: fc.constant('pieces-void' as const),
    run: anyRun,
    fileDigest: anyHex(32),
    pieces: fc.array(
      fc.record({ offset: fc.nat(2 ** 31), bytes: fc.integer({ min: 1, max: 2 ** 30 }) }),
      { minLength: 1, maxLength: 20 },
    ),
  }),
  fc.record({ kind: fc.constant('run-close' as const), run: anyRun, sealed: fc.boolean() }),
  fc.record({
    kind: fc.constant('members' as const),
    records: fc.array(fc.uint8Array({ minLength: 1, maxLength: 100 }), { maxLength: 8 }),
  }),
  fc.record({
    kind: fc.constant('key-change' as const),
    epoch: fc.nat(2 ** 32 - 1),
    networkKey: anyDigest,
  }),
);

export const anyBlob: fc.Arbitrary<BlobName> = fc.oneof<fc.Arbitrary<BlobName>[]>(
  fc.record({
    kind: fc.constant('source' as const),
    run: anyRun,
    fileDigest: anyHex(32),
    offset: fc.nat(2 ** 31),
    bytes: fc.integer({ min: 1, max: 2 ** 40 }),
  }),
  fc.record({
    kind: fc.constant('chain' as const),
    run: anyRun,
    fileDigest: anyHex(32),
    offset: fc.oneof(fc.nat(2 ** 31), fc.constant(Number.MAX_SAFE_INTEGER - 2 ** 30)),
    pieceBytes: fc.integer({ min: 1, max: 2 ** 30 }),
    state: fc.uint8Array({ minLength: 104, maxLength: 104 }),
    bytes: fc.integer({ min: 1, max: 2 ** 22 }),
  }),
  fc.record({
    kind: fc.constant('block-run' as const),
    run: anyRun,
    unit: anyHex(32),
    bytes: fc.integer({ min: 1, max: 2 ** 40 }),
  }),
  fc.record({
    kind: fc.constant('importance' as const),
    run: anyRun,
    digest: anyDigest,
    bytes: fc.integer({ min: 1, max: 2 ** 22 }),
  }),
  fc.record({
    kind: fc.constant('output' as const),
    run: anyRun,
    id: anyDigest,
    offset: fc.nat(2 ** 31),
    bytes: fc.integer({ min: 1, max: 2 ** 40 }),
  }),
  fc.record({
    kind: fc.constantFrom('description' as const, 'sums' as const, 'assembly-map' as const),
    run: anyRun,
    digest: anyDigest,
    bytes: fc.integer({ min: 1, max: 2 ** 22 }),
  }),
  fc.record({
    kind: fc.constant('layer-leaves' as const),
    run: anyRun,
    layer: fc.nat(1000),
    bytes: fc.integer({ min: 1, max: 2 ** 22 }),
  }),
  fc.record({
    kind: fc.constant('state' as const),
    run: anyRun,
    boundary: fc.nat(1000),
    chunk: anyTask,
    bytes: fc.integer({ min: 1, max: 2 ** 30 }),
  }),
  fc.record({
    kind: fc.constant('layer-inputs' as const),
    run: anyRun,
    layer: fc.nat(1000),
    chunk: anyTask,
    bytes: fc.integer({ min: 1, max: 2 ** 30 }),
  }),
);
