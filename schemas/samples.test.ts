import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import type { CodebaseId, FactId, GitLabProjectId, RefName, SourceId } from './brand.ts';
import { streamName } from './brand.ts';
import { FACTS, parseFact, streamPrefixesOf } from './events/facts.ts';
import { codebaseIdOf, codebaseStream, deliveryIdOf, sourceIdOf, syncIdOf, syncStream } from './ids.ts';
import { samples, samplesFolder } from './samples.fixture.ts';

const all = samples();

test.each(all)('$file, once written, still parses and loses nothing', ({ fact, type, version }) => {
  expect([fact.type, fact['schemaVersion']]).toEqual([type, version]);
  const parsed: unknown = parseFact(fact);
  expect(JSON.parse(JSON.stringify(parsed))).toEqual(fact);
});

test.each(all)('$file stands in a stream where such facts are looked for', ({ fact, type }) => {
  expect(streamName.safeParse(fact.stream).success).toBe(true);
  expect(streamPrefixesOf([type]).some((prefix) => fact.stream.startsWith(prefix))).toBe(true);
});

test.each(FACTS)('$type has a sample of every version it ever had', ({ type, schemaVersion }) => {
  const versions = new Set(all.filter((sample) => sample.type === type).map((sample) => sample.version));
  expect([...versions].sort()).toEqual(Array.from({ length: schemaVersion }, (_, index) => index + 1));
});

test.each(FACTS)('the samples of $type show every word that its data may say, and null and a value where both may stand', ({ type, schemaVersion, data }) => {
  const shown = all.filter((sample) => sample.type === type && sample.version === schemaVersion).map((sample) => sample.fact.data);
  expect(notShown(z.toJSONSchema(data), shown, 'data')).toEqual([]);
});

// A log outlives its programs: an id made differently tomorrow would give every codebase and sync of today a second one.
test('ids follow from others as they did when the samples were written', () => {
  for (const { file, fact } of all) {
    const { sourceId, gitlabProjectId, codebaseId, syncId, ref, command } = fact.data as Partial<Record<string, unknown>>;
    const made: Record<string, unknown> = {};
    const said: Record<string, unknown> = {};
    if (codebaseId !== undefined && gitlabProjectId !== undefined) {
      said['codebase'] = codebaseId;
      made['codebase'] = codebaseIdOf(sourceId as SourceId, gitlabProjectId as GitLabProjectId);
    }
    if (fact.stream.startsWith('codebase-')) [said['stream'], made['stream']] = [fact.stream, codebaseStream(codebaseId as CodebaseId)];
    if (fact.stream.startsWith('sync-')) [said['stream'], made['stream']] = [fact.stream, syncStream(syncId as never)];
    if (fact['revision'] === 0 && syncId !== undefined) {
      said['sync'] = syncId;
      made['sync'] = syncIdOf(fact['causationId'] as FactId, codebaseId as CodebaseId, ref as RefName);
    }
    if (fact.type === 'source.registered') {
      said['source'] = sourceId;
      made['source'] = sourceIdOf((fact['actor'] as { id: string }).id, (command as { id: string }).id);
    }
    expect({ file, ...made }).toEqual({ file, ...said });
  }
  expect(deliveryIdOf('0ab19f44-4630-534f-80cf-e4eda4f9fe64' as SourceId, 'msg_2KWPBgLlAfxdpx2AI54pPJ85f4W')).toBe('4513ca4d-65b1-57cd-925a-b69846fd37fd');
});

// Whoever changes a sample changes what some log out there is said to hold. A new sample brings its line:
//   cd schemas/samples && sha256sum *.json > SHA256SUMS
test('no sample was changed or taken away since it was written', () => {
  const noted = new Map(readFileSync(new URL('SHA256SUMS', samplesFolder), 'utf8').trimEnd().split('\n').map((line) => [line.slice(66), line.slice(0, 64)]));
  const found = new Map(readdirSync(samplesFolder).filter((file) => file !== 'SHA256SUMS').sort()
    .map((file) => [file, createHash('sha256').update(readFileSync(new URL(file, samplesFolder))).digest('hex')]));
  expect(Object.fromEntries(found)).toEqual(Object.fromEntries(noted));
});

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** What a schema allows and no value shows: words of enumerations, null, something that is not null. */
function notShown(schema: JsonSchema, values: readonly unknown[], where: string): string[] {
  const branches = schema.anyOf ?? (Array.isArray(schema.type) ? schema.type.map((type) => ({ type })) : [schema]);
  const missing: string[] = [];
  if (branches.some((branch) => (branch as JsonSchema).type === 'null')) {
    if (!values.includes(null)) missing.push(`${where}: null`);
    if (values.every((value) => value === null)) missing.push(`${where}: a value`);
  }
  for (const branch of branches as JsonSchema[]) {
    missing.push(...(branch.enum ?? []).filter((word) => !values.includes(word)).map((word) => `${where}: ${String(word)}`));
    if (branch.type === 'boolean') missing.push(...[true, false].filter((value) => !values.includes(value)).map((value) => `${where}: ${String(value)}`));
    const objects = values.filter((value): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value));
    for (const [name, property] of Object.entries(branch.properties ?? {})) {
      missing.push(...notShown(property as JsonSchema, objects.map((value) => value[name]), `${where}.${name}`));
    }
    if (branch.items !== undefined) missing.push(...notShown(branch.items as JsonSchema, values.flatMap((value) => (Array.isArray(value) ? value : [])), `${where}[]`));
  }
  return missing;
}
