import { readdirSync } from 'node:fs';
import { z } from 'zod';
import { envelope } from './events/fact.ts';
import { FACTS } from './events/facts.ts';

/** Folders whose exported schemas are written out under their names; the facts come from FACTS. */
const FOLDERS = ['api', 'commands', 'gitlab', 'live'] as const;

/**
 * Everything said between us and others as JSON Schema 2020-12: file name → text. Facts are `<type>.v<version>.json`,
 * the rest `<folder>.<name>.json`. They describe what is accepted (`io: 'input'`), so an unknown field is no mistake in any
 * of them, except where the schema itself is strict.
 */
export async function jsonSchemas(): Promise<Map<string, string>> {
  const written = new Map<string, string>();
  for (const { type, schemaVersion, data } of FACTS) {
    const name = `${type}.v${schemaVersion}`;
    written.set(`${name}.json`, textOf(name, envelope.extend({ type: z.literal(type), schemaVersion: z.literal(schemaVersion), data })));
  }
  for (const folder of FOLDERS) {
    for (const [name, schema] of await schemasIn(folder)) {
      const id = `${folder}.${kebab(name)}`;
      if (written.has(`${id}.json`)) throw new Error(`two schemas of ${folder}/ are called ${name}: the second would be written over the first`);
      written.set(`${id}.json`, textOf(id, schema));
    }
  }
  return written;
}

async function schemasIn(folder: (typeof FOLDERS)[number]): Promise<[string, z.ZodType][]> {
  const files = readdirSync(new URL(`${folder}/`, import.meta.url)).filter((file) => /^[a-z-]+\.(ts|js)$/.test(file)).sort();
  const exported = await Promise.all(files.map(async (file) => Object.entries((await import(new URL(`${folder}/${file}`, import.meta.url).href)) as object)));
  return exported.flat().filter((entry): entry is [string, z.ZodType] => entry[1] instanceof z.ZodType && !isPart(entry[1]));
}

/** An id, a time, a list of words: said only inside of something else. */
function isPart(schema: z.ZodType): boolean {
  return !(schema instanceof z.ZodObject || schema instanceof z.ZodDiscriminatedUnion || schema instanceof z.ZodUnion);
}

function textOf(id: string, schema: z.ZodType): string {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return `${JSON.stringify({ $schema, $id: `urn:tekai:${id}`, title: id, ...rest }, null, 2)}\n`;
}

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
