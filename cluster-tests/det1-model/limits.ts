/**
 * Limits: how far a forward pass may be from llama.cpp's, and what is further.
 *
 *   LayerFigures[] ──▶ excesses, ties ──▶ sentences;  EndToEndFigures ──▶ endToEndExcesses
 *
 * A is all in F32 against an F32 GGUF; B is a BF16 checkpoint as it is, against its BF16 GGUF. Each
 * limit is a few times what was measured. Read next: against-llama.ts, which measures.
 */

import type { EndToEndFigures, LayerFigures } from './against-llama.ts';

export type Mode = 'A' | 'B';
export const modes: readonly Mode[] = ['A', 'B'];

/**
 * How far one layer may be from llama.cpp's, fed with llama.cpp's own input. Its GELU reads a table
 * in half precision, which is most of `hidden` and `meanSquares` in mode A; in mode B, a number on
 * the border between two bfloat16 falls to either side.
 */
const layerLimits = {
  A: { hidden: 5e-4, inputs: 2e-6, router: 2e-6, meanSquares: 1e-3, counts: 0 },
  B: { hidden: 2e-3, inputs: 4e-4, router: 4e-4, meanSquares: 1e-3, counts: 0 },
} as const satisfies Record<Mode, Partial<LayerFigures>>;
type LimitedFigure = keyof (typeof layerLimits)[Mode];
const limitedFigures = Object.keys(layerLimits.A) as readonly LimitedFigure[];

/** Routings may differ where two router logits are closer than this. */
const TIE = 1e-3;

const whereOf = (index: number): string => (index === 0 ? 'front' : `layer ${index - 1}`);

/** What is further from llama.cpp than it may be, in words; none where all is well. */
export function excesses(figures: readonly LayerFigures[], mode: Mode): string[] {
  return figures.flatMap((found, index) => {
    const where = whereOf(index);
    // A distance that is not a number is within no limit.
    const far = limitedFigures.filter((key) => !(found[key] <= layerLimits[mode][key]));
    return [
      ...far.map((key) => `${where}: ${key} ${found[key].toExponential(1)}`),
      ...found.flips
        .filter(({ gap }) => !(gap < TIE))
        .map(({ token, gap }) => `${where}: token ${token} has other experts, ${gap} apart`),
    ];
  });
}

/** The tokens that got other experts, in words. */
export function ties(figures: readonly LayerFigures[]): string[] {
  return figures.flatMap(({ flips }, index) =>
    flips.map(({ token, gap, ours, theirs }) => {
      const experts = `experts ${ours} instead of ${theirs}`;
      return `${whereOf(index)}: token ${token} is a tie, ${experts}, ${gap.toExponential(1)} apart`;
    }),
  );
}

/** The largest of each figure over layers, in words. */
export function worstOf(figures: readonly LayerFigures[]): string {
  const largest = (key: LimitedFigure): string =>
    Math.max(...figures.map((found) => found[key])).toExponential(1);
  return limitedFigures.map((key) => `${key} ${largest(key)}`).join(', ');
}

/** Of logits, before any token got other experts. */
export const logitLimits = {
  A: { dense: 0.02, experts: 0.02 },
  B: { dense: 0.2, experts: 0.15 },
} as const satisfies Record<Mode, object>;

/** Of the whole matrix. */
export type MatrixLimits = Pick<EndToEndFigures, 'experts' | 'others' | 'counts'>;

/** Where no token got other experts. */
export const matrixLimits = {
  A: { experts: 2e-3, others: 1.5e-3, counts: 0 },
  B: { experts: 5e-2, others: 1.5e-2, counts: 0 },
} as const satisfies Record<Mode, MatrixLimits>;

/** Which parts of the whole matrix are further off than `limits`, in words. */
export function matrixExcesses(found: EndToEndFigures, limits: MatrixLimits): string[] {
  const keys = ['experts', 'others', 'counts'] as const;
  return keys
    .filter((key) => !(found[key] <= limits[key]))
    .map((key) => `${key} ${found[key].toExponential(1)}`);
}
