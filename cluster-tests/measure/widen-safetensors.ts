/**
 * Widen safetensors: the same tensors in F32, which holds every number of BF16 and F16.
 *
 *   bytes of a *.safetensors ──▶ widenSafetensors ──▶ bytes of a *.safetensors
 *
 * It believes what it reads: for files of the tests only.
 */

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** Tensors keep their names, shapes and order. */
export function widenSafetensors(bytes: Buffer): Buffer {
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const { __metadata__, ...entries } = JSON.parse(bytes.toString('utf8', 8, start)) as {
    readonly __metadata__?: object;
  } & Readonly<Record<string, Entry>>;
  let end = 0;
  const parts: Buffer[] = [];
  const widened = Object.entries<Entry>(entries).map(([name, { dtype, shape, data_offsets }]) => {
    const [from, to] = data_offsets;
    const part = widen(bytes.subarray(start + from, start + to), dtype);
    parts.push(part);
    end += part.length;
    return [name, { dtype: 'F32', shape, data_offsets: [end - part.length, end] }];
  });
  const text = JSON.stringify({ __metadata__, ...Object.fromEntries(widened) });
  const header = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, ...parts]);
}

function widen(bytes: Buffer, dtype: string): Buffer {
  if (dtype === 'F32') return bytes;
  if (dtype !== 'BF16' && dtype !== 'F16') throw new Error(`no tensor of these tests is ${dtype}`);
  const wide = Buffer.alloc(bytes.length * 2);
  for (let at = 0; at < bytes.length; at += 2) {
    const code = bytes.readUInt16LE(at);
    if (dtype === 'BF16') wide.writeUInt32LE(code * 0x10000, at * 2);
    else wide.writeFloatLE(decodeF16(code), at * 2);
  }
  return wide;
}

function decodeF16(code: number): number {
  const exponent = (code >>> 10) & 0x1f;
  const fraction = (code & 0x3ff) / 1024;
  const size = exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15);
  return code & 0x8000 ? -size : size;
}
