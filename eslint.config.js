import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

// What a linter can hold of the house style. Imports, data flow, sizes and names are tests: tests/architecture/.

/** Everything that is not shipped as a part of the engine, or only runs in a test. */
const OUTSIDE = ['infra/**', 'tests/**', 'bench/**', '**/*.{test,contract,fixture}.ts', '**/*.{js,mjs}'];

/** The same prefixes as in tests/architecture/layers.ts, which holds this list to its own. */
const ADAPTER_PREFIXES = ['postgres', 'embedded', 'eventstoredb', 'kafka', 'redis', 's3', 'gcs', 'disk', 'git', 'gitbeaker', 'openid', 'memory'];

const TAKES_TIME = [
  'shared/runtime/**', 'shared/api-client/**', 'services/composition.ts', 'services/composition-*.ts', 'shared/postgres/channel-listener.ts',
  ...ADAPTER_PREFIXES.map((prefix) => `shared/**/${prefix}-*.ts`),
  // The pings and the patience of a WebSocket or stream: time of the connection, which no fact and no answer depends on.
  'services/notifier/service.ts', 'services/notifier/socket.ts', 'services/notifier/event-stream.ts', 'services/notifier/patience.ts',
];

const BY_ARGUMENT = 'Time and chance come by argument (house style, rule 7): ask for now(), sleep() or random() in deps.';
const PROCESS = 'Only services/main.ts, and services/workers.ts for its own, touches the process: let it hand the value down.';

// Of eslint's own rules those that find faults which the compiler lets pass. (@eslint/js would be one more package for a list.)
const FAULTS = [
  'constructor-super', 'for-direction', 'getter-return', 'no-async-promise-executor', 'no-case-declarations', 'no-class-assign', 'no-compare-neg-zero',
  'no-cond-assign', 'no-constant-binary-expression', 'no-constant-condition', 'no-debugger', 'no-delete-var', 'no-dupe-else-if', 'no-duplicate-case',
  'no-empty', 'no-empty-character-class', 'no-empty-pattern', 'no-ex-assign', 'no-extra-boolean-cast', 'no-fallthrough', 'no-func-assign', 'no-global-assign',
  'no-invalid-regexp', 'no-irregular-whitespace', 'no-loss-of-precision', 'no-misleading-character-class', 'no-nonoctal-decimal-escape', 'no-octal',
  'no-prototype-builtins', 'no-regex-spaces', 'no-self-assign', 'no-self-compare', 'no-setter-return', 'no-shadow-restricted-names',
  'no-sparse-arrays', 'no-template-curly-in-string', 'no-this-before-super', 'no-unassigned-vars', 'no-unexpected-multiline', 
  'no-unsafe-finally', 'no-unsafe-negation', 'no-unsafe-optional-chaining', 'no-unused-labels', 'no-unused-private-class-members', 'no-useless-backreference',
  'no-useless-assignment', 'no-useless-catch', 'no-useless-escape', 'no-var', 'no-with', 'prefer-const', 'require-yield', 'use-isnan', 'valid-typeof',
];

export default defineConfig(
  globalIgnores(['dist/**', 'node_modules/**', 'bench/results/**', '**/.tekai/**']),
  { rules: Object.fromEntries([...FAULTS.map((rule) => [rule, 'error']), ['eqeqeq', 'error'], ['max-params', ['error', 5]]]) },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },

  {
    files: ['**/*.ts'],
    plugins: { '@typescript-eslint': tseslint.plugin },
    languageOptions: { parser: tseslint.parser, parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // A promise that nobody waits for is work that nobody misses when it fails.
      '@typescript-eslint/no-floating-promises': ['error', { ignoreVoid: true }],
      // express 5 and ws take handlers that return promises; what they do with a rejection is theirs to say.
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { arguments: false, properties: false, attributes: false } }],
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/return-await': ['error', 'in-try-catch'],
      '@typescript-eslint/only-throw-error': ['error', { allowThrowingUnknown: true, allowRethrowing: true }],
      '@typescript-eslint/prefer-promise-reject-errors': ['error', { allowThrowingUnknown: true }],
      '@typescript-eslint/no-for-in-array': 'error',
      '@typescript-eslint/no-implied-eval': 'error',
      // Off on purpose: a port's method is async in every adapter, also in the one that has nothing to wait for.
      '@typescript-eslint/require-await': 'off',

      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: true }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports', disallowTypeAnnotations: false }],
      '@typescript-eslint/restrict-plus-operands': 'error',

      'no-console': 'error',
    },
  },

  // The process: its environment, its end and its signals.
  {
    files: ['**/*.ts'],
    ignores: ['services/main.ts', 'services/workers.ts', ...OUTSIDE],
    rules: {
      'no-restricted-properties': ['error',
        ...['env', 'exit', 'exitCode', 'abort', 'on', 'once', 'addListener', 'removeListener', 'off', 'argv', 'chdir', 'umask']
          .map((property) => ({ object: 'process', property, message: PROCESS }))],
      'no-restricted-imports': ['error', { paths: [
        { name: 'node:process', message: PROCESS }, { name: 'process', message: PROCESS },
      ] }],
    },
  },

  // Time, chance and the network.
  {
    files: ['**/*.ts'],
    ignores: [...TAKES_TIME, 'services/main.ts', ...OUTSIDE],
    rules: {
      'no-restricted-globals': ['error', ...['setTimeout', 'setInterval', 'setImmediate', 'fetch', 'WebSocket', 'EventSource'].map((name) => ({ name, message: BY_ARGUMENT }))],
      'no-restricted-imports': ['error', { paths: [
        { name: 'node:process', message: PROCESS }, { name: 'process', message: PROCESS },
        ...['node:timers/promises', 'timers/promises', 'node:timers', 'timers'].map((name) => ({ name, message: BY_ARGUMENT })),
      ] }],
      'no-restricted-syntax': ['error',
        { selector: "MemberExpression[object.name='Date'][property.name='now']", message: BY_ARGUMENT },
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: BY_ARGUMENT },
        { selector: "CallExpression[callee.name='Date']", message: BY_ARGUMENT },
        { selector: "MemberExpression[object.name='Math'][property.name='random']", message: BY_ARGUMENT },
        { selector: "MemberExpression[object.name='globalThis'][property.name=/^(fetch|setTimeout|setInterval|setImmediate)$/]", message: BY_ARGUMENT },
        { selector: "MemberExpression[object.name='process'][property.name='kill']", message: 'Signals are sent by adapters that own the process they signal.' },
      ],
    },
  },

  // A person reads what these print.
  { files: [...OUTSIDE, 'services/cli/**'], rules: { 'no-console': 'off' } },
  // A test reads JSON of others as it comes; what is not there fails the test.
  { files: ['tests/**', 'infra/*/testing/**', '**/*.{test,contract,fixture}.ts'], rules: { '@typescript-eslint/no-explicit-any': 'off' } },
  { files: ['**/*.{js,mjs}'], rules: { 'no-undef': 'error', 'no-unused-vars': 'error' }, languageOptions: { globals: nodeGlobals() } },
);

function nodeGlobals() {
  return Object.fromEntries(['process', 'console', 'Buffer', 'URL', 'setTimeout', 'clearTimeout', 'fetch', 'AbortSignal', 'AbortController'].map((name) => [name, 'readonly']));
}
