import { expect, test } from 'vitest';
import { makeSmallRelease } from '../../../cluster-tests/small-release.ts';
import { reproducePageOf } from './reproduce-page.ts';

const { files, lock } = makeSmallRelease();

test('what SHA256SUMS lists is expected, wherever the lockfile tells of the matrix', () => {
  const sums = new TextDecoder().decode(files.get('SHA256SUMS'));
  expect(sums).toContain('Small-imatrix.gguf');
  const others = lock.lock.files.filter(({ file }) => file !== lock.lock.imatrix?.file);
  for (const listed of [others, lock.lock.files]) {
    const page = reproducePageOf({ ...lock.lock, files: listed }, lock.run);
    expect(page.split('## Expected\n\n')[1]).toBe(`\`\`\`\n${sums}\`\`\`\n`);
  }
});
