/** Credit: bytes that may be in memory at a time, lent to whoever waits longest. */

export class Credit {
  #free: number;
  readonly #total: number;
  readonly #waiting: { readonly bytes: number; readonly begin: () => void }[] = [];

  constructor(bytes: number) {
    this.#free = bytes;
    this.#total = bytes;
  }

  /**
   * Resolves when so many bytes are free, with the function that gives them back. More than there
   * is at all counts as everything: it is lent when nothing else is.
   */
  async take(bytes: number): Promise<() => void> {
    const lent = Math.min(bytes, this.#total);
    if (this.#waiting.length > 0 || lent > this.#free) {
      await new Promise<void>((begin) => this.#waiting.push({ bytes: lent, begin }));
    } else this.#free -= lent;
    return () => {
      this.#free += lent;
      this.#lend();
    };
  }

  #lend(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (next.bytes > this.#free) return;
      this.#free -= next.bytes;
      this.#waiting.shift();
      next.begin();
    }
  }
}
