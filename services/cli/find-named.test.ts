import type { CodebaseSummary } from '#schemas/api/codebases.ts';
import { codebaseAnswer, SOURCE_ID, TIME } from '#shared/api-client/scripted-engine.fixture.ts';
import { findCodebase, findSource } from './find-named.ts';

const IDS = ['185fe316-16af-54a3-9621-4de504c6d4d1', '185fe316-16af-54a3-9621-4de504c6d4d2', '185fe316-16af-54a3-9621-4de504c6d4d3'];
const paths = ['team/app', 'other/app', 'team/web-app'];
const client = (of: readonly (string | null)[] = paths) => ({
  async *codebases(filter: { state?: string } = {}) { if (filter.state === undefined) for (const [at, path] of of.entries()) yield codebaseAnswer({ id: IDS[at], path }) as unknown as CodebaseSummary; },
  sources: () => Promise.resolve([{ id: SOURCE_ID, name: 'Work', baseUrl: 'https://gitlab.example.com', registeredAt: TIME }] as never),
});
const find = async (given: string) => (await findCodebase(client(), given)).path;

test('a codebase is found by its id, its path, or an end of the path that no other has', async () => {
  expect(await find(IDS[1] ?? '')).toBe('other/app');
  expect(await find('team/app')).toBe('team/app');
  expect(await find('Team/App.git')).toBe('team/app');
  expect(await find('web-app')).toBe('team/web-app');
});

test('part of a name is no name', async () => {
  await expect(find('eam/app')).rejects.toThrow('There is no codebase "eam/app". Did you mean "team/app"?');
});

test('an end that several have asks which', async () => {
  await expect(find('app')).rejects.toThrow(`"app" may be any of these codebases. Say more of the path, or the id:\n  ${IDS[0]}  team/app\n  ${IDS[1]}  other/app`);
});

test('one that was removed is said to be so, and how it comes back', async () => {
  const removed = { async *codebases(filter: { state?: string } = {}) { yield codebaseAnswer({ id: IDS[0], path: filter.state === 'removed' ? 'team/gone' : 'team/app' }) as unknown as CodebaseSummary; } };
  await expect(findCodebase(removed, 'team/gone')).rejects.toThrow('"team/gone" was removed. "tekai codebase restore team/gone" brings it back');
  await expect(findCodebase(removed, 'gone')).rejects.toThrow('There is no codebase "gone".');
});

test('where there is none, it says how to have one', async () => {
  await expect(findCodebase(client([]), 'app')).rejects.toThrow('none is registered yet. "tekai codebase add <source> <path>"');
  await expect(findCodebase(client([null]), 'app')).rejects.toThrow('"tekai codebase ls" lists them.');
});

test('a source is found by its id, name or address', async () => {
  for (const given of [SOURCE_ID, 'work', 'https://gitlab.example.com']) expect((await findSource(client(), given)).name).toBe('Work');
  await expect(findSource(client(), 'wrok')).rejects.toThrow('Did you mean "Work"?');
});
