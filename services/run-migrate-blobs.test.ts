import { parseSettings } from '#shared/runtime/settings.ts';
import type { MigrateBlobsRequest } from './cli/cli.ts';
import { runMigrateBlobs } from './run-migrate-blobs.ts';

const S3 = 's3://packs?endpoint=https://s3.example.com';
const KEYS = { TEKAI_BLOBS_ACCESS_KEY: 'a', TEKAI_BLOBS_SECRET_KEY: 'b', TEKAI_BLOBS_OTHER_ACCESS_KEY: 'c', TEKAI_BLOBS_OTHER_SECRET_KEY: 'd' };
const run = (env: Readonly<Record<string, string>>, asked: Partial<MigrateBlobsRequest>) => runMigrateBlobs({
  settings: parseSettings(env), request: { way: 'to', other: S3, isChecked: false, isEmptied: false, json: false, ...asked }, signal: new AbortController().signal, print: () => undefined, note: () => undefined,
});

// What it does when it is not refused: shared/blobs/copy-blobs.test.ts and tests/stack/migrate-blobs.s3.test.ts.
test.each<[string, Readonly<Record<string, string>>, Partial<MigrateBlobsRequest>, string]>([
  ['one store with itself', { ...KEYS, TEKAI_BLOBS_URL: S3 }, {}, 'Both stores are one: s3://packs/ at https://s3.example.com'],
  ['the state folder with itself', {}, { other: 'disk' }, 'Both stores are one: disk'],
  ['a store without credentials', {}, {}, 'Set TEKAI_BLOBS_OTHER_ACCESS_KEY'],
  ['an address that cannot be read', KEYS, { other: 's3://a:secret@packs?endpoint=https://s3.example.com' }, '--to cannot be used: credentials stand in'],
])('%s is refused, saying what to do, and no secret', async (_, env, asked, message) => {
  const refused = await run(env, asked).catch((error: unknown) => String(error));
  expect(refused).toContain(message);
  expect(refused).not.toContain('secret@');
});
