/**
 * Everything that can be wrong with a release, and with an attempt to make it again.
 *
 * While a release is verified these are findings: all of them are told, and `mismatch` ends the run.
 */

import { exitCodes, type FaultKind } from '../../../proto/fault.ts';

const { mismatch } = exitCodes;
const again = 'get the file again from where the release is published';
const remake = 'make it again: quantd reproduce quantd.lock.json --source SOURCE';

export const releaseFaults = {
  mismatch: {
    code: 'QD-6501',
    exit: mismatch,
    what: 'the release is not what it should be',
    hint: 'get the files that are named above again, or make the release again with quantd reproduce',
  },
  noLock: {
    code: 'QD-6502',
    exit: mismatch,
    what: 'the folder holds no quantd.lock.json',
    hint: 'name a folder that quantd release has made, or one GGUF: quantd verify FILE.gguf',
  },
  badLock: {
    code: 'QD-6503',
    exit: mismatch,
    what: 'the lockfile is none that this version reads',
    hint: 'get it again, or use the version of quantd that wrote it',
  },
  badSignature: {
    code: 'QD-6504',
    exit: mismatch,
    what: 'the signature of the lockfile is malformed',
    hint: again,
  },
  wrongSignature: {
    code: 'QD-6505',
    exit: mismatch,
    what: 'the signature is not one of this lockfile',
    hint: 'one of the two has been changed: get both again',
  },
  noSignature: {
    code: 'QD-6506',
    exit: mismatch,
    what: 'nobody has signed the lockfile',
    hint: 'get quantd.lock.json.sig too, or trust where the folder comes from',
  },
  otherSigner: {
    code: 'QD-6507',
    exit: mismatch,
    what: 'the lockfile is signed by another machine than the one asked for',
    hint: 'ask its publisher for the peer id; quantd verify DIR tells which one has signed',
  },
  wrongSize: {
    code: 'QD-6511',
    exit: mismatch,
    what: 'a file has another size than it should',
    hint: again,
  },
  wrongDigest: {
    code: 'QD-6512',
    exit: mismatch,
    what: 'a file has another SHA-256 than it should',
    hint: again,
  },
  wrongTensor: {
    code: 'QD-6513',
    exit: mismatch,
    what: 'a tensor has another SHA-256 than it should',
    hint: again,
  },
  wrongHeader: {
    code: 'QD-6514',
    exit: mismatch,
    what: 'the header of a GGUF has another SHA-256 than it should',
    hint: again,
  },
  wrongPadding: {
    code: 'QD-6515',
    exit: mismatch,
    what: 'a GGUF has bytes other than zero where nothing stands',
    hint: again,
  },
  otherTensors: {
    code: 'QD-6516',
    exit: mismatch,
    what: 'the tensors of a GGUF are not those of the lockfile',
    hint: again,
  },
  badGguf: {
    code: 'QD-6517',
    exit: mismatch,
    what: 'a file is not strictly a GGUF',
    hint: again,
  },
  badSums: {
    code: 'QD-6518',
    exit: mismatch,
    what: 'SHA256SUMS is malformed',
    hint: again,
  },
  otherSums: {
    code: 'QD-6519',
    exit: mismatch,
    what: 'SHA256SUMS and the lockfile disagree',
    hint: again,
  },
  unlisted: {
    code: 'QD-6520',
    exit: mismatch,
    what: 'a file is none of the release',
    hint: 'nothing vouches for it: remove it before the folder is published',
  },
  otherVersion: {
    code: 'QD-6521',
    exit: mismatch,
    what: 'the release was made by another version of quantd',
    hint: 'install that version if something below differs',
  },
  noSum: {
    code: 'QD-6522',
    exit: mismatch,
    what: 'nothing beside the file says what its SHA-256 should be',
    hint: 'compare the SHA-256 with that of where the file comes from',
  },
  otherSource: {
    code: 'QD-6523',
    exit: mismatch,
    what: 'SOURCE is not the one that the release was made from',
    hint: 'get the revision that quantd.lock.json names',
  },
  otherPlan: {
    code: 'QD-6524',
    exit: mismatch,
    what: 'an output is not what its recipe makes of SOURCE',
    hint: remake,
  },
  otherBlocks: {
    code: 'QD-6525',
    exit: mismatch,
    what: 'blocks that were made again from SOURCE are not those of the release',
    hint: remake,
  },
  badAttestation: {
    code: 'QD-6526',
    exit: mismatch,
    what: 'a line of attestations.ndjson is not signed by the machine that it names',
    hint: again,
  },
  otherAttested: {
    code: 'QD-6527',
    exit: mismatch,
    what: 'a machine has signed for other blocks than SOURCE gives',
    hint: 'SOURCE is another one, or that machine computes wrong bytes: quantd reproduce tells which',
  },
  otherContract: {
    code: 'QD-6530',
    exit: mismatch,
    what: 'this program computes by another contract than the release was made by',
    hint: 'install the version of quantd that made it: npm install -g quantd@VERSION',
  },
  otherInput: {
    code: 'QD-6531',
    exit: mismatch,
    what: 'an input is not the one that the release was made from',
    hint: 'get the one that quantd.lock.json names; what is made from another is another release',
  },
  noSource: {
    code: 'QD-6532',
    exit: exitCodes.usage,
    what: 'the release was made from files of a machine, which only its maker can name',
    hint: 'say where they lie here: quantd reproduce quantd.lock.json --source SOURCE',
  },
  otherTexts: {
    code: 'QD-6533',
    exit: exitCodes.usage,
    what: 'the release was measured with another number of texts',
    hint: 'name all of them in their order, or leave --calibration out to take those of the release',
  },
  badLeft: {
    code: 'QD-6534',
    exit: exitCodes.input,
    what: 'quantd.left.json does not tell where the outputs of this release lie',
    hint: 'run quantd release again: it writes the file anew, or without --leave collects the outputs',
  },
  leftElsewhere: {
    code: 'QD-6535',
    exit: mismatch,
    what: 'an output lies on another machine and was not read',
    hint: 'quantd publish sends it from there; quantd release again without --leave brings it here',
  },
  notReproduced: {
    code: 'QD-6540',
    exit: mismatch,
    what: 'what was made again is another release',
    hint: 'run it again with --keep and compare the two folders',
  },
  madeOther: {
    code: 'QD-6541',
    exit: mismatch,
    what: 'what was made again differs',
    hint: 'run it again with --keep and compare the two folders',
  },
} as const satisfies Record<string, FaultKind>;
