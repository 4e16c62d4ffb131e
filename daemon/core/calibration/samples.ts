/**
 * Samples: the conversations of a calibration file, to be framed with a chat template.
 *
 *   text ──▶ readSamples ──▶ Sample[] ──▶ a chat template (adapters/chat-template.ts)
 *
 * A file that begins with `{` or `[` holds a conversation on each line, as JSON. Any other is plain
 * text: what stands between empty lines is one question of a user.
 */

import { FaultError } from '../../../proto/fault.ts';
import type { Json, JsonObject } from '../checkpoint/checkpoint.ts';
import { isJsonObject } from '../checkpoint/config.ts';
import { parseJson } from '../checkpoint/json.ts';
import { calibrationFaults as faults } from './faults.ts';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface Sample {
  /** The line it begins on, from 1. */
  readonly line: number;
  /** At least one. */
  readonly messages: readonly ChatMessage[];
}

// Longer conversations than this are no samples but archives, and each is rendered as one text.
const MESSAGES_MAX = 4096;
// A role is a word.
const ROLE_LENGTH_MAX = 64;
// Messages nest three deep; tools and the like, which are not read, a little more.
const DEPTH_MAX = 32;

/**
 * @param file as the user wrote it
 * @throws FaultError QD-8409 with the line, QD-8410
 */
export function readSamples(file: string, text: string): Sample[] {
  const samples = /^\s*[{[]/.test(text) ? readLines(file, text) : cutParagraphs(text);
  if (samples.length === 0) throw new FaultError(faults.noSamples, { file });
  return samples;
}

/** Each stretch of lines that are not blank, without the line break at its end. */
function cutParagraphs(text: string): Sample[] {
  const samples: Sample[] = [];
  let lines: string[] = [];
  let start = 0;
  const finish = (): void => {
    if (lines.length === 0) return;
    samples.push({ line: start, messages: [{ role: 'user', content: lines.join('\n') }] });
    lines = [];
  };
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '') {
      finish();
      continue;
    }
    if (lines.length === 0) start = index + 1;
    lines.push(line);
  }
  finish();
  return samples;
}

function readLines(file: string, text: string): Sample[] {
  return text.split(/\r?\n/).flatMap((content, index): Sample[] => {
    if (content.trim() === '') return [];
    const line = index + 1;
    const fail = (why: string): never => {
      throw new FaultError(faults.badMessages, { file, why: `line ${line}: ${why}` });
    };
    const value = parseJson(content, { depthMax: DEPTH_MAX, fail: ({ why }) => fail(why) });
    return [{ line, messages: messagesOf(value, fail) }];
  });
}

function messagesOf(value: Json, fail: (why: string) => never): ChatMessage[] {
  const { messages: list }: JsonObject = isJsonObject(value) ? value : { messages: value };
  if (!Array.isArray(list)) return fail('there is no list of messages');
  if (list.length === 0) return fail('the list of messages is empty');
  if (list.length > MESSAGES_MAX) return fail(`there are more than ${MESSAGES_MAX} messages`);
  return list.map((message: Json, index) => {
    const { role, content } = isJsonObject(message) ? message : {};
    if (typeof role !== 'string' || role === '' || role.length > ROLE_LENGTH_MAX) {
      return fail(`message ${index + 1} has no role`);
    }
    if (typeof content !== 'string') return fail(`message ${index + 1} has no text as its content`);
    return { role, content };
  });
}
