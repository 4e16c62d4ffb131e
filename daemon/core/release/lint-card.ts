/**
 * Lint card: what a hub would refuse or misread in the YAML head of a model card.
 *
 *   parsed head ──▶ lintCard ──▶ CardFinding[]
 *
 * The keys are those that the Hugging Face Hub reads: it refuses a head that is no mapping, and
 * values of another kind than it expects; what is missing makes a model hard to find.
 */

import type { CardFinding } from '../../../proto/publish-plan.ts';

const REPOSITORY = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;
const LANGUAGE = /^[a-z]{2,3}(-[A-Za-z]{2,8})*$|^(code|multilingual)$/;
// As the hub writes licences: apache-2.0, gemma, llama3.1, other.
const LICENSE = /^[a-z0-9][a-z0-9.+-]*$/;
const TAG = /^[a-z]+(-[a-z0-9]+)*$/;
const RELATIONS = new Set(['quantized', 'finetune', 'adapter', 'merge']);

type Check = (value: unknown) => string | undefined;

const oneOf =
  (isRight: (text: string) => boolean, wanted: string): Check =>
  (value) =>
    typeof value === 'string' && isRight(value) ? undefined : `must be ${wanted}`;

const oneOrMore =
  (isRight: (text: string) => boolean, wanted: string): Check =>
  (value) => {
    const all: unknown[] = Array.isArray(value) ? value : [value];
    const isSound = all.every((each) => typeof each === 'string' && isRight(each));
    return all.length > 0 && isSound ? undefined : `must be ${wanted}, or a list of such`;
  };

const checks: Readonly<Record<string, Check>> = {
  license: oneOf((text) => LICENSE.test(text), 'the name of a licence as the hub writes it'),
  license_name: oneOf((text) => text !== '', 'a text'),
  license_link: oneOf((text) => text !== '', 'a link, or a file of the repository'),
  base_model: oneOrMore((text) => REPOSITORY.test(text), 'org/name'),
  base_model_relation: oneOf((text) => RELATIONS.has(text), [...RELATIONS].join(', ')),
  language: oneOrMore((text) => LANGUAGE.test(text), 'a code such as en'),
  pipeline_tag: oneOf((text) => TAG.test(text), 'a task such as text-generation'),
  library_name: oneOf((text) => text !== '', 'a text'),
  tags: oneOrMore((text) => text !== '', 'a text'),
  quantized_by: oneOf((text) => text !== '', 'a text'),
};

// Without them a model is not found by those who look for it, or not used by those who must know.
const EXPECTED = ['license', 'base_model', 'pipeline_tag', 'tags'];

/** @param head the YAML between the `---` lines, parsed; undefined where there is none */
export function lintCard(head: unknown): CardFinding[] {
  if (head === undefined || head === null) {
    return [fault(undefined, 'it has no head: YAML between two lines of ---')];
  }
  if (typeof head !== 'object' || Array.isArray(head)) {
    return [fault(undefined, 'its head is no list of keys')];
  }
  const values = new Map<string, unknown>(Object.entries(head));
  const wrong = [...values].flatMap(([key, value]) => {
    const text = Object.hasOwn(checks, key) ? checks[key]?.(value) : undefined;
    return text === undefined ? [] : [fault(key, text)];
  });
  const missing = EXPECTED.filter((key) => !values.has(key)).map((key): CardFinding => {
    return { severity: 'warning', key, text: 'is missing' };
  });
  const license = values.get('license');
  const isNamed = values.has('license_name') || values.has('license_link');
  if (license === 'other' && !isNamed) {
    wrong.push(fault('license', 'other needs license_name and license_link'));
  }
  return [...wrong, ...missing];
}

function fault(key: string | undefined, text: string): CardFinding {
  return { severity: 'fault', text, ...(key === undefined ? {} : { key }) };
}
