import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { jsonSchemas } from './json-schemas.ts';

// `npm run schemas`: writes schemas/json/ anew. schemas/json-schemas.test.ts fails while it is stale.

const folder = new URL('json/', import.meta.url);
const written = await jsonSchemas();
mkdirSync(folder, { recursive: true });
// What an older version of a fact looked like stays: facts of it are in logs for ever.
for (const file of readdirSync(folder)) if (!written.has(file) && !/\.v\d+\.json$/.test(file)) rmSync(new URL(file, folder));
for (const [file, text] of written) writeFileSync(new URL(file, folder), text);
