/** Byte budget: so many bytes at a time, handed out in the order they were asked for. */

import { assert } from '../../../proto/assert.ts';

export class ByteBudget {
  readonly #most: number;
  #free: number;
  readonly #waiting: { readonly bytes: number; readonly grant: () => void }[] = [];

  constructor(bytesMax: number) {
    this.#most = bytesMax;
    this.#free = bytesMax;
  }

  /** Resolves to the function that gives the bytes back. Nobody overtakes: no one waits for ever. */
  async take(bytes: number): Promise<() => void> {
    assert(bytes <= this.#most, `${bytes} bytes are more than the whole budget`);
    if (this.#waiting.length > 0 || bytes > this.#free) {
      await new Promise<void>((grant) => this.#waiting.push({ bytes, grant }));
    } else {
      this.#free -= bytes;
    }
    let given = false;
    return () => {
      assert(!given, 'bytes are given back once');
      given = true;
      this.#free += bytes;
      this.#grant();
    };
  }

  #grant(): void {
    for (let [next] = this.#waiting; next !== undefined; [next] = this.#waiting) {
      if (next.bytes > this.#free) return;
      this.#free -= next.bytes;
      this.#waiting.shift();
      next.grant();
    }
  }
}
