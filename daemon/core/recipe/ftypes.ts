/**
 * Ftypes: the names a person asks for, such as Q4_K_M, and what each stands for.
 *
 *   name, alias or number ──▶ parseFtype ──▶ Ftype  (read next: type-rules.ts)
 *
 * An ftype is not the type of every tensor: it is a default type and a set of exceptions
 * (mixture.ts). docs/recipe.md tells the whole way.
 */

import { FaultError } from '../../../proto/fault.ts';
import { type BlockTypeName, blockTypes } from '../gguf/block-types.ts';
import { recipeFaults } from './faults.ts';
import { explainUnknown } from './nearest-names.ts';

interface FtypeRow {
  /** `general.file_type` of a file made with it. */
  readonly id: number;
  /** What a tensor gets that no rule names. */
  readonly type: BlockTypeName;
  readonly aliases?: readonly string[];
}

// The numbers are those of `general.file_type` in the GGUF format. 4, 5, 6 and 33 to 35 are
// retired. 39 (NVFP4) is left out: the number is given, but llama.cpp v0.5.0 has no rules for it.
// Three defaults are not what the name says: IQ2_S, IQ2_M and IQ3_XS are mixtures of others.
const rows = {
  F32: { id: 0, type: 'F32' },
  F16: { id: 1, type: 'F16' },
  BF16: { id: 32, type: 'BF16' },
  Q8_0: { id: 7, type: 'Q8_0' },
  Q6_K: { id: 18, type: 'Q6_K' },
  Q5_K_M: { id: 17, type: 'Q5_K', aliases: ['Q5_K'] },
  Q5_K_S: { id: 16, type: 'Q5_K' },
  Q5_1: { id: 9, type: 'Q5_1' },
  Q5_0: { id: 8, type: 'Q5_0' },
  Q4_K_M: { id: 15, type: 'Q4_K', aliases: ['Q4_K'] },
  Q4_K_S: { id: 14, type: 'Q4_K' },
  Q4_1: { id: 3, type: 'Q4_1' },
  Q4_0: { id: 2, type: 'Q4_0' },
  IQ4_NL: { id: 25, type: 'IQ4_NL' },
  IQ4_XS: { id: 30, type: 'IQ4_XS' },
  MXFP4_MOE: { id: 38, type: 'MXFP4' },
  Q3_K_L: { id: 13, type: 'Q3_K' },
  Q3_K_M: { id: 12, type: 'Q3_K', aliases: ['Q3_K'] },
  Q3_K_S: { id: 11, type: 'Q3_K' },
  IQ3_M: { id: 27, type: 'IQ3_S' },
  IQ3_S: { id: 26, type: 'IQ3_S' },
  IQ3_XS: { id: 22, type: 'IQ3_S' },
  IQ3_XXS: { id: 23, type: 'IQ3_XXS' },
  Q2_K: { id: 10, type: 'Q2_K' },
  Q2_K_S: { id: 21, type: 'Q2_K' },
  Q2_0: { id: 41, type: 'Q2_0' },
  IQ2_M: { id: 29, type: 'IQ2_S' },
  IQ2_S: { id: 28, type: 'IQ2_XS' },
  IQ2_XS: { id: 20, type: 'IQ2_XS' },
  IQ2_XXS: { id: 19, type: 'IQ2_XXS' },
  TQ2_0: { id: 37, type: 'TQ2_0' },
  TQ1_0: { id: 36, type: 'TQ1_0' },
  IQ1_M: { id: 31, type: 'IQ1_M' },
  IQ1_S: { id: 24, type: 'IQ1_S' },
  Q1_0: { id: 40, type: 'Q1_0' },
} as const satisfies Record<string, FtypeRow>;

export type FtypeName = keyof typeof rows;

export interface Ftype {
  readonly name: FtypeName;
  /** `general.file_type`. */
  readonly id: number;
  /** What a tensor gets that no rule names. */
  readonly type: BlockTypeName;
  readonly aliases: readonly string[];
}

// `Object.entries` widens the keys it has just been given.
const entries = Object.entries(rows) as readonly [FtypeName, FtypeRow][];

/** Every ftype, roughly from the largest file to the smallest. */
export const ftypes: readonly Ftype[] = entries.map(([name, { id, type, aliases }]) => ({
  name,
  id,
  type,
  aliases: aliases ?? [],
}));

const byText = new Map<string, Ftype>(
  ftypes.flatMap((ftype) =>
    [ftype.name, ...ftype.aliases, String(ftype.id)].map((text) => [text, ftype] as const),
  ),
);

const typesByName = new Map<string, BlockTypeName>(
  (Object.keys(blockTypes) as BlockTypeName[]).map((name) => [name.toUpperCase(), name]),
);

/**
 * The ftype with this name or alias (in any case) or `general.file_type` number.
 * @throws FaultError unknownFtype, with the nearest names and the whole list
 */
export function parseFtype(text: string): Ftype {
  const ftype = byText.get(text.toUpperCase());
  if (ftype !== undefined) return ftype;
  const names = ftypes.map(({ name }) => name);
  throw new FaultError(recipeFaults.unknownFtype, { why: explainUnknown(text, names) });
}

/**
 * The block type with this name, in any case.
 * @throws FaultError unknownBlockType, with the nearest names and the whole list
 */
export function parseBlockType(text: string): BlockTypeName {
  const type = typesByName.get(text.toUpperCase());
  if (type !== undefined) return type;
  const names = [...typesByName.values()];
  throw new FaultError(recipeFaults.unknownBlockType, { why: explainUnknown(text, names) });
}
