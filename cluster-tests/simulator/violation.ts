/** Violation: the code did what it must never do, whatever the world does to it. */
export class Violation extends Error {
  override readonly name = 'Violation';
}
