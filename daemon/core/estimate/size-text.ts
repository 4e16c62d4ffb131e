/** Size text: bytes in the sentences of an estimate, which people read. */

const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `1.43 GiB`: three digits, rounded up, so that what is needed is never told too small. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${(Math.ceil(value * 10 ** digits) / 10 ** digits).toFixed(digits)} ${units[unit]}`;
}
