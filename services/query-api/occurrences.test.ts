import type { ObjectId, Position, RefName } from '#schemas/brand.ts';
import type { ObjectReader } from '#shared/objects/object-reader.ts';
import type { VersionView } from '#shared/read-store/read-store.ts';
import { makeRepository, type Repository } from '#tests/harness/repository.ts';
import { createBlobPlaces, occurrencesOf } from './occurrences.ts';
import { randomHistory, seeded, storedObjects } from './stored-repository.fixture.ts';

const below = seeded(23);
let repository: Repository;
let reader: ObjectReader;
let versions: VersionView[];
let listings: string[][];

beforeAll(async () => {
  repository = await makeRepository();
  randomHistory(repository, { commits: 150, below });
  const lines = repository.git('log', '--reverse', '--format=%H %T', 'random').split('\n');
  versions = lines.map((line, n) => versionOf(n, ...line.split(' ') as [string, string]));
  // The ref was away for a while.
  versions[70] = { ...versions[70]!, state: 'deleted', commit: null, tree: null };
  listings = versions.map(({ commit }) => (commit === null ? [] : repository.gitBytes(['ls-tree', '-r', '-z', commit]).toString('latin1').split('\0')));
  reader = await storedObjects(repository);
});

const versionOf = (n: number, commit: string, tree: string): VersionView => ({
  ref: 'refs/heads/random' as RefName, state: 'stored', commit: commit as ObjectId, tree: tree as ObjectId, commitTime: null, objectFormat: 'sha1', sync: 's' as VersionView['sync'],
  storedAt: String(n), observedAt: String(n), position: String(n) as Position,
});

/** What anybody would find who lists every version: where the blob stands, version by version. */
function byListing(blob: string): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const [n, lines] of listings.entries()) {
    for (const line of lines) {
      if (!line.includes(` blob ${blob}\t`)) continue;
      const path = Buffer.from(line.slice(line.indexOf('\t') + 1), 'latin1').toString('hex');
      found.set(path, [...found.get(path) ?? [], n]);
    }
  }
  return found;
}

test('every place of a blob in every version is told once, from when to when', async () => {
  let told = 0;
  for (let n = 0; n < 6; n += 1) {
    const blob = repository.gitBytes(['hash-object', '--stdin'], Buffer.from(`content ${below(25)}`)).toString().trim() as ObjectId;
    const { occurrences, stopped } = await occurrencesOf(createBlobPlaces(reader, { blob }), { ref: versions[0]!.ref, versions });
    expect(stopped).toBeUndefined();
    const places = new Map<string, number[]>();
    for (const { path, from, to } of occurrences) {
      const [begin, end] = [versions.indexOf(from), to === undefined ? versions.length : versions.indexOf(to)];
      const key = path.toString('hex');
      places.set(key, [...places.get(key) ?? [], ...Array.from({ length: end - begin }, (_, offset) => begin + offset)]);
      told += 1;
    }
    const sorted = (map: Map<string, number[]>) => [...map].map(([path, at]) => `${path} ${[...at].sort((a, b) => a - b).join()}`).sort();
    expect(sorted(places)).toEqual(sorted(byListing(blob)));
  }
  expect(told).toBeGreaterThan(30);
});

test('each different tree is read once, whatever the versions and refs it is part of', async () => {
  const reads: ObjectId[] = [];
  const counting: Pick<ObjectReader, 'stream'> = { stream: (id) => { reads.push(id); return reader.stream(id); } };
  const places = createBlobPlaces(counting, { blob: 'f'.repeat(40) as ObjectId });
  await occurrencesOf(places, { ref: versions[0]!.ref, versions });
  await occurrencesOf(places, { ref: versions[0]!.ref, versions });
  expect(reads).toHaveLength(new Set(reads).size);
  expect(places.treesRead()).toBe(reads.length);
});

test('beyond a bound it stops, and says at which version', async () => {
  const blob = repository.git('rev-parse', `${versions.at(-1)!.commit}:${repository.git('ls-tree', '-r', '--name-only', 'random').split('\n')[0]}`) as ObjectId;
  const all = createBlobPlaces(reader, { blob });
  await occurrencesOf(all, { ref: versions[0]!.ref, versions });
  const enough = createBlobPlaces(reader, { blob, treesMax: all.treesRead() });
  expect((await occurrencesOf(enough, { ref: versions[0]!.ref, versions })).stopped).toBeUndefined();
  const few = createBlobPlaces(reader, { blob, treesMax: 40 });
  const { stopped } = await occurrencesOf(few, { ref: versions[0]!.ref, versions });
  expect(stopped).toMatchObject({ bound: 'trees' });
  expect(few.treesRead()).toBeLessThanOrEqual(40);
});

test('a blob that stands in more places than are told stops there', async () => {
  const commit = repository.commit('copies', Array.from({ length: 30 }, (_, n) => ({ path: `d${n % 3}/f${n}`, content: 'same' })), { parent: null });
  const [tree, blob] = [repository.git('rev-parse', `${commit}^{tree}`), repository.git('rev-parse', `${commit}:d0/f0`)];
  const own = await storedObjects(repository);
  const history = { ref: versions[0]!.ref, versions: [versionOf(0, commit, tree)] };
  expect((await occurrencesOf(createBlobPlaces(own, { blob: blob as ObjectId, placesMax: 29 }), history)).stopped).toMatchObject({ bound: 'places' });
  expect((await occurrencesOf(createBlobPlaces(own, { blob: blob as ObjectId, placesMax: 30 }), history)).occurrences).toHaveLength(30);
});
