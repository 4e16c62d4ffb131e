/**
 * Compare quantizers: rows through our job and through llama.cpp, byte for byte.
 *
 *   Sample ──▶ jobs of every instruction set, and the oracle ──▶ one comparison per type
 *
 * Read next: quantizers.test.ts; the same at length is quantizers-long.ts.
 */

import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import type { Kernels, QuantizeResult } from '../../daemon/ports.ts';
import { ORACLE_CODEBOOK_MAX, openGgml, type QuantizeRows } from './ggml.ts';
import { makeTargets, openKernels, type Sample } from './quantizer-samples.ts';
import { firstOverflow, type QuantizerType, quantizerTypes, typesFor } from './quantizer-types.ts';

/** Where two byte strings differ first, or undefined. Much cheaper than a matcher. */
export function difference(a: Uint8Array, b: Uint8Array): string | undefined {
  if (Buffer.compare(a, b) === 0) return undefined;
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return `byte ${at}: ${a[at]} is not ${b[at]}`;
}

/** Every instruction set against the oracle. */
export class Comparison {
  /** Weights compared of each type, without importance and with it. */
  readonly #plainWeights = new Map<string, number>();
  readonly #weightedWeights = new Map<string, number>();
  readonly #kernels: readonly Kernels[];
  readonly #wanted: (type: QuantizerType) => boolean;
  readonly #oracle: QuantizeRows = openGgml();

  /** `wanted` chooses the types. */
  constructor(isas: readonly string[], wanted: (type: QuantizerType) => boolean) {
    this.#kernels = isas.map((isa) => openKernels(1, isa));
    this.#wanted = wanted;
  }

  close(): void {
    for (const kernels of this.#kernels) kernels.close();
  }

  /** Types of a sample: codebook types only where the oracle survives it. */
  #typesOf({ columns, values, importance }: Sample): readonly QuantizerType[] {
    const [first] = this.#kernels;
    if (first === undefined) return [];
    const types = typesFor(first.info, columns, importance !== undefined).filter(this.#wanted);
    if (!types.some(({ codebook }) => codebook)) return types;
    const tame = values.every((value) => Math.abs(value) <= ORACLE_CODEBOOK_MAX);
    return types.filter(({ codebook }) => tame || !codebook);
  }

  async add(sample: Sample): Promise<void> {
    const { source, element, rows, columns, importance, values } = sample;
    const types = this.#typesOf(sample);
    if (types.length === 0) return;
    const weights = importance === undefined ? {} : { importance };
    const jobs = this.#kernels.map((kernels) => {
      const targets = makeTargets(types, sample);
      const job = { source, element, rows, columns, targets, ...weights };
      return { isa: kernels.info.isa, targets, running: kernels.quantize(job) };
    });
    // The oracle works on this thread while ours do on others.
    const expected = makeTargets(types, sample);
    for (const { type, into } of expected) this.#oracle(type, { ...sample }, into);
    for (const { isa, targets, running } of jobs) {
      const result = await running;
      for (const [index, type] of types.entries()) {
        const label = `${sample.label}, ${isa}, ${type.name}`;
        const [made, wanted] = [targets[index]?.into, expected[index]?.into];
        expect(made !== undefined && wanted !== undefined && difference(made, wanted), label).toBe(
          undefined,
        );
      }
      expectResult(result, sample, types, expected, `${sample.label}, ${isa}`);
    }
    this.#count(types, values.length, importance !== undefined);
  }

  /** Every wanted type has been compared, without importance and with it if it takes either. */
  expectWeights(least: number): void {
    for (const type of quantizerTypes.filter(this.#wanted)) {
      const { name, importance } = type;
      const plain = importance === 'required' ? least : (this.#plainWeights.get(name) ?? 0);
      const weighted = importance === 'ignored' ? least : (this.#weightedWeights.get(name) ?? 0);
      expect(plain, name).toBeGreaterThanOrEqual(least);
      expect(weighted, `${name} with importance`).toBeGreaterThanOrEqual(least);
    }
  }

  #count(types: readonly QuantizerType[], weights: number, weighted: boolean): void {
    for (const { name, importance } of types) {
      const uses = weighted && importance !== 'ignored';
      const counts = uses ? this.#weightedWeights : this.#plainWeights;
      counts.set(name, (counts.get(name) ?? 0) + weights);
    }
  }
}

/** Digests of all targets, or the place where llama.cpp's own validation would stop. */
function expectResult(
  result: QuantizeResult,
  { columns }: Sample,
  types: readonly QuantizerType[],
  expected: readonly { readonly into: Uint8Array }[],
  label: string,
): void {
  const overflows = types.flatMap((type, target) => {
    const element = firstOverflow(type, expected[target]?.into ?? new Uint8Array());
    return element === undefined ? [] : [{ element, target }];
  });
  const [first] = overflows.sort((a, b) => a.element - b.element || a.target - b.target);
  if (first === undefined) {
    expect(result.ok, label).toBe(true);
    const digests = result.ok ? result.digests : [];
    for (const [index, { into }] of expected.entries()) {
      const digest = createHash('sha256').update(into).digest();
      expect(Buffer.compare(digests[index] ?? new Uint8Array(), digest), label).toBe(0);
    }
    return;
  }
  expect(result, label).toEqual({
    ok: false,
    reason: 'scale-overflow',
    row: Math.floor(first.element / columns),
    column: first.element % columns,
    target: first.target,
  });
}
