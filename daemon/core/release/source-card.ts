/**
 * Source card: what a release takes over from the model card of its source.
 *
 *   head of README.md, as parsed YAML ──▶ sourceCardOf ──▶ SourceCard
 *
 * The keys are those that the Hugging Face Hub reads from the YAML between `---` lines.
 */

import { FaultError } from '../../../proto/fault.ts';
import { makeFaults } from './make-faults.ts';

export interface SourceCard {
  readonly license?: string;
  readonly licenseName?: string;
  readonly licenseLink?: string;
  readonly pipelineTag?: string;
  readonly languages: readonly string[];
  /** Keys that ask a reader to agree before a download, with their texts. */
  readonly gating: readonly (readonly [key: string, text: string])[];
}

export const noSourceCard: SourceCard = { languages: [], gating: [] };

// A tag or the name of a licence; longer texts are something else.
const VALUE_LENGTH_MAX = 300;
const GATING_LENGTH_MAX = 10_000;
const LANGUAGES_MAX = 200;
const FENCE = '---';

/** The YAML at the head of a card; undefined where it has none. Line ends may be CRLF. */
export function cardHead(text: string): string | undefined {
  const lines = text.split(/\r?\n/);
  if (lines[0] !== FENCE) return undefined;
  const end = lines.indexOf(FENCE, 1);
  return end < 0 ? undefined : lines.slice(1, end).join('\n');
}

/**
 * @param head the parsed YAML of a card's head
 * @throws FaultError badCard
 */
export function sourceCardOf(head: unknown, file: string): SourceCard {
  if (head === null || head === undefined) return noSourceCard;
  if (typeof head !== 'object' || Array.isArray(head)) {
    throw new FaultError(makeFaults.badCard, { file, why: 'it is no list of keys' });
  }
  const values = new Map(Object.entries(head));
  const text = (key: string): string | undefined => {
    const value: unknown = values.get(key);
    const isText = typeof value === 'string' && value !== '' && value.length <= VALUE_LENGTH_MAX;
    return isText ? value : undefined;
  };
  const stated = {
    license: text('license'),
    licenseName: text('license_name'),
    licenseLink: text('license_link'),
    pipelineTag: text('pipeline_tag'),
  };
  const kept = Object.entries(stated).filter(([, value]) => value !== undefined);
  const language: unknown = values.get('language');
  const languages = (Array.isArray(language) ? language : [language])
    .filter((each) => typeof each === 'string' && /^[A-Za-z-]{2,20}$/.test(each))
    .slice(0, LANGUAGES_MAX);
  const gating = [...values].flatMap(([key, value]): [string, string][] => {
    const isText = typeof value === 'string' && value.length <= GATING_LENGTH_MAX;
    return /^extra_gated_[a-z_]+$/.test(key) && isText ? [[key, value]] : [];
  });
  return { ...Object.fromEntries(kept), languages, gating };
}
