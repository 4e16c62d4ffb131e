/**
 * Chat template: frames conversations with a model's own template.
 *
 *   Jinja text + names of special tokens ──▶ openChatTemplate ──▶ render(messages) ──▶ text
 *
 * The template is a stranger's program. Only @huggingface/jinja runs it, which gives it nothing of
 * this process; its time, its ranges and its result are bounded, and it is told no clock, so that
 * the same messages make the same text on every day.
 */

import { createContext, Script } from 'node:vm';
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { FaultError } from '../../proto/fault.ts';
import type { ChatTemplate } from '../ports.ts';
import { textFaults } from './text-faults.ts';

// Published templates take a few milliseconds; the rest is for machines that do much else.
const RENDER_MS_MAX = 2000;
// Messages are counted in thousands at most, and a list of so many numbers is small.
const RANGE_MAX = 100_000;
// As much as a calibration file may have.
const RENDERED_CHARACTERS_MAX = 64 * 1024 * 1024;
// Of what a template says when it refuses.
const SAID_CHARACTERS_MAX = 200;

export interface ChatTemplateOptions {
  /** `bos_token` and the like, to their texts. */
  readonly namedTexts: Readonly<Record<string, string>>;
}

/** @throws FaultError QD-8432 where the text is no template */
export function openChatTemplate(template: string, options: ChatTemplateOptions): ChatTemplate {
  const program = bounded(
    () => parse(tokenize(template, { lstrip_blocks: true, trim_blocks: true })),
    textFaults.badTemplate,
  );
  return {
    render(messages) {
      const { value }: { readonly value: unknown } = bounded(
        () => new Interpreter(environment(messages, options)).run(program),
        textFaults.refusedMessages,
      );
      if (typeof value !== 'string') throw new FaultError(textFaults.badTemplate);
      if (value.length > RENDERED_CHARACTERS_MAX) {
        const why = `${value.length} characters, where ${RENDERED_CHARACTERS_MAX} are allowed`;
        throw new FaultError(textFaults.renderedTooLong, { why });
      }
      // Half a surrogate pair is no text, and a slice inside the template may leave one.
      return Buffer.from(value).toString();
    },
  };
}

/** What a template may use; no `strftime_now`, for which templates have a fixed date instead. */
function environment(
  messages: readonly object[],
  { namedTexts }: ChatTemplateOptions,
): InstanceType<typeof Environment> {
  const values = {
    ...{ true: true, True: true, false: false, False: false, none: null, None: null },
    range,
    raise_exception: (why: unknown) => {
      throw new Error(String(why));
    },
    ...namedTexts,
    messages,
    add_generation_prompt: false,
  };
  const made = new Environment();
  for (const [name, value] of Object.entries(values)) made.set(name, value);
  return made;
}

/** As Python's, for templates that count. */
function range(first: number, end?: number, step = 1): number[] {
  const [from, to] = end === undefined ? [0, first] : [first, end];
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (!(length <= RANGE_MAX)) throw new Error(`a range of ${length} numbers`);
  return Array.from({ length }, (_, index) => from + index * step);
}

const caller = new Script('work()');
const room: { work: () => unknown } = { work: () => undefined };
const roomContext = createContext(room);

/** Runs a template's part of the work, which may neither hang nor break out of the loop. */
function bounded<Result>(
  work: () => Result,
  refusal: typeof textFaults.badTemplate | typeof textFaults.refusedMessages,
): Result {
  try {
    // Called from a script of its own, because only those can be stopped when they do not end.
    room.work = work;
    return caller.runInContext(roomContext, { timeout: RENDER_MS_MAX }) as Result;
  } catch (cause) {
    // An error of the script's own room is no `Error` of this one.
    const { code, message }: { code?: unknown; message?: unknown } = Object(cause);
    const said = String(message ?? cause);
    if (code === 'ERR_SCRIPT_EXECUTION_TIMEOUT')
      throw new FaultError(textFaults.templateTooSlow, { why: said }, { cause });
    throw new FaultError(refusal, { why: said.slice(0, SAID_CHARACTERS_MAX) }, { cause });
  }
}
