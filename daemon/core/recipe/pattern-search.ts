/**
 * Pattern search: whether a pattern is found in a name, in a time that no pattern can make long.
 *
 *   pattern ──▶ compileSearch ──▶ instructions ──▶ isFound, each at most once at each character
 *
 * Recipes and lockfiles come from strangers, and the engine of the language takes years for some
 * patterns of a few characters. What is found is the same: what single characters match is asked
 * of the engine, and references to groups, for which this would not hold, are refused.
 */

import { assert } from '../../../proto/assert.ts';
import { type CharacterSet, type PatternNode, parsePattern } from './pattern-parse.ts';

type Instruction =
  | { readonly kind: 'atom'; readonly matches: CharacterSet; readonly next: number }
  | { readonly kind: 'edge'; readonly at: string; readonly next: number }
  | {
      readonly kind: 'look';
      readonly isThere: boolean;
      readonly from: number;
      readonly next: number;
    }
  | { readonly kind: 'split'; to: readonly number[] }
  | { readonly kind: 'found' };

// Of names with 63 characters some hundred thousand steps, which take milliseconds.
const INSTRUCTIONS_MAX = 4096;

export class PatternSearch {
  readonly #program: Instruction[] = [];
  readonly #from: number;

  /**
   * @param pattern that RegExp accepts with the flag u, of printable ASCII, without names of groups
   * @throws RangeError where it repeats or refers to what this cannot search for
   */
  constructor(pattern: string) {
    this.#from = this.#emit(parsePattern(pattern), this.#push({ kind: 'found' }));
  }

  /** Whether it is found anywhere in the text. */
  test(text: string): boolean {
    const characters = [...text];
    const places = Array.from({ length: characters.length + 1 }, (_, place) => place);
    return new Walk(this.#program, characters).reaches(this.#from, places);
  }

  #push(instruction: Instruction): number {
    if (this.#program.length === INSTRUCTIONS_MAX) throw new RangeError('it repeats too much');
    return this.#program.push(instruction) - 1;
  }

  /** Writes what matches the node and goes on at `next`; returns where it begins. */
  #emit(node: PatternNode, next: number): number {
    switch (node.kind) {
      case 'atom':
        return this.#push({ ...node, next });
      case 'edge':
        return this.#push({ ...node, next });
      case 'look': {
        const from = this.#emit(node.node, this.#push({ kind: 'found' }));
        return this.#push({ kind: 'look', isThere: node.isThere, from, next });
      }
      case 'sequence':
        return node.nodes.reduceRight((after, part) => this.#emit(part, after), next);
      case 'choice':
        return this.#push({ kind: 'split', to: node.nodes.map((part) => this.#emit(part, next)) });
      case 'repeat':
        return this.#emitRepeat(node, next);
    }
  }

  #emitRepeat({ node, min, max }: PatternNode & { kind: 'repeat' }, next: number): number {
    let from = next;
    if (max === Number.POSITIVE_INFINITY) {
      const split: Instruction = { kind: 'split', to: [] };
      from = this.#push(split);
      split.to = [this.#emit(node, from), next];
    } else {
      for (let count = min; count < max; count++) {
        from = this.#push({ kind: 'split', to: [this.#emit(node, from), next] });
      }
    }
    for (let count = 0; count < min; count++) from = this.#emit(node, from);
    return from;
  }
}

/** One text and the instructions: what has been tried anywhere in it is not tried again. */
class Walk {
  readonly #program: readonly Instruction[];
  readonly #characters: readonly string[];
  /** What lies ahead of a place, by instruction and place. */
  readonly #ahead = new Map<number, boolean>();

  constructor(program: readonly Instruction[], characters: readonly string[]) {
    this.#program = program;
    this.#characters = characters;
  }

  /** Whether `found` is reached from the instruction at any of the places. */
  reaches(from: number, places: readonly number[]): boolean {
    const width = this.#characters.length + 1;
    const tried = new Uint8Array(this.#program.length * width);
    const open = places.map((place) => from * width + place);
    for (let state = open.pop(); state !== undefined; state = open.pop()) {
      if (tried[state] === 1) continue;
      tried[state] = 1;
      const place = state % width;
      const instruction = this.#program[Math.floor(state / width)];
      assert(instruction !== undefined, 'a state is of an instruction');
      if (instruction.kind === 'found') return true;
      for (const [next, at] of this.#steps(instruction, place)) open.push(next * width + at);
    }
    return false;
  }

  /** Where it goes on, and at which place. */
  #steps(
    instruction: Exclude<Instruction, { kind: 'found' }>,
    place: number,
  ): (readonly [next: number, place: number])[] {
    switch (instruction.kind) {
      case 'split':
        return instruction.to.map((next) => [next, place]);
      case 'atom': {
        const character = this.#characters[place];
        const fits = character !== undefined && instruction.matches.has(character);
        return fits ? [[instruction.next, place + 1]] : [];
      }
      case 'edge':
        return this.#isEdge(instruction.at, place) ? [[instruction.next, place]] : [];
      case 'look':
        return this.#isAhead(instruction.from, place) === instruction.isThere
          ? [[instruction.next, place]]
          : [];
    }
  }

  #isAhead(from: number, place: number): boolean {
    const key = from * (this.#characters.length + 1) + place;
    const known = this.#ahead.get(key);
    if (known !== undefined) return known;
    const isThere = this.reaches(from, [place]);
    this.#ahead.set(key, isThere);
    return isThere;
  }

  #isEdge(at: string, place: number): boolean {
    if (at === '^') return place === 0;
    if (at === '$') return place === this.#characters.length;
    const isBetween = this.#isWord(place - 1) !== this.#isWord(place);
    return isBetween === (at === '\\b');
  }

  #isWord(place: number): boolean {
    return /^\w$/.test(this.#characters[place] ?? '');
  }
}
