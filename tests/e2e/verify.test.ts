import { buffer } from 'node:stream/consumers';
import { blobsOf, changePack, flipByte } from '../harness/own-stores.ts';
import { makeRepository } from '../harness/repository.ts';
import { eventsOf, startSystem, untilStored, type System } from '../harness/system.ts';
import { tekai as runTekai } from '../harness/tekai.ts';

/** The program is started from its sources time and again: on a busy machine 12 s each. */
const MANY_RUNS_MS_MAX = 300_000;
let system: System;
beforeAll(async () => { system = await startSystem(); });
afterAll(async () => { await system.stop(); });

/** The program as an operator runs it, beside the engine. */
const tekai = (...words: readonly string[]) => runTekai(system, ...words);

interface Whole { readonly codebase: string; readonly commit: string; readonly later: string; readonly blob: string; readonly pack: string; readonly offset: number }

/** A codebase of two versions, with big files that stand alone in their blocks among small ones that share theirs. */
async function wholeCodebase(name: string): Promise<Whole> {
  const repository = await makeRepository();
  const big = (seed: number) => Array.from({ length: 9_000 }, (_, n) => `${(n * 7_919 + seed) % 104_729} line\n`).join('');
  const commit = repository.commit('main', [{ path: 'docs/big one.txt', content: big(name.length) }, { path: 'other/large.txt', content: big(2) }, ...Array.from({ length: 30 }, (_, n) => ({ path: `src/d${n % 3}/f${n}`, content: `${name} ${n}\n` }))]);
  const project = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: name, import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote(`root/${name}`));
  const codebase = await system.follow(project.id);
  await untilStored(system, codebase, 'refs/heads/main', commit);
  const later = repository.commit('main', [{ path: 'src/new', content: 'new\n' }]);
  repository.git('push', '-q', 'origin', 'main');
  await untilStored(system, codebase, 'refs/heads/main', later);
  const [fetched] = await eventsOf(system, `key=${codebase}&type=codebase.fetched`);
  const pack: string = fetched!.data.packs[0].pack;
  const blob = repository.git('rev-parse', `${commit}:docs/big one.txt`).trim();
  return { codebase, commit, later, blob, pack, offset: await placeOf(blob) };
}

test('every object of a version is read and recomputed; one flipped byte is found and named, in each version that has it (I5)', async () => {
  const { codebase, commit, later, blob, pack, offset } = await wholeCodebase('whole');
  // The root, docs, other, src and three below it.
  expect(JSON.parse((await tekai('verify', 'root/whole', '--json')).stdout)).toMatchObject({ kind: 'good', codebase, commit: later, commits: 1, trees: 7, blobs: 33 });
  expect(await tekai('verify', codebase, '--at', commit)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^root\/whole refs\/heads\/main at [0-9a-f]{40} is whole: 1 commits, 7 trees and 32 blobs, [\d,]+ bytes were read from the packs, and each hashes to its id\. \([\d.]+ s\)\n$/) });
  await flipByte(system, pack, offset + 500);
  const found = await tekai('verify', 'whole', '--at', commit, '--json');
  expect([found.code, JSON.parse(found.stdout)]).toMatchObject([1, { kind: 'damaged', damage: { object: blob, objectKind: 'blob', path: 'docs/big one.txt', pack } }]);
  expect(await tekai('verify', 'whole')).toMatchObject({ code: 1, stdout: expect.stringContaining(`is DAMAGED\n  blob ${blob}\n  path docs/big one.txt\n  pack ${pack}\n`) });
}, MANY_RUNS_MS_MAX);

test('a pack that is gone or cut is damage, and no outage; what there is not is told, with what was probably meant', async () => {
  const { pack, offset } = await wholeCodebase('cut');
  const [blobs, name] = [await blobsOf(system), `packs/${pack}`];
  const bytes = await buffer((await blobs.get(name))!);
  await blobs.delete(name);
  expect(await tekai('verify', 'cut')).toMatchObject({ code: 1, stdout: expect.stringMatching(new RegExp(`pack ${pack}\n {2}the pack is not in the blob store`)) });
  await blobs.put(name, bytes, { bytes: bytes.length });
  await changePack(system, pack, (whole) => whole.subarray(0, offset + 100));
  expect(await tekai('verify', 'cut')).toMatchObject({ code: 1, stdout: expect.stringMatching(new RegExp(`pack ${pack}\n {2}the pack has only ${offset + 100} bytes`)) });
  expect(await tekai('verify', 'ctu')).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('Did you mean "cut"?') });
  expect(await tekai('verify', 'cut', '--at', '0'.repeat(40))).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('No version of') });
}, MANY_RUNS_MS_MAX);

async function placeOf(object: string): Promise<number> {
  const { createPool } = await import('#shared/postgres/pool.ts');
  const pool = createPool(system.databaseUrl, { connectionsMax: 1, applicationName: 'verify-test' });
  const { rows } = await pool.query<{ block_offset: string }>(`select block_offset from objects where id = decode($1, 'hex')`, [object]);
  await pool.end();
  return Number(rows[0]!.block_offset);
}
