import { existsSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The folder of .sql files beside an owner's code: `migrationsDirectory(import.meta.url)` in services/projector/service.ts is
 * services/projector/migrations. The same from dist/services/projector/service.js, because tsc does not copy .sql files; a
 * build that does copy them is served from beside the file.
 */
export function migrationsDirectory(importMetaUrl: string): string {
  const folder = dirname(fileURLToPath(importMetaUrl));
  const beside = join(folder, 'migrations');
  if (existsSync(beside)) return beside;

  const root = packageRootOf(folder);
  const [first, ...rest] = relative(root, folder).split(sep);
  const inSource = join(root, ...(first === 'dist' ? rest : [first ?? '', ...rest]), 'migrations');
  if (existsSync(inSource)) return inSource;
  throw new Error(`no migrations for ${folder}: neither ${beside} nor ${inSource} exists; ship the .sql files with the package`);
}

function packageRootOf(folder: string): string {
  for (let current = folder; ; current = dirname(current)) {
    if (existsSync(join(current, 'package.json'))) return current;
    if (current === dirname(current)) throw new Error(`no package.json above ${folder}: where its .sql files lie cannot be told`);
  }
}
