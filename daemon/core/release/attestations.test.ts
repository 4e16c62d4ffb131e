import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeAttestation, keepAttestations } from './attestations.ts';

const unit = (index: number): string => index.toString(16).padStart(64, '0');
const line = (units: readonly number[], peer = '12D3Koo'): string =>
  encodeAttestation({
    peer,
    made: units.map((each) => ({ unit: unit(each), digest: new Uint8Array(32).fill(each) })),
    signature: new Uint8Array(64),
  });

test('whatever order the lines came in, and however often, the text is one', () => {
  fc.assert(
    fc.property(
      fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 }),
      fc.nat(4),
      (order, twice) => {
        const lines = [...order, twice].map((each) => line([each]));
        const units = [0, 1, 2, 3, 4].map(unit);
        const kept = keepAttestations(lines.join(''), units);
        expect(kept).toEqual({ text: units.map((_, each) => line([each])).join(''), missing: 0 });
      },
    ),
  );
});

test('what a crash tore, and what is of another plan, is not kept; what is missing is counted', () => {
  const torn = line([1]).slice(0, -20);
  const kept = keepAttestations(
    `${line([0])}${torn}\n${line([9])}{"peer":1}\n`,
    [0, 1, 2].map(unit),
  );
  expect(kept).toEqual({ text: line([0]), missing: 2 });
});

test('of a unit that two have made the last line counts', () => {
  const kept = keepAttestations(line([0, 1], 'a') + line([1], 'b'), [1].map(unit));
  expect(kept.text).toBe(line([1], 'b'));
});
