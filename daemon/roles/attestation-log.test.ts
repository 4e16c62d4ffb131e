import { expect, test } from 'vitest';
import { identityOf } from '../adapters/cryptography.ts';
import type { Plan } from '../core/plan/plan.ts';
import type { UnitId } from '../core/plan/unit-id.ts';
import { AttestationLog } from './attestation-log.ts';

const unit = (index: number): UnitId => index.toString(16).padStart(64, '0') as UnitId;
const made = (index: number): { unit: UnitId; digest: Uint8Array }[] => [
  { unit: unit(index), digest: new Uint8Array(32).fill(index) },
];
const planOf = (...units: UnitId[]): Plan =>
  ({ tasks: units.map((each) => ({ runs: [{ unit: each }] })) }) as unknown as Plan;

/** A file in memory, of which a crash may keep only a part. */
function memoryFile(): {
  bytes: Buffer;
  append(name: string, more: Uint8Array): Promise<void>;
  read(): Promise<Uint8Array>;
} {
  return {
    bytes: Buffer.alloc(0),
    async append(_name, more) {
      this.bytes = Buffer.concat([this.bytes, more]);
    },
    async read() {
      return this.bytes;
    },
  };
}

test('a line that a crash tore takes none of those with it that come after', async () => {
  const file = memoryFile();
  const key = identityOf(new Uint8Array(32).fill(3));
  const before = new AttestationLog(file, key);
  before.attest({ made: made(1) });
  before.attest({ made: made(2) });
  expect(await before.text(planOf(unit(1), unit(2)))).toMatchObject({ missing: 0 });
  file.bytes = file.bytes.subarray(0, file.bytes.length - 40);
  const after = new AttestationLog(file, key);
  after.attest({ made: made(3) });
  const { text, missing } = await after.text(planOf(unit(1), unit(2), unit(3)));
  expect(missing).toBe(1);
  const kept = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).units[0][0]);
  expect(kept).toEqual([unit(1), unit(3)]);
});
