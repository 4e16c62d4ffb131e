/** What can be wrong with a recipe: QD-54xx. Names of types and patterns are of faults.ts. */

import { exitCodes, type FaultKind } from '../../../proto/fault.ts';

export const recipeFileFaults = {
  unknownKey: {
    code: 'QD-5403',
    exit: exitCodes.usage,
    what: 'a recipe has a key that means nothing there',
    hint: 'correct or delete it; quantd recipe show Q4_K_M prints a recipe that is right',
  },
  badValue: {
    code: 'QD-5404',
    exit: exitCodes.usage,
    what: 'a value in a recipe is not what its key asks for',
    hint: 'correct it; quantd recipe show Q4_K_M prints a recipe that is right',
  },
  keyMissing: {
    code: 'QD-5405',
    exit: exitCodes.usage,
    what: 'a recipe lacks a key that it needs',
    hint: 'add it; quantd recipe show Q4_K_M prints a recipe that is right',
  },
  otherSchema: {
    code: 'QD-5406',
    exit: exitCodes.usage,
    what: 'a recipe is of a version that this program does not know',
    hint: 'update quantd, or write the recipe for version 1: recipe = 1',
  },
  unknownMix: {
    code: 'QD-5407',
    exit: exitCodes.usage,
    what: 'an output uses a mix that the recipe does not have',
    hint: 'add it as [mix.NAME], or correct the name in use = […]',
  },
  tooManyPatterns: {
    code: 'QD-5408',
    exit: exitCodes.usage,
    what: 'an output has more tensor patterns than it may, with those of its mixes',
    hint: 'put several names into one pattern: "ffn_(up|gate)_exps"',
  },
  reservedName: {
    code: 'QD-5409',
    exit: exitCodes.usage,
    what: 'an output has a name that files of a release bear already',
    hint: 'choose another name',
  },
  nameTwice: {
    code: 'QD-5410',
    exit: exitCodes.usage,
    what: 'two outputs of a recipe have the same name',
    hint: 'give each a name of its own: name = "Q4_K_M-attn"',
  },
  optionsWithoutType: {
    code: 'QD-5411',
    exit: exitCodes.usage,
    what: 'an option for the outputs of --type stands where there is none',
    hint: 'write it into the recipe, or add --type',
  },
  nothingAsked: {
    code: 'QD-5412',
    exit: exitCodes.usage,
    what: 'no output is asked for',
    hint: 'add --type Q4_K_M or --recipe FILE',
  },
  calibrationTwice: {
    code: 'QD-5413',
    exit: exitCodes.usage,
    what: 'the recipe and an option say different things about measuring',
    hint: 'leave the option out, or change the recipe',
  },
  textMissing: {
    code: 'QD-5414',
    exit: exitCodes.usage,
    what: 'a recipe measures importance, and no text is named',
    hint: 'add --calibration FILE, or --imatrix FILE for a matrix that was measured before',
  },
  fileMissing: {
    code: 'QD-5415',
    exit: exitCodes.input,
    what: 'a recipe cannot be opened',
    hint: 'check the path; quantd recipe show Q4_K_M > recipe.toml makes one to begin with',
  },
  fileTooLarge: {
    code: 'QD-5416',
    exit: exitCodes.input,
    what: 'a recipe is larger than any that is of use',
    hint: 'put several names into one pattern: "ffn_(up|gate)_exps"',
  },
} as const satisfies Record<string, FaultKind>;
