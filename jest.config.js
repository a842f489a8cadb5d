import { availableParallelism } from 'node:os';

/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/schemas', '<rootDir>/shared', '<rootDir>/services', '<rootDir>/infra', '<rootDir>/tests'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2023', parser: { syntax: 'typescript' } }, module: { type: 'es6' }, sourceMaps: 'inline' }] },
  moduleNameMapper: { '^#(schemas|shared|tests)/(.*)$': '<rootDir>/$1/$2' },
  // One real Postgres for the whole run; every test file asks for databases of its own (tests/harness/postgres.ts).
  globalSetup: '<rootDir>/tests/harness/global-setup.ts',
  globalTeardown: '<rootDir>/tests/harness/global-teardown.ts',
  testTimeout: 120_000,
  // Most of the time a test of the whole waits for processes of its own: one worker would leave the second core idle.
  maxWorkers: Math.max(2, availableParallelism() - 1),
};
