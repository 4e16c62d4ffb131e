/**
 * Turns: changes of one thing happen one after the other, those of different things at once.
 *
 * What is put and removed under one name in the same moment would else leave either.
 */

export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** Does the work when all that was asked for the name before is done. */
  take<T>(name: string, work: () => Promise<T>): Promise<T> {
    const done = (this.#last.get(name) ?? Promise.resolve()).then(work);
    const over = done.then(
      () => undefined,
      () => undefined,
    );
    this.#last.set(name, over);
    void over.then(() => {
      if (this.#last.get(name) === over) this.#last.delete(name);
    });
    return done;
  }
}
