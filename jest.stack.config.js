import config, { STACK_TESTS } from './jest.config.js';

const stack = {
  ...config,
  testPathIgnorePatterns: ['/node_modules/'],
  globalSetup: '<rootDir>/tests/stack/global-setup.ts',
  globalTeardown: '<rootDir>/tests/stack/global-teardown.ts',
};
// Said once, below, for both.
const { testTimeout, maxWorkers, ...project } = stack;

/** `make test-stack`: the tests that need servers which are not in package.json, and the suite of the embedded form once more, on all of them. */
/** @type {import('jest').Config} */
export default {
  // Fourteen processes start, and who was killed in Kafka is taken over from after 30 s.
  testTimeout: 3 * testTimeout,
  // Kafka and the others take their part of the cores.
  maxWorkers: maxWorkers - 1,
  projects: [
    { ...project, displayName: 'servers', testMatch: STACK_TESTS.map((kind) => `**/*.${kind}.test.ts`) },
    { ...project, displayName: 'e2e on the stack', testMatch: ['<rootDir>/tests/e2e/*.test.ts'], setupFilesAfterEnv: ['<rootDir>/tests/stack/on-the-stack.ts'] },
    { ...project, displayName: 'drills on the stack', testMatch: ['<rootDir>/tests/stack/drills/*.test.ts'] },
  ],
};
