/**
 * Coverage: how many tokens of the calibration each expert has seen, and whether that is enough.
 *
 *   complete counts of all layers after some groups ──▶ coverageOf ──▶ what to report
 *                                                   ──▶ decideCoverage ──▶ one group more, or not
 *
 * An expert that few tokens reach has importance that says little, and one that none reaches has
 * none. Groups are added one at a time and only from complete counts at the border of a group, so
 * every cluster, whatever its speed, stops after the same one.
 */

import { assert } from '../../../proto/assert.ts';
import type { MeasuredLayer } from './measured.ts';
import { readCounts, viewStatistics } from './statistics.ts';

/** The tokens that each expert of a layer has seen. */
export interface ExpertCounts {
  readonly layer: number;
  /** By expert. */
  readonly counts: readonly number[];
}

/** The counts of the layers that have experts; a layer's number is its index. */
export function expertCounts(layers: readonly MeasuredLayer[]): ExpertCounts[] {
  return layers.flatMap(({ statistics, bytes }, layer) => {
    const ofExperts = viewStatistics(statistics, bytes)
      .filter(({ statistic }) => statistic.matrices > 1)
      .map(({ counts }) => readCounts(counts));
    const [first, ...others] = ofExperts;
    if (first === undefined) return [];
    assert(
      others.every(({ length }) => length === first.length),
      `all statistics of the experts of layer ${layer} have as many`,
    );
    // The inputs of one expert have the same rows, so the least is what each of them has.
    const least = (expert: number): number =>
      Math.min(...ofExperts.map((counts) => counts[expert] ?? 0));
    return [{ layer, counts: first.map((_, expert) => least(expert)) }];
  });
}

export interface LayerCoverage {
  readonly layer: number;
  readonly experts: number;
  /** Tokens of the expert that has seen fewest. */
  readonly least: number;
  /** The middle one, or the mean of the two in the middle. */
  readonly median: number;
  /** Experts that have seen fewer tokens than the floor, ascending. */
  readonly below: readonly number[];
}

/** @param floor tokens that an expert should see */
export function coverageOf(layers: readonly ExpertCounts[], floor: number): LayerCoverage[] {
  return layers.map(({ layer, counts }) => {
    const sorted = [...counts].sort((a, b) => a - b);
    const middle = (sorted.length - 1) / 2;
    const lower = sorted[Math.floor(middle)] ?? 0;
    const upper = sorted[Math.ceil(middle)] ?? 0;
    return {
      layer,
      experts: counts.length,
      least: sorted[0] ?? 0,
      median: (lower + upper) / 2,
      below: expertsNeeding(counts, floor),
    };
  });
}

/** The experts that have seen fewer than `floor` tokens, ascending. */
export function expertsNeeding(counts: readonly number[], floor: number): number[] {
  return counts.flatMap((count, expert) => (count < floor ? [expert] : []));
}

export interface CoverageQuestion {
  /** `--min-expert-tokens`. */
  readonly floor: number;
  /** Complete counts of all layers with experts, over the first `groupsDone` groups. */
  readonly layers: readonly ExpertCounts[];
  readonly groupsDone: number;
  /** The groups that the calibration texts have. */
  readonly groupsAvailable: number;
}

export type CoverageDecision =
  /** Every expert has seen enough. */
  | { readonly kind: 'enough' }
  /** `group` comes next; `needing` experts of all layers wait for it. */
  | { readonly kind: 'add-group'; readonly group: number; readonly needing: number }
  /** The texts are used up, and these experts have not seen enough. */
  | {
      readonly kind: 'never';
      readonly layers: readonly { readonly layer: number; readonly experts: readonly number[] }[];
    };

/** What `--min-expert-tokens` asks for next. */
export function decideCoverage(question: CoverageQuestion): CoverageDecision {
  const { floor, layers, groupsDone, groupsAvailable } = question;
  assert(groupsDone <= groupsAvailable, 'no more groups are measured than there are');
  const short = layers
    .map(({ layer, counts }) => ({ layer, experts: expertsNeeding(counts, floor) }))
    .filter(({ experts }) => experts.length > 0);
  if (short.length === 0) return { kind: 'enough' };
  if (groupsDone === groupsAvailable) return { kind: 'never', layers: short };
  const needing = short.reduce((sum, { experts }) => sum + experts.length, 0);
  return { kind: 'add-group', group: groupsDone, needing };
}
