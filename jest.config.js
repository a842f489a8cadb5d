import { availableParallelism } from 'node:os';

/** What needs a server that package.json does not bring is tested by jest.stack.config.js. */
export const STACK_TESTS = ['kafka', 'redis', 's3', 'gcs', 'stack'];

/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/schemas', '<rootDir>/shared', '<rootDir>/services', '<rootDir>/infra', '<rootDir>/tests'],
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', `\\.(?:${STACK_TESTS.join('|')})\\.test\\.ts$`, '<rootDir>/tests/stack/drills/'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2023', parser: { syntax: 'typescript' } }, module: { type: 'es6' }, sourceMaps: 'inline' }] },
  moduleNameMapper: { '^#(schemas|shared|tests)/(.*)$': '<rootDir>/$1/$2' },
  // One real Postgres for the whole run; every test file asks for databases of its own (tests/harness/postgres.ts).
  globalSetup: '<rootDir>/tests/harness/global-setup.ts',
  globalTeardown: '<rootDir>/tests/harness/global-teardown.ts',
  ...(process.env['SEED'] ? { setupFiles: ['<rootDir>/tests/harness/seed.ts'] } : {}),
  testTimeout: 120_000,
  // Most of the time a test of the whole waits for processes of its own: on two cores a third worker takes a quarter of the run away.
  maxWorkers: availableParallelism() + 1,
};
