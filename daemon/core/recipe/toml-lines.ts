/**
 * TOML lines: in which line of a file a value stands, which its parser does not tell.
 *
 *   text ──▶ linesOf ──▶ the line of each key and list entry, by its path
 *
 * It reads texts that the parser has accepted and looks at nothing but keys and brackets. Of other
 * texts it tells some line or none.
 */

/** The keys and numbers of entries that a value stands under. */
export type Path = readonly (string | number)[];

/** What values stand in: the file and its tables, a list, or an inline table. */
interface Frame {
  readonly kind: 'table' | 'list' | 'inline';
  readonly path: Path;
  /** Of the entry that stands next in a list. */
  index: number;
  /** The key that is being read, and whether its value is. */
  keys: string[];
  inValue: boolean;
}

// Deeper than any table of a recipe.
const DEPTH_MAX = 8;

// Texts come whole, so that no bracket or number sign inside them is taken for one of the file's.
const tokens =
  /\n|#[^\n]*|"""(?:\\[\s\S]|[^\\])*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\[\[|\]\]|[[\]{},=.]|[^\s[\]{},=."'#]+/g;

/** @returns the line, from 1, of the key or entry at a path; of the nearest around it that has one */
export function linesOf(text: string): (path: Path) => number | undefined {
  const scanner = new Scanner();
  for (const [token] of text.matchAll(tokens)) scanner.take(token);
  return (path) => {
    for (let length = path.length; length > 0; length--) {
      const line = scanner.lines.get(nameOf(path.slice(0, length)));
      if (line !== undefined) return line;
    }
    return undefined;
  };
}

function nameOf(path: Path): string {
  return JSON.stringify(path);
}

function frameOf(kind: Frame['kind'], path: Path): Frame {
  return { kind, path, index: 0, keys: [], inValue: false };
}

class Scanner {
  readonly lines = new Map<string, number>();
  /** How many entries each list of tables has so far. */
  readonly #tables = new Map<string, number>();
  #line = 1;
  #stack: Frame[] = [];
  #frame = frameOf('table', []);
  /** The keys between the brackets that begin a table. */
  #header: { readonly isList: boolean; readonly keys: string[] } | undefined;

  take(token: string): void {
    if (token === '\n') this.#endLine();
    else if (this.#header !== undefined) this.#takeHeader(token, this.#header);
    else if (!token.startsWith('#')) this.#takeValue(token);
    this.#line += token.length > 1 ? token.split('\n').length - 1 : 0;
  }

  #endLine(): void {
    this.#line++;
    if (this.#frame.kind !== 'table') return;
    this.#frame.keys = [];
    this.#frame.inValue = false;
  }

  #takeHeader(token: string, { isList, keys }: { isList: boolean; keys: string[] }): void {
    if (token === '.') return;
    if (!token.startsWith(']')) {
      keys.push(textOf(token));
      return;
    }
    this.#header = undefined;
    this.#frame = frameOf('table', keys.length > DEPTH_MAX ? [] : this.#tablePath(keys, isList));
  }

  #tablePath(keys: readonly string[], isList: boolean): Path {
    let path: Path = [];
    for (const [index, key] of keys.entries()) {
      path = [...path, key];
      const entries = this.#tables.get(nameOf(path));
      const begins = isList && index === keys.length - 1;
      if (begins) this.#tables.set(nameOf(path), (entries ?? 0) + 1);
      if (begins && entries === undefined) this.#note(path);
      if (begins) path = [...path, entries ?? 0];
      else if (entries !== undefined) path = [...path, entries - 1];
    }
    this.#note(path);
    return path;
  }

  #takeValue(token: string): void {
    const frame = this.#frame;
    if (frame.kind === 'list') this.#takeEntry(token, frame);
    else if (frame.inValue) this.#takeBracket(token, [...frame.path, ...frame.keys]);
    else this.#takeKey(token, frame);
  }

  #takeEntry(token: string, frame: Frame): void {
    const path = [...frame.path, frame.index];
    if (token === ',') frame.index++;
    else if (!token.startsWith(']')) this.#note(path);
    this.#takeBracket(token, path);
  }

  #takeKey(token: string, frame: Frame): void {
    if (token === '=') {
      this.#note([...frame.path, ...frame.keys]);
      frame.inValue = true;
    } else if (token.startsWith('[') && frame.kind === 'table') {
      this.#header = { isList: token === '[[', keys: [] };
    } else if (token === '}') {
      this.#leave();
    } else if (token !== '.' && token !== ',') {
      frame.keys.push(textOf(token));
    }
  }

  /** Inside a value, which begins or ends a list or an inline table, or does neither. */
  #takeBracket(token: string, path: Path): void {
    if (token === '{') this.#enter('inline', path);
    else if (token === '[') this.#enter('list', path);
    else if (token === '[[') {
      this.#enter('list', path);
      this.#enter('list', [...path, 0]);
    } else if (token === ',' && this.#frame.kind === 'inline') {
      this.#frame.keys = [];
      this.#frame.inValue = false;
    } else if (token === '}' || token === ']') this.#leave();
    else if (token === ']]') {
      this.#leave();
      this.#leave();
    }
  }

  #enter(kind: Frame['kind'], path: Path): void {
    this.#stack.push(this.#frame);
    this.#frame = frameOf(kind, path);
  }

  #leave(): void {
    this.#frame = this.#stack.pop() ?? this.#frame;
  }

  #note(path: Path): void {
    const name = nameOf(path);
    if (!this.lines.has(name)) this.lines.set(name, this.#line);
  }
}

function textOf(token: string): string {
  if (token.startsWith("'")) return token.slice(1, -1);
  if (!token.startsWith('"')) return token;
  try {
    return String(JSON.parse(token));
  } catch {
    return token.slice(1, -1);
  }
}
