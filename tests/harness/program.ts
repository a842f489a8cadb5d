import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../..');

/**
 * What node is given to run a program of ours, named from the root: its source; or, where TEKAI_TESTS_FROM=dist says that it was
 * built just now (`make test`), what is shipped. A start of the engine takes half as long then: 1.2 s of a core, not 2.4.
 */
export function programOf(file: string): readonly string[] {
  if (process.env['TEKAI_TESTS_FROM'] === 'dist') return [path.join(ROOT, 'dist', file.replace(/\.ts$/, '.js'))];
  return ['--conditions=source', '--import', path.join(ROOT, 'tests/harness/ts-loader.mjs'), path.join(ROOT, file)];
}
