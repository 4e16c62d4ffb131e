import { configDefaults, defineConfig, type ViteUserConfig } from 'vitest/config';

// Needs a package of 245 MB: a part of the soak, which sets the variable.
const soakTests =
  process.env['QUANTD_REAL_TOKENIZER'] === undefined
    ? ['cluster-tests/oracle/real-tokenizer.test.ts']
    : [];

// Needs Node for another architecture: likewise.
if (process.env['QUANTD_ARM_PROGRAM'] === undefined) {
  soakTests.push('cluster-tests/arm/emulated-arm.test.ts');
}

// The kernels are compared with llama.cpp in every run, and the interpreter with the kernels.
if (process.env['QUANTD_SOAK'] === undefined) {
  soakTests.push('cluster-tests/det1-model/against-llama.test.ts');
  // Minutes of reading; what two bits gain is seen in every run.
  soakTests.push('cluster-tests/measure/matrix-gains.test.ts');
}

// Modules without state of their own, so that one process can test them one after the other: a process
// for each file takes longer than most of them.
const statelessTests = ['{proto,cli,daemon/core,daemon/roles}/**/*.test.ts'];

const config: ViteUserConfig = defineConfig({
  test: {
    setupFiles: ['./daemon/polyfill.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: 'parts', include: statelessTests, isolate: false } },
      {
        extends: true,
        test: {
          name: 'whole',
          include: ['{daemon,cli,cluster-tests}/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...soakTests, ...statelessTests],
        },
      },
    ],
  },
});
export default config;
