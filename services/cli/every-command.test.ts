import { PassThrough } from 'node:stream';
import type { Command } from 'commander';
import { codebaseAnswer, scriptedEngine, SOURCE_ID, TIME, type ScriptedEngine } from '#shared/api-client/scripted-engine.fixture.ts';
import type { Input } from './ask-secret.ts';
import { NOW, sink, tekai, untilAborted } from './cli-run.fixture.ts';
import { createContext } from './context.ts';
import { createProgram } from './program.ts';

// What holds of every command, whichever there are: read from commander's tree.

const never = () => Promise.reject(new Error('not asked for'));
const program = createProgram(createContext({
  argv: [], env: {}, version: '0', stdin: new PassThrough() as Input, stdout: sink(), stderr: sink(), now: () => NOW, sleep: (_ms, signal) => untilAborted(signal), up: never, demo: never, replay: never, verify: never, migrateLog: never, topics: never, migrateBlobs: never, secrets: never,
}));

interface Leaf { readonly words: string; readonly command: Command }
function leavesOf(command: Command, words: readonly string[] = []): Leaf[] {
  const below = command.commands.flatMap((one) => leavesOf(one, [...words, one.name()]));
  return command.commands.length > 0 && !hasAction(command) ? below : [...below, { words: words.join(' '), command }];
}
/** Whether it does something itself, not only its subcommands. */
const hasAction = (command: Command) => command.registeredArguments.length > 0 || command.parent === null;
const LEAVES = leavesOf(program).filter(({ words }) => words !== '');
/** They print no answer of the engine: a log, a show, bytes, a script. */
/** They ask no API: tests/e2e/replay.test.ts, past.test.ts, verify.test.ts, migrate-log.test.ts, secret-keys.test.ts, services/topics.kafka.test.ts and run-migrate-blobs.test.ts run them. */
const BESIDE_THE_ENGINE = ['replay', 'verify', 'migrate-log', 'apply', 'migrate', 'keys', 'rotate-key', 'drop-key'];
const WITHOUT_JSON = ['up', 'demo', 'completion bash', 'completion zsh'];

let engine: ScriptedEngine;
beforeEach(async () => {
  engine = await scriptedEngine();
  for (const query of ['', '&state=removed']) {
    engine.answer(`GET /v1/codebases?limit=1000${query}`, { codebases: query === '' ? [codebaseAnswer()] : [], next: null });
    engine.answer(`GET /v1/projects?limit=1000${query}`, { projects: query === '' ? [{ id: SOURCE_ID, name: 'billing', state: 'active', revision: 3, createdAt: TIME, removedAt: null, codebaseCount: 1 }] : [], next: null });
  }
  engine.answer('GET /v1/codebases?state=removed&limit=1000', { codebases: [], next: null });
  engine.answer('GET /v1/codebases?limit=1000&state=removed', { codebases: [], next: null });
  engine.answer('GET /v1/sources', { sources: [{ id: SOURCE_ID, name: 'work', baseUrl: 'https://gitlab.example.com', registeredAt: TIME, revision: 0 }] });
});
afterEach(() => engine.stop());
const ask = (...words: string[]) => tekai(words, { url: engine.url });

test('there are commands', () => expect(LEAVES.length).toBeGreaterThan(40));

test.each(LEAVES.filter(({ words }) => !WITHOUT_JSON.includes(words)))('$words takes --json, and the common flags', ({ command }) => {
  const options = command.options.map(({ long }) => long);
  expect(options).toContain('--json');
  if (!BESIDE_THE_ENGINE.includes(command.name())) expect(options).toEqual(expect.arrayContaining(['--url', '--token-file']));
});

test.each(LEAVES)('$words says what it does, and each of its options and arguments too', ({ command }) => {
  const isHidden = command.name() === 'names';
  if (!isHidden) expect(command.description()).not.toBe('');
  for (const option of command.options) expect([option.flags, option.description]).toEqual([option.flags, expect.stringMatching(/./)]);
});

test.each(LEAVES.filter(({ command }) => command.registeredArguments.some(({ required }) => required)))('$words says which argument is missing', async ({ words, command }) => {
  const ran = await ask(...words.split(' '));
  expect(ran).toMatchObject({ code: 64, stdout: '' });
  expect(ran.stderr).toContain(`missing required argument '${command.registeredArguments[0]?.name()}'`);
});

test.each(LEAVES.filter(({ words, command }) => !WITHOUT_JSON.includes(words) && command.options.some(({ long }) => long === '--json')))('$words names the option that was probably meant', async ({ words, command }) => {
  const ran = await ask(...words.split(' '), ...command.registeredArguments.map(() => 'x'), '--jsno');
  expect(ran).toMatchObject({ code: 64, stdout: '' });
  expect(ran.stderr).toContain('(Did you mean --json?)');
});

test.each(['', ...new Set(LEAVES.flatMap(({ words }) => (words.includes(' ') ? [words.slice(0, words.lastIndexOf(' '))] : [])))].filter((group) => !['follow', 'deliveries'].includes(group)))('"%s" names the subcommand that was probably meant', async (group) => {
  const known = LEAVES.map(({ words }) => words).find((words) => words.startsWith(group === '' ? 'status' : `${group} `)) ?? '';
  const slip = `${known.split(' ').at(-1)}x`;
  const ran = await ask(...group.split(' ').filter((word) => word !== ''), slip);
  expect(ran).toMatchObject({ code: 64, stdout: '' });
  expect(ran.stderr).toMatch(/unknown command '.*'\n\(Did you mean /);
});

/** A slip of what there is, by what an argument is called. */
const SLIPS: Readonly<Record<string, { given: string; meant: string }>> = { codebase: { given: 'ap', meant: 'app' }, source: { given: 'wrok', meant: 'work' }, project: { given: 'biling', meant: 'billing' } };
const NAMED = LEAVES.filter(({ words }) => !BESIDE_THE_ENGINE.includes(words)).flatMap(({ words, command }) => command.registeredArguments.flatMap((argument, index) => {
  const slip = SLIPS[argument.name()];
  return slip === undefined || (argument.name() === 'project' && command.parent?.name() !== 'project') ? [] : [{ words, what: argument.name(), index, slip, command }];
}));

test.each(NAMED)('$words: a $what that there is not is told, with the one that was probably meant', async ({ words, index, slip, command }) => {
  const good: Readonly<Record<string, string>> = { codebase: 'app', source: 'work', project: 'billing', who: 'members' };
  const given = command.registeredArguments.map((argument, at) => (at === index ? slip.given : good[argument.name()] ?? 'x'));
  const more = { 'codebase follow': ['--tags', 'v*'], 'source change': ['--name', 'y'], archive: ['-o', '/dev/null'] }[words] ?? [];
  const ran = await ask(...words.split(' '), ...given, ...more);
  expect(ran).toMatchObject({ code: 1, stdout: '' });
  expect(ran.stderr).toMatch(new RegExp(`^tekai: There is no (codebase|source|project) "${slip.given}"\\. Did you mean "${slip.meant}"\\? "tekai .* ls" lists them`));
  expect(engine.asked.map(({ method }) => method).filter((method) => method !== 'GET')).toEqual([]);
});
