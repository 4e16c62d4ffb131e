import { defineConfig, type ViteUserConfig } from 'vitest/config';

const config: ViteUserConfig = defineConfig({
  test: {
    include: ['{proto,daemon,cli,cluster-tests}/**/*.test.ts'],
    setupFiles: ['./daemon/polyfill.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});
export default config;
