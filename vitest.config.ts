import { configDefaults, defineConfig, type ViteUserConfig } from 'vitest/config';

// Needs a package of 245 MB: a part of the soak, which sets the variable.
const soakTests =
  process.env['QUANTD_REAL_TOKENIZER'] === undefined
    ? ['cluster-tests/oracle/real-tokenizer.test.ts']
    : [];

// The kernels are compared with llama.cpp in every run, and the interpreter with the kernels.
if (process.env['QUANTD_SOAK'] === undefined) {
  soakTests.push('cluster-tests/det1-model/against-llama.test.ts');
}

const config: ViteUserConfig = defineConfig({
  test: {
    include: ['{proto,daemon,cli,cluster-tests}/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...soakTests],
    setupFiles: ['./daemon/polyfill.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});
export default config;
