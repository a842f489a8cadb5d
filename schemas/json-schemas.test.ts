import { readdirSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { FACTS } from './events/facts.ts';
import { jsonSchemas } from './json-schemas.ts';
import { samples } from './samples.fixture.ts';

const folder = new URL('json/', import.meta.url);
const written = new Map(readdirSync(folder).map((file) => [file, readFileSync(new URL(file, folder), 'utf8')]));

test('schemas/json/ is what the schemas say now (else: npm run schemas)', async () => {
  const expected = await jsonSchemas();
  const stale = [...expected].filter(([file, text]) => written.get(file) !== text).map(([file]) => file);
  const leftOver = [...written.keys()].filter((file) => !expected.has(file) && !isOlderVersion(file));
  expect({ stale, leftOver }).toEqual({ stale: [], leftOver: [] });
});

test.each(samples())('the JSON Schema of $type accepts $file, and nothing with a field missing', ({ type, version, fact }) => {
  const schema = z.fromJSONSchema(JSON.parse(written.get(`${type}.v${version}.json`) ?? 'false') as Parameters<typeof z.fromJSONSchema>[0]);
  expect(schema.safeParse(fact).error?.issues ?? []).toEqual([]);
  const { [Object.keys(fact.data)[0] ?? '']: _missing, ...less } = fact.data;
  expect(schema.safeParse({ ...fact, data: less }).success).toBe(false);
});

/** A fact's former shape stays beside the new one: facts of it are in logs for ever. */
function isOlderVersion(file: string): boolean {
  const [, type, version] = /^(.+)\.v(\d+)\.json$/.exec(file) ?? [];
  const current = FACTS.find((definition) => definition.type === type)?.schemaVersion ?? 0;
  return Number(version) < current;
}
